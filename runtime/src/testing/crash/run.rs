//! Runs one schedule: process after process, until the input is read to its end and everything is committed.

use super::Setup;
use super::compare::{Compare, Output, Rule};
use super::schedule::Schedule;
use crate::api::sink::Delivery;
use crate::crash::CRASH_POINTS;
use crate::data::worker::panic_message;
use crate::error::{Error, ErrorKind};
use crate::flow::Pipeline;
use crate::progress::Outcome;
use crate::settings::Settings;
use crate::testing::simulation::chance::Chance;
use crate::testing::simulation::{Simulation, World, story};
use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

/// A schedule whose jobs take more turns than this goes round in circles.
const TURNS_MAX: u64 = 200_000;
/// From this process on nothing goes wrong any more.
const CALM_AFTER: u32 = 12;
/// A job that needs more processes than this, in calm, does not get on its feet.
const PROCESSES_MAX: u32 = 20;

/// A job in a world where all works has no reason to let so much time pass; limits for what hangs are longer.
const WAITING_MS_MAX: u64 = 30_000;
/// After this time Kafka aborts a transaction. Long enough for one that is carried over two late checkpoints.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(240);

/// What came of a schedule.
#[derive(Default)]
pub(super) struct Ran {
    pub outputs: BTreeMap<String, Output>,
    /// What is wrong, whatever the output.
    pub failure: Option<String>,
    /// The job has stopped and said what is lost, or cannot be known, as brokers had removed it.
    pub gave_up: bool,
    /// Whether there is a sink with Kafka transactions.
    pub kafka: bool,
    /// The crash points that were passed before the first process came to its end, and how often.
    pub points: Vec<(&'static str, u64)>,
    /// How many places of any kind.
    pub passed: u64,
    /// How many faults have happened, and how many of the plan have not.
    pub faults: u64,
    pub unmet: u64,
    /// Follows from every choice, and where the run was recorded from what is on the disk in the end.
    pub trace: u64,
    pub turns: u64,
    pub processes: u32,
    pub story: String,
}

/// How often checkpoints are taken differs from schedule to schedule, as does how many are kept.
fn settings(seed: u64) -> Settings {
    let mut chance = Chance::new(!seed);
    let mut settings = Settings::default();
    settings.checkpoint.interval = Duration::from_millis(*chance.pick(&[1, 2, 6]));
    settings.checkpoint.retain = 1 + chance.below(3);
    settings.restart.initial = Duration::from_millis(5);
    settings
}

/// Transactions per epoch: some schedules have two.
fn shards(seed: u64) -> usize {
    1 + usize::from(seed % 4 == 1)
}

/// Whether a job may end like this when what is planned goes wrong around it.
fn is_expected(error: &Error, schedule: &Schedule) -> bool {
    match error.kind() {
        ErrorKind::Store | ErrorKind::Source | ErrorKind::Sink | ErrorKind::Timeout | ErrorKind::Stuck => true,
        ErrorKind::Superseded => schedule.has_two_at_once(),
        _ => false,
    }
}

/// Runs the schedule.
pub(super) fn run<P: Pipeline>(setup: &Setup<P>, schedule: &Schedule, recording: bool) -> Ran {
    let world = World::new(schedule.seed, recording);
    world.with(|state| {
        state.sources.clone_from(&setup.inputs.sources);
        (state.input_ended, state.in_turn) = (true, schedule.in_turn);
        (state.sources_pause, state.turns_take_time) = (true, true);
        (state.kafka.timeout, state.kafka.shards) = (TRANSACTION_TIMEOUT, shards(schedule.seed));
    });
    let simulation = Simulation::new::<P>(setup.inputs.config.clone(), settings(schedule.seed), world.clone());
    simulation.faults.borrow_mut().plan(schedule.plan.clone());
    let mut ran = Ran::default();
    let ended = caught(|| simulation.hooked(|| to_the_end(setup, &simulation, schedule, &mut ran.processes)));
    ran.gave_up = ended == Ok(End::GaveUp);
    let outputs = ended.and_then(|_| caught(|| Ok(setup.outputs(&simulation))));
    match outputs {
        Ok(outputs) => ran.outputs = outputs,
        Err(failure) => ran.failure = Some(failure),
    }
    let faults = simulation.faults.borrow();
    ran.points = faults.counts.iter().filter(|(name, _)| CRASH_POINTS.contains(name)).copied().collect();
    (ran.passed, ran.faults, ran.unmet) = (faults.passed(), faults.happened, faults.unmet());
    let is_kafka = |id: &String| simulation.sink(id).is_some_and(|it| it.delivery == Delivery::KafkaTransactions);
    ran.kafka = simulation.sink_ids().iter().any(is_kafka);
    (ran.trace, ran.turns) = (simulation.trace(), simulation.turns());
    if recording {
        ran.trace ^= world.with(|state| state.disk.digest());
        ran.story = story(&world);
    }
    // Destructors of what is left are users' code, which must not pass here again.
    simulation.kill_all();
    ran
}

/// A panic of the test's own, or of this crate, is a failure like others, with its seed and its story.
pub(super) fn caught<T>(call: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    let panicked = |panic: Box<dyn Any + Send>| format!("panicked: {}", panic_message(&*panic));
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| Err(panicked(panic)))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Reached,
    GaveUp,
}

