//! Writing ends of channels: spread by key over all workers, or on to another chain of this worker.

use super::channel::Sender;
use super::event::Control;
use super::push::Push;
use crate::api::batch::{BATCH_RECORDS, Batch};
use crate::api::key::Key;
use crate::error::Result;
use crate::flow::select::KeySelector;
use crate::id::{key_group, worker_of_group};
use crate::planted::{Bug, planted};
use std::marker::PhantomData;

/// Spreads records over the workers by key: key -> hash, once -> key group -> worker.
pub(crate) struct Exchange<T, K: ?Sized, S> {
    /// By worker.
    senders: Vec<Sender<T>>,
    /// What is being collected for each worker.
    partial: Vec<Batch<T>>,
    select: S,
    key: PhantomData<fn(&K)>,
}

impl<T, K: ?Sized, S> Exchange<T, K, S> {
    pub fn new(senders: Vec<Sender<T>>, select: S) -> Self {
        let partial = senders.iter().map(|_| Batch::default()).collect();
        Self { senders, partial, select, key: PhantomData }
    }
}

impl<T, K, S> Exchange<T, K, S>
where
    K: Key + ?Sized,
    S: KeySelector<T, K>,
{
    /// All records go to the only worker there is: the batch is passed on whole.
    fn pass_on(&mut self, batch: &mut Batch<T>) -> Result<()> {
        let select = &self.select;
        batch.hashes.clear();
        batch.hashes.extend(batch.records.iter().map(|record| select.with(record, K::frozen_hash)));
        self.senders[0].send(batch)
    }

    /// Sends what was collected from batches that had metadata where this one has none, or the other way
    /// round: within a batch either all records have it or none.
    fn part_by_metadata(&mut self, with: bool) -> Result<()> {
        for (sender, partial) in self.senders.iter_mut().zip(&mut self.partial) {
            if partial.metadata.is_empty() == with {
                sender.send(partial)?;
            }
        }
        Ok(())
    }

    fn spread(&mut self, batch: &mut Batch<T>) -> Result<()> {
        let workers = self.senders.len();
        batch.hashes.clear();
        self.part_by_metadata(!batch.metadata.is_empty())?;
        let mut metadata = batch.metadata.drain(..);
        for (record, time) in batch.records.drain(..).zip(batch.times.drain(..)) {
            let hash = self.select.with(&record, K::frozen_hash);
            let worker = worker_of_group(key_group(hash), workers);
            let to = &mut self.partial[worker];
            to.records.push(record);
            to.times.push(time);
            to.hashes.push(hash);
            to.metadata.extend(metadata.next());
            if to.records.len() >= BATCH_RECORDS {
                self.senders[worker].send(to)?;
            }
        }
        Ok(())
    }
}

impl<T, K, S> Push<T> for Exchange<T, K, S>
where
    K: Key + ?Sized,
    S: KeySelector<T, K>,
{
    fn ready(&mut self) -> Result<bool> {
        let mut all = true;
        for sender in &mut self.senders {
            all &= sender.ready()?;
        }
        Ok(all)
    }

    fn batch(&mut self, batch: &mut Batch<T>) -> Result<()> {
        if self.senders.len() == 1 { self.pass_on(batch) } else { self.spread(batch) }
    }

    fn control(&mut self, control: Control) -> Result<()> {
        if !(planted(Bug::BarrierOvertakes) && matches!(control, Control::Barrier(_))) {
            self.flush()?;
        }
        self.senders.iter_mut().try_for_each(|sender| sender.control(control))
    }

    fn flush(&mut self) -> Result<()> {
        self.senders.iter_mut().zip(&mut self.partial).try_for_each(|(sender, partial)| sender.send(partial))
    }
}

/// Passes batches to another chain of the same worker.
pub(crate) struct Forward<T> {
    pub sender: Sender<T>,
}

impl<T> Push<T> for Forward<T> {
    fn ready(&mut self) -> Result<bool> {
        self.sender.ready()
    }

    fn batch(&mut self, batch: &mut Batch<T>) -> Result<()> {
        self.sender.send(batch)
    }

    fn control(&mut self, control: Control) -> Result<()> {
        self.sender.control(control)
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}
