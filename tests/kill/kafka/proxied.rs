//! The job's connections go through a proxy that is as bad as a network can be.

use super::entries::Entries;
use super::ledger::{Again, Ledger, Setting};
use staunch_tests::kafka::proxy::{Direction, END_TXN, Fault, Proxy};
use staunch_tests::kafka::{Client, behind};
use staunch_tests::process::{End, Folder, Start};
use staunch_tests::texts::{Random, number};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::scope;
use std::time::{Duration, Instant};

/// Runs beside each other: most of the time they wait.
const LANES: usize = 5;
/// How often a run is killed before it may come to its end.
const LIVES: u64 = 3;
/// How many checkpoints it takes at most before that.
const LIFE_SLOTS: u64 = 12;
/// How often it may give up on its way to the end, and is started again.
const ENDS_MAX: u64 = 10;
const RESTARTS: u32 = 100;

const INIT_PRODUCER_ID: i16 = 22;
const ADD_PARTITIONS_TO_TXN: i16 = 24;

/// Most frames pass. The end of a transaction is where it hurts.
fn faults(direction: Direction, request: i16, random: &mut Random) -> Fault {
    // Longer than the next transaction takes to open.
    let late = Duration::from_millis(100 + random.below(2_500));
    let little = Duration::from_millis(random.below(200));
    match (direction, request, random.below(1_000)) {
        (Direction::ToBroker, END_TXN, 0..100) => Fault::Late(late),
        (Direction::ToBroker, END_TXN, 100..220) => Fault::Orphaned(late),
        (Direction::ToBroker, END_TXN, 220..260) => Fault::Cut,
        (Direction::ToClient, END_TXN, 0..60) => Fault::Dropped,
        (Direction::ToClient, END_TXN, 60..160) => Fault::Late(late),
        (Direction::ToClient, END_TXN, 160..220) => Fault::Cut,
        (Direction::ToClient, END_TXN, 220..260) => Fault::Twice,
        (Direction::ToClient, INIT_PRODUCER_ID | ADD_PARTITIONS_TO_TXN, 0..30) => Fault::Dropped,
        (Direction::ToClient, INIT_PRODUCER_ID | ADD_PARTITIONS_TO_TXN, 30..90) => Fault::Late(late),
        (Direction::ToBroker, _, 0..10) => Fault::Late(little),
        (Direction::ToBroker, _, 10..13) => Fault::Cut,
        (Direction::ToClient, _, 0..10) => Fault::Late(little),
        (Direction::ToClient, _, 10..13) => Fault::Dropped,
        (Direction::ToClient, _, 13..18) => Fault::Twice,
        (Direction::ToClient, _, 18..22) => Fault::Cut,
        _ => Fault::None,
    }
}

struct Lane<'a> {
    client: &'a Client,
    proxy: &'a Proxy,
    folder: &'a Path,
    again: &'a Again,
    gave_up: &'a AtomicU64,
}

impl Lane<'_> {
    /// One job through the proxy, from its first start to its end.
    fn run(&self, run: u64) {
        let seed = self.again.seed.wrapping_add(run);
        self.proxy.set_plan(seed, faults);
        let mut random = Random::new(seed);
        let feeding = Entries::new(self.client, seed).keep_writing(2_000);
        let setting = Setting {
            client: self.client,
            brokers: &self.proxy.address(),
            folder: self.folder,
            interval_ms: 50,
            transaction_timeout_ms: 120_000,
            again: self.again,
        };
        let ledger = setting.ledger(&format!("run-{run}"), &feeding.topic).set("socket_timeout_ms", "2000");
        for _ in 0..LIVES {
            let start = Start { restarts: RESTARTS, ..Start::with(1 + usize::try_from(random.below(2)).unwrap()) };
            let (slots, then) = (2 + random.below(LIFE_SLOTS), Duration::from_millis(random.below(500)));
            let mut job = ledger.start(&start);
            match ledger.live(&mut job, slots, then, &start).unwrap_or_else(|| job.kill()) {
                End::Killed => {}
                End::Failure => self.count_failure(&ledger, &start),
                end => ledger.fail(&format!("run {run}: behind the proxy the job ends so: {end:?}"), &start),
            }
        }
        let entries = feeding.stop();
        self.come_to_the_end(run, &ledger);
        ledger.assert_exact(&entries);
    }

    fn come_to_the_end(&self, run: u64, ledger: &Ledger) {
        let start = Start { restarts: RESTARTS, sets: &["bounded=true"], ..Start::with(2) };
        for _ in 0..ENDS_MAX {
            match ledger.run(&start) {
                End::Success => return,
                End::Failure => self.count_failure(ledger, &start),
                end => ledger.fail(&format!("run {run}: behind the proxy the job ends so: {end:?}"), &start),
            }
        }
        ledger.fail(&format!("run {run}: behind the proxy the job does not come to its end"), &start);
    }

    fn count_failure(&self, ledger: &Ledger, start: &Start<'_>) {
        ledger.assert_gave_up_for_kafka(start);
        self.gave_up.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn behind_a_bad_network_the_output_is_exact() {
    let proxies: Vec<Proxy> = (0..LANES).map(|_| Proxy::new()).collect();
    let Some(broker) = behind(&proxies) else { return };
    let again = Again::new("behind_a_bad_network_the_output_is_exact");
    let (runs, client, folder) = (number("STAUNCH_PROXY_RUNS").unwrap_or(10), broker.client(), Folder::new().unwrap());
    let (started, gave_up, next) = (Instant::now(), AtomicU64::new(0), AtomicU64::new(0));
    scope(|scope| {
        for proxy in &proxies {
            let lane = Lane { client: &client, proxy, folder: folder.path(), again: &again, gave_up: &gave_up };
            let next = &next;
            scope.spawn(move || {
                loop {
                    match next.fetch_add(1, Ordering::Relaxed) {
                        run if run < runs => lane.run(run),
                        _ => return,
                    }
                }
            });
        }
    });
    let mut all = std::collections::BTreeMap::new();
    let mut frames = 0;
    for (passed, faults) in proxies.iter().map(Proxy::counts) {
        frames += passed;
        faults.into_iter().for_each(|(fault, count)| *all.entry(fault).or_insert(0) += count);
    }
    println!("{runs} runs in {:?}: {frames} frames, {all:?}; {gave_up:?} times the job gave up", started.elapsed());
    let kinds = ["cut", "dropped", "late", "orphaned", "twice"];
    assert!(kinds.iter().all(|fault| all.contains_key(fault)), "not every fault happened: {all:?}");
}