/// Whether a job may stop for good since brokers have removed what it would need.
fn may_give_up(simulation: &Simulation, error: &Error) -> bool {
    simulation.world.with(|state| match error.kind() {
        ErrorKind::DataLoss => state.kafka.trimmed,
        ErrorKind::FateUnknown => state.kafka.trimmed && state.kafka.disturbed || state.kafka.has_unproven(),
        _ => false,
    })
}

fn to_the_end<P: Pipeline>(
    setup: &Setup<P>,
    simulation: &Rc<Simulation>,
    schedule: &Schedule,
    processes: &mut u32,
) -> Result<End, String> {
    let (undisturbed, only_kills) = (schedule.plan.is_empty(), schedule.only_kills());
    let mut ended = 0;
    loop {
        if simulation.living().is_empty() {
            // One more than needed: whatever the last one left is settled by its successor, and it is the end.
            if ended >= 2 || (undisturbed && ended >= 1) {
                return Ok(End::Reached);
            }
            *processes += 1;
            if *processes > CALM_AFTER || ended > 0 {
                simulation.faults.borrow_mut().calm();
            }
            if *processes > PROCESSES_MAX {
                return Err(format!("the job did not come to its end in {PROCESSES_MAX} processes"));
            }
            let workers = simulation.world.with(|state| 1 + state.chance.below(setup.workers_max));
            simulation.start(workers).map_err(|error| format!("the pipeline cannot be started: {error}"))?;
            if *processes == 1 {
                setup.check_names(simulation)?;
            }
        }
        if !simulation.turn() && !simulation.pass_time() {
            return Err("nobody has anything to do, and the job has not ended".to_owned());
        }
        if only_kills && simulation.elapsed_ms() > WAITING_MS_MAX {
            return Err("somebody waited for what did not come, until a time limit was reached".to_owned());
        }
        if simulation.turns() > TURNS_MAX {
            return Err(format!("the job did not come to its end within {TURNS_MAX} turns"));
        }
        if let (true, Some(failure)) = (only_kills, simulation.first_failure()) {
            return Err(format!("an attempt failed though nothing went wrong around it: {failure}"));
        }
        for (_, result) in simulation.take_ended() {
            match result {
                Ok(summary) if summary.outcome == Outcome::Ended => ended += 1,
                Ok(_) => {}
                Err(error) if !only_kills && is_expected(&error, schedule) => {}
                Err(error) if may_give_up(simulation, &error) => return Ok(End::GaveUp),
                Err(error) => return Err(format!("the job stopped: {error}")),
            }
        }
    }
}

impl<P: Pipeline> Setup<P> {
    /// What all sinks have committed.
    fn outputs(&self, simulation: &Simulation) -> BTreeMap<String, Output> {
        let mut outputs = BTreeMap::new();
        for id in simulation.sink_ids() {
            let Some(facts) = simulation.sink(&id) else { continue };
            let (written, visible) = simulation.world.with(|state| state.take_committed(&id));
            let at_least_once = facts.delivery == Delivery::AtLeastOnce;
            let mut output = Output { written, visible, at_least_once, ..Output::default() };
            if let Some(show) = self.shows.get(&id).or(facts.show.as_ref()) {
                output.shown = output.records().map(|record| show(&**record)).collect();
            }
            output.keys = match self.keys.get(&id) {
                Some(key) => Some(output.records().map(|record| key(&**record)).collect()),
                None => output
                    .records()
                    .map(|record| (facts.key)(&**record).map(|key| key.escape_ascii().to_string()))
                    .collect(),
            };
            outputs.insert(id, output);
        }
        outputs
    }

    fn rule_of(&self, id: &str, output: &Output) -> &Rule {
        const AT_LEAST_ONCE: &Rule = &Rule::Given(Compare::AtLeastOnce);
        self.rules.get(id).unwrap_or(if output.at_least_once { AT_LEAST_ONCE } else { &self.rule })
    }

    /// The sinks whose records nobody knows how to show, and that need it.
    pub(super) fn unshown(&self, ran: &Ran) -> Vec<String> {
        let own = |id: &str, output: &Output| matches!(self.rule_of(id, output), Rule::Own(_));
        let outputs =
            ran.outputs.iter().filter(|(id, output)| output.shown.len() < output.visible.len() && !own(id, output));
        outputs.map(|(id, _)| id.clone()).collect()
    }

    /// What is different from the undisturbed run.
    pub(super) fn difference(&self, undisturbed: &Ran, ran: &Ran) -> Option<String> {
        if let Some(failure) = &ran.failure {
            return Some(failure.clone());
        }
        if ran.gave_up {
            return None;
        }
        let none = Output::default();
        let differences = undisturbed.outputs.iter().filter_map(|(id, expected)| {
            let rule = self.rule_of(id, expected);
            let found = ran.outputs.get(id).unwrap_or(&none);
            Some(format!("sink `{id}`: {}", caught(|| rule.check(expected, found)).err()?))
        });
        let differences: Vec<String> = differences.collect();
        (!differences.is_empty()).then(|| differences.join("\n"))
    }
}
