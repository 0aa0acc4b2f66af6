//! The protocol of exactly-once output as a small model, explored exhaustively: two sinks, two workers,
//! three checkpoints, two crashes, a zombie, and everything else that may go wrong about once each.
//!
//! It is a model of the *protocol*: log, claims, transactions, commits, recovery. It shares no code with the
//! runtime, whose coordinator waits for far more than matters here (each part's report, in any order),
//! and is put through schedules of its own. What it shows is that the rules suffice, and that none of them
//! can be left out: each is a [guard](Guards), and without it one of the properties breaks.
//!
//! It assumes what is shown elsewhere: a barrier cuts through records and state alike, a replay copies what
//! it should, and what became of a transaction can be told from the coordinator or from the log.
//!
//! One thing it shows is not in any rule: a zombie that was stopped between its claim and the start of a
//! producer may start it when its successor has already listed a transaction of that id, which aborts it.
//! The log cannot prevent that, so it is allowed for, and replay makes it good.

mod attempt;
mod cluster;
mod ends;
mod forget;
mod protocol;
mod world;

use protocol::{ENDS, IN_ORDER, NEVER_ABORTED, NOTHING_LOST, ONCE, ONLY_LISTED, Protocol};
use stateright::{Checker, HasDiscoveries, Model};

const WORKERS: usize = 2;
const SINKS: usize = 2;
const CHECKPOINTS: u8 = 3;

/// The rules of the protocol, each of which can be left out.
#[derive(Clone, Copy, Debug)]
struct Guards {
    /// I1: what is to be committed stands in the manifest, not in the memory of the process.
    list_committables: bool,
    /// I2: commits follow the manifest.
    publish_first: bool,
    /// I3: an id is used again only when a later manifest no longer lists it.
    rotate_ids: bool,
    /// I4: producers are started when the fate of what is listed is settled.
    settle_first: bool,
    /// I5: an attempt claims the next slot before it touches a sink.
    claim_first: bool,
    /// I5: a slot is created, never overwritten or skipped.
    compare_and_set: bool,
    /// I5: an attempt that finds its slot taken commits nothing more.
    losers_stop: bool,
    /// I6: after a lost answer the slot is read.
    read_back: bool,
    /// I6: and taken, if it is free, before the publication is taken for failed.
    abandon: bool,
    /// I7: the next epoch begins when this one's commits are done.
    settle_before_next: bool,
    /// I8: ids carry the store's lineage.
    lineage_in_ids: bool,
    /// A manifest waits for all workers.
    wait_for_all_workers: bool,
    /// Prepare proves that the cluster speaks of this very transaction.
    prove_identity: bool,
    /// A producer whose commit had no clean answer is not used again (KAFKA-17754).
    retire_producers: bool,
    /// What is replayed is listed before it is committed.
    publish_replays: bool,
}

const ALL: Guards = Guards {
    list_committables: true,
    publish_first: true,
    rotate_ids: true,
    settle_first: true,
    claim_first: true,
    compare_and_set: true,
    losers_stop: true,
    read_back: true,
    abandon: true,
    settle_before_next: true,
    lineage_in_ids: true,
    wait_for_all_workers: true,
    prove_identity: true,
    retire_producers: true,
    publish_replays: true,
};

/// What may go wrong, and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Faults {
    crashes: u8,
    zombies: u8,
    lost_publications: u8,
    lost_commits: u8,
    expiries: u8,
    take_overs: u8,
    strangers: u8,
    /// How many attempts may give up. Faults make them, and there are few: who needs more goes on for ever.
    restarts: u8,
}

impl Faults {
    /// Nothing more can go wrong. That attempts give up is no fault.
    fn none(self) -> bool {
        self == Self { restarts: self.restarts, ..NONE }
    }
}

const NONE: Faults = Faults {
    crashes: 0,
    zombies: 0,
    lost_publications: 0,
    lost_commits: 0,
    expiries: 0,
    take_overs: 0,
    strangers: 0,
    restarts: 3,
};
const CRASHES: Faults = Faults { crashes: 2, zombies: 1, ..NONE };

