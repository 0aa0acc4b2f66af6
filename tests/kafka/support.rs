//! Drives readers and sinks through their traits, as the runtime would.

use staunch::api::batch::Batch;
use staunch::api::sink::{Committable, Share, Sink, SinkContext, SinkWriter, TwoPhaseCommit, WriterContext};
use staunch::api::source::{Polled, ReaderContext, Source, SourceReader, SplitPosition, Waker, Wants};
use staunch::connectors::format::{Format, Text};
use staunch::connectors::kafka::{
    KafkaCommittable, KafkaParticipant, KafkaReader, KafkaSink, KafkaSource, KafkaWriter,
};
use staunch::testing::permit::{permit, recover, recover_by};
use staunch::{Cancellation, Epoch, Result, Timestamp};
use staunch_tests::kafka::Client;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub const WITHIN: Duration = Duration::from_secs(60);
/// What sinks are told of the time that an epoch takes; transactions of a second are long enough then.
pub const EPOCH_WITHIN: Duration = Duration::from_millis(500);

/// The shared cluster, or an early return from the test.
macro_rules! kafka {
    () => {
        match staunch_tests::kafka::shared() {
            Some(client) => client,
            None => return,
        }
    };
}
pub(crate) use kafka;

/// Polls until `done`, panicking after a minute.
pub fn eventually<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    eventually_within(WITHIN, what, look)
}

/// The same, with a time of its own.
pub fn eventually_within<T>(within: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(started.elapsed() < within, "{what}: not within {within:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The numbers as records.
pub fn numbers(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|number| format!("{number:06}")).collect()
}

pub struct Reading<F: Format> {
    pub reader: KafkaReader<F>,
    woken: Receiver<()>,
    /// Splits by number, records, times.
    pub batches: Vec<(usize, Batch<F::Record>)>,
}

/// A reader of worker 0 of 1.
pub fn read<F: Format>(source: &KafkaSource<F>, restored: Option<&[SplitPosition]>) -> Result<Reading<F>> {
    read_as(source, restored, Wants::default(), 0, 1)
}

pub fn read_as<F: Format>(
    source: &KafkaSource<F>,
    restored: Option<&[SplitPosition]>,
    wants: Wants,
    worker: usize,
    workers: usize,
) -> Result<Reading<F>> {
    let (wake, woken) = channel();
    // A reader that is dropped wakes nobody any more.
    let waker = Waker::new(move || _ = wake.send(()));
    let context = ReaderContext { id: "input", job: "tests", worker, workers, restored, wants, waker };
    Ok(Reading { reader: source.reader(&context)?, woken, batches: Vec::new() })
}

impl<F: Format> Reading<F> {
    /// One poll; sleeps as a worker would when there is nothing.
    pub fn poll(&mut self) -> Result<Polled> {
        let mut batch = Batch::default();
        let polled = self.reader.poll(&mut batch)?;
        match polled {
            Polled::Records { split } => self.batches.push((split, batch)),
            Polled::Pending { retry_after } => _ = self.woken.recv_timeout(retry_after),
            Polled::End => {}
        }
        Ok(polled)
    }

    pub fn count(&self) -> usize {
        self.batches.iter().map(|(_, batch)| batch.len()).sum()
    }

    pub fn until_count(&mut self, count: usize) -> Result<()> {
        let started = Instant::now();
        while self.count() < count {
            assert!(started.elapsed() < WITHIN, "{} of {count} records", self.count());
            self.poll()?;
        }
        Ok(())
    }

    pub fn until_end(&mut self) -> Result<()> {
        let started = Instant::now();
        while self.poll()? != Polled::End {
            assert!(started.elapsed() < WITHIN, "no end after {} records", self.count());
        }
        Ok(())
    }
}

impl Reading<Text> {
    /// All records in the order of reading.
    pub fn values(&self) -> Vec<String> {
        self.batches.iter().flat_map(|(_, batch)| batch.records().iter().cloned()).collect()
    }
}

/// One attempt of a job that has Kafka sinks, all of one participant, with one worker each.
pub struct Job<F: Format = Text> {
    pub participant: KafkaParticipant,
    pub writers: Vec<KafkaWriter<F>>,
    pub epoch: Epoch,
}

pub fn sink(client: &Client, topic: &str) -> KafkaSink<Text> {
    KafkaSink::topic(client.brokers(), topic).key(|value: &String| value.as_bytes())
}

fn open<F: Format>(sink: &KafkaSink<F>, lineage: &str, epoch: Epoch, workers: usize) -> Result<KafkaParticipant> {
    let name = sink.participant("sink-0");
    let context = SinkContext {
        participant: &name,
        job: "tests",
        lineage,
        attempt: next_slot(),
        epoch,
        workers,
        epoch_interval: EPOCH_WITHIN,
        epoch_within: EPOCH_WITHIN,
        cancellation: Cancellation::default(),
    };
    sink.open(&context)
}

/// A slot as a store would give it to an attempt: higher than those before, of other processes, too.
fn next_slot() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_micros() as u64;
    let next = |last: u64| Some(now.max(last + 1));
    LAST.fetch_update(Ordering::SeqCst, Ordering::SeqCst, next).map(|last| now.max(last + 1)).expect("always one")
}

