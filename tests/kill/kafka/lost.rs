//! A job comes back after its transaction's time, to a topic that does not have the records any more: it says what is
//! lost, writes nothing, and goes on without it when it is told to.

use super::entries::Entries;
use super::ledger::{Again, Ledger, Setting, entry};
use staunch_tests::kafka::{Client, Record, shared};
use staunch_tests::process::{End, Folder, Start};
use std::collections::HashMap;
use std::thread::sleep;
use std::time::{Duration, Instant};

const TRANSACTION_TIMEOUT_MS: u64 = 6_000;
const SOON: Duration = Duration::from_secs(60);
/// Written by nobody's job.
const BEHIND: &str = "behind";

type Log = Vec<Vec<Record>>;

/// What happens to the topic while the job is down.
struct Damage {
    ledger: Ledger,
    do_it: fn(&Client, &str, &Log),
    /// What the error says of it.
    reason: &'static str,
}

#[test]
fn what_is_lost_while_the_job_is_down_is_told_and_nothing_is_written() {
    let Some(client) = shared() else { return };
    let again = Again::new("what_is_lost_while_the_job_is_down_is_told_and_nothing_is_written");
    let (folder, started) = (Folder::new().unwrap(), Instant::now());
    let feeding = Entries::new(&client, again.seed).keep_writing(2_000);
    let setting = Setting { transaction_timeout_ms: TRANSACTION_TIMEOUT_MS, ..Setting::new(&client, &folder, &again) };
    let ledger = |name| setting.ledger(name, &feeding.topic);
    let cases = [
        Damage { ledger: ledger("cut-off"), do_it: cut_off, reason: "/0: the log begins at offset " },
        Damage { ledger: ledger("recreated"), do_it: recreate, reason: "/0: the topic was deleted and created again" },
    ];
    for case in &cases {
        case.ledger.die_at(2, "before-commit:3");
    }
    // Behind what was prepared: readers see it when that has ended.
    for case in &cases {
        client.produce(&case.ledger.numbered, 0, [BEHIND]);
    }
    let lost = cases.each_ref().map(|case| case.stops_and_tells(&client));
    let entries = feeding.stop();
    for (case, lost) in cases.into_iter().zip(lost) {
        case.goes_on(&client, lost, &entries);
    }
    println!("{lost:?} records were lost; {} records, {:?}", entries.records(), started.elapsed());
}

/// Empties it; what was there is named.
fn cut_off(client: &Client, topic: &str, log: &Log) {
    for (partition, records) in (0..).zip(log) {
        // The end of a transaction follows the last record.
        let end = records.last().map_or(0, |record| record.offset + 2);
        client.delete_records(topic, partition, end);
    }
}

fn recreate(client: &Client, topic: &str, log: &Log) {
    client.delete(topic);
    let partitions = i32::try_from(log.len()).unwrap();
    // The name is free a moment later.
    eventually("created again", || std::panic::catch_unwind(|| client.create(topic, partitions)).is_ok());
}

fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < SOON, "{what}: not within {SOON:?}");
        sleep(Duration::from_millis(100));
    }
}

fn count(log: &Log) -> u64 {
    let records = log.iter().flatten();
    records.filter(|record| record.value.as_deref() != Some(BEHIND.as_bytes())).count() as u64
}

impl Damage {
    /// How many records are gone for good: those that were committed before, and those of the transaction.
    #[track_caller]
    fn stops_and_tells(&self, client: &Client) -> u64 {
        let (ledger, numbered) = (&self.ledger, &self.ledger.numbered);
        let is_behind = |record: &Record| record.value.as_deref() == Some(BEHIND.as_bytes());
        eventually("aborted", || client.read_committed(numbered).iter().flatten().any(is_behind));
        let committed = count(&client.read_committed(numbered));
        let log = client.read_uncommitted(numbered);
        (self.do_it)(client, numbered, &log);

        let all = || [numbered, &ledger.refused].map(|topic| client.read_uncommitted(topic));
        let before = all();
        let start = Start { log: "stops", ..Start::with(2) };
        let end = ledger.run(&start);
        let error = ledger.error(&start);
        if all() != before {
            ledger.fail(&format!("it has written, and ends with {error:?}"), &start);
        }
        // `Error: …: 17 records of epoch 3 of numbered, refused are lost: …`
        let told = error.split_once(" records of epoch ").and_then(|(left, right)| {
            let (epoch, right) = right.split_once(" of ")?;
            let (sinks, reason) = right.split_once(" are lost: ")?;
            let lost = left.rsplit(' ').next()?.parse::<u64>().ok()?;
            Some((lost, epoch.parse::<u64>().ok()?, sinks, reason))
        });
        let Some((lost, epoch, sinks, reason)) = told.filter(|_| end == End::Failure) else {
            ledger.fail(&format!("it comes to {end:?}, and does not say what is lost"), &start)
        };
        assert!(
            error.contains("--accept-data-loss") && reason.contains(&format!("{numbered}{}", self.reason)),
            "{error}"
        );
        assert!(sinks.split(", ").any(|sink| sink == "numbered"), "{error}");
        // Before its death it may have written of the next epoch, too.
        assert!((1..=count(&log) - committed).contains(&lost) && epoch >= 3, "{error}");
        committed + lost
    }

    /// Everything but that is there.
    #[track_caller]
    fn goes_on(self, client: &Client, lost: u64, entries: &Entries) {
        let mut ledger = self.ledger;
        ledger.job = ledger.job.switch("accept-data-loss");
        let start = Start { restarts: 20, sets: &["bounded=true"], ..Start::with(2) };
        match ledger.run(&start) {
            End::Success => {}
            end => ledger.fail(&format!("it does not go on, but comes to {end:?}"), &start),
        }
        let mut seen: HashMap<String, (u64, u64)> = HashMap::new();
        let read = client.each_committed(&ledger.numbered, |record| {
            let (account, number, state) = entry(&record).ok_or_else(|| format!("foreign: {record:?}"))?;
            let (first, last) = seen.entry(account.to_owned()).or_insert((number, number - 1));
            if (number, state) != (*last + 1, number) {
                return Err(format!(
                    "`{account}` goes from {last} to {number} (begins with {first}), and counts {state}"
                ));
            }
            *last = number;
            Ok(())
        });
        let missing: u64 = entries
            .entries
            .iter()
            .map(|(account, last)| {
                let (first, seen_last) = seen.get(account).copied().unwrap_or((last + 1, *last));
                assert_eq!(seen_last, *last, "{account} is not read to its end");
                first - 1
            })
            .sum();
        if let Err(what) = read.and_then(|()| ledger.compare_refused(entries)) {
            ledger.fail(&what, &start);
        }
        assert_eq!(missing, lost, "what is missing is what was said to be lost");
    }
}
