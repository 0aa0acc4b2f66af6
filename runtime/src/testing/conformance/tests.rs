//! The suite passes correct sinks, and names the rules that broken ones break.

use super::{SinkUnderTest, run, violations};
use crate::api::batch::Batch;
use crate::api::sink::{Committable, Share, Sink, SinkContext, SinkWriter, TwoPhaseCommit, WriterContext};
use crate::connectors::memory::{MemoryOutput, MemoryParticipant, MemorySink, MemoryWriter, NothingToCommit, each};
use crate::control::permit::{CommitPermit, Published, Recovery};
use crate::error::Result;
use crate::id::Epoch;
use std::sync::{Arc, Mutex};

struct Memory(MemorySink<u64>);

impl SinkUnderTest for Memory {
    type Sink = MemorySink<u64>;

    fn sink(&self) -> MemorySink<u64> {
        self.0.clone()
    }

    fn record(&self, number: u64) -> u64 {
        number
    }

    fn visible(&self) -> Vec<u64> {
        self.0.output().committed()
    }

    fn leftovers(&self) -> Vec<String> {
        (0..self.0.output().unfinished_count()).map(|number| format!("record {number}")).collect()
    }
}

#[test]
fn the_memory_sink_conforms() {
    run(|| Memory(MemorySink::new()));
}

/// How a broken sink breaks the contract.
#[derive(Clone, Copy, PartialEq)]
enum Flaw {
    ForgetsToRecover,
    KeepsLeftovers,
    DropsAtCommitOfNextEpoch,
    CommitsAbortedOnes,
}

struct Broken(MemorySink<u64>, Flaw);
struct BrokenParticipant(MemoryParticipant<u64>, Flaw, Vec<Committable>);
struct BrokenWriter(MemoryWriter<u64>, Flaw);

impl Sink for Broken {
    type Record = u64;
    type Participant = BrokenParticipant;
    type Writer = BrokenWriter;

    fn describe(&self) -> String {
        "broken".to_owned()
    }

    fn open(&self, context: &SinkContext<'_>) -> Result<BrokenParticipant> {
        Ok(BrokenParticipant(self.0.open(context)?, self.1, Vec::new()))
    }

    fn writer(&self, participant: &mut BrokenParticipant, context: &WriterContext<'_>) -> Result<BrokenWriter> {
        Ok(BrokenWriter(self.0.writer(&mut participant.0, context)?, self.1))
    }
}

impl SinkWriter for BrokenWriter {
    type Record = u64;

    fn write(&mut self, batch: &mut Batch<u64>) -> Result<()> {
        self.0.write(batch)
    }

    fn seal(&mut self, epoch: Epoch) -> Result<Vec<u8>> {
        let share = self.0.seal(epoch)?;
        let lost = self.1 == Flaw::DropsAtCommitOfNextEpoch && epoch > Epoch(1);
        Ok(if lost { Vec::new() } else { share })
    }
}

impl TwoPhaseCommit for BrokenParticipant {
    fn recover(&mut self, published: Vec<Published>, recovery: &mut Recovery<'_>) -> Result<()> {
        match self.1 {
            Flaw::ForgetsToRecover => Ok(()),
            Flaw::KeepsLeftovers => published.iter().try_for_each(|one| self.0.commit(one.committable(), one.permit())),
            _ => self.0.recover(published, recovery),
        }
    }

    fn prepare(&mut self, epoch: Epoch, shares: Vec<Share>) -> Result<Option<Vec<u8>>> {
        self.0.prepare(epoch, shares)
    }

    fn commit(&mut self, committable: &Committable, permit: &CommitPermit) -> Result<()> {
        for aborted in self.2.drain(..) {
            self.0.commit(&aborted, permit)?;
        }
        self.0.commit(committable, permit)
    }

    fn abort(&mut self, committable: &Committable) -> Result<()> {
        if self.1 == Flaw::CommitsAbortedOnes {
            self.2.push(committable.clone());
            return Ok(());
        }
        self.0.abort(committable)
    }
}

struct BrokenPlace(MemoryOutput<u64>, MemorySink<u64>, Flaw);

impl SinkUnderTest for BrokenPlace {
    type Sink = Broken;

    fn sink(&self) -> Broken {
        Broken(self.1.clone(), self.2)
    }

    fn record(&self, number: u64) -> u64 {
        number
    }

    fn visible(&self) -> Vec<u64> {
        self.0.committed()
    }

    fn leftovers(&self) -> Vec<String> {
        (0..self.0.unfinished_count()).map(|number| format!("record {number}")).collect()
    }
}

fn rules_broken_by(flaw: Flaw) -> Vec<&'static str> {
    let place = || {
        let sink = MemorySink::new();
        BrokenPlace(sink.output(), sink, flaw)
    };
    violations(place).into_iter().map(|violation| violation.rule).collect()
}

#[test]
fn a_sink_that_does_not_recover_is_found() {
    let rules = rules_broken_by(Flaw::ForgetsToRecover);
    assert!(rules.contains(&"a crash after the manifest: recover commits what it lists"), "{rules:?}");
    assert!(!rules.contains(&"to commit twice is harmless"), "{rules:?}");
}

#[test]
fn a_sink_that_leaves_unlisted_output_is_found() {
    let rules = rules_broken_by(Flaw::KeepsLeftovers);
    assert!(rules.contains(&"a crash after prepare leaves nothing if no manifest lists it"), "{rules:?}");
}

#[test]
fn a_sink_that_loses_an_epoch_is_found() {
    let rules = rules_broken_by(Flaw::DropsAtCommitOfNextEpoch);
    assert!(rules.contains(&"epochs become visible in order, each whole, without the one being written"), "{rules:?}");
}

#[test]
fn a_sink_that_commits_what_was_aborted_is_found() {
    let rules = rules_broken_by(Flaw::CommitsAbortedOnes);
    assert_eq!(rules, ["what is aborted never becomes visible, and the next epoch works"]);
}

/// At least once is not exactly once.
struct Eager(Arc<Mutex<Vec<u64>>>);

impl SinkUnderTest for Eager {
    type Sink = EagerSink;

    fn sink(&self) -> EagerSink {
        EagerSink(self.0.clone())
    }

    fn record(&self, number: u64) -> u64 {
        number
    }

    fn visible(&self) -> Vec<u64> {
        self.0.lock().unwrap().clone()
    }
}

struct EagerSink(Arc<Mutex<Vec<u64>>>);
struct EagerWriter(Box<dyn SinkWriter<Record = u64>>);

impl Sink for EagerSink {
    type Record = u64;
    type Participant = NothingToCommit;
    type Writer = EagerWriter;

    fn describe(&self) -> String {
        "eager".to_owned()
    }

    fn open(&self, _context: &SinkContext<'_>) -> Result<NothingToCommit> {
        Ok(NothingToCommit)
    }

    fn writer(&self, participant: &mut NothingToCommit, context: &WriterContext<'_>) -> Result<EagerWriter> {
        let records = self.0.clone();
        let sink = each(move |record: u64, _| records.lock().unwrap().push(record));
        Ok(EagerWriter(Box::new(sink.writer(participant, context)?)))
    }
}

impl SinkWriter for EagerWriter {
    type Record = u64;

    fn write(&mut self, batch: &mut Batch<u64>) -> Result<()> {
        self.0.write(batch)
    }

    fn seal(&mut self, epoch: Epoch) -> Result<Vec<u8>> {
        self.0.seal(epoch)
    }
}

#[test]
#[should_panic(expected = "nothing is visible before commit")]
fn a_sink_that_does_not_wait_is_found() {
    run(|| Eager(Arc::default()));
}
