//! What all simulated processes share: time, a disk, what sinks hold, and who is alive.
//!
//! Simulated calls go through [`World::enter`]: before the world answers, the simulation may let others go
//! on, or end the process that called. No lock is held meanwhile.

use super::chance::Chance;
use super::disk::Disk;
use super::kafka::Kafka;
use super::ledger::Ledger;
use crate::crash::passing;
use crate::flow::stand_in::AnyRecord;
use crate::threads::MakeActor;
use crate::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

/// A simulated process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Pid(pub u32);

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Nothing happened.
    Before,
    /// It happened, but the answer was lost.
    After,
    /// It fails now and happens later.
    Late,
}

/// An actor that a process has started and nobody has made yet.
pub(crate) struct Started {
    pub pid: Pid,
    pub make: MakeActor,
    pub finished: Arc<AtomicBool>,
}

/// A milestone, for the story.
pub(crate) type Line = (Pid, String);

pub(crate) struct State {
    pub now_ms: u64,
    pub chance: Chance,
    pub disk: Disk,
    pub ledger: Ledger,
    pub kafka: Kafka,
    /// What sinks without transactions have written, by sink.
    arrived: BTreeMap<String, Vec<(AnyRecord, Timestamp)>>,
    pub sources: BTreeMap<String, super::source::Splits>,
    /// Nothing more comes from any source.
    pub input_ended: bool,
    pub started: Vec<Started>,
    /// Every few turns take a millisecond; else time stands still until somebody lets it pass.
    pub turns_take_time: bool,
    /// Sources have nothing to give now and then, so that their records are spread over time.
    pub sources_pause: bool,
    /// Whose turn it is goes round instead of being left to chance.
    pub in_turn: bool,
    pub store_failures: Vec<Failure>,
    pub sink_failures: Vec<Failure>,
    alive: BTreeSet<Pid>,
    uuids: u128,
    /// `None`: nobody will read it.
    pub lines: Option<Vec<Line>>,
}

impl State {
    /// How the next call of the store fails, if it does.
    pub fn take_store_failure(&mut self) -> Option<Failure> {
        self.store_failures.pop()
    }

    /// How the next call of a sink fails, if it does.
    pub fn take_sink_failure(&mut self) -> Option<Failure> {
        self.sink_failures.pop()
    }

    /// Records of sinks without transactions are visible from now on.
    pub fn arrive(&mut self, records: impl Iterator<Item = (String, AnyRecord, Timestamp)>) {
        for (sink, record, time) in records {
            self.arrived.entry(sink).or_default().push((record, time));
        }
    }

    /// The visible records of a sink, in the order in which readers see them.
    pub fn committed<'a>(&'a self, sink: &'a str) -> impl Iterator<Item = &'a (AnyRecord, Timestamp)> + 'a {
        let arrived = self.arrived.get(sink).into_iter().flatten();
        self.ledger.committed(sink).chain(self.kafka.committed(sink)).chain(arrived)
    }

    /// When nothing more will happen: the records of a sink, and the numbers of the visible ones in the order in which
    /// readers see them.
    pub fn take_committed(&mut self, sink: &str) -> (Vec<AnyRecord>, Vec<usize>) {
        // Requests that are still on their way arrive; what nobody ends holds readers back until its time is up.
        self.kafka.land_late();
        self.kafka.expire_all();
        let (written, visible) = self.kafka.take_committed(sink);
        if !written.is_empty() {
            return (written, visible);
        }
        let arrived = self.arrived.remove(sink).into_iter().flatten().map(|(record, _)| record);
        let written: Vec<AnyRecord> = self.ledger.take_committed(sink).into_iter().chain(arrived).collect();
        let visible = (0..written.len()).collect();
        (written, visible)
    }

    /// The records of a sink that are neither visible nor aborted.
    pub fn uncommitted<'a>(&'a self, sink: &'a str) -> impl Iterator<Item = &'a (AnyRecord, Timestamp)> + 'a {
        self.ledger.uncommitted(sink).chain(self.kafka.uncommitted(sink))
    }

    /// The actors that this process has started and that nobody has made yet.
    pub fn take_started(&mut self, pid: Pid) -> Vec<Started> {
        let (its, others) = std::mem::take(&mut self.started).into_iter().partition(|started| started.pid == pid);
        self.started = others;
        its
    }

    /// What was reported as failed, and happens later, happens at any time.
    pub fn land_late_now_and_then(&mut self) {
        let late = self.disk.has_late() || self.ledger.has_late() || self.kafka.has_late();
        if late && self.chance.one_in(LATE_ONE_IN) {
            self.disk.land_late();
            self.ledger.land_late();
            self.kafka.land_late();
        }
    }

    pub fn say(&mut self, pid: Pid, line: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.lines {
            lines.push((pid, line()));
        }
    }

    pub fn uuid(&mut self) -> uuid::Uuid {
        self.uuids += 1;
        uuid::Builder::from_random_bytes(
            self.uuids.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835).to_be_bytes(),
        )
        .into_uuid()
    }

    pub fn is_alive(&self, pid: Pid) -> bool {
        self.alive.contains(&pid)
    }

    pub fn born(&mut self, pid: Pid) {
        self.alive.insert(pid);
    }

    pub fn died(&mut self, pid: Pid) {
        self.alive.remove(&pid);
    }
}

/// See the module.
pub(crate) struct World {
    state: Mutex<State>,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("World")
    }
}

/// Of so many turns one sees what is late land.
const LATE_ONE_IN: usize = 8;

/// Simulated time begins here: 2026-01-01.
pub(super) const BEGIN_MS: u64 = 1_767_225_600_000;

impl World {
    pub fn new(seed: u64, recording: bool) -> Arc<Self> {
        let state = State {
            now_ms: BEGIN_MS,
            chance: Chance::new(seed),
            disk: Disk::default(),
            ledger: Ledger::default(),
            kafka: Kafka::default(),
            arrived: BTreeMap::new(),
            sources: BTreeMap::new(),
            input_ended: false,
            started: Vec::new(),
            turns_take_time: false,
            sources_pause: false,
            in_turn: false,
            store_failures: Vec::new(),
            sink_failures: Vec::new(),
            alive: BTreeSet::new(),
            uuids: 0,
            lines: recording.then(Vec::new),
        };
        Arc::new(Self { state: Mutex::new(state) })
    }

    pub fn with<R>(&self, see: impl FnOnce(&mut State) -> R) -> R {
        // A simulated crash unwinds only where nothing is locked; a poisoned lock is a test's own panic.
        see(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Simulated code calls the world. False: its process is dead, and nothing that it does has an effect.
    pub fn enter(&self, pid: Pid, place: &'static str) -> bool {
        if !self.with(|state| state.is_alive(pid)) {
            return false;
        }
        passing(place);
        self.with(|state| state.is_alive(pid))
    }
}
