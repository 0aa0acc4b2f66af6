//! Pipelines to be crashed.

use crate::api::sink::{Delivery, Sink, SinkContext, WriterContext};
use crate::connectors::memory::{MemorySink, MemorySource};
use crate::error::Result;
use crate::testing::{CrashTest, Inputs};
use crate::{Context, EventTime, Flow, Output, State, Timestamp, operator, pipeline, sink, source};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Total {
    pub word: String,
    pub count: u64,
}

#[source]
pub(super) fn lines() -> MemorySource<String> {
    MemorySource::new(Vec::new())
}

#[operator]
pub(super) fn split(line: &String, #[output] words: &mut Output<String>) {
    for word in line.split_whitespace() {
        words.emit(word.to_owned());
    }
}

#[operator]
pub(super) fn count(#[key] word: &str, _occurrence: String, #[state] seen: &mut u64) -> Total {
    *seen += 1;
    Total { word: word.to_owned(), count: *seen }
}

#[sink]
pub(super) fn totals() -> MemorySink<Total> {
    MemorySink::new()
}

#[pipeline(no_main)]
pub(super) fn word_count(flow: &Flow<()>) {
    let words = split::on(lines::open(flow));
    totals::write(count::on(words.key_by(|word| word.as_str())));
}

pub(super) fn words() -> Inputs<()> {
    let text = ["to be or not to be", "that is the question", "whether tis nobler in the mind to suffer", "the slings"];
    Inputs::new(()).source::<lines>(text).source::<lines>(["and arrows of outrageous fortune", "or to take arms"])
}

pub(super) fn word_count_test() -> CrashTest<word_count> {
    word_count::crash_test(words()).key::<totals, _>(|total| total.word.clone())
}

/// A sink that says of itself how it delivers: in a simulation, it does.
pub(super) struct Delivers<T>(Delivery, MemorySink<T>);

impl<T: Send + 'static> Sink for Delivers<T> {
    type Record = T;
    type Participant = <MemorySink<T> as Sink>::Participant;
    type Writer = <MemorySink<T> as Sink>::Writer;

    fn describe(&self) -> String {
        self.1.describe()
    }

    fn participant(&self, _id: &str) -> String {
        format!("{:?}", self.0)
    }

    fn delivery(&self) -> Delivery {
        self.0
    }

    fn open(&self, context: &SinkContext<'_>) -> Result<Self::Participant> {
        self.1.open(context)
    }

    fn writer(&self, participant: &mut Self::Participant, context: &WriterContext<'_>) -> Result<Self::Writer> {
        self.1.writer(participant, context)
    }
}

#[sink]
pub(super) fn totals_in_kafka() -> Delivers<Total> {
    Delivers(Delivery::KafkaTransactions, MemorySink::new())
}

#[sink]
pub(super) fn words_in_kafka() -> Delivers<String> {
    Delivers(Delivery::KafkaTransactions, MemorySink::new())
}

/// Two sinks that share a transaction.
#[pipeline(no_main)]
pub(super) fn kafka_word_count(flow: &Flow<()>) {
    let words = split::on(lines::open(flow));
    words_in_kafka::write(words.clone());
    totals_in_kafka::write(count::on(words.key_by(|word| word.as_str())));
}

pub(super) fn kafka_test() -> CrashTest<kafka_word_count> {
    // Short lines: more checkpoints, and so more transactions, for as many words.
    let words = |text: &'static str| text.split(' ');
    let inputs = Inputs::new(())
        .source::<lines>(words("to be or not to be that is the question to be to be or not or not"))
        .source::<lines>(words("the slings and arrows of outrageous fortune or to take arms"));
    kafka_word_count::crash_test(inputs).key::<totals_in_kafka, _>(|total| total.word.clone())
}

#[sink]
pub(super) fn totals_at_least_once() -> Delivers<Total> {
    Delivers(Delivery::AtLeastOnce, MemorySink::new())
}

#[pipeline(no_main)]
pub(super) fn word_count_at_least_once(flow: &Flow<()>) {
    totals_at_least_once::write(count::on(split::on(lines::open(flow)).key_by(|word| word.as_str())));
}

pub(super) fn at_least_once_test() -> CrashTest<word_count_at_least_once> {
    word_count_at_least_once::crash_test(words())
}

/// A reading of a meter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Reading {
    pub meter: u32,
    pub at_ms: i64,
}

#[source]
pub(super) fn readings() -> MemorySource<Reading> {
    let time = EventTime::from_record(|reading: &Reading| Timestamp::from_millis(reading.at_ms));
    MemorySource::new(Vec::new()).event_time(time.max_lateness(Duration::from_millis(5)))
}

#[derive(Clone, Default, State)]
pub(super) struct Windows {
    counts: BTreeMap<i64, u64>,
}

#[operator]
impl Windows {
    #[input]
    fn reading(&mut self, reading: &Reading, #[context] cx: &mut Context<'_>) {
        let end = (reading.at_ms / 10 + 1) * 10;
        *self.counts.entry(end).or_default() += 1;
        cx.set_timer(Timestamp::from_millis(end));
    }

    #[timer]
    fn close(&mut self, at: Timestamp, #[key] meter: &u32, #[output] windows: &mut Output<(u32, i64, u64)>) {
        let count = self.counts.remove(&at.as_millis()).unwrap_or(0);
        windows.emit((*meter, at.as_millis(), count));
    }
}

#[sink]
pub(super) fn closed() -> MemorySink<(u32, i64, u64)> {
    MemorySink::new()
}

#[pipeline(no_main)]
pub(super) fn meters(flow: &Flow<()>) {
    closed::write(Windows::on(readings::open(flow).key_by(|reading| &reading.meter)));
}

pub(super) fn meters_test() -> CrashTest<meters> {
    let split = |from: i64| (0..12).map(move |n| Reading { meter: (n % 4) as u32, at_ms: from + n * 4 });
    let inputs = Inputs::new(()).source::<readings>(split(0)).source::<readings>(split(2));
    meters::crash_test(inputs).key::<closed, _>(|window| window.0)
}