/// Explores everything, with all guards; none of the properties may break.
fn holds(faults: Faults) {
    let checker = Protocol { guards: ALL, faults }.checker().threads(2).spawn_bfs().join();
    println!("{faults:?}: {} states, {} of them different", checker.state_count(), checker.unique_state_count());
    checker.assert_properties();
    assert!(checker.unique_state_count() > 1_000, "hardly anything was explored");
}

/// Explores until this property breaks for want of a guard.
fn breaks(guards: Guards, faults: Faults, property: &'static str) {
    let until = HasDiscoveries::AnyOf([property].into());
    let checker = Protocol { guards, faults }.checker().finish_when(until).spawn_bfs().join();
    let states = checker.unique_state_count();
    let path = checker.discovery(property);
    let path = path.unwrap_or_else(|| panic!("`{property}` holds without the guard, in {states} states: {guards:?}"));
    println!("`{property}` breaks, after {states} states:\n{path}");
}

#[test]
fn it_holds_over_two_crashes_and_a_zombie() {
    holds(CRASHES);
}

#[test]
fn it_holds_over_lost_answers() {
    holds(Faults { crashes: 1, zombies: 1, lost_publications: 1, ..NONE });
    holds(Faults { crashes: 1, zombies: 1, lost_commits: 1, ..NONE });
}

#[test]
fn it_holds_over_transactions_that_expire() {
    holds(Faults { crashes: 1, zombies: 1, expiries: 1, ..NONE });
    holds(Faults { crashes: 2, expiries: 2, ..NONE });
}

#[test]
fn it_holds_beside_others() {
    holds(Faults { crashes: 1, zombies: 1, take_overs: 1, strangers: 1, ..NONE });
}

/// One test a guard: what breaks without it, under which faults.
macro_rules! guards {
    ($($name:ident: $field:ident, $faults:expr => $broken:ident;)*) => {$(
        #[test]
        fn $name() {
            breaks(Guards { $field: false, ..ALL }, $faults, $broken);
        }
    )*};
}

const CRASH: Faults = Faults { crashes: 1, ..NONE };
const ZOMBIE: Faults = Faults { zombies: 1, ..NONE };

guards! {
    a_live_handle_is_no_committable: list_committables, CRASH => ONLY_LISTED;
    a_commit_before_the_manifest: publish_first, CRASH => ONLY_LISTED;
    an_id_used_too_early: rotate_ids, ZOMBIE => ONLY_LISTED;
    producers_started_before_the_fate_is_settled: settle_first, CRASH => NEVER_ABORTED;
    an_attempt_without_a_claim: claim_first, ZOMBIE => NEVER_ABORTED;
    a_log_without_compare_and_set: compare_and_set, ZOMBIE => ONCE;
    a_loser_that_goes_on: losers_stop, ZOMBIE => ONLY_LISTED;
    a_lost_answer_taken_for_a_failure: read_back, Faults { lost_publications: 1, ..NONE } => NEVER_ABORTED;
    a_late_write_that_nobody_shuts_out: abandon, Faults { lost_publications: 1, ..NONE } => NEVER_ABORTED;
    an_epoch_that_does_not_wait_for_the_one_before: settle_before_next, CRASH => NOTHING_LOST;
    an_epoch_that_overtakes_the_one_before: settle_before_next, ZOMBIE => IN_ORDER;
    an_id_without_lineage: lineage_in_ids, Faults { strangers: 1, ..NONE } => NEVER_ABORTED;
    a_manifest_without_one_of_the_workers: wait_for_all_workers, NONE => NOTHING_LOST;
    a_description_taken_on_trust: prove_identity, Faults { take_overs: 1, ..NONE } => NOTHING_LOST;
    a_producer_used_after_an_unclean_commit: retire_producers, Faults { lost_commits: 1, ..NONE } => ONLY_LISTED;
    a_replay_committed_before_it_is_listed: publish_replays, Faults { expiries: 1, ..CRASH } => ONLY_LISTED;
}

#[test]
fn who_gives_up_has_to_be_started_again() {
    breaks(ALL, Faults { lost_publications: 1, restarts: 0, ..NONE }, ENDS);
}
