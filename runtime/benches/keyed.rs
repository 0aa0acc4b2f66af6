//! Workload W: records of 24 bytes, exchanged by key, count and sum per key, every updated aggregate
//! folded into a checksum, a checkpoint every second. Prints millions of records per second.
//!
//! ```sh
//! cargo bench -p staunch --bench keyed -- --keys 1000 --n 100000000 --workers 1 --interval 1000
//! ```
//!
//! Written without macros, against the traits that they implement.

#![allow(missing_docs)]
#![allow(clippy::disallowed_methods, reason = "a benchmark measures real time")]

use serde::{Deserialize, Serialize};
use staunch::__private::{
    Collectors, Context, Handler, Needs, Opener, Operator, OperatorWiring, Parts, Result, Schema, SinkFn, SourceFn,
    State, Timers,
};
use staunch::api::sink::{Sink, SinkContext, SinkWriter, WriterContext};
use staunch::api::source::{Polled, ReaderContext, Source, SourceReader, SplitPosition};
use staunch::memory::NothingToCommit;
use staunch::{BATCH_RECORDS, Batch, Epoch, Flow, JobBuilder, Pipeline, Timestamp};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;
const MIX_1: u64 = 0xBF58_476D_1CE4_E5B9;
const MIX_2: u64 = 0x94D0_49BB_1331_11EB;

/// The finaliser of splitmix64.
#[inline(always)]
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(MIX_1);
    z = (z ^ (z >> 27)).wrapping_mul(MIX_2);
    z ^ (z >> 31)
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Rec {
    key: u64,
    value: u64,
    ts: u64,
}

#[derive(Clone, Copy, Debug)]
struct Out {
    key: u64,
    count: u64,
    sum: u64,
}

/// What is run.
#[derive(Clone)]
struct Config {
    n: u64,
    keys: u64,
    checksum: Arc<AtomicU64>,
}

struct Generator(Config);

impl Source for Generator {
    type Record = Rec;
    type Reader = Generating;
    fn describe(&self) -> String {
        "workload W".into()
    }
    fn reader(&self, context: &ReaderContext<'_>) -> Result<Generating> {
        let (worker, workers) = (context.worker as u64, context.workers as u64);
        Ok(Generating { next: 0, end: self.0.n / workers, worker, workers, keys: self.0.keys })
    }
}

struct Generating {
    next: u64,
    end: u64,
    worker: u64,
    workers: u64,
    keys: u64,
}

impl SourceReader for Generating {
    type Record = Rec;
    #[inline]
    fn poll(&mut self, batch: &mut Batch<Rec>) -> Result<Polled> {
        if self.next == self.end {
            return Ok(Polled::End);
        }
        let until = (self.next + BATCH_RECORDS as u64).min(self.end);
        for at in self.next..until {
            let i = at * self.workers + self.worker;
            let r = mix(i.wrapping_mul(GAMMA));
            let key = 2 * (((r >> 32) * (self.keys / 2)) >> 32) + (i & 1);
            batch.push(Rec { key, value: r & 0xFFFF, ts: i }, Timestamp::MIN);
        }
        self.next = until;
        Ok(Polled::Records { split: 0 })
    }
    fn positions(&self) -> Vec<SplitPosition> {
        let split = format!("{}", self.worker);
        vec![SplitPosition { split, position: self.next.into(), finished: self.next == self.end }]
    }
}

struct Records;

impl SourceFn for Records {
    const ID: &'static str = "records";
    type Source = Generator;
    fn describe(parts: &Parts) -> Result<Generator> {
        Ok(Generator(parts.config::<Config>()?.as_ref().clone()))
    }
}

/// Count and sum of one key.
#[derive(Clone, Copy, Default)]
struct Aggregate {
    count: u64,
    sum: u64,
}

impl State for Aggregate {
    fn schema() -> Schema {
        let field = |name: &str| (name.to_owned(), u64::schema());
        Schema::Struct("Aggregate".into(), vec![field("count"), field("sum")])
    }
    fn encode(&self, out: &mut Vec<u8>) {
        self.count.encode(out);
        self.sum.encode(out);
    }
    fn decode(bytes: &mut &[u8]) -> Result<Self> {
        Ok(Self { count: u64::decode(bytes)?, sum: u64::decode(bytes)? })
    }
}

