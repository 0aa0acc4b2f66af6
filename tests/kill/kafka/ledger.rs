//! The job that is killed here, with the topics that it writes, and what has to be in them.

use super::entries::Entries;
use staunch_tests::kafka::{Client, Seen, Sequences};
use staunch_tests::process::{End, Folder, Job, Running, Start, tail};
use std::fmt;
use std::path::Path;
use std::time::Duration;

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_killed_ledger");
const OUTPUTS: i32 = 3;
/// What the rest of a job may take, once nothing happens to it any more.
const REST: Duration = Duration::from_secs(300);

/// How a failed run is had again; part of every failure's message.
#[derive(Clone, Debug)]
pub struct Again {
    pub test: &'static str,
    pub seed: u64,
}

impl Again {
    /// With the seed of the environment, or a new one.
    pub fn new(test: &'static str) -> Self {
        let again = Self { test, seed: staunch_tests::texts::seed() };
        println!("{again}");
        again
    }
}

impl fmt::Display for Again {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { test, seed } = self;
        write!(f, "STAUNCH_SEED={seed} cargo test -p staunch-tests --test kill {test} -- --nocapture")
    }
}

/// A ledger job and its output.
#[derive(Clone)]
pub struct Ledger {
    pub job: Job,
    client: Client,
    pub numbered: String,
    pub refused: String,
    again: Again,
}

/// What is the same for all ledgers of a test.
pub struct Setting<'a> {
    pub client: &'a Client,
    /// Where the job connects to: the client's brokers, or a proxy before them.
    pub brokers: &'a str,
    pub folder: &'a Path,
    pub interval_ms: u64,
    pub transaction_timeout_ms: u64,
    pub again: &'a Again,
}

impl<'a> Setting<'a> {
    /// Straight to the brokers, ten checkpoints a second, and transactions of a minute.
    pub fn new(client: &'a Client, folder: &'a Folder, again: &'a Again) -> Self {
        let (brokers, folder) = (client.brokers(), folder.path());
        Self { client, brokers, folder, interval_ms: 100, transaction_timeout_ms: 60_000, again }
    }

    pub fn ledger(&self, name: &str, entries: &str) -> Ledger {
        self.ledger_to(self.client.topic("numbered", OUTPUTS), name, entries)
    }

    /// With a topic for its first sink that the caller has made.
    pub fn ledger_to(&self, numbered: String, name: &str, entries: &str) -> Ledger {
        let refused = self.client.topic("refused", OUTPUTS);
        let job = Job::new(PROGRAM, self.folder.join(name), self.interval_ms)
            .expect("a folder")
            .set("brokers", self.brokers)
            .set("entries", entries)
            .set("numbered", &numbered)
            .set("refused", &refused)
            .set("transaction_timeout_ms", &self.transaction_timeout_ms.to_string())
            .flag("checkpoint-timeout", &format!("{}ms", self.transaction_timeout_ms / 2));
        Ledger { job, client: self.client.clone(), numbered, refused, again: self.again.clone() }
    }
}

impl Ledger {
    /// Adds to its configuration.
    pub fn set(mut self, key: &str, value: &str) -> Self {
        self.job = self.job.set(key, value);
        self
    }

    pub fn start(&self, start: &Start<'_>) -> Running {
        self.job.start_as(start).expect("the job's program can be started")
    }

    /// Fails the test, with what the job said last.
    #[track_caller]
    pub fn fail(&self, what: &str, start: &Start<'_>) -> ! {
        panic!("{what}\nagain: {}\nthe job's log:\n{}", self.again, tail(&self.job.log_of(start.log)))
    }

    /// Why it ended: the last error that it told.
    pub fn error(&self, start: &Start<'_>) -> String {
        let said = self.job.log_of(start.log);
        said.lines().rev().find(|line| line.starts_with("Error")).unwrap_or_default().to_owned()
    }

    /// A job may give up while its brokers are away or unreachable; it then has to say so. Anything else that it
    /// says (lost output, an unknown fate, a bug) is a failure of the test.
    #[track_caller]
    pub fn assert_gave_up_for_kafka(&self, start: &Start<'_>) {
        let last = self.error(start);
        let never = ["please report", "lost", "cannot be known", "another attempt", "blocks", "does not fit"];
        let about_kafka = ["Kafka", "kafka", "transaction"].iter().any(|word| last.contains(word));
        if !about_kafka || never.iter().any(|word| last.contains(word)) {
            self.fail(&format!("the job gives up for another reason than its brokers: {last:?}"), start);
        }
    }

