//! One run of a job with two sinks: the job is killed at random, and the broker now and then.

use super::entries::Entries;
use super::ledger::{Again, Ledger, Setting};
use staunch_tests::kafka::{Broker, own};
use staunch_tests::process::{End, Folder, Start};
use staunch_tests::texts::{Random, number};
use std::ops::Range;
use std::time::{Duration, Instant};

/// How many slots of the checkpoint log a life makes before it ends: 0 is before it has claimed the job,
/// 1 before its first checkpoint.
const LIFE_SLOTS: Range<u64> = 0..8;
/// And how long it then lives on.
const LIFE_MS: Range<u64> = 0..250;
/// How long the broker is down, beside the time that it takes to start.
const DOWN_MS: Range<u64> = 0..1_500;
/// How long the job lives on after that.
const AFTER_MS: Range<u64> = 300..3_000;
/// Longer than a broker is down: what it then finds open is to be committed, not to be replayed.
const TRANSACTION_TIMEOUT_MS: u64 = 60_000;
/// Written while the job is killed: what is left when all kills are done is written then.
const PER_SECOND: u64 = 8_000;

#[derive(Default)]
struct Done {
    kills: u64,
    broker_kills: u64,
    /// How often the job gave up while the broker was away, and was started again.
    gave_up: u64,
}

struct Chaos<'a> {
    ledger: &'a Ledger,
    broker: &'a Broker,
    random: Random,
    done: Done,
}

impl Chaos<'_> {
    fn ms(&mut self, range: Range<u64>) -> Duration {
        Duration::from_millis(range.start + self.random.below(range.end - range.start))
    }

    /// The job is killed.
    fn life(&mut self, start: &Start<'_>) {
        let mut job = self.ledger.start(start);
        let (slots, then) = self.life_span();
        match self.ledger.live(&mut job, slots, then, start).unwrap_or_else(|| job.kill()) {
            End::Killed => self.done.kills += 1,
            end => self.ledger.fail(&format!("the job ends by itself: {end:?}"), start),
        }
    }

    /// The broker is killed while the job runs, and the job before or after it has come back.
    fn life_with_broker(&mut self, start: &Start<'_>) {
        let (mut job, (slots, then)) = (self.ledger.start(start), self.life_span());
        if let Some(end) = self.ledger.live(&mut job, slots, then, start) {
            self.ledger.fail(&format!("the job ends by itself: {end:?}"), start);
        }
        self.broker.kill();
        self.done.broker_kills += 1;
        let (down, after) = (self.ms(DOWN_MS), self.ms(AFTER_MS));
        let mut end = job.wait(down);
        if self.random.below(3) > 0 {
            self.broker.restart();
            end = end.or_else(|| job.wait(after));
        }
        match end.unwrap_or_else(|| job.kill()) {
            End::Killed => self.done.kills += 1,
            // Its restarts were used up.
            End::Failure => {
                self.ledger.assert_gave_up_for_kafka(start);
                self.done.gave_up += 1;
            }
            end => self.ledger.fail(&format!("without its broker the job ends so: {end:?}"), start),
        }
        if !self.broker.is_running() {
            self.broker.restart();
        }
    }

    fn life_span(&mut self) -> (u64, Duration) {
        (LIFE_SLOTS.start + self.random.below(LIFE_SLOTS.end), self.ms(LIFE_MS))
    }
}

#[test]
fn the_job_and_the_broker_are_killed_at_random() {
    let Some(broker) = own() else { return };
    let again = Again::new("the_job_and_the_broker_are_killed_at_random");
    let kills = number("STAUNCH_KILLS").unwrap_or(20);
    let broker_kills = number("STAUNCH_BROKER_KILLS").unwrap_or(3);
    let records = number("STAUNCH_KILL_RECORDS").unwrap_or(200_000);
    let interval_ms = number("STAUNCH_KILL_INTERVAL_MS").unwrap_or(100);
    let (folder, client) = (Folder::new().unwrap(), broker.client());
    let feeding = Entries::new(&client, again.seed).keep_writing(PER_SECOND);
    let setting = Setting {
        interval_ms,
        transaction_timeout_ms: TRANSACTION_TIMEOUT_MS,
        ..Setting::new(&client, &folder, &again)
    };
    let ledger = setting.ledger("killed", &feeding.topic);
    let started = Instant::now();
    let mut chaos = Chaos { ledger: &ledger, broker: &broker, random: Random::new(again.seed), done: Done::default() };
    while chaos.done.kills < kills || chaos.done.broker_kills < broker_kills {
        let workers = 1 + usize::try_from(chaos.random.below(3)).unwrap();
        let due = (chaos.done.kills + 1) * broker_kills > chaos.done.broker_kills * kills + kills / 2;
        if due && chaos.done.broker_kills < broker_kills {
            chaos.life_with_broker(&Start { restarts: 50, ..Start::with(workers) });
        } else {
            chaos.life(&Start::with(workers));
        }
    }
    let (Done { kills, broker_kills, gave_up }, lived) = (chaos.done, started.elapsed());
    let before = ledger.job.newest_slot();
    let mut entries = feeding.stop();
    entries.write(records.saturating_sub(entries.records()));
    entries.deliver();
    ledger.finish(2, &entries);
    println!(
        "{kills} kills of the job, {broker_kills} of the broker, {gave_up} failures without it, in {lived:?}; {} records, \
         {before} slots in the log until then; {:?} in all",
        entries.records(),
        started.elapsed()
    );
    assert!(before > 2 * kills, "the job came no further between the kills: it was not killed at work");
}
