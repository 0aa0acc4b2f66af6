use super::*;
use crate::api::source::SplitPosition;
use crate::api::state::Schema;
use crate::control::manifest::{StateLayout, StatePart};
use crate::control::message::{OperatorSpec, SinkSpec};
use crate::time::Timestamp;
use serde_json::json;

const SETTINGS: Settings =
    Settings { interval_ms: Some(100), pause_ms_min: 30, timeout_ms: 1_000, tolerated_timeouts: 0 };

pub(super) fn topology(workers: usize) -> Topology {
    let layout = StateLayout::new("u64", Schema::Leaf("u64".into()), false, false);
    let sink = |id: &str, participant: &str| SinkSpec { id: id.into(), participant: participant.into() };
    Topology {
        workers,
        sources: vec!["orders".into()],
        endless: false,
        operators: vec![OperatorSpec { id: "count".into(), layout }],
        sinks: vec![sink("totals", "kafka"), sink("audit", "files"), sink("late", "kafka")],
    }
}

fn split(worker: usize) -> Vec<SplitPosition> {
    vec![SplitPosition { split: worker.to_string(), position: json!(1), finished: false }]
}

pub(super) fn source_reported(worker: usize, epoch: u64) -> Input {
    let (source, splits) = ("orders".to_owned(), split(worker));
    Input::SourceReported { worker, source, epoch: Epoch(epoch), splits, finished: false }
}

pub(super) fn state_reported(worker: usize, epoch: u64) -> Input {
    let parts = vec![StatePart::of(worker, 0..1, format!("b{worker}"), b"12345", 1)];
    let (operator, watermark) = ("count".to_owned(), Timestamp::from_millis(worker as i64));
    Input::StateReported { worker, operator, epoch: Epoch(epoch), watermark, parts }
}

fn sealed(sink: &str, worker: usize, epoch: u64) -> Input {
    let share = Share { sink: sink.into(), worker, bytes: format!("{sink}{worker}").into_bytes() };
    Input::Sealed { epoch: Epoch(epoch), share }
}

/// All reports of a checkpoint but what the participants do.
pub(super) fn reports(workers: usize, epoch: u64) -> Vec<Input> {
    let of_worker = |worker| {
        let sinks = ["totals", "audit", "late"].map(|sink| sealed(sink, worker, epoch));
        [source_reported(worker, epoch), state_reported(worker, epoch)].into_iter().chain(sinks)
    };
    (0..workers).flat_map(of_worker).collect()
}

fn prepared(participant: &str, epoch: u64, bytes: Option<&[u8]>) -> Input {
    Input::Prepared { participant: participant.into(), epoch: Epoch(epoch), result: Ok(bytes.map(<[u8]>::to_vec)) }
}

fn published(epoch: u64) -> Input {
    let permit = CommitPermit::published(Epoch(epoch));
    Input::Published { epoch: Epoch(epoch), result: Ok(Publication::Published(permit)) }
}

fn committed(participant: &str, epoch: u64) -> Input {
    Input::Committed { participant: participant.into(), epoch: Epoch(epoch), result: Ok(()) }
}

fn ended(worker: usize) -> Input {
    Input::SourceEnded { worker, source: "orders".into() }
}

/// A coordinator and what it asks for, as text.
struct Driven(Coordinator);

impl Driven {
    fn new(workers: usize) -> Self {
        Self(Coordinator::new(topology(workers), SETTINGS, Epoch(1), 0))
    }

    fn step(&mut self, now_ms: u64, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.0.step(now_ms, input, &mut effects);
        effects
    }

    fn says(&mut self, now_ms: u64, input: Input) -> String {
        self.step(now_ms, input).iter().map(short).collect::<Vec<_>>().join("; ")
    }

    fn report_all(&mut self, now_ms: u64, workers: usize, epoch: u64) -> String {
        let said = reports(workers, epoch).into_iter().map(|input| self.says(now_ms, input));
        said.filter(|said| !said.is_empty()).collect::<Vec<_>>().join("; ")
    }

    /// Takes a checkpoint that has begun to its end.
    fn run(&mut self, now_ms: u64, workers: usize, epoch: u64) -> String {
        self.report_all(now_ms, workers, epoch);
        self.step(now_ms, prepared("kafka", epoch, None));
        self.step(now_ms, prepared("files", epoch, None));
        self.says(now_ms, published(epoch))
    }
}

