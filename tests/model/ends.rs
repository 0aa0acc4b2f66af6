//! That a job comes to its end, whatever has happened: not only is nobody stuck, from every world a way leads to
//! the end. So attempts never go round in circles that nothing but more luck than there is could break.

use crate::protocol::Protocol;
use crate::world::World;
use crate::{ALL, CRASHES, Faults, Guards, NONE};
use stateright::Model;
use std::collections::HashMap;
use std::rc::Rc;

/// How many worlds there are, and how many of them no way leads out of to the end.
fn hopeless(guards: Guards, faults: Faults) -> (usize, usize) {
    let protocol = Protocol { guards, faults };
    let mut numbers: HashMap<Rc<World>, usize> = HashMap::new();
    let mut worlds: Vec<Rc<World>> = Vec::new();
    let mut before: Vec<Vec<usize>> = Vec::new();
    let mut number = |world: World, worlds: &mut Vec<Rc<World>>, before: &mut Vec<Vec<usize>>| {
        let world = Rc::new(world);
        *numbers.entry(world.clone()).or_insert_with(|| {
            worlds.push(world);
            before.push(Vec::new());
            worlds.len() - 1
        })
    };
    for world in protocol.init_states() {
        number(world, &mut worlds, &mut before);
    }
    let mut at = 0;
    while let Some(world) = worlds.get(at).cloned() {
        for next in protocol.next_states(&world) {
            let next = number(next, &mut worlds, &mut before);
            before[next].push(at);
        }
        at += 1;
    }
    let mut reaches = vec![false; worlds.len()];
    let mut found: Vec<usize> = (0..worlds.len()).filter(|at| worlds[*at].has_ended()).collect();
    while let Some(at) = found.pop() {
        if !std::mem::replace(&mut reaches[at], true) {
            found.append(&mut before[at]);
        }
    }
    (worlds.len(), reaches.iter().filter(|reaches| !**reaches).count())
}

#[test]
fn from_every_world_a_way_leads_to_the_end() {
    let one_of_each = Faults { lost_publications: 1, expiries: 1, ..NONE };
    for faults in [CRASHES, one_of_each] {
        let (worlds, hopeless) = hopeless(ALL, faults);
        println!("{faults:?}: {worlds} worlds");
        assert_eq!(hopeless, 0, "{faults:?}: of {worlds} worlds");
    }
}

#[test]
fn without_another_start_some_have_no_way() {
    let (worlds, hopeless) = hopeless(ALL, Faults { lost_publications: 1, restarts: 0, ..NONE });
    assert!(0 < hopeless && hopeless < worlds, "{hopeless} of {worlds}");
}
