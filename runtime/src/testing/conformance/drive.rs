//! Drives a sink through the protocol as the runtime does, one call at a time.

use super::SinkUnderTest;
use crate::api::batch::Batch;
use crate::api::sink::{Committable, Share, Sink, SinkContext, SinkWriter, TwoPhaseCommit, WriterContext};
use crate::api::source::Waker;
use crate::control::permit::CommitPermit;
use crate::error::Error;
use crate::id::Epoch;
use crate::random;
use crate::stop::Cancellation;
use crate::testing::permit::recover;
use crate::time::Timestamp;
use std::ops::Deref;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;
use uuid::Uuid;

/// How long a writer may stay unready, in waits of [`WAIT`].
const WAITS_MAX: u32 = 6_000;
/// How long one wait for the waker lasts at most.
const WAIT: Duration = Duration::from_millis(10);

const SINK: &str = "sink";

/// What a check returns: what was seen instead of what the rule says.
pub(super) type Outcome<T = ()> = Result<T, String>;

/// A sink's place, with what sets the attempts there apart from those of other places: a sink may know of them by
/// more than what is written there.
pub(super) struct Place<U> {
    of: U,
    run: Uuid,
}

impl<U> Place<U> {
    pub(super) fn new(of: U) -> Self {
        Self { of, run: random::uuid() }
    }
}

impl<U> Deref for Place<U> {
    type Target = U;

    fn deref(&self) -> &U {
        &self.of
    }
}

/// Who writes: which job at the place, which attempt of it, on how many workers, from which epoch.
#[derive(Clone, Copy)]
pub(super) struct Who {
    pub(super) lineage: &'static str,
    pub(super) attempt: u64,
    pub(super) workers: usize,
    pub(super) epoch: u64,
}

impl Who {
    /// An attempt of the usual job with two workers.
    pub(super) fn attempt(attempt: u64, epoch: u64) -> Self {
        Self { lineage: "usual", attempt, workers: 2, epoch }
    }
}

/// A sink, its participant's name, and the participant.
type Opened<U> = (<U as SinkUnderTest>::Sink, String, <<U as SinkUnderTest>::Sink as Sink>::Participant);

/// A running attempt. Dropping it is the crash.
pub(super) struct Attempt<'a, U: SinkUnderTest> {
    place: &'a Place<U>,
    participant: <U::Sink as Sink>::Participant,
    name: String,
    writers: Vec<<U::Sink as Sink>::Writer>,
    wakers: Vec<Receiver<()>>,
    /// What the restored manifest lists once `recover` has replaced what it had to.
    pub(super) listed: Vec<Committable>,
}

impl<'a, U: SinkUnderTest> Attempt<'a, U> {
    /// Opens the sink, recovers what a manifest lists, and makes the writers.
    pub(super) fn start(place: &'a Place<U>, who: Who, published: &[Committable]) -> Outcome<Self> {
        let (sink, name, mut participant) = Self::open(place, who).map_err(failed("open"))?;
        let published = published.iter().map(through_manifest).collect::<Outcome<Vec<_>>>()?;
        let restored = Epoch(who.epoch.saturating_sub(1));
        let listed = recover(&mut participant, restored, &published).map_err(failed("recover"))?;
        let left = place.leftovers();
        if !left.is_empty() {
            return Err(format!("after recover these are still there: {}", left.join(", ")));
        }
        let (mut writers, mut wakers) = (Vec::new(), Vec::new());
        for worker in 0..who.workers {
            let (wake, woken) = sync_channel(1);
            // A full channel means that a wake-up is already waiting.
            let waker = Waker::new(move || {
                let _ = wake.try_send(());
            });
            let context = WriterContext { id: SINK, worker, workers: who.workers, epoch: Epoch(who.epoch), waker };
            writers.push(sink.writer(&mut participant, &context).map_err(failed("writer"))?);
            wakers.push(woken);
        }
        Ok(Self { place, participant, name, writers, wakers, listed })
    }

    /// Only opens, as an attempt does that dies before it recovers.
    pub(super) fn open(place: &Place<U>, who: Who) -> Result<Opened<U>, Error> {
        let sink = place.sink();
        let name = sink.participant(SINK);
        let context = SinkContext {
            cancellation: Cancellation::default(),
            participant: &name,
            job: "conformance",
            lineage: &format!("{}-{}", place.run, who.lineage),
            attempt: who.attempt,
            epoch: Epoch(who.epoch),
            workers: who.workers,
            epoch_interval: Duration::from_secs(1),
            epoch_within: Duration::from_secs(61),
        };
        let participant = sink.open(&context)?;
        Ok((sink, name, participant))
    }

