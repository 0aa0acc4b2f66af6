//! The rules, one function each. Every function starts from an empty place.

use super::SinkUnderTest;
use super::drive::{Attempt, Outcome, Place, Who, expect};
use crate::id::Epoch;
use crate::testing::permit::recover;

/// A rule as a sentence, and the function that checks it.
pub(super) type Check<U> = (&'static str, fn(&Place<U>) -> Outcome);

/// Every rule of the contract.
pub(super) fn all<U: SinkUnderTest>() -> Vec<Check<U>> {
    vec![
        ("nothing is visible before commit; then all of the epoch is", visible_by_commit_only),
        ("to commit twice is harmless", commit_twice),
        ("an epoch without records prepares nothing, and the next works", empty_epochs),
        ("epochs become visible in order, each whole, without the one being written", epochs_in_order),
        ("records written after the barrier do not belong to the epoch", written_after_the_barrier),
        ("prepared epochs can be carried into a later checkpoint's commit", carried),
        ("what is aborted never becomes visible, and the next epoch works", aborted),
        ("a crash after write leaves nothing", crash_after_write),
        ("a crash after seal leaves nothing", crash_after_seal),
        ("a crash after prepare leaves nothing if no manifest lists it", crash_after_prepare),
        ("a crash after the manifest: recover commits what it lists", crash_after_manifest),
        ("recover can be called again and again", recover_again),
        ("a crash after commit: recover does not commit a second time", crash_after_commit),
        ("recover commits several committables", recover_several),
        ("another number of workers can recover", recover_with_other_workers),
        ("an attempt that died while opening does no harm", crash_while_opening),
        ("a superseded attempt that still writes never becomes visible", superseded),
        ("recovery leaves other jobs' output alone", other_job),
    ]
}

fn visible_by_commit_only<U: SinkUnderTest>(place: &Place<U>) -> Outcome {
    let mut attempt = Attempt::start(place, Who::attempt(1, 1), &[])?;
    expect(place, "before anything was written", [])?;
    attempt.write(0, 0..5)?;
    attempt.write(1, 5..8)?;
    attempt.write(0, 8..2_000)?;
    expect(place, "after write", [])?;
    let shares = attempt.seal(1)?;
    expect(place, "after seal", [])?;
    let committable = attempt.prepare(1, shares)?.ok_or("prepare returned none although records were written")?;
    expect(place, "after prepare", [])?;
    attempt.commit(&committable)?;
    expect(place, "after commit", 0..2_000)
}

fn commit_twice<U: SinkUnderTest>(place: &Place<U>) -> Outcome {
    let mut attempt = Attempt::start(place, Who::attempt(1, 1), &[])?;
    attempt.write(0, 0..5)?;
    let committable = attempt.checkpoint(1)?;
    attempt.commit(&committable)?;
    attempt.commit(&committable)?;
    expect(place, "after the second commit", 0..5)
}

fn empty_epochs<U: SinkUnderTest>(place: &Place<U>) -> Outcome {
    let mut attempt = Attempt::start(place, Who::attempt(1, 1), &[])?;
    for epoch in [1, 2] {
        let shares = attempt.seal(epoch)?;
        if attempt.prepare(epoch, shares)?.is_some() {
            return Err(format!("epoch {epoch} had no records, yet prepare returned a committable"));
        }
    }
    // One worker alone has records.
    attempt.write(1, 0..3)?;
    let committable = attempt.checkpoint(3)?;
    attempt.commit(&committable)?;
    expect(place, "after the commit that follows two empty epochs", 0..3)?;
    let shares = attempt.seal(4)?;
    if attempt.prepare(4, shares)?.is_some() {
        return Err("epoch 4 had no records, yet prepare returned a committable".to_owned());
    }
    drop(attempt);
    Attempt::start(place, Who::attempt(2, 5), &[])?;
    expect(place, "after the restart that follows an empty epoch", 0..3)
}

fn epochs_in_order<U: SinkUnderTest>(place: &Place<U>) -> Outcome {
    let mut attempt = Attempt::start(place, Who::attempt(1, 1), &[])?;
    for epoch in 1..=5 {
        let first = epoch * 10;
        attempt.write(0, first..first + 3)?;
        attempt.write(1, first + 3..first + 5)?;
        let committable = attempt.checkpoint(epoch)?;
        let until = |last: u64| (1..=last).flat_map(|epoch| epoch * 10..epoch * 10 + 5);
        expect(place, &format!("before commit({epoch})"), until(epoch - 1))?;
        attempt.commit(&committable)?;
        expect(place, &format!("after commit({epoch})"), until(epoch))?;
    }
    Ok(())
}

fn written_after_the_barrier<U: SinkUnderTest>(place: &Place<U>) -> Outcome {
    let mut attempt = Attempt::start(place, Who::attempt(1, 1), &[])?;
    attempt.write(0, 0..3)?;
    attempt.write(1, 3..6)?;
    let shares = attempt.seal(1)?;
    // A sink may make the worker wait here; then nothing is written yet.
    let mut early = attempt.write_if_ready(0, 10..13)?;
    let committable = attempt.prepare(1, shares)?.ok_or("prepare returned none although records were written")?;
    early.extend(attempt.write_if_ready(1, 13..16)?);
    attempt.commit(&committable)?;
    expect(place, "after commit(1), with records of epoch 2 written before", 0..6)?;
    attempt.write(0, 20..23)?;
    let committable = attempt.checkpoint(2)?;
    expect(place, "before commit(2)", 0..6)?;
    attempt.commit(&committable)?;
    expect(place, "after commit(2)", (0..6).chain(early).chain(20..23))
}

fn carried<U: SinkUnderTest>(place: &Place<U>) -> Outcome {
    let mut attempt = Attempt::start(place, Who::attempt(1, 1), &[])?;
    attempt.write(0, 0..3)?;
    let first = attempt.checkpoint(1)?;
    // Checkpoint 1 was not published: another participant was late.
    let more = attempt.write_if_ready(1, 3..6)?;
    let shares = attempt.seal(2)?;
    let second = attempt.prepare(2, shares)?;
    if second.is_none() && !more.is_empty() {
        return Err("prepare(2) returned none although records were written".to_owned());
    }
    expect(place, "before any commit", [])?;
    attempt.commit_as_of(&first, 2)?;
    if let Some(second) = &second {
        attempt.commit_as_of(second, 2)?;
    }
    expect(place, "after the commits of epochs 1 and 2 by manifest 2", (0..3).chain(more))
}

fn aborted<U: SinkUnderTest>(place: &Place<U>) -> Outcome {
    let mut attempt = Attempt::start(place, Who::attempt(1, 1), &[])?;
    attempt.write(0, 0..3)?;
    let committable = attempt.checkpoint(1)?;
    attempt.abort(&committable)?;
    expect(place, "after abort", [])?;
    attempt.write(0, 10..13)?;
    let committable = attempt.checkpoint(2)?;
    attempt.commit(&committable)?;
    expect(place, "after the commit that follows an abort", 10..13)
}

fn crash_after_write<U: SinkUnderTest>(place: &Place<U>) -> Outcome {
    let mut attempt = Attempt::start(place, Who::attempt(1, 1), &[])?;
    attempt.write(0, 0..2_000)?;
    attempt.write(1, 2_000..2_010)?;
    drop(attempt);
    starts_clean(place)
}

fn crash_after_seal<U: SinkUnderTest>(place: &Place<U>) -> Outcome {
    let mut attempt = Attempt::start(place, Who::attempt(1, 1), &[])?;
    attempt.write(0, 0..5)?;
    attempt.seal(1)?;
    attempt.write_if_ready(0, 5..10)?;
    drop(attempt);
    starts_clean(place)
}

fn crash_after_prepare<U: SinkUnderTest>(place: &Place<U>) -> Outcome {
    let mut attempt = Attempt::start(place, Who::attempt(1, 1), &[])?;
    attempt.write(0, 0..5)?;
    attempt.checkpoint(1)?;
    drop(attempt);
    starts_clean(place)
}

/// The next attempt finds no manifest: it repeats epoch 1 with the same records.
fn starts_clean<U: SinkUnderTest>(place: &Place<U>) -> Outcome {
    expect(place, "after the crash", [])?;
    let mut attempt = Attempt::start(place, Who::attempt(2, 1), &[])?;
    expect(place, "after recover with nothing published", [])?;
    attempt.write(0, 0..5)?;
    let committable = attempt.checkpoint(1)?;
    attempt.commit(&committable)?;
    expect(place, "after the new attempt's commit", 0..5)
}

fn crash_after_manifest<U: SinkUnderTest>(place: &Place<U>) -> Outcome {
    let mut attempt = Attempt::start(place, Who::attempt(1, 1), &[])?;
    attempt.write(0, 0..5)?;
    attempt.write(1, 5..10)?;
    let shares = attempt.seal(1)?;
    let committable = attempt.prepare(1, shares)?.ok_or("prepare returned none although records were written")?;
    attempt.write_if_ready(0, 90..95)?;
    drop(attempt);
    let mut attempt = Attempt::start(place, Who::attempt(2, 2), &[committable])?;
    expect(place, "after recover", 0..10)?;
    attempt.write(0, 90..95)?;
    let committable = attempt.checkpoint(2)?;
    attempt.commit(&committable)?;
    expect(place, "after the next epoch's commit", (0..10).chain(90..95))
}

fn recover_again<U: SinkUnderTest>(place: &Place<U>) -> Outcome {
    let mut attempt = Attempt::start(place, Who::attempt(1, 1), &[])?;
    attempt.write(0, 0..5)?;
    let mut published = vec![attempt.checkpoint(1)?];
    drop(attempt);
    for number in 2..5 {
        let mut attempt = Attempt::start(place, Who::attempt(number, 2), &published)?;
        published.clone_from(&attempt.listed);
        expect(place, &format!("after recovery number {}", number - 1), 0..5)?;
        // Not published: has to be gone at the next recovery.
        attempt.write(0, 10..12)?;
        attempt.checkpoint(2)?;
    }
    Attempt::start(place, Who::attempt(5, 2), &published)?;
    expect(place, "after the last recovery", 0..5)
}

fn crash_after_commit<U: SinkUnderTest>(place: &Place<U>) -> Outcome {
    let mut attempt = Attempt::start(place, Who::attempt(1, 1), &[])?;
    attempt.write(0, 0..5)?;
    let committable = attempt.checkpoint(1)?;
    attempt.commit(&committable)?;
    attempt.write(0, 5..8)?;
    drop(attempt);
    let mut attempt = Attempt::start(place, Who::attempt(2, 2), &[committable])?;
    expect(place, "after recover", 0..5)?;
    attempt.write(0, 5..8)?;
    let committable = attempt.checkpoint(2)?;
    attempt.commit(&committable)?;
    expect(place, "after the next epoch's commit", 0..8)
}

fn recover_several<U: SinkUnderTest>(place: &Place<U>) -> Outcome {
    let mut attempt = Attempt::start(place, Who::attempt(1, 1), &[])?;
    attempt.write(0, 0..3)?;
    let mut published = vec![attempt.checkpoint(1)?];
    let more = attempt.write_if_ready(0, 3..6)?;
    let shares = attempt.seal(2)?;
    published.extend(attempt.prepare(2, shares)?);
    drop(attempt);
    Attempt::start(place, Who::attempt(2, 3), &published)?;
    expect(place, "after recover", (0..3).chain(more))
}

fn recover_with_other_workers<U: SinkUnderTest>(place: &Place<U>) -> Outcome {
    let mut published = Vec::new();
    for (attempt, workers) in [(1, 2), (2, 1), (3, 3)] {
        let who = Who { workers, ..Who::attempt(attempt, attempt) };
        let mut running = Attempt::start(place, who, &published)?;
        expect(place, &format!("after recover with {workers} workers"), 0..(attempt - 1) * 10)?;
        for worker in 0..workers {
            let all = (attempt - 1) * 10..attempt * 10;
            running.write(worker, all.filter(|number| *number as usize % workers == worker))?;
        }
        published = vec![running.checkpoint(attempt)?];
    }
    Attempt::start(place, Who::attempt(4, 4), &published)?;
    expect(place, "after the last recovery", 0..30)
}

fn crash_while_opening<U: SinkUnderTest>(place: &Place<U>) -> Outcome {
    let mut attempt = Attempt::start(place, Who::attempt(1, 1), &[])?;
    attempt.write(0, 0..5)?;
    let published = [attempt.checkpoint(1)?];
    drop(attempt);
    for number in [2, 3] {
        drop(Attempt::open(place, Who::attempt(number, 2)).map_err(|error| format!("open failed: {error}"))?);
    }
    expect(place, "after attempts that only opened", [])?;
    Attempt::start(place, Who::attempt(4, 2), &published)?;
    expect(place, "after recover", 0..5)
}

fn superseded<U: SinkUnderTest>(place: &Place<U>) -> Outcome {
    let mut old = Attempt::start(place, Who::attempt(1, 1), &[])?;
    old.write(0, 0..3)?;
    let mut new = Attempt::start(place, Who::attempt(2, 1), &[])?;
    // The old attempt does not know yet. Its calls may fail, or succeed and come to nothing.
    let late = old.write_if_ready(0, 3..6).and_then(|_| old.seal(1)).and_then(|shares| old.prepare(1, shares));
    new.write(0, 0..6)?;
    let committable = new.checkpoint(1)?;
    new.commit(&committable)?;
    expect(place, "after the new attempt's commit", 0..6)?;
    drop(late);
    drop(old);
    expect(place, "after the old attempt's end", 0..6)
}

fn other_job<U: SinkUnderTest>(place: &Place<U>) -> Outcome {
    let other = Who { lineage: "other", ..Who::attempt(1, 1) };
    let mut attempt = Attempt::start(place, other, &[])?;
    attempt.write(0, 0..5)?;
    let published = [attempt.checkpoint(1)?];
    drop(attempt);
    // Another lineage recovers at the same place. It may refuse to share it, but not clean it up.
    if let Ok((_, _, mut participant)) = Attempt::<U>::open(place, Who::attempt(1, 1)) {
        recover(&mut participant, Epoch(0), &[]).map_err(|error| format!("recover failed: {error}"))?;
    }
    Attempt::start(place, Who { attempt: 2, epoch: 2, ..other }, &published)?;
    expect(place, "after the first job's recovery", 0..5)
}
