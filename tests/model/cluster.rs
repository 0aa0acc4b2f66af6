//! The sink's side of the model: what a Kafka cluster does with transactional ids, and what its readers see.
//!
//! One cluster per sink. The rules are those that were measured on brokers: a session (producer id and
//! epoch) ends by `InitProducerId`, which aborts what is open; `EndTxn` names a *session*, not a transaction;
//! a description of an id speaks of its last transaction, which only the start time tells from another.

use crate::{CHECKPOINTS, WORKERS};

/// Records as bits: that of worker `w` and epoch `e` is number `w * CHECKPOINTS + e`.
pub type Records = u8;

/// The record that a worker writes in an epoch.
pub fn record(worker: usize, epoch: u8) -> Records {
    1 << (worker * usize::from(CHECKPOINTS) + usize::from(epoch))
}

/// All records of the first epochs.
pub fn records_of(epochs: u8) -> Records {
    (0..WORKERS).flat_map(|worker| (0..epochs).map(move |epoch| record(worker, epoch))).sum()
}

/// How many ids there are at each sink: a job's two in rotation, that of its replays, and a stranger's.
pub const IDS: usize = 4;
/// The id of replays.
pub const REPLAY: u8 = 2;
/// The id of a job of another lineage, where lineages are in ids.
pub const STRANGER: u8 = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    Open,
    Committed,
    /// By a process that had the right to.
    Aborted,
    /// By an attempt that another had superseded, and that did not know it yet.
    Fenced,
    /// By the cluster, after the transaction's timeout.
    Expired,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Txn {
    pub records: Records,
    pub fate: Fate,
    /// A durable manifest has listed it.
    pub listed: bool,
    /// Written by somebody who is no part of the job.
    pub foreign: bool,
}

/// What a manifest says of a transaction. Its start time names it: here, its number at its cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Name {
    pub id: u8,
    pub session: u8,
    pub start: u8,
}

/// A transactional id: its session, and the last transaction of that session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Id {
    pub session: u8,
    pub last: Option<u8>,
}

/// What became of an `EndTxn`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Done,
    Fenced,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Cluster {
    pub ids: [Id; IDS],
    /// By start.
    pub txns: Vec<Txn>,
    /// What readers of committed output have seen.
    pub committed: Records,
    /// They saw a record twice.
    pub twice: bool,
    /// They saw a worker's records out of order.
    pub disorder: bool,
}

impl Cluster {
    fn last(&mut self, id: u8) -> Option<&mut Txn> {
        let start = self.ids[usize::from(id)].last?;
        self.txns.get_mut(usize::from(start))
    }

    fn is_open(&self, id: u8) -> bool {
        self.fate_of_last(id) == Some(Fate::Open)
    }

    fn fate_of_last(&self, id: u8) -> Option<Fate> {
        Some(self.txns[usize::from(self.ids[usize::from(id)].last?)].fate)
    }

    /// `InitProducerId`: a new session; aborts what is open.
    pub fn init(&mut self, id: u8, superseded: bool) -> u8 {
        self.close(id, if superseded { Fate::Fenced } else { Fate::Aborted });
        let it = &mut self.ids[usize::from(id)];
        *it = Id { session: it.session + 1, last: None };
        it.session
    }

    fn close(&mut self, id: u8, fate: Fate) {
        if let Some(txn) = self.last(id).filter(|txn| txn.fate == Fate::Open) {
            txn.fate = fate;
        }
    }

    /// Begins a transaction, if the session is still the id's and nothing is open.
    pub fn begin(&mut self, id: u8, session: u8, foreign: bool) -> Option<Name> {
        if self.ids[usize::from(id)].session != session || self.is_open(id) {
            return None;
        }
        let start = u8::try_from(self.txns.len()).expect("few transactions");
        self.txns.push(Txn { records: 0, fate: Fate::Open, listed: false, foreign });
        self.ids[usize::from(id)].last = Some(start);
        Some(Name { id, session, start })
    }

    /// Writes into what is open in a session; false if it is fenced.
    pub fn write(&mut self, id: u8, session: u8, records: Records) -> bool {
        if self.ids[usize::from(id)].session != session || !self.is_open(id) {
            return false;
        }
        if let Some(txn) = self.last(id) {
            txn.records |= records;
        }
        true
    }

    /// `EndTxn` ends whatever is open in the session; repeated, it says the same again.
    pub fn end(&mut self, id: u8, session: u8, commit: bool) -> Answer {
        let wish = if commit { Fate::Committed } else { Fate::Aborted };
        if self.ids[usize::from(id)].session != session {
            return Answer::Fenced;
        }
        match self.fate_of_last(id) {
            Some(Fate::Open) if commit => self.show(id),
            Some(Fate::Open) => self.close(id, Fate::Aborted),
            fate if fate == Some(wish) => {}
            _ => return Answer::Fenced,
        }
        Answer::Done
    }

    /// Readers see the open transaction of an id.
    fn show(&mut self, id: u8) {
        let Some(txn) = self.last(id) else { return };
        txn.fate = Fate::Committed;
        let records = txn.records;
        self.twice |= self.committed & records != 0;
        for worker in 0..WORKERS {
            let own = (0..CHECKPOINTS).fold(0, |own, epoch| own | record(worker, epoch));
            let (before, now) = (self.committed & own, records & own);
            self.disorder |= before != 0 && now != 0 && now.trailing_zeros() <= before.ilog2();
        }
        self.committed |= records;
    }

    /// The fate of the transaction of this name: the coordinator tells, or the log does.
    pub fn fate(&self, name: Name) -> Fate {
        self.txns[usize::from(name.start)].fate
    }

    /// The transaction's timeout has passed: it is aborted, and its producer fenced.
    pub fn expire(&mut self, id: u8) {
        self.close(id, Fate::Expired);
        self.ids[usize::from(id)].session += 1;
    }

    /// Whether its id has had no transaction since.
    pub fn is_last(&self, name: Name) -> bool {
        self.ids[usize::from(name.id)].last == Some(name.start)
    }

    /// The transactions that are open, by id.
    pub fn open(&self) -> impl Iterator<Item = u8> + '_ {
        (0..IDS as u8).filter(|id| self.is_open(*id))
    }
}
