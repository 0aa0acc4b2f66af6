//! Words are counted from Kafka to Kafka, each from several partitions, and the job is killed on its way.

use crate::words::{PROGRAM, Text, step};
use staunch_tests::kafka::{Client, Record, shared};
use staunch_tests::process::{End, Folder, Job, tail};
use staunch_tests::texts::{Random, number};
use std::collections::HashMap;
use std::fs;
use std::ops::Range;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

const INPUTS: i32 = 3;
const OUTPUTS: i32 = 3;
/// What a test writes to the output when the job has ended.
const MARK: &str = "the end";

/// From a kill before anything is read to one after a few checkpoints.
const LIFE_MS: Range<u64> = 100..1_700;

/// A topic with the lines of a text.
struct Input<'a> {
    client: &'a Client,
    text: &'a Text,
    topic: String,
}

impl<'a> Input<'a> {
    fn write(client: &'a Client, text: &'a Text) -> Self {
        let topic = client.topic("lines", INPUTS);
        let lines = fs::read_to_string(&text.path).unwrap();
        let lines: Vec<&str> = lines.lines().collect();
        for (number, chunk) in lines.chunks(10_000).enumerate() {
            let partition = i32::try_from(number).unwrap() % INPUTS;
            client.produce(&topic, partition, chunk);
        }
        Self { client, text, topic }
    }

    fn job(&self, folder: &Path, name: &str, interval_ms: u64) -> Counting<'_> {
        let output = self.client.topic(name, OUTPUTS);
        let job = Job::new(PROGRAM, folder.join(name), interval_ms)
            .unwrap()
            .set("brokers", self.client.brokers())
            .set("input_topic", &self.topic)
            .set("output_topic", &output)
            .set("bounded", "true");
        Counting { input: self, job, output }
    }
}

/// A job that counts them, and where it writes to.
struct Counting<'a> {
    input: &'a Input<'a>,
    job: Job,
    output: String,
}

impl Counting<'_> {
    /// Goes on with it to its end; then the output has to be, word by word and each word in one
    /// partition, 1, 2, … up to how often it is in the text.
    #[track_caller]
    fn finish(&self, workers: usize) {
        self.job.finish(workers);
        let log = self.job.log();
        assert!(tail(&log).contains("has ended: all input is processed"), "the job's log:\n{}", tail(&log));
        let mut counts = HashMap::new();
        for records in self.everything() {
            let mut here = HashMap::new();
            for (number, record) in records.iter().enumerate() {
                let word = step(&mut here, number, record.text());
                assert_eq!(record.key.as_deref(), Some(word.as_bytes()));
            }
            for (word, count) in here {
                let elsewhere = counts.insert(word.clone(), count);
                assert_eq!(elsewhere, None, "`{word}` is in two partitions");
            }
        }
        self.input.text.assert_counted(&counts);
    }

    /// The output, by partition. It is all there is: of a transaction that the job had left open, or a
    /// commit that still went on, a mark behind it could not be read.
    #[track_caller]
    fn everything(&self) -> Vec<Vec<Record>> {
        let client = self.input.client;
        let mark = client.transaction();
        (0..OUTPUTS).for_each(|partition| mark.produce(&self.output, partition, [MARK]));
        mark.commit();
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let mut partitions = client.read_committed(&self.output);
            let ends = partitions.iter_mut().map(|records| records.pop_if(|last| last.text() == MARK));
            if ends.filter(Option::is_some).count() == partitions.len() {
                return partitions;
            }
            assert!(Instant::now() < deadline, "the job has left a transaction open");
            sleep(Duration::from_millis(100));
        }
    }
}

#[test]
fn a_job_that_is_killed_again_and_again_writes_what_an_undisturbed_one_writes() {
    let Some(client) = shared() else { return };
    let mut random = Random::seeded("kills with Kafka at random");
    let bytes = number("STAUNCH_KILL_KAFKA_MB").unwrap_or(8) * 1_000_000;
    let kills = number("STAUNCH_KILLS").unwrap_or(10);
    let interval_ms = number("STAUNCH_KILL_INTERVAL_MS").unwrap_or(100);
    let folder = Folder::new().unwrap();
    let text = Text::write(folder.path(), bytes);
    let input = Input::write(&client, &text);
    let mut done = 0;
    // Should a job come to its end before all kills are done, then the rest is for another one.
    for round in 0.. {
        let (start, before) = (Instant::now(), done);
        let killed = input.job(folder.path(), &format!("killed-{round}"), interval_ms);
        while done < kills {
            let after = Duration::from_millis(LIFE_MS.start + random.below(LIFE_MS.end - LIFE_MS.start));
            let workers = 1 + usize::try_from(random.below(3)).unwrap();
            match killed.job.start(workers, None).unwrap().kill_after(after) {
                End::Killed => done += 1,
                End::Success => break,
                End::Failure | End::Broken => panic!("the job fails:\n{}", tail(&killed.job.log())),
            }
        }
        let lived = start.elapsed();
        killed.finish(2);
        println!("round {round}: {} kills in {lived:?}, {:?} with the rest", done - before, start.elapsed());
        if done >= kills {
            break;
        }
        assert!(done > before, "the job ended before it could be killed; raise STAUNCH_KILL_KAFKA_MB");
    }
}
