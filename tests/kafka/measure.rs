//! How much processor time a record costs. Not run by default; meant for optimised builds:
//! `cargo test --release -p staunch-tests --test kafka measure -- --ignored --nocapture`.

use crate::support::{Job, kafka, read};
use staunch::Timestamp;
use staunch::api::sink::SinkWriter;
use staunch::api::source::{Polled, SourceReader};
use staunch::connectors::format::Raw;
use staunch::connectors::kafka::{KafkaSink, KafkaSource};
use std::time::{Duration, Instant};

const RECORDS: u32 = 1_000_000;

/// The processor time of this process so far.
fn cpu() -> Duration {
    // SAFETY: all-zero is a legal value of this plain structure, and the call only writes to it.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &raw mut usage);
        usage
    };
    let time = |time: libc::timeval| Duration::from_micros(time.tv_sec as u64 * 1_000_000 + time.tv_usec as u64);
    time(usage.ru_utime) + time(usage.ru_stime)
}

fn report(what: &str, started: Instant, cpu_before: Duration) {
    let (took, cpu) = (started.elapsed(), cpu() - cpu_before);
    let rate = f64::from(RECORDS) / took.as_secs_f64();
    println!("{what}: {rate:.0} records/s, {} ns of processor time each", cpu.as_nanos() / u128::from(RECORDS));
}

#[test]
#[ignore = "a measurement"]
fn records_of_100_bytes() {
    let client = kafka!();
    let topic = client.topic("measure", 1);
    let keyed = KafkaSink::topic(client.brokers(), &topic).key(|value: &String| &value.as_bytes()[90..]);
    let mut job = Job::start(&[keyed], &client.name("lineage"));
    let record = |number| (format!("{number:0100}"), Timestamp::from_millis(1));
    let records: Vec<_> = (0..RECORDS).map(record).collect();
    let (started, before) = (Instant::now(), cpu());
    let mut batch = staunch::Batch::default();
    for chunk in records.chunks(1_000) {
        chunk.iter().for_each(|(record, time)| batch.push(record.clone(), *time));
        while !job.writers[0].ready().unwrap() {
            std::thread::sleep(Duration::from_micros(200));
        }
        job.writers[0].write(&mut batch).unwrap();
    }
    let barrier = Instant::now();
    let committable = job.prepare();
    println!("barrier to prepared: {} ms", barrier.elapsed().as_millis());
    job.commit(&committable);
    report("written", started, before);

    let mut reading = read(&KafkaSource::<Raw>::topic(client.brokers(), &topic).bounded(), None).unwrap();
    let (started, before) = (Instant::now(), cpu());
    let (mut records, mut count, mut polls) = (staunch::Batch::default(), 0, 0);
    loop {
        match reading.reader.poll(&mut records).unwrap() {
            Polled::Records { .. } => {
                (count, polls) = (count + records.len(), polls + 1);
                records.clear();
            }
            Polled::Pending { .. } => std::thread::sleep(Duration::from_micros(200)),
            Polled::End => break,
        }
    }
    report("read", started, before);
    assert_eq!(count, RECORDS as usize);
    println!("{} records a batch", count / polls);
}
