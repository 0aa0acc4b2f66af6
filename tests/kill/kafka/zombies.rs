//! A job is stopped as by a machine that freezes, a second copy takes over, and then the first one wakes.

use super::entries::Entries;
use super::ledger::{Again, Ledger, Setting};
use staunch_tests::kafka::shared;
use staunch_tests::process::{End, Folder, Running, Start};
use staunch_tests::texts::{Random, number};
use std::time::{Duration, Instant};

/// Around a commit: what a sleeper may do after its successor has done it, too. Each is passed at most
/// once per checkpoint.
const PLACES: &[&str] =
    &["before-prepare", "after-prepare", "before-publish", "after-publish", "before-commit", "after-commit"];
/// While it starts: the claim is made, and what the one before left is settled or its ids are taken over.
const STARTING: &[&str] = &[
    "claimed",
    "before-recover",
    "kafka-before-fate",
    "kafka-before-end",
    "kafka-settled",
    "recovered",
    "kafka-before-init",
    "kafka-before-begin",
];
/// What has to be seen within this time, or something hangs.
const SOON: Duration = Duration::from_secs(60);
/// How many slots a successor makes at least before it is stopped itself.
const OWN_SLOTS: u64 = 5;

/// A process of the job, and how it was started.
struct Copy {
    running: Running,
    stop_at: Option<String>,
    log: String,
}

struct Takeovers<'a> {
    ledger: &'a Ledger,
    random: Random,
    copies: u64,
}

impl Takeovers<'_> {
    /// Starts a copy. It may stop by itself at a place of the protocol.
    fn start(&mut self) -> Copy {
        let stop_at = self.place();
        self.start_to(stop_at)
    }

    /// Starts a copy that is to stop at this place. Half of them give up at the first failure, whatever it comes
    /// from: nothing that a sleeper still does may touch those after it.
    fn start_to(&mut self, stop_at: Option<String>) -> Copy {
        self.copies += 1;
        let log = format!("log-{}", self.copies);
        let workers = 1 + usize::try_from(self.random.below(2)).unwrap();
        let restarts = if self.copies % 2 == 1 { 0 } else { 3 };
        let start = Start { stop_at: stop_at.as_deref(), restarts, log: &log, ..Start::with(workers) };
        Copy { running: self.ledger.start(&start), stop_at, log }
    }

    fn place(&mut self) -> Option<String> {
        let place = PLACES[usize::try_from(self.random.below(PLACES.len() as u64)).unwrap()];
        // Not before it has published what makes it a successor.
        (self.random.below(3) > 0).then(|| format!("{place}:{}", OWN_SLOTS + self.random.below(4)))
    }

    /// Starts a copy that is stopped before it has made its first checkpoint.
    #[track_caller]
    fn start_and_stop(&mut self) -> Copy {
        let place = STARTING[usize::try_from(self.random.below(STARTING.len() as u64)).unwrap()];
        let before = self.ledger.job.newest_slot();
        let mut copy = self.start_to(Some(place.to_owned()));
        // There may be nothing to settle, so that it never comes there.
        let far = |copy: &Running| copy.is_paused() || self.ledger.job.newest_slot() > before + 1;
        let mut end = copy.running.wait_for(SOON, far);
        if end.is_none() {
            copy.running.pause();
            end = copy.running.wait_for(SOON, Running::is_paused);
        }
        if end.is_some() || !copy.running.is_paused() {
            self.fail(&copy, &format!("it does not stop at {place}, but comes to {end:?}"));
        }
        copy
    }

    /// Waits until a copy has made slots up to this one.
    #[track_caller]
    fn await_slot(&self, copy: &mut Copy, slot: u64) {
        let end = copy.running.wait_for(SOON, |_| self.ledger.job.newest_slot() >= slot);
        if end.is_some() || self.ledger.job.newest_slot() < slot {
            self.fail(copy, &format!("it has not made slot {slot}, but came to {end:?}"));
        }
    }

    /// Stops it, where it has not stopped itself.
    #[track_caller]
    fn stop(&mut self, copy: &mut Copy) {
        let mut end = None;
        if copy.stop_at.is_none() {
            end = copy.running.wait(Duration::from_millis(self.random.below(600)));
            if end.is_none() {
                copy.running.pause();
            }
        }
        let end = end.or_else(|| copy.running.wait_for(SOON, Running::is_paused));
        if end.is_some() || !copy.running.is_paused() {
            self.fail(copy, &format!("it does not stop at {:?}, but comes to {end:?}", copy.stop_at));
        }
    }

    /// The first copy has to leave, and to say why.
    #[track_caller]
    fn wake(&self, copy: &mut Copy) {
        copy.running.wake();
        let end = copy.running.wait(SOON);
        let said = self.ledger.job.log_of(&copy.log);
        // The last line is why it ends; a warning of an attempt before tells nothing.
        let last = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
        if end != Some(End::Failure) || !last.contains("has taken the job over") {
            self.fail(
                copy,
                &format!("woken beside its successor it comes to {end:?}, and does not say it was superseded"),
            );
        }
    }

    #[track_caller]
    fn fail(&self, copy: &Copy, what: &str) -> ! {
        self.ledger.fail(what, &Start { log: &copy.log, ..Start::with(1) })
    }
}

#[test]
fn a_copy_that_wakes_beside_its_successor_leaves() {
    let Some(client) = shared() else { return };
    let again = Again::new("a_copy_that_wakes_beside_its_successor_leaves");
    let rounds = number("STAUNCH_ZOMBIES").unwrap_or(10);
    let folder = Folder::new().unwrap();
    let feeding = Entries::new(&client, again.seed).keep_writing(5_000);
    let setting = Setting { interval_ms: 50, ..Setting::new(&client, &folder, &again) };
    let ledger = setting.ledger("taken-over", &feeding.topic);
    let mut takeovers = Takeovers { ledger: &ledger, random: Random::new(again.seed), copies: 0 };
    let started = Instant::now();
    let mut first = takeovers.start();
    takeovers.await_slot(&mut first, OWN_SLOTS - 1);
    for round in 0..rounds {
        takeovers.stop(&mut first);
        // Every other time a third one sleeps, which has not come far.
        let mut third = (takeovers.random.below(2) == 0).then(|| takeovers.start_and_stop());
        let before = ledger.job.newest_slot();
        let mut second = takeovers.start();
        // From the claim alone to a few checkpoints.
        let progress = 1 + takeovers.random.below(OWN_SLOTS - 1);
        takeovers.await_slot(&mut second, before + progress);
        let beside = third.as_ref().map(|third| third.stop_at.clone());
        println!("round {round}: stopped at {:?}, and {beside:?}, woken {progress} slots later", first.stop_at);
        takeovers.wake(&mut first);
        if let Some(third) = &mut third {
            takeovers.wake(third);
        }
        takeovers.await_slot(&mut second, before + OWN_SLOTS - 1);
        first = second;
    }
    assert_eq!(first.running.kill(), End::Killed);
    let entries = feeding.stop();
    ledger.finish(2, &entries);
    println!("{rounds} takeovers in {:?}, {} records", started.elapsed(), entries.records());
}