fn short(effect: &Effect) -> String {
    match effect {
        Effect::Barrier { epoch, kind } => format!("barrier {epoch} {kind}"),
        Effect::Prepare { participant, epoch, shares } => {
            let shares: Vec<_> = shares.iter().map(|share| String::from_utf8_lossy(&share.bytes)).collect();
            format!("prepare {participant} {epoch} [{}]", shares.join(" "))
        }
        Effect::Publish(cut) => format!("publish {}", cut.epoch),
        Effect::Commit { committable, permit } if committable.epoch == permit.epoch() => {
            format!("commit {} {}", committable.participant, permit.epoch())
        }
        Effect::Commit { committable, permit } => {
            format!("commit {} {} by {}", committable.participant, committable.epoch, permit.epoch())
        }
        Effect::Abandoned { epoch, .. } => format!("abandoned {epoch}"),
        Effect::Abort { committable } => format!("abort {} {}", committable.participant, committable.epoch),
        Effect::Settled(settled) => {
            format!("settled {} {} ms {} B", settled.epoch, settled.duration_ms, settled.state_bytes)
        }
        Effect::Finish(finish) => format!("finish {finish:?}"),
        Effect::Fail(error) => format!("fail {:?} {error}", error.kind()),
    }
}

#[test]
fn a_checkpoint_from_trigger_to_settled() {
    let mut it = Driven::new(2);
    assert_eq!(it.0.next_deadline(), Some(100));
    assert_eq!(it.says(99, Input::Tick), "");
    assert_eq!(it.says(100, Input::Tick), "barrier 1 checkpoint");
    assert_eq!(it.0.next_deadline(), Some(1_100));
    let said = it.report_all(110, 2, 1);
    assert_eq!(said, "prepare files 1 [audit0 audit1]; prepare kafka 1 [totals0 totals1 late0 late1]");
    assert_eq!(it.says(120, prepared("files", 1, None)), "");
    let mut effects = it.step(120, prepared("kafka", 1, Some(b"txn")));
    let Some(Effect::Publish(cut)) = effects.pop() else { panic!() };
    assert_eq!((cut.sources[0].splits.len(), cut.operators[0].parts.len(), cut.state_bytes()), (2, 2, 10));
    assert_eq!(cut.operators[0].watermarks, [0, 1].map(Timestamp::from_millis));
    assert_eq!(cut.committables.len(), 1, "files wrote nothing");
    assert_eq!(it.says(130, published(1)), "commit kafka 1");
    assert_eq!(it.says(190, committed("kafka", 1)), "settled 1 90 ms 10 B");
    assert_eq!(it.0.next_deadline(), Some(220), "a pause of 30 ms, though the interval was over at 200");
    assert_eq!(it.says(220, Input::Tick), "barrier 2 checkpoint");
}

#[test]
fn repeats_and_latecomers_change_nothing() {
    let mut it = Driven::new(1);
    it.step(100, Input::Tick);
    assert_eq!(it.says(110, source_reported(0, 1)), "");
    assert_eq!(it.says(110, source_reported(0, 1)), "");
    it.report_all(110, 1, 1);
    assert_eq!(it.report_all(110, 1, 1), "");
    it.step(110, prepared("kafka", 1, Some(b"t")));
    assert_eq!(it.says(110, prepared("kafka", 1, Some(b"other"))), "");
    assert_eq!(it.says(110, prepared("files", 1, None)), "publish 1");
    assert_eq!(it.says(110, published(0)), "");
    assert_eq!(it.says(110, published(1)), "commit kafka 1");
    assert_eq!(it.says(110, published(1)), "");
    assert_eq!(it.says(110, committed("kafka", 1)), "settled 1 10 ms 5 B");
    assert_eq!(it.says(110, committed("kafka", 1)), "");
    it.step(200, Input::Tick);
    assert_eq!(it.report_all(210, 1, 1), "", "all of an older checkpoint");
    assert_eq!(it.says(210, published(1)), "");
}

