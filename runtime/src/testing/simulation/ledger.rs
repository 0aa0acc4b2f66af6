//! What simulated sinks hold whose prepared output stays until somebody ends it: transactions, as those of files
//! are. Those of Kafka have other rules: see [`kafka`](super::kafka).
//!
//! ```text
//! open -> prepared -> committed        commit again: fine
//!   |         |
//!   +---------+-----> aborted          commit: refused, and the records are gone
//! ```
//!
//! One transaction per participant, attempt and epoch, shared by the participant's sinks. An attempt that
//! recovers fences those before it: they write and prepare nothing more.

use crate::flow::stand_in::AnyRecord;
use crate::id::Epoch;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Names a transaction: the bytes of a committable.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Id {
    pub participant: String,
    /// The slot that its attempt claimed.
    pub attempt: u64,
    pub epoch: Epoch,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Open,
    Prepared,
    Committed,
    Aborted,
}

/// What one writer put into a transaction, by sink and worker.
type Written = BTreeMap<(String, usize), Vec<(AnyRecord, Timestamp)>>;

pub(crate) struct Transaction {
    pub stage: Stage,
    /// Why it was aborted.
    pub why: &'static str,
    written: Written,
}

/// All transactions of all participants.
#[derive(Default)]
pub(crate) struct Ledger {
    transactions: BTreeMap<Id, Transaction>,
    /// In the order in which they became visible.
    visible: Vec<Id>,
    /// Attempts below this write nothing more, by participant.
    fenced: BTreeMap<String, u64>,
    /// Commits that were reported as failed and are yet to happen.
    late: Vec<Id>,
}

impl Ledger {
    pub fn write(
        &mut self,
        id: &Id,
        writer: (String, usize),
        records: &mut dyn Iterator<Item = (AnyRecord, Timestamp)>,
    ) -> Result<(), &'static str> {
        if self.is_fenced(id) {
            return Err("fenced by a younger attempt");
        }
        let new = || Transaction { stage: Stage::Open, why: "", written: Written::new() };
        let transaction = self.transactions.entry(id.clone()).or_insert_with(new);
        if transaction.stage == Stage::Aborted {
            return Err(transaction.why);
        }
        transaction.written.entry(writer).or_default().extend(records);
        Ok(())
    }

    fn is_fenced(&self, id: &Id) -> bool {
        self.fenced.get(&id.participant).is_some_and(|fence| id.attempt < *fence)
    }

    /// `Ok(false)`: nothing was written.
    pub fn prepare(&mut self, id: &Id) -> Result<bool, &'static str> {
        if self.is_fenced(id) {
            return Err("fenced by a younger attempt");
        }
        let Some(transaction) = self.transactions.get_mut(id) else { return Ok(false) };
        match transaction.stage {
            Stage::Open | Stage::Prepared => {
                transaction.stage = Stage::Prepared;
                Ok(true)
            }
            Stage::Aborted => Err(transaction.why),
            Stage::Committed => Err("committed before it was prepared"),
        }
    }

    pub fn commit(&mut self, id: &Id) -> Result<(), &'static str> {
        let transaction = self.transactions.get_mut(id).ok_or("no such transaction")?;
        match transaction.stage {
            Stage::Open | Stage::Prepared => {
                transaction.stage = Stage::Committed;
                self.visible.push(id.clone());
                Ok(())
            }
            Stage::Committed => Ok(()),
            Stage::Aborted => Err(transaction.why),
        }
    }

    pub fn abort(&mut self, id: &Id, why: &'static str) -> Result<(), &'static str> {
        let Some(transaction) = self.transactions.get_mut(id) else { return Ok(()) };
        if transaction.stage == Stage::Committed {
            return Err("it is committed");
        }
        (transaction.stage, transaction.why) = (Stage::Aborted, why);
        Ok(())
    }

    /// Ends what attempts before this one left open, and keeps them from writing more.
    pub fn fence(&mut self, participant: &str, attempt: u64) {
        let fence = self.fenced.entry(participant.to_owned()).or_default();
        *fence = attempt.max(*fence);
        for (id, transaction) in &mut self.transactions {
            let left = matches!(transaction.stage, Stage::Open | Stage::Prepared);
            if left && id.participant == participant && id.attempt < attempt {
                (transaction.stage, transaction.why) = (Stage::Aborted, "aborted by a younger attempt's recovery");
            }
        }
    }

    /// The commit happens later, if nothing comes before it.
    pub fn commit_late(&mut self, id: &Id) {
        self.late.push(id.clone());
    }

    pub fn has_late(&self) -> bool {
        !self.late.is_empty()
    }

    pub fn land_late(&mut self) -> usize {
        let late = std::mem::take(&mut self.late);
        late.iter().filter(|id| self.commit(id).is_ok()).count()
    }

    /// Transactions that are open for too long are aborted; those that are prepared have a longer time.
    pub fn expire_open(&mut self) -> usize {
        let open = self.transactions.values_mut().filter(|transaction| transaction.stage == Stage::Open);
        open.map(|transaction| (transaction.stage, transaction.why) = (Stage::Aborted, "it was open for too long"))
            .count()
    }

    /// The visible records of a sink: in the order of commits, within one by worker, within that as written.
    pub fn committed<'a>(&'a self, sink: &'a str) -> impl Iterator<Item = &'a (AnyRecord, Timestamp)> + 'a {
        self.visible.iter().filter_map(|id| self.transactions.get(id)).flat_map(move |it| it.of(sink))
    }

    /// As [`committed`](Self::committed), when nothing more will happen: the records are taken out.
    pub fn take_committed(&mut self, sink: &str) -> Vec<AnyRecord> {
        let mut taken = Vec::new();
        for id in &self.visible {
            let written = self.transactions.get_mut(id).map(|it| &mut it.written).into_iter().flatten();
            let mine = written.filter(|((writer, _), _)| writer == sink);
            mine.for_each(|(_, records)| taken.extend(records.drain(..).map(|(record, _)| record)));
        }
        taken
    }

    /// The records of a sink that are neither visible nor aborted.
    pub fn uncommitted<'a>(&'a self, sink: &'a str) -> impl Iterator<Item = &'a (AnyRecord, Timestamp)> + 'a {
        let waiting = |it: &&Transaction| matches!(it.stage, Stage::Open | Stage::Prepared);
        self.transactions.values().filter(waiting).flat_map(move |it| it.of(sink))
    }
}

impl Transaction {
    fn of<'a>(&'a self, sink: &'a str) -> impl Iterator<Item = &'a (AnyRecord, Timestamp)> + 'a {
        self.written.iter().filter(move |((id, _), _)| id == sink).flat_map(|(_, records)| records)
    }
}