    /// Lets it live until it has made so many slots of the checkpoint log, and a little longer; its end,
    /// should that come before.
    #[track_caller]
    pub fn live(&self, running: &mut Running, slots: u64, then: Duration, start: &Start<'_>) -> Option<End> {
        let until = self.job.newest_slot() + slots;
        let end = running.wait_for(REST, |_| self.job.newest_slot() >= until);
        if end.is_none() && self.job.newest_slot() < until {
            self.fail(&format!("it does not come to slot {until}"), start);
        }
        end.or_else(|| running.wait(then))
    }

    /// Runs it until it ends by itself.
    #[track_caller]
    pub fn run(&self, start: &Start<'_>) -> End {
        self.start(start).wait(REST).unwrap_or_else(|| self.fail("it neither ends nor comes further", start))
    }

    /// Runs it until it has died at a place of the protocol.
    #[track_caller]
    pub fn die_at(&self, workers: usize, place: &str) {
        let start = Start { crash_at: Some(place), restarts: 20, ..Start::with(workers) };
        match self.run(&start) {
            End::Killed => {}
            end => self.fail(&format!("no death at {place}, but {end:?}"), &start),
        }
    }

    /// Runs it to the end of the entries, which are all written, and looks at everything that it wrote.
    #[track_caller]
    pub fn finish(&self, workers: usize, entries: &Entries) {
        let start = Start { restarts: 20, sets: &["bounded=true"], ..Start::with(workers) };
        match self.run(&start) {
            End::Success => {}
            end => self.fail(&format!("it does not come to its end, but to {end:?}"), &start),
        }
        self.assert_exact(entries);
    }

    /// The output is what an undisturbed run writes: of each account all entries, once and in order, each
    /// numbered with what the state counts, and of each partition the lines that are no entries.
    #[track_caller]
    pub fn assert_exact(&self, entries: &Entries) {
        if let Err(what) = self.compare(entries) {
            let log = self.job.log();
            panic!("{what}\nagain: {}\nthe job's log:\n{}", self.again, tail(&log));
        }
    }

    fn compare(&self, entries: &Entries) -> Result<(), String> {
        let mut numbered = Sequences::default();
        self.client.each_committed(&self.numbered, |seen| {
            let (account, number, state) = entry(&seen).ok_or_else(|| unreadable(&seen))?;
            if number != state {
                return Err(format!("the state has counted {state} entries at entry {number} of `{account}`"));
            }
            numbered.take(seen.partition, account, number)
        })?;
        numbered.compare(&entries.entries)?;
        self.compare_refused(entries)
    }

    /// The same of the lines that are no entries alone.
    pub fn compare_refused(&self, entries: &Entries) -> Result<(), String> {
        let mut refused = Sequences::default();
        self.client.each_committed(&self.refused, |seen| {
            let (partition, number) = refusal(&seen).ok_or_else(|| unreadable(&seen))?;
            refused.take(seen.partition, partition, number)
        })?;
        refused.compare(&entries.refused)
    }
}

fn unreadable(seen: &Seen<'_>) -> String {
    format!("not what the job writes: {:?}", String::from_utf8_lossy(seen.value))
}

/// `a17 5 5`, with the account as its key.
pub fn entry<'a>(seen: &Seen<'a>) -> Option<(&'a str, u64, u64)> {
    let mut words = std::str::from_utf8(seen.value).ok()?.split(' ');
    let account = words.next().filter(|account| account.as_bytes() == seen.key)?;
    Some((account, words.next()?.parse().ok()?, words.next()?.parse().ok()?))
}

/// `{"error":{"line":"!2 is no account 17"},…}`, with `!2` as its key.
fn refusal<'a>(seen: &Seen<'a>) -> Option<(&'a str, u64)> {
    let line = std::str::from_utf8(seen.value).ok()?.split_once(r#""line":""#)?.1.split_once('"')?.0;
    let partition = line.split(' ').next().filter(|partition| partition.as_bytes() == seen.key)?;
    Some((partition, line.rsplit(' ').next()?.parse().ok()?))
}