#[test]
fn what_cannot_be_is_refused_without_a_panic() {
    let strange: [Input; 9] = [
        source_reported(0, 2),
        source_reported(7, 1),
        state_reported(7, 1),
        sealed("nowhere", 0, 1),
        prepared("kafka", 1, None),
        committed("kafka", 1),
        ended(7),
        Input::SourceEnded { worker: 0, source: "nobody".into() },
        Input::Failed(Error::new(ErrorKind::Internal, "x")),
    ];
    for input in strange {
        let mut it = Driven::new(1);
        it.step(100, Input::Tick);
        let what = format!("{input:?}");
        assert!(it.says(110, input).starts_with("fail Internal"), "{what}");
        assert_eq!(it.says(120, Input::Tick), "");
        assert_eq!(it.0.next_deadline(), None);
    }
}

#[test]
fn a_permit_of_another_checkpoint_commits_nothing() {
    let mut it = Driven::new(1);
    it.step(100, Input::Tick);
    it.report_all(110, 1, 1);
    it.step(110, prepared("kafka", 1, Some(b"t")));
    it.step(110, prepared("files", 1, None));
    let permit = CommitPermit::published(Epoch(9));
    let wrong = Input::Published { epoch: Epoch(1), result: Ok(Publication::Published(permit)) };
    assert!(it.says(110, wrong).starts_with("fail Internal"));
}

#[test]
fn a_split_that_two_workers_read_fails_the_checkpoint() {
    let mut it = Driven::new(2);
    it.step(100, Input::Tick);
    let (source, splits) = ("orders".to_owned(), split(0));
    it.step(110, Input::SourceReported { worker: 1, source, epoch: Epoch(1), splits, finished: false });
    it.report_all(110, 2, 1);
    it.step(110, prepared("kafka", 1, None));
    assert!(it.says(110, prepared("files", 1, None)).contains("split `0`"));
}

#[test]
fn failures_end_the_attempt_and_say_where() {
    let error = || Error::new(ErrorKind::Sink, "broker gone");
    for stage in 0..4 {
        let mut it = Driven::new(1);
        it.step(100, Input::Tick);
        it.report_all(110, 1, 1);
        let participant = || "kafka".to_owned();
        let epoch = Epoch(1);
        let failed = match stage {
            0 => it.says(110, Input::Prepared { participant: participant(), epoch, result: Err(error()) }),
            1 => it.says(110, Input::Published { epoch, result: Err(error()) }),
            2 => {
                let by = Error::new(ErrorKind::Superseded, "other");
                it.says(110, Input::Published { epoch, result: Ok(Publication::Superseded(by)) })
            }
            _ => {
                it.step(110, prepared("kafka", 1, Some(b"t")));
                it.step(110, prepared("files", 1, None));
                it.step(110, published(1));
                it.says(110, Input::Committed { participant: participant(), epoch, result: Err(error()) })
            }
        };
        let expected = ["fail Sink `kafka` preparing", "fail Sink", "fail Superseded", "fail Sink `kafka` committing"];
        assert!(failed.starts_with(expected[stage]), "{failed}");
    }
}

#[test]
fn a_timeout_names_what_was_missing() {
    let mut it = Driven::new(2);
    it.step(100, Input::Tick);
    it.step(110, source_reported(0, 1));
    it.step(110, state_reported(1, 1));
    it.step(110, sealed("audit", 0, 1));
    it.step(110, sealed("audit", 1, 1));
    assert_eq!(it.says(1_099, Input::Tick), "");
    let said = it.says(1_100, Input::Tick);
    let expected = ["source `orders` on worker 1", "operator `count` on worker 0", "sink `totals` on worker 0"];
    assert!(said.starts_with("fail Timeout") && expected.iter().all(|part| said.contains(part)), "{said}");
    assert!(said.contains("`files` to prepare") && !said.contains("audit"), "{said}");
}

#[test]
fn a_timeout_after_the_reports_names_the_store_or_the_commit() {
    for publish in [false, true] {
        let mut it = Driven::new(1);
        it.step(100, Input::Tick);
        it.report_all(110, 1, 1);
        it.step(110, prepared("kafka", 1, Some(b"t")));
        it.step(110, prepared("files", 1, None));
        if publish {
            it.step(110, published(1));
        }
        let said = it.says(1_100, Input::Tick);
        assert!(
            said.contains(if publish { "the commit of epoch 1 by `kafka`" } else { "the checkpoint store" }),
            "{said}"
        );
        assert_eq!(it.says(1_101, published(1)), "", "a permit that comes too late commits nothing");
    }
}

