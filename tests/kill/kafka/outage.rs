//! The broker is away for longer than a checkpoint may take and threads may take to end: the job starts
//! attempt after attempt, and goes on when the broker is back.

use super::entries::Entries;
use super::ledger::{Again, Setting};
use staunch_tests::kafka::own;
use staunch_tests::process::{End, Folder, Start};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// A checkpoint may take half of it.
const TIMEOUT_MS: u64 = 16_000;
/// Longer than the outage: what a broker aborts while it starts is not this test's.
const TRANSACTION_TIMEOUT_MS: &str = "120000";
/// Far less than a sink waits for records to arrive.
const SHUTDOWN: &str = "3s";
/// Longer than both.
const OUTAGE: Duration = Duration::from_secs(20);

#[test]
fn an_outage_costs_attempts_and_nothing_else() {
    let Some(broker) = own() else { return };
    let again = Again::new("an_outage_costs_attempts_and_nothing_else");
    let (folder, client, started) = (Folder::new().unwrap(), broker.client(), Instant::now());
    let feeding = Entries::new(&client, again.seed).keep_writing(2_000);
    let setting = Setting { transaction_timeout_ms: TIMEOUT_MS, ..Setting::new(&client, &folder, &again) };
    let mut ledger = setting.ledger("outage", &feeding.topic).set("transaction_timeout_ms", TRANSACTION_TIMEOUT_MS);
    ledger.job = ledger.job.flag("shutdown-timeout", SHUTDOWN).flag("checkpoint-tolerated-timeouts", "0");
    let start = Start { restarts: 1_000, ..Start::with(2) };
    let mut job = ledger.start(&start);
    if let Some(end) = ledger.live(&mut job, 6, Duration::ZERO, &start) {
        ledger.fail(&format!("the job ends by itself: {end:?}"), &start);
    }
    broker.kill();
    sleep(OUTAGE);
    broker.restart();
    if let Some(end) = ledger.live(&mut job, 6, Duration::ZERO, &start) {
        ledger.fail(&format!("after the outage the job ends: {end:?}"), &start);
    }
    assert_eq!(job.kill(), End::Killed);
    let attempts = ledger.job.log().matches("the attempt failed").count();
    assert!(attempts > 0, "no attempt failed: the outage was too short to show anything");
    let entries = feeding.stop();
    ledger.finish(2, &entries);
    println!("{attempts} attempts failed, {} records, {:?}", entries.records(), started.elapsed());
}
