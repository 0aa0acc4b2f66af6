//! Processes side by side: who stands still does nothing, and nobody takes what is another's.

use super::world::Started;
use super::{Pid, Simulation, World};
use crate::connectors::memory::{MemorySink, MemorySource};
use crate::settings::Settings;
use crate::threads::{Actor, Turn};
use crate::{Flow, pipeline, sink, source};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

#[source]
fn words() -> MemorySource<String> {
    MemorySource::new(Vec::new())
}

#[sink]
fn copies() -> MemorySink<String> {
    MemorySink::new()
}

#[pipeline(no_main)]
fn copied(flow: &Flow<()>) {
    copies::write(words::open(flow));
}

fn two_processes() -> (Rc<Simulation>, Pid, Pid) {
    let simulation = Simulation::new::<copied>(Arc::new(()), Settings::default(), World::new(1, true));
    let (first, second) = (simulation.start(1).unwrap(), simulation.start(1).unwrap());
    (simulation, first, second)
}

/// What the story tells of a process after its start.
fn did(simulation: &Simulation, pid: Pid) -> bool {
    let lines = simulation.world.with(|state| state.lines.clone().unwrap_or_default());
    lines.iter().any(|(who, line)| *who == pid && !line.starts_with("starts"))
}

#[test]
fn a_process_that_stands_still_takes_no_turns_whoever_lets_others_take_them() {
    let (simulation, first, second) = two_processes();
    simulation.hooked(|| {
        simulation.paused.borrow_mut().push(first);
        // As within a slow call of the second.
        simulation.others(200);
        simulation.paused.borrow_mut().pop();
        assert!(did(&simulation, second) && !did(&simulation, first), "{}", super::story(&simulation.world));
        simulation.others(200);
        assert!(did(&simulation, first));
    });
    simulation.kill_all();
}

struct Nothing;

impl Actor for Nothing {
    fn turn(&mut self) -> Turn {
        Turn::Done
    }

    fn wait(&mut self, _at_most: Duration) {}
}

#[test]
fn what_a_process_starts_in_a_long_turn_is_not_lost_to_others_that_take_turns_meanwhile() {
    let (simulation, first, second) = two_processes();
    let started = Started { pid: first, make: Box::new(|| Box::new(Nothing)), finished: Arc::default() };
    let finished = started.finished.clone();
    simulation.world.with(|state| state.started.push(started));
    simulation.hooked(|| {
        simulation.paused.borrow_mut().push(first);
        simulation.others(20);
        simulation.paused.borrow_mut().pop();
        assert!(did(&simulation, second));
        simulation.others(2_000);
    });
    assert!(finished.load(std::sync::atomic::Ordering::Relaxed), "the first has its actor");
    simulation.kill_all();
}
