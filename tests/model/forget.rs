//! Forgets what makes no difference any more: the history of a world whose future is that of another.
//!
//! Sessions, transactions, slots and attempts are only told apart, never counted. So what nobody can name
//! is dropped, and the rest numbered anew, in order. It makes the difference between millions of worlds
//! and thousands.

use crate::SINKS;
use crate::attempt::{Attempt, Phase};
use crate::cluster::{IDS, Name};
use crate::world::{Slot, World};

/// The number of an attempt that has just started.
pub const NEW: u8 = 3;
const CURRENT: u8 = 0;
const ZOMBIE: u8 = 1;
const GONE: u8 = 2;

impl World {
    pub fn forget(&mut self) {
        for attempt in self.zombie.iter_mut().chain([&mut self.current]).filter(|attempt| attempt.is_over()) {
            *attempt = Attempt { phase: attempt.phase, epochs: attempt.epochs, ..Attempt::new(attempt.number) };
        }
        self.forget_attempts();
        self.forget_slots();
        for sink in 0..SINKS {
            self.forget_sessions(sink);
            self.forget_transactions(sink);
        }
    }

    fn forget_attempts(&mut self) {
        let (current, zombie) = (self.current.number, self.zombie.as_ref().map(|zombie| zombie.number));
        let number = |old: u8| match old {
            _ if old == current => CURRENT,
            _ if Some(old) == zombie => ZOMBIE,
            _ => GONE,
        };
        for slot in self.log.iter_mut().chain(self.late.iter_mut().map(|(_, slot)| slot)) {
            if let Slot::Manifest(manifest) = slot {
                manifest.attempt = number(manifest.attempt);
            }
        }
        self.current.number = CURRENT;
        self.zombie.iter_mut().for_each(|zombie| zombie.number = ZOMBIE);
    }

    /// Keeps the newest manifest, and what an attempt may still look at.
    fn forget_slots(&mut self) {
        let newest = self.log.iter().rposition(|slot| matches!(slot, Slot::Manifest(_)));
        let reads = |attempt: &Attempt| attempt.phase != Phase::Starting && !attempt.is_over();
        let slots = self.zombie.iter().chain([&self.current]).filter(|it| reads(it)).map(|it| it.slot);
        let late = self.late.map(|(at, _)| at);
        let from = slots.chain(newest).chain(late).min().unwrap_or(self.log.len()).min(self.log.len());
        self.log.drain(..from);
        self.late.iter_mut().for_each(|(at, _)| *at -= from);
        for attempt in self.zombie.iter_mut().chain([&mut self.current]) {
            attempt.slot = attempt.slot.saturating_sub(from);
        }
    }

    /// Every name of a transaction of this sink.
    fn each_name(&mut self, sink: usize, mut each: impl FnMut(&mut Name)) {
        for slot in self.log.iter_mut().chain(self.late.iter_mut().map(|(_, slot)| slot)) {
            if let Slot::Manifest(manifest) = slot {
                manifest.listed[sink].iter_mut().for_each(&mut each);
            }
        }
        for attempt in self.zombie.iter_mut().chain([&mut self.current]) {
            for names in [&mut attempt.listed, &mut attempt.txns, &mut attempt.outstanding] {
                names[sink].iter_mut().for_each(&mut each);
            }
            if let Phase::Replayed(name) | Phase::Ending(name) = &mut attempt.phase
                && attempt.sink == sink
            {
                each(name);
            }
        }
    }

    /// Every session of this id, that of the id itself last: it is the newest.
    fn each_session(&mut self, sink: usize, id: u8, mut each: impl FnMut(&mut u8)) {
        self.each_name(sink, |name| {
            if name.id == id {
                each(&mut name.session);
            }
        });
        for attempt in self.zombie.iter_mut().chain([&mut self.current]) {
            attempt.sessions[sink].get_mut(usize::from(id)).into_iter().flatten().for_each(&mut each);
        }
        self.delayed.iter_mut().filter(|it| (it.sink, it.id) == (sink, id)).for_each(|it| each(&mut it.session));
        each(&mut self.clusters[sink].ids[usize::from(id)].session);
    }

    fn forget_sessions(&mut self, sink: usize) {
        for id in 0..IDS as u8 {
            let mut known = Vec::new();
            self.each_session(sink, id, |session| known.push(*session));
            self.each_session(sink, id, |session| *session = rank(&known, *session));
        }
    }

    fn forget_transactions(&mut self, sink: usize) {
        let ids = self.clusters[sink].ids;
        let mut known: Vec<u8> = ids.iter().filter_map(|id| id.last).collect();
        self.each_name(sink, |name| known.push(name.start));
        self.each_name(sink, |name| name.start = rank(&known, name.start));
        let cluster = &mut self.clusters[sink];
        cluster.ids.iter_mut().filter_map(|id| id.last.as_mut()).for_each(|last| *last = rank(&known, *last));
        let mut start = 0;
        cluster.txns.retain(|_| {
            start += 1;
            known.contains(&(start - 1))
        });
    }
}

/// How many different ones are smaller.
fn rank(known: &[u8], number: u8) -> u8 {
    let smaller = (0..number).filter(|other| known.contains(other)).count();
    u8::try_from(smaller).expect("few of them")
}
