//! A bounded channel between two workers, or two chains of one worker, whose batches are recycled.
//!
//! Sending never blocks and never fails for want of room: what does not fit waits in the sender's
//! backlog, and a chain whose sender has a backlog is not [`ready`](Sender::ready), so the backlog
//! never holds more than what one input batch gave.

use super::event::{Control, Event};
use crate::api::batch::Batch;
use crate::api::source::Waker;
use crate::error::{Error, Result};
use std::collections::VecDeque;
use tokio::sync::mpsc::error::{TryRecvError, TrySendError};
use tokio::sync::mpsc::{self};

/// Batches in flight in one channel.
const CHANNEL_BATCHES: usize = 16;

pub(crate) struct Sender<T> {
    events: mpsc::Sender<Event<T>>,
    spares: mpsc::Receiver<Batch<T>>,
    backlog: VecDeque<Event<T>>,
    reader: Waker,
}

pub(crate) struct Receiver<T> {
    events: mpsc::Receiver<Event<T>>,
    spares: mpsc::Sender<Batch<T>>,
    writer: Waker,
}

/// A channel; each end wakes the worker at the other.
pub(crate) fn channel<T>(writer: Waker, reader: Waker) -> (Sender<T>, Receiver<T>) {
    let (to, events) = mpsc::channel(CHANNEL_BATCHES);
    let (back, spares) = mpsc::channel(CHANNEL_BATCHES * 2);
    (Sender { events: to, spares, backlog: VecDeque::new(), reader }, Receiver { events, spares: back, writer })
}

fn gone() -> Error {
    Error::echo("a neighbouring worker has stopped")
}

impl<T> Sender<T> {
    /// Whether the next event would go straight into the channel.
    pub fn ready(&mut self) -> Result<bool> {
        while let Some(event) = self.backlog.pop_front() {
            if let Some(back) = self.offer(event)? {
                self.backlog.push_front(back);
                return Ok(false);
            }
        }
        Ok(self.events.capacity() > 0)
    }

    /// Sends all records of the batch and leaves it empty, with recycled memory.
    pub fn send(&mut self, batch: &mut Batch<T>) -> Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        let spare = self.spares.try_recv().unwrap_or_default();
        self.put(Event::Batch(std::mem::replace(batch, spare)))
    }

    pub fn control(&mut self, control: Control) -> Result<()> {
        self.put(Event::Control(control))
    }

    fn put(&mut self, event: Event<T>) -> Result<()> {
        let waiting = if self.backlog.is_empty() { self.offer(event)? } else { Some(event) };
        self.backlog.extend(waiting);
        Ok(())
    }

    fn offer(&mut self, event: Event<T>) -> Result<Option<Event<T>>> {
        match self.events.try_send(event) {
            Ok(()) => {
                self.reader.wake();
                Ok(None)
            }
            Err(TrySendError::Full(back)) => Ok(Some(back)),
            Err(TrySendError::Closed(_)) => Err(gone()),
        }
    }
}

impl<T> Receiver<T> {
    pub fn receive(&mut self) -> Result<Option<Event<T>>> {
        match self.events.try_recv() {
            Ok(event) => {
                // The writer may be waiting for room.
                if self.events.len() + 1 >= CHANNEL_BATCHES {
                    self.writer.wake();
                }
                Ok(Some(event))
            }
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => Err(gone()),
        }
    }

    /// Gives the memory of a batch that was worked off back to the writer.
    pub fn recycle(&mut self, mut batch: Batch<T>) {
        batch.clear();
        // When the writer has spares enough, the memory is freed.
        let _ = self.spares.try_send(batch);
    }
}