#[test]
fn when_every_source_has_ended_one_last_checkpoint_ends_the_job() {
    let mut it = Driven::new(2);
    assert_eq!(it.says(10, ended(0)), "");
    assert_eq!(it.says(10, ended(0)), "");
    assert_eq!(it.says(11, ended(1)), "barrier 1 end");
    assert_eq!(it.run(12, 2, 1), "settled 1 1 ms 10 B; finish Ended");
    assert_eq!(it.says(900, Input::Tick), "");
}

#[test]
fn the_end_waits_for_the_checkpoint_that_runs() {
    let mut it = Driven::new(1);
    it.step(100, Input::Tick);
    assert_eq!(it.says(101, ended(0)), "");
    assert_eq!(it.run(102, 1, 1), "settled 1 2 ms 5 B; barrier 2 end");
}

#[test]
fn suspending_takes_a_last_checkpoint() {
    let mut it = Driven::new(1);
    it.step(100, Input::Tick);
    assert_eq!(it.says(101, Input::Suspend), "");
    assert_eq!(it.says(101, Input::Suspend), "");
    assert_eq!(it.run(102, 1, 1), "settled 1 2 ms 5 B; barrier 2 suspend");
    assert_eq!(it.run(103, 1, 2), "settled 2 1 ms 5 B; finish Suspended");
}

#[test]
fn without_an_interval_nothing_happens_by_itself() {
    let settings = Settings { interval_ms: None, ..SETTINGS };
    let mut it = Driven(Coordinator::new(topology(1), settings, Epoch(5), 0));
    assert_eq!(it.0.next_deadline(), None);
    assert_eq!(it.says(u64::MAX, Input::Tick), "");
    assert_eq!(it.says(u64::MAX, Input::Suspend), "barrier 5 suspend");
}

#[test]
fn a_job_without_state_and_sinks_still_checkpoints_its_positions() {
    let topology = Topology { workers: 1, sources: vec!["orders".into()], ..Topology::default() };
    let mut it = Driven(Coordinator::new(topology, SETTINGS, Epoch(1), 0));
    it.step(100, Input::Tick);
    assert_eq!(it.says(101, source_reported(0, 1)), "publish 1");
    assert_eq!(it.says(101, published(1)), "settled 1 1 ms 0 B");
}

/// A coordinator of one worker that tolerates two timeouts, with checkpoint 1 triggered at 100.
fn patient() -> Driven {
    let settings = Settings { tolerated_timeouts: 2, ..SETTINGS };
    let mut it = Driven(Coordinator::new(topology(1), settings, Epoch(1), 0));
    assert_eq!(it.says(100, Input::Tick), "barrier 1 checkpoint");
    it
}

#[test]
fn what_a_late_checkpoint_has_prepared_goes_into_the_next() {
    let mut it = patient();
    it.step(110, sealed("audit", 0, 1));
    it.step(110, prepared("files", 1, Some(b"f1")));
    it.step(110, sealed("totals", 0, 1));
    it.step(110, source_reported(0, 1));
    assert_eq!(it.says(1_100, Input::Tick), "abandoned 1");
    assert_eq!(it.0.next_deadline(), Some(1_130));
    assert_eq!(it.says(1_130, Input::Tick), "barrier 2 checkpoint");
    // The state of checkpoint 1 is of no use any more; its output is.
    assert_eq!(it.says(1_140, state_reported(0, 1)), "");
    assert_eq!(it.report_all(1_140, 1, 2), "prepare files 2 [audit0]; prepare kafka 2 [totals0 late0]");
    it.step(1_150, prepared("files", 2, None));
    assert_eq!(it.says(1_150, prepared("kafka", 2, Some(b"k2"))), "", "the first epoch's output is not there yet");
    assert_eq!(it.says(1_160, sealed("late", 0, 1)), "prepare kafka 1 [totals0 late0]");
    let mut effects = it.step(1_170, prepared("kafka", 1, Some(b"k1")));
    let Some(Effect::Publish(cut)) = effects.pop() else { panic!() };
    let listed: Vec<_> = cut.committables.iter().map(|it| (it.epoch.0, it.participant.as_str())).collect();
    assert_eq!((cut.epoch, listed), (Epoch(2), vec![(1, "files"), (1, "kafka"), (2, "kafka")]));
    // Epoch by epoch.
    assert_eq!(it.says(1_180, published(2)), "commit files 1 by 2; commit kafka 1 by 2");
    assert_eq!(it.says(1_190, committed("files", 1)), "");
    assert_eq!(it.says(1_200, committed("kafka", 1)), "commit kafka 2");
    assert_eq!(it.says(1_210, committed("kafka", 1)), "");
    assert_eq!(it.says(1_230, committed("kafka", 2)), "settled 2 100 ms 5 B");
    // Settled: timeouts are counted anew.
    it.step(1_300, Input::Tick);
    for (at, epoch) in [(2_300, 3), (3_330, 4)] {
        assert_eq!(it.says(at, Input::Tick), format!("abandoned {epoch}"));
        it.step(at + 30, Input::Tick);
    }
    let said = it.says(4_360, Input::Tick);
    assert!(said.starts_with("fail Timeout"), "{said}");
    assert!(said.contains("sink `totals` on worker 0 (of checkpoint 3)"), "{said}");
}

