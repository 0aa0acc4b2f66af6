//! The job on three brokers, one of which is killed: the one that decides its transactions, or the only
//! one that has an output topic.

use super::entries::Entries;
use super::ledger::{Again, Setting};
use staunch_tests::kafka::{ThreeBrokers, three};
use staunch_tests::process::{End, Folder, Start};
use staunch_tests::texts::number;
use std::time::{Duration, Instant};

/// The topic in which transactions are decided. The fixture's has one partition.
const STATE: &str = "__transaction_state";
/// A broker counts as away after a few seconds; then another one decides, and the job has to notice.
const RESTARTS: u32 = 100;
/// After so long, at the latest, a job that cannot go on has said why.
const EXPLAINED_WITHIN: Duration = Duration::from_secs(120);

#[test]
fn three_brokers_of_which_one_is_killed() {
    let Some(cluster) = three() else { return };
    let again = Again::new("three_brokers_of_which_one_is_killed");
    the_one_that_decides_transactions(&cluster, &again);
    the_only_one_with_an_output_topic(&cluster, &again);
}

/// The job goes on, and so does one that died with a transaction to be committed.
fn the_one_that_decides_transactions(cluster: &ThreeBrokers, again: &Again) {
    let (client, folder, started) = (cluster.client(), Folder::new().unwrap(), Instant::now());
    let feeding = Entries::new(&client, again.seed).keep_writing(2_000);
    let setting = Setting::new(&client, &folder, again);
    let ledger = setting.ledger("decided-elsewhere", &feeding.topic);
    let start = Start { restarts: RESTARTS, ..Start::with(2) };
    let kills = number("STAUNCH_LEADER_KILLS").unwrap_or(2);
    for kill in 0..kills {
        let mut job = ledger.start(&start);
        if let Some(end) = ledger.live(&mut job, 4, Duration::ZERO, &start) {
            ledger.fail(&format!("the job ends by itself: {end:?}"), &start);
        }
        let leader = cluster.leader(STATE, 0);
        // Every other time it is dead, and what it had prepared is to be committed by another broker.
        if kill % 2 == 1 {
            assert_eq!(job.kill(), End::Killed);
            ledger.die_at(1, "before-commit:2");
            cluster.broker(leader).kill();
            job = ledger.start(&start);
        } else {
            cluster.broker(leader).kill();
        }
        if let Some(end) = ledger.live(&mut job, 4, Duration::ZERO, &start) {
            ledger.fail(&format!("without broker {leader} the job ends so: {end:?}"), &start);
        }
        assert_eq!(job.kill(), End::Killed);
        cluster.broker(leader).restart();
    }
    let entries = feeding.stop();
    ledger.finish(2, &entries);
    println!(
        "{kills} brokers killed that decided transactions: {} records, {:?}",
        entries.records(),
        started.elapsed()
    );
}

/// Nothing can be written to it: the job has to stop, to say which topic it is, and to be exact when the
/// broker is back.
fn the_only_one_with_an_output_topic(cluster: &ThreeBrokers, again: &Again) {
    let (client, folder, started) = (cluster.client(), Folder::new().unwrap(), Instant::now());
    let feeding = Entries::new(&client, again.seed).keep_writing(2_000);
    let setting = Setting {
        // Longer than the broker is away: what Kafka aborts while a partition has no leader hangs in it for
        // ever (KAFKA-20734).
        transaction_timeout_ms: 120_000,
        ..Setting::new(&client, &folder, again)
    };
    let alone = 1 + cluster.leader(STATE, 0) % 3;
    let numbered = cluster.topic_on(alone, "alone", 2);
    let ledger = setting.ledger_to(numbered.clone(), "offline", &feeding.topic);
    // Not simply a manifest: there are checkpoints without records, and with nothing to be settled the job
    // would go on until its first flush.
    ledger.die_at(2, "before-commit:3");
    cluster.broker(alone).kill();
    let start = Start { log: "offline", ..Start::with(2) };
    let down = Instant::now();
    let end = ledger.start(&start).wait(EXPLAINED_WITHIN);
    let (took, error) = (down.elapsed(), ledger.error(&start));
    ledger.assert_gave_up_for_kafka(&start);
    let why =
        awaited(&error).filter(|why| [&numbered, cluster.broker(alone).address()].iter().any(|it| why.contains(*it)));
    let Some(why) = why.filter(|_| end == Some(End::Failure)) else {
        ledger.fail(
            &format!(
                "with {numbered} offline the job comes to {end:?}, and does not say that it waited for it: {error}"
            ),
            &start,
        )
    };
    cluster.broker(alone).restart();
    let entries = feeding.stop();
    ledger.finish(2, &entries);
    println!(
        "{numbered} was offline: the job stopped after {took:?}, {why}; {} records, {:?}",
        entries.records(),
        started.elapsed(),
    );
}

/// What a job waited for in vain, in the error with which it gives up. The brokers that it asked are named before.
fn awaited(error: &str) -> Option<&str> {
    let (_, asked) = error.split_once(": no answer from Kafka at ")?;
    asked.split_once(" in time: ").map(|(_, why)| why)
}
