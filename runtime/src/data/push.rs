//! Handing batches to what comes next in the chain: one dynamic call per batch.

use super::event::Control;
use crate::api::batch::Batch;
use crate::error::{Error, ErrorKind, Result};
use crate::metrics::NodeMetrics;
use std::fmt::Display;
use std::sync::Arc;

/// What takes batches of `T`: an operator, a sink, or the writing end of a channel.
pub trait Push<T> {
    /// Whether a batch can be taken now. While it is false, the head of the chain reads nothing.
    fn ready(&mut self) -> Result<bool>;

    /// Takes all records out of the batch.
    fn batch(&mut self, batch: &mut Batch<T>) -> Result<()>;

    /// Takes a control event, which must not overtake the batches before it.
    fn control(&mut self, control: Control) -> Result<()>;

    /// Passes on what was held back to fill a batch.
    fn flush(&mut self) -> Result<()>;
}

/// The next in the chain.
pub(crate) type Next<T> = Box<dyn Push<T>>;

type MakeTee<T> = dyn Fn(Vec<Next<T>>) -> Next<T> + Send + Sync;

/// Makes the copier of an output with several readers; exists where the record type is `Clone`.
pub struct TeeFn<T>(Arc<MakeTee<T>>);

impl<T: Clone + 'static> TeeFn<T> {
    pub(crate) fn new() -> Self {
        Self(Arc::new(|readers| Box::new(Tee { readers, copy: Batch::default() })))
    }
}

impl<T> TeeFn<T> {
    pub(crate) fn tee(&self, readers: Vec<Next<T>>) -> Next<T> {
        (self.0)(readers)
    }
}

/// Gives each of several readers a copy.
struct Tee<T> {
    readers: Vec<Next<T>>,
    copy: Batch<T>,
}

impl<T: Clone> Push<T> for Tee<T> {
    fn ready(&mut self) -> Result<bool> {
        let mut all = true;
        for reader in &mut self.readers {
            all &= reader.ready()?;
        }
        Ok(all)
    }

    fn batch(&mut self, batch: &mut Batch<T>) -> Result<()> {
        let Some((last, others)) = self.readers.split_last_mut() else { return Ok(()) };
        for reader in others {
            self.copy.clone_from(batch);
            reader.batch(&mut self.copy)?;
        }
        last.batch(batch)
    }

    fn control(&mut self, control: Control) -> Result<()> {
        self.readers.iter_mut().try_for_each(|reader| reader.control(control))
    }

    fn flush(&mut self) -> Result<()> {
        self.readers.iter_mut().try_for_each(|reader| reader.flush())
    }
}

/// Counts and drops.
pub(crate) struct Discard {
    pub node: usize,
    pub metrics: Arc<Vec<NodeMetrics>>,
}

impl<T> Push<T> for Discard {
    fn ready(&mut self) -> Result<bool> {
        Ok(true)
    }

    fn batch(&mut self, batch: &mut Batch<T>) -> Result<()> {
        self.metrics[self.node].received(batch.len() as u64);
        batch.clear();
        Ok(())
    }

    fn control(&mut self, _control: Control) -> Result<()> {
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Fails the attempt at the first record.
pub(crate) struct FailJob;

impl<E: Display> Push<crate::api::output::Failed<E>> for FailJob {
    fn ready(&mut self) -> Result<bool> {
        Ok(true)
    }

    fn batch(&mut self, batch: &mut Batch<crate::api::output::Failed<E>>) -> Result<()> {
        let Some(failed) = batch.records().first() else { return Ok(()) };
        let place = failed.origin.as_ref().map_or_else(String::new, |origin| {
            format!(" on the record at {}, partition {}, offset {}", origin.source, origin.partition, origin.offset)
        });
        Err(Error::new(ErrorKind::Operator, format!("operator `{}` failed{place}: {}", failed.operator, failed.error)))
    }

    fn control(&mut self, _control: Control) -> Result<()> {
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}