    /// Writes records once the writer is ready.
    #[expect(clippy::disallowed_methods, reason = "a sink of somebody's is tried in real time")]
    pub(super) fn write(&mut self, worker: usize, numbers: impl IntoIterator<Item = u64>) -> Outcome {
        for _ in 0..WAITS_MAX {
            if self.writers[worker].ready().map_err(failed("ready"))? {
                return self.write_now(worker, numbers);
            }
            // A missed wake-up only costs time here; the runtime would hang on it, see `ready`.
            let _ = self.wakers[worker].recv_timeout(WAIT);
        }
        Err(format!("the writer of worker {worker} was not ready for {} s", WAITS_MAX / 100))
    }

    /// Writes records if the writer takes some now; returns those that were written.
    pub(super) fn write_if_ready(
        &mut self,
        worker: usize,
        numbers: impl IntoIterator<Item = u64>,
    ) -> Outcome<Vec<u64>> {
        let numbers: Vec<u64> = numbers.into_iter().collect();
        if !self.writers[worker].ready().map_err(failed("ready"))? {
            return Ok(Vec::new());
        }
        self.write_now(worker, numbers.iter().copied())?;
        Ok(numbers)
    }

    fn write_now(&mut self, worker: usize, numbers: impl IntoIterator<Item = u64>) -> Outcome {
        let mut batch = Batch::default();
        for number in numbers {
            batch.push(self.place.record(number), Timestamp::from_millis(i64::try_from(number).unwrap_or(0)));
        }
        self.writers[worker].write(&mut batch).map_err(failed("write"))?;
        if batch.is_empty() { Ok(()) } else { Err(format!("write left {} records in the batch", batch.len())) }
    }

    /// The barrier, at all writers.
    pub(super) fn seal(&mut self, epoch: u64) -> Outcome<Vec<Share>> {
        let mut shares = Vec::new();
        for (worker, writer) in self.writers.iter_mut().enumerate() {
            let bytes = writer.seal(Epoch(epoch)).map_err(failed("seal"))?;
            shares.push(Share { sink: SINK.to_owned(), worker, bytes });
        }
        Ok(shares)
    }

    /// Phase one.
    pub(super) fn prepare(&mut self, epoch: u64, shares: Vec<Share>) -> Outcome<Option<Committable>> {
        let bytes = self.participant.prepare(Epoch(epoch), shares).map_err(failed("prepare"))?;
        let made = |bytes| Committable { participant: self.name.clone(), epoch: Epoch(epoch), bytes };
        Ok(bytes.map(made))
    }

    /// The barrier and phase one; there were records, so there has to be something to commit.
    pub(super) fn checkpoint(&mut self, epoch: u64) -> Outcome<Committable> {
        let shares = self.seal(epoch)?;
        self.prepare(epoch, shares)?
            .ok_or_else(|| format!("prepare({epoch}) returned none although records were written"))
    }

    /// Phase two, with the permit of the manifest `published`.
    pub(super) fn commit_as_of(&mut self, committable: &Committable, published: u64) -> Outcome {
        let committable = through_manifest(committable)?;
        self.participant.commit(&committable, &CommitPermit::published(Epoch(published))).map_err(failed("commit"))
    }

    /// Phase two, with the permit of its own epoch.
    pub(super) fn commit(&mut self, committable: &Committable) -> Outcome {
        self.commit_as_of(committable, committable.epoch.0)
    }

    /// Drops what was prepared.
    pub(super) fn abort(&mut self, committable: &Committable) -> Outcome {
        self.participant.abort(&through_manifest(committable)?).map_err(failed("abort"))
    }
}

/// Says so if a reader does not see exactly these records.
pub(super) fn expect<U: SinkUnderTest>(
    place: &Place<U>,
    when: &str,
    expected: impl IntoIterator<Item = u64>,
) -> Outcome {
    let mut expected: Vec<u64> = expected.into_iter().collect();
    let mut visible = place.visible();
    expected.sort_unstable();
    visible.sort_unstable();
    if visible == expected {
        return Ok(());
    }
    Err(format!("{when}, records {visible:?} are visible, not {expected:?}"))
}

/// What another process would read from the manifest.
fn through_manifest(committable: &Committable) -> Outcome<Committable> {
    let text = serde_json::to_string(committable).map_err(|error| error.to_string())?;
    let read: Committable = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    if read == *committable { Ok(read) } else { Err(format!("a committable does not survive its manifest: {text}")) }
}

fn failed(call: &'static str) -> impl Fn(Error) -> String {
    move |error| format!("{call} failed: {error}")
}
