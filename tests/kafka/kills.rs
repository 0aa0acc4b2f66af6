//! A process that checkpoints in a loop is killed with SIGKILL at random moments, again and again. The
//! committed output must be that of a process that was never killed.
//!
//! The parent is the checkpoint store: a manifest is durable once its line is in the pipe.

use crate::support::{Job, eventually, kafka, numbers, sink};
use staunch::Epoch;
use staunch::api::sink::Committable;
use staunch_tests::kafka::Client;
use staunch_tests::texts::Random;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

const CHILD: &str = "STAUNCH_TESTS_KAFKA_KILLS";
const KILLS: u32 = 12;
/// Numbers in each epoch.
const EACH: u32 = 50;

/// What a checkpoint holds: the epoch, the next number to write, and what to commit.
type Manifest = (u64, u32, Option<Committable>);

/// Not a test of its own: what the child process runs, when the variable says so.
#[test]
fn child() {
    let Ok(task) = std::env::var(CHILD) else { return };
    let (brokers, topic, lineage, manifest): (String, String, String, Manifest) = serde_json::from_str(&task).unwrap();
    let (epoch, mut next, published) = manifest;
    let sinks = [sink(&Client::new(&brokers), &topic)];
    let mut job = Job::restart(&sinks, &lineage, published.as_slice(), Epoch(epoch)).unwrap();
    job.write(0, numbers(next..next + EACH));
    loop {
        next += EACH;
        let prepared = job.prepare();
        // The next epoch goes on before this one is durable, and before it is committed.
        job.write(0, numbers(next..next + EACH));
        let line = serde_json::to_string(&(prepared.epoch, next, &prepared)).unwrap();
        let mut out = std::io::stdout().lock();
        out.write_all(format!("\nMANIFEST {line}\n").as_bytes()).unwrap();
        out.flush().unwrap();
        job.commit(&prepared);
    }
}

/// Runs the process for some time and kills it; the newest manifest that it wrote.
fn run(client: &Client, topic: &str, lineage: &str, manifest: Manifest, time: Duration) -> Manifest {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kills::child", "--nocapture"])
        .env(CHILD, serde_json::to_string(&(client.brokers(), topic, lineage, &manifest)).unwrap())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let newest = std::thread::spawn(move || {
        // The last line may be cut off: a manifest that never was.
        let manifests = lines.map_while(Result::ok).filter_map(|line| {
            let manifest = line.strip_prefix("MANIFEST ")?;
            serde_json::from_str::<Manifest>(manifest).ok()
        });
        manifests.last()
    });
    std::thread::sleep(time);
    let ended = child.try_wait().unwrap();
    child.kill().unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(ended.is_none(), "the process ended by itself:\n{}", String::from_utf8_lossy(&output.stderr));
    newest.join().unwrap().unwrap_or(manifest)
}

#[test]
fn the_output_of_a_process_that_is_killed_again_and_again_is_complete_and_without_duplicates() {
    let client = kafka!();
    let (topic, lineage) = (client.topic("kills", 2), client.name("lineage"));
    let mut random = Random::seeded("kills");
    let mut manifest: Manifest = (0, 0, None);
    let (mut progress, mut life_ms_max) = (0, 1_500);
    for _ in 0..KILLS {
        let before = manifest.1;
        manifest = run(&client, &topic, &lineage, manifest, Duration::from_millis(100 + random.below(life_ms_max)));
        if manifest.1 > before {
            progress += 1;
        } else {
            // On a busy machine a process needs longer before it writes anything.
            life_ms_max += 1_000;
        }
    }
    assert!(progress > 1, "no process lived long enough to write two checkpoints");
    let (epoch, next, published) = manifest;
    println!("{KILLS} kills, {epoch} epochs, {next} numbers");
    // One more recovery commits what the last one had published.
    Job::restart(&[sink(&client, &topic)], &lineage, published.as_slice(), Epoch(epoch)).unwrap();
    eventually("complete", || (client.committed_values(&topic).len() >= next as usize).then_some(()));
    assert_eq!(client.committed_values(&topic), numbers(0..next));
    for partition in client.read_committed(&topic) {
        assert!(partition.is_sorted_by_key(|record| record.text().to_owned()), "in order");
    }
}