impl Operator for Aggregate {
    const ID: &'static str = "aggregate";
    const INPUTS: &'static [&'static str] = &["record"];
    const OUTPUTS: &'static [&'static str] = &["aggregates"];
    type Outputs = (Out,);
    type Env = ();
    fn needs(_needs: &mut Needs) {}
    fn open(_opener: &mut Opener<'_>) -> Result<()> {
        Ok(())
    }
}

impl Handler<0, u64> for Aggregate {
    type Record = Rec;
    #[inline(always)]
    fn handle(&mut self, record: Rec, key: &u64, _: &mut (), _: &mut Context<'_>, out: &mut Collectors<Self>) {
        self.count += 1;
        self.sum += record.value;
        out.0.emit(Out { key: *key, count: self.count, sum: self.sum });
    }
}

impl Timers<u64> for Aggregate {}

struct Fold(Arc<AtomicU64>);

impl Sink for Fold {
    type Record = Out;
    type Participant = NothingToCommit;
    type Writer = Folding;
    fn describe(&self) -> String {
        "checksum".into()
    }
    fn open(&self, _context: &SinkContext<'_>) -> Result<NothingToCommit> {
        Ok(NothingToCommit)
    }
    fn writer(&self, _participant: &mut NothingToCommit, _context: &WriterContext<'_>) -> Result<Folding> {
        Ok(Folding(self.0.clone()))
    }
}

struct Folding(Arc<AtomicU64>);

impl SinkWriter for Folding {
    type Record = Out;
    #[inline]
    fn write(&mut self, batch: &mut Batch<Out>) -> Result<()> {
        let fold = |acc: u64, out: &Out| {
            acc.wrapping_add((out.key.wrapping_mul(GAMMA) ^ out.sum).wrapping_add(out.count.wrapping_mul(MIX_1)))
        };
        self.0.fetch_add(batch.records().iter().fold(0, fold), Ordering::Relaxed);
        batch.clear();
        Ok(())
    }
    fn seal(&mut self, _epoch: Epoch) -> Result<Vec<u8>> {
        Ok(Vec::new())
    }
}

struct Checksum;

impl SinkFn for Checksum {
    const ID: &'static str = "checksum";
    type Sink = Fold;
    fn describe(parts: &Parts) -> Result<Fold> {
        Ok(Fold(parts.config::<Config>()?.checksum.clone()))
    }
}

struct Keyed;

impl Pipeline for Keyed {
    const NAME: &'static str = "keyed";
    type Config = Config;
    fn build(flow: &Flow<Config>) {
        let records = flow.source::<Records>(Records::ID).key_by(|record| &record.key);
        let aggregates = OperatorWiring::<Aggregate, u64>::new(Aggregate::ID).keyed::<0, _>(records).finish();
        Checksum::wire(Checksum::ID, aggregates);
    }
}

fn option(name: &str, default: u64) -> u64 {
    let all: Vec<String> = std::env::args().collect();
    let at = all.iter().position(|it| it.strip_prefix("--") == Some(name));
    at.and_then(|at| all.get(at + 1)).and_then(|text| text.replace('_', "").parse().ok()).unwrap_or(default)
}

fn main() -> Result<()> {
    let config = Config { n: option("n", 40_000_000) & !1, keys: option("keys", 1_000) & !1, checksum: Arc::default() };
    let (workers, interval_ms) = (option("workers", 1), option("interval", 1_000));
    let dir = tempfile::tempdir().expect("a folder for checkpoints");
    let start = Instant::now();
    let summary = JobBuilder::<Keyed>::new(config.clone())
        .workers(workers as usize)
        .checkpoint_dir(dir.path())
        .checkpoint_interval(Duration::from_millis(interval_ms))
        .run()?;
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "staunch keys={} n={} workers={workers} interval={interval_ms}ms checkpoints={} seconds={seconds:.3} rate={:.2} checksum={:016x}",
        config.keys,
        config.n,
        summary.checkpoints,
        config.n as f64 / seconds / 1e6,
        config.checksum.load(Ordering::Relaxed)
    );
    Ok(())
}
