//! The job dies at every named step of the protocol, also twice in a row, and goes on from there: at
//! once, and after Kafka has aborted what was prepared.

use super::entries::Entries;
use super::ledger::{Again, Ledger, Setting};
use staunch::testing::CRASH_POINTS;
use staunch_tests::kafka::shared;
use staunch_tests::process::Folder;
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

const INTERVAL_MS: u64 = 10;
/// Between the manifest that lists a transaction and its commit: what dies here has left something to be
/// settled. (Not every manifest lists one: there are checkpoints without records.)
const PREPARED: &str = "before-commit";

/// What an earlier life has to leave, so that a later one comes by a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Needs {
    Nothing,
    /// A published transaction that is still open.
    Open,
    /// One that the broker has aborted.
    Aborted,
}

fn needs(point: &str) -> Needs {
    match point {
        "kafka-before-fate" | "kafka-fate-known" | "kafka-before-end" | "kafka-ended" | "kafka-settled" => Needs::Open,
        point if point.starts_with("kafka-replay") || point == "kafka-before-replay" => Needs::Aborted,
        _ => Needs::Nothing,
    }
}

/// Whether nothing is left to be settled behind it: a second death there needs another transaction.
fn is_decided(point: &str) -> bool {
    matches!(point, "kafka-ended" | "kafka-replay-committed")
}

/// Places in the connector for files.
const ELSEWHERE: &[&str] = &["file-named", "file-marked", "recover-settled"];

/// The places that this job comes by, each with what it needs.
fn points() -> impl Iterator<Item = (&'static str, Needs)> {
    CRASH_POINTS.iter().filter(|point| !ELSEWHERE.contains(point)).map(|point| (*point, needs(point)))
}

/// Several jobs beside each other, each with its share of the places.
fn share_out(
    test: &'static str,
    lanes: usize,
    transaction_timeout_ms: u64,
    live: impl Fn(&Ledger, usize, &str, Needs) + Sync,
) {
    let Some(client) = shared() else { return };
    let (again, folder) = (Again::new(test), Folder::new().unwrap());
    let feeding = Entries::new(&client, again.seed).keep_writing(1_000);
    let setting =
        Setting { interval_ms: INTERVAL_MS, transaction_timeout_ms, ..Setting::new(&client, &folder, &again) };
    // Every other one writes into two transactions per checkpoint.
    let ledger = |lane: usize| {
        setting.ledger(&format!("{lane}"), &feeding.topic).set("shards", if lane % 2 == 1 { "2" } else { "1" })
    };
    let ledgers: Vec<Ledger> = (0..lanes).map(ledger).collect();
    let points: Vec<_> = points().collect();
    let started = Instant::now();
    scope(|scope| {
        for (lane, ledger) in ledgers.iter().enumerate() {
            let mine = points.iter().skip(lane).step_by(lanes);
            let live = &live;
            scope.spawn(move || {
                for (number, (point, needs)) in mine.enumerate() {
                    live(ledger, 1 + number % 2, point, *needs);
                }
            });
        }
    });
    let lived = started.elapsed();
    let entries = feeding.stop();
    for ledger in &ledgers {
        ledger.finish(2, &entries);
    }
    println!(
        "{} places, {lived:?}, {:?} with the rest, {} records for each of {lanes} jobs",
        points.len(),
        started.elapsed(),
        entries.records()
    );
}

#[test]
fn at_every_step_and_twice_in_a_row() {
    share_out("at_every_step_and_twice_in_a_row", 3, 60_000, |ledger, workers, point, needs| {
        let prepare = || ledger.die_at(workers, PREPARED);
        match needs {
            // Those need a longer pause: the next test.
            Needs::Aborted => return,
            Needs::Open => prepare(),
            Needs::Nothing => {}
        }
        ledger.die_at(workers, point);
        if is_decided(point) {
            prepare();
        }
        // The second life has to go on from what the first has left, and dies there, too.
        ledger.die_at(3 - workers, point);
    });
}

#[test]
fn down_for_longer_than_the_transaction_timeout_at_every_step() {
    const TIMEOUT_MS: u64 = 8_000;
    // The broker looks for what has expired now and then; the fixture has it do so often.
    let expire = || sleep(Duration::from_millis(TIMEOUT_MS + 1_000));
    let test = "down_for_longer_than_the_transaction_timeout_at_every_step";
    share_out(test, 6, TIMEOUT_MS, |ledger, workers, point, needs| {
        if needs == Needs::Nothing {
            ledger.die_at(workers, point);
            return expire();
        }
        let prepare = || {
            ledger.die_at(workers, PREPARED);
            expire();
        };
        prepare();
        ledger.die_at(workers, point);
        if is_decided(point) {
            prepare()
        } else {
            expire()
        }
        // Killed again on the way back: what the first try has written is replayed itself, or aborted.
        ledger.die_at(3 - workers, point);
    });
}