/// What the manifest of `epoch` lists after a new attempt has recovered from it, and done no more.
pub fn recovered(
    sink: &KafkaSink<Text>,
    lineage: &str,
    published: &[Committable],
    epoch: Epoch,
) -> Result<Vec<Committable>> {
    recovered_by(sink, lineage, published, epoch, false, |_| Ok(()))
}

/// The same; `publish` makes the manifest durable in its new form, or says why it does not.
pub fn recovered_by(
    sink: &KafkaSink<Text>,
    lineage: &str,
    published: &[Committable],
    epoch: Epoch,
    accept_data_loss: bool,
    publish: impl FnMut(&[Committable]) -> Result<()>,
) -> Result<Vec<Committable>> {
    let mut participant = open(sink, lineage, epoch.next(), 1)?;
    recover_by(&mut participant, epoch, published, accept_data_loss, publish)
}

impl<F: Format> Job<F> {
    /// The first attempt of a new job.
    pub fn start(sinks: &[KafkaSink<F>], lineage: &str) -> Self {
        Self::restart(sinks, lineage, &[], Epoch(0)).unwrap()
    }

    /// A later attempt, from the manifest of `epoch`.
    pub fn restart(sinks: &[KafkaSink<F>], lineage: &str, published: &[Committable], epoch: Epoch) -> Result<Self> {
        Self::workers(sinks, lineage, published, epoch, 1)
    }

    pub fn workers(
        sinks: &[KafkaSink<F>],
        lineage: &str,
        published: &[Committable],
        epoch: Epoch,
        workers: usize,
    ) -> Result<Self> {
        let name = sinks[0].participant("sink-0");
        assert!(sinks.iter().all(|sink| sink.participant("other") == name));
        let next = epoch.next();
        let mut participant = open(&sinks[0], lineage, next, workers)?;
        recover(&mut participant, epoch, published)?;
        let mut writers = Vec::new();
        for (number, sink) in sinks.iter().enumerate() {
            for worker in 0..workers {
                let id = format!("sink-{number}");
                let waker = Waker::new(|| {});
                writers.push(
                    sink.writer(&mut participant, &WriterContext { id: &id, worker, workers, epoch: next, waker })?,
                );
            }
        }
        Ok(Self { participant, writers, epoch: next })
    }

    pub fn write(&mut self, writer: usize, values: Vec<F::Record>) {
        self.write_at(writer, values, Timestamp::MIN);
    }

    pub fn write_at(&mut self, writer: usize, values: Vec<F::Record>, time: Timestamp) {
        let mut batch = Batch::default();
        values.into_iter().for_each(|value| batch.push(value, time));
        eventually("ready", || self.writers[writer].ready().unwrap().then_some(()));
        self.writers[writer].write(&mut batch).unwrap();
        assert!(batch.is_empty());
    }

    pub fn try_prepare(&mut self) -> Result<Option<Committable>> {
        let epoch = self.epoch;
        self.epoch = epoch.next();
        let mut shares = Vec::new();
        for (worker, writer) in self.writers.iter_mut().enumerate() {
            shares.push(Share { sink: "sink".into(), worker, bytes: writer.seal(epoch)? });
        }
        let bytes = self.participant.prepare(epoch, shares)?;
        Ok(bytes.map(|bytes| Committable { participant: "kafka".into(), epoch, bytes }))
    }

    /// Seals and prepares an epoch that has records.
    pub fn prepare(&mut self) -> Committable {
        self.try_prepare().unwrap().expect("the epoch has records")
    }

    pub fn commit(&mut self, committable: &Committable) {
        self.participant.commit(committable, &permit(committable.epoch)).unwrap();
    }
}

/// What a committable says.
pub fn parsed(committable: &Committable) -> KafkaCommittable {
    KafkaCommittable::from_bytes(&committable.bytes).unwrap()
}