#[test]
fn carried_output_is_aborted_when_the_attempt_fails() {
    for publish in [false, true] {
        let mut it = patient();
        it.report_all(110, 1, 1);
        it.step(110, prepared("kafka", 1, Some(b"k1")));
        assert_eq!(it.says(1_100, Input::Tick), "abandoned 1");
        it.step(1_130, Input::Tick);
        it.report_all(1_140, 1, 2);
        it.step(1_140, prepared("kafka", 2, Some(b"k2")));
        it.step(1_140, prepared("files", 1, None));
        if publish {
            assert_eq!(it.says(1_140, prepared("files", 2, None)), "publish 2");
        }
        let said = it.says(1_150, Input::Failed(Error::new(ErrorKind::Sink, "broker gone")));
        let expected = if publish { "fail Sink" } else { "abort kafka 1; abort kafka 2; fail Sink" };
        assert!(said.starts_with(expected), "{said}");
    }
}

#[test]
fn a_late_failure_of_a_carried_epoch_fails_the_attempt() {
    let mut it = patient();
    it.report_all(110, 1, 1);
    it.step(1_100, Input::Tick);
    let result = Err(Error::new(ErrorKind::Sink, "not delivered"));
    let said = it.says(1_110, Input::Prepared { participant: "kafka".into(), epoch: Epoch(1), result });
    assert!(said.starts_with("fail Sink `kafka` preparing checkpoint 1"), "{said}");
}

#[test]
fn a_late_last_checkpoint_is_tried_again_as_often_as_any() {
    let source_ended = || Input::SourceEnded { worker: 0, source: "orders".into() };
    for (kind, input) in [("suspend", Input::Suspend), ("end", source_ended())] {
        let mut it = patient();
        it.report_all(110, 1, 1);
        it.step(110, input);
        assert_eq!(it.says(1_100, Input::Tick), format!("abandoned 1; barrier 2 {kind}"));
        it.step(1_110, prepared("kafka", 1, Some(b"k1")));
        it.report_all(1_120, 1, 2);
        it.step(1_120, prepared("kafka", 2, Some(b"k2")));
        assert_eq!(it.says(2_100, Input::Tick), format!("abandoned 2; barrier 3 {kind}"), "at once: nothing is read");
        it.report_all(2_110, 1, 3);
        it.step(2_110, prepared("kafka", 3, None));
        for epoch in 1..=2 {
            assert_eq!(it.says(2_120, prepared("files", epoch, None)), "");
        }
        assert_eq!(it.says(2_130, prepared("files", 3, None)), "publish 3");
        assert_eq!(it.says(2_140, published(3)), "commit kafka 1 by 3");
        assert_eq!(it.says(2_150, committed("kafka", 1)), "commit kafka 2 by 3");
        let finish = if kind == "end" { "ended" } else { "suspended" };
        let said = it.says(2_160, committed("kafka", 2));
        assert!(said.starts_with("settled 3") && said.to_lowercase().ends_with(finish), "{said}");
    }
    let mut it = patient();
    it.step(110, Input::Suspend);
    it.step(1_100, Input::Tick);
    it.step(2_100, Input::Tick);
    let said = it.says(3_100, Input::Tick);
    assert!(said.starts_with("fail Timeout suspend 3"), "{said}");
}

#[test]
fn a_commit_that_nobody_asked_for_is_refused() {
    let mut it = patient();
    it.report_all(110, 1, 1);
    it.step(1_100, Input::Tick);
    assert!(it.says(1_110, committed("kafka", 1)).starts_with("fail Internal"));
}
