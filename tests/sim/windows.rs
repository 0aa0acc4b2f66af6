//! Windows: event time, watermarks of several splits, timers that close what they counted.

use serde::{Deserialize, Serialize};
use staunch::memory::{MemorySink, MemorySource};
use staunch::testing::Inputs;
use staunch::{Context, EventTime, Flow, Output, State, Timestamp, operator, pipeline, sink, source};
use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    pub meter: u32,
    pub at_ms: i64,
}

#[source]
pub fn readings() -> MemorySource<Reading> {
    let time = EventTime::from_record(|reading: &Reading| Timestamp::from_millis(reading.at_ms));
    MemorySource::new(Vec::new()).event_time(time.max_lateness(Duration::from_millis(5)))
}

#[derive(Clone, Default, State)]
pub struct Windows {
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
pub fn closed() -> MemorySink<(u32, i64, u64)> {
    MemorySink::new()
}

#[pipeline(no_main)]
pub fn meters(flow: &Flow<()>) {
    closed::write(Windows::on(readings::open(flow).key_by(|reading| &reading.meter)));
}

#[test]
fn windows_close_exactly_once() {
    let split = |from: i64| (0..12).map(move |n| Reading { meter: (n % 4) as u32, at_ms: from + n * 4 });
    let inputs = Inputs::new(()).source::<readings>(split(0)).source::<readings>(split(2));
    crate::run("windows", meters::crash_test(inputs).key::<closed, _>(|window| window.0));
}
