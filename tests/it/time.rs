//! Event time and timers, over restarts.

use crate::tally::{settings, start};
use staunch::api::source::EventTime;
use staunch::{Context, Flow, Outcome, State, Timestamp, operator, pipeline, sink, source};
use staunch_tests::faults::{Act, Faults, Step};
use staunch_tests::guard::job_test;
use staunch_tests::sink::Probe;
use staunch_tests::tap::Tap;
use std::time::Duration;

/// Key and event time, in milliseconds.
type Seen = (u32, i64);

/// What an operator tells: key, what, time.
type Told = (u32, &'static str, i64);

pub struct Config {
    input: Tap<Seen>,
    output: Probe<Told>,
}

#[source]
fn seen(config: &Config) -> Tap<Seen> {
    config.input.clone()
}

/// Sets a timer 100 ms of event time after each record, and tells when it fires; and how the watermark
/// goes.
#[derive(State, Clone, Default)]
pub struct Alarm {
    records: u64,
    /// The greatest watermark that this key has seen, if any.
    watermark: Option<i64>,
}

impl Alarm {
    /// A watermark never falls, not even over a restart.
    fn rises(&mut self, context: &Context<'_>) {
        let now = context.watermark().as_millis();
        assert!(
            self.watermark.is_none_or(|before| before <= now),
            "the watermark falls from {:?} to {now}",
            self.watermark
        );
        self.watermark = Some(now);
    }
}

#[operator]
impl Alarm {
    #[input]
    fn seen(&mut self, seen: &Seen, #[context] context: &mut Context<'_>) -> Told {
        self.rises(context);
        self.records += 1;
        context.set_timer(Timestamp::from_millis(seen.1 + 100));
        (seen.0, "seen", seen.1)
    }

    #[timer]
    fn ring(&mut self, at: Timestamp, #[key] key: &u32, #[context] context: &mut Context<'_>) -> Told {
        self.rises(context);
        (*key, "rang", at.as_millis())
    }
}

#[sink]
fn told(config: &Config) -> Probe<Told> {
    config.output.clone()
}

#[pipeline(no_main)]
fn alarms(flow: &Flow<Config>) {
    told::write(Alarm::on(seen::open(flow).key_by(|seen| &seen.0)));
}

fn tap(splits: Vec<Vec<Seen>>, idle: Option<Duration>, faults: Faults) -> Tap<Seen> {
    let time = EventTime::from_record(|seen: &Seen| Timestamp::from_millis(seen.1));
    let time = idle.map_or(time.clone(), |idle| time.idle_after(idle));
    Tap::new(splits).event_time(time).faults(faults)
}

fn rang(output: &Probe<Told>) -> Vec<(u32, i64)> {
    let mut rang: Vec<_> = output.committed().into_iter().filter(|it| it.1 == "rang").map(|it| (it.0, it.2)).collect();
    rang.sort_unstable();
    rang
}

#[test]
fn a_timer_set_before_a_suspend_fires_once_after_it_on_any_number_of_workers() {
    job_test(|| {
        let dir = tempfile::tempdir().unwrap();
        // The first record of each key; then one that carries time past all timers but its own.
        let early: Vec<Seen> = (0..20).map(|key| (key, i64::from(key))).collect();
        let records: Vec<Seen> = early.iter().copied().chain([(99, 500)]).collect();
        let (input, output) = (tap(vec![records], None, Faults::default()), Probe::default());
        input.open(0, early.len());
        let config = || Config { input: input.clone(), output: output.clone() };
        let job = alarms::job(config()).settings(settings(dir.path(), 1));
        let stop = job.stop_handle();
        let running = start(job);
        output.wait_committed(early.len());
        stop.suspend();
        assert_eq!(running.join().unwrap().unwrap().outcome, Outcome::Suspended);
        assert_eq!(rang(&output), [], "a suspend sends no final watermark");
        input.open_all();
        alarms::job(config()).settings(settings(dir.path(), 3)).run().unwrap();
        let want: Vec<(u32, i64)> = (0..20).map(|key| (key, i64::from(key) + 100)).chain([(99, 600)]).collect();
        assert_eq!(rang(&output), want);
    });
}

#[test]
fn timers_and_watermarks_survive_failures() {
    job_test(|| {
        let dir = tempfile::tempdir().unwrap();
        let faults = Faults::default().at(Step::Poll, 12, Act::Fail).at(Step::Poll, 30, Act::Fail);
        let splits: Vec<Vec<Seen>> =
            (0..3).map(|split| (0..400).map(|n| ((n % 7) * 3 + split, i64::from(n) * 10)).collect()).collect();
        let want: usize = splits.iter().map(Vec::len).sum();
        let (input, output) = (tap(splits, None, faults), Probe::default());
        let running = start(
            alarms::job(Config { input: input.clone(), output: output.clone() }).settings(settings(dir.path(), 2)),
        );
        for part in 1..=4 {
            input.open_each(part * 100);
            output.wait_committed(part * 300);
        }
        assert_eq!(running.join().unwrap().unwrap().attempts, 3);
        let rang = rang(&output);
        assert_eq!((rang.len(), output.committed().len()), (want, 2 * want));
        assert!(rang.windows(2).all(|two| two[0] != two[1]), "a timer fired twice");
    });
}

#[test]
fn time_goes_on_where_it_stood_even_if_the_next_records_are_late() {
    job_test(|| {
        let dir = tempfile::tempdir().unwrap();
        let (input, output) =
            (tap(vec![vec![(1, 1_000), (1, 500), (1, 600), (1, 2_000)]], None, Faults::default()), Probe::default());
        let config = || Config { input: input.clone(), output: output.clone() };
        input.open(0, 1);
        let job = alarms::job(config()).settings(settings(dir.path(), 1));
        let stop = job.stop_handle();
        let running = start(job);
        // The watermark follows its record before the second commit at the latest.
        output.wait_committed(1);
        stop.suspend();
        running.join().unwrap().unwrap();

        // Both are late. An operator that saw the watermark fall would fail for good.
        let mut settings = settings(dir.path(), 1);
        settings.restart.attempts = 0;
        let running = start(alarms::job(config()).settings(settings));
        input.open(0, 2);
        output.wait_committed(2);
        input.open(0, 3);
        output.wait_committed(3);
        input.open_all();
        running.join().unwrap().unwrap();
        assert_eq!(rang(&output), [(1, 600), (1, 700), (1, 1_100), (1, 2_100)]);
    });
}

#[test]
fn a_silent_split_holds_time_back_until_it_is_idle() {
    job_test(|| {
        for idle in [None, Some(Duration::from_millis(50))] {
            let dir = tempfile::tempdir().unwrap();
            // One more than is let through: a share that ended would be no judge of time.
            let busy: Vec<Seen> = (0..11).map(|n| (1, n * 100)).collect();
            let (input, output) = (tap(vec![busy, vec![(2, 0)]], idle, Faults::default()), Probe::default());
            input.open(0, 10);
            let job =
                alarms::job(Config { input: input.clone(), output: output.clone() }).settings(settings(dir.path(), 2));
            let stop = job.stop_handle();
            let running = start(job);
            // Ten records are seen; with the silent split idle, time passes all timers up to the last record.
            output.wait_committed(if idle.is_some() { 10 + 8 } else { 10 });
            stop.suspend();
            running.join().unwrap().unwrap();
            let want: Vec<(u32, i64)> = (1..9).map(|n| (1, n * 100)).collect();
            assert_eq!(rang(&output), if idle.is_some() { want } else { vec![] }, "{idle:?}");
        }
    });
}

pub struct Wall {
    input: Tap<u32>,
    output: Probe<(u32, bool)>,
}

#[source]
fn calls(config: &Wall) -> Tap<u32> {
    config.input.clone()
}

/// Tells of each key at once, and again by the clock.
#[derive(State, Clone, Default)]
pub struct Later {
    due: i64,
}

#[operator]
impl Later {
    #[input]
    fn call(&mut self, key: &u32, #[context] context: &mut Context<'_>) -> (u32, bool) {
        let due = context.processing_time() + Duration::from_millis(60);
        self.due = due.as_millis();
        context.set_processing_timer(due);
        (*key, false)
    }

    #[timer(processing_time)]
    fn again(&mut self, at: Timestamp, #[key] key: &u32, #[context] context: &mut Context<'_>) -> (u32, bool) {
        assert_eq!(at.as_millis(), self.due);
        assert!(context.processing_time() >= at);
        (*key, true)
    }
}

#[sink]
fn answers(config: &Wall) -> Probe<(u32, bool)> {
    config.output.clone()
}

#[pipeline(no_main)]
fn wall(flow: &Flow<Wall>) {
    answers::write(Later::on(calls::open(flow).key_by(|key| key)));
}

#[test]
fn a_timer_by_the_clock_fires_after_a_restart_even_if_it_was_due_before() {
    job_test(|| {
        let dir = tempfile::tempdir().unwrap();
        let (input, output) = (Tap::new(vec![(0..11).collect()]), Probe::default());
        let config = || Wall { input: input.clone(), output: output.clone() };
        input.open(0, 5);
        let job = wall::job(config()).settings(settings(dir.path(), 2));
        let stop = job.stop_handle();
        let running = start(job);
        output.wait_committed(5);
        stop.suspend();
        running.join().unwrap().unwrap();
        // Down while the timers become due.
        std::thread::sleep(Duration::from_millis(80));
        input.open(0, 10);
        let job = wall::job(config()).settings(settings(dir.path(), 3));
        let stop = job.stop_handle();
        let running = start(job);
        output.wait_committed(20);
        stop.suspend();
        running.join().unwrap().unwrap();
        let mut got = output.committed();
        got.sort_unstable();
        assert_eq!(got, (0..10).flat_map(|key| [(key, false), (key, true)]).collect::<Vec<_>>());
    });
}
