//! An operator's input, typed: what is behind the erased [`BuildPort`] and [`OpenPort`].

use super::build::erased_bug;
use super::channel::{Receiver, Sender};
use super::event::{Control, Event};
use super::exchange::{Exchange, Forward};
use super::link::{LinkEnds, all_to_all, one_to_one};
use super::outputs::Wired;
use super::process::{Core, OperatorPush};
use super::push::Next;
use crate::api::key::Key;
use crate::api::operator::{Handler, Operator, Timers};
use crate::api::source::Waker;
use crate::error::Result;
use crate::flow::select::KeySelector;
use std::any::Any;
use std::marker::PhantomData;

/// One input of an operator as wired; made once, opened on each worker.
pub trait BuildPort<O: Operator<Outputs: Wired>, K: Key + ?Sized>: Send + Sync {
    /// The channels of this input.
    #[doc(hidden)]
    fn link(&self, keyed: bool, wakers: &[Waker]) -> Vec<LinkEnds>;
    /// The writing end for the node that this input reads: a `Next<T>`.
    #[doc(hidden)]
    fn writer(&self, keyed: bool, senders: Box<dyn Any + Send>) -> Result<Box<dyn Any>>;
    /// The reading end.
    #[doc(hidden)]
    fn open(&self, receivers: Box<dyn Any + Send>) -> Result<Box<dyn OpenPort<O, K>>>;
    /// The operator itself as the next of its producer's chain: a `Next<T>`.
    #[doc(hidden)]
    fn chain(&self, core: Core<O, K>) -> Box<dyn Any>;
}

/// The reading end of an operator's input on one worker.
pub trait OpenPort<O: Operator<Outputs: Wired>, K: Key + ?Sized> {
    #[doc(hidden)]
    fn channels(&self) -> usize;
    /// Receives one event of a channel; a batch is processed at once.
    #[doc(hidden)]
    fn poll(&mut self, channel: usize, core: &mut Core<O, K>) -> Result<Polled>;
}

/// What came from a channel.
pub enum Polled {
    /// Nothing.
    Empty,
    /// A batch, which was processed.
    Batch,
    /// A control event.
    Control(Control),
}

/// The input number `INPUT`, which carries `T` and finds keys with `S`.
pub(crate) struct TypedPort<O, K: ?Sized, T, S, const INPUT: usize> {
    select: S,
    types: PhantomData<fn(O, T, &K)>,
}

impl<O, K: ?Sized, T, S, const INPUT: usize> TypedPort<O, K, T, S, INPUT> {
    pub fn new(select: S) -> Self {
        Self { select, types: PhantomData }
    }
}

impl<O, K, T, S, const INPUT: usize> BuildPort<O, K> for TypedPort<O, K, T, S, INPUT>
where
    O: Handler<INPUT, K, Record = T> + Timers<K> + Operator<Outputs: Wired>,
    K: Key + ?Sized,
    T: Send + 'static,
    S: KeySelector<T, K>,
{
    fn link(&self, keyed: bool, wakers: &[Waker]) -> Vec<LinkEnds> {
        if keyed { all_to_all::<T>(wakers) } else { one_to_one::<T>(wakers) }
    }

    fn writer(&self, keyed: bool, senders: Box<dyn Any + Send>) -> Result<Box<dyn Any>> {
        let mut senders = *senders.downcast::<Vec<Sender<T>>>().map_err(|_| erased_bug("senders"))?;
        let next: Next<T> = if keyed {
            Box::new(Exchange::new(senders, self.select.clone()))
        } else {
            Box::new(Forward { sender: senders.pop().ok_or_else(|| erased_bug("no sender"))? })
        };
        Ok(Box::new(next))
    }

    fn open(&self, receivers: Box<dyn Any + Send>) -> Result<Box<dyn OpenPort<O, K>>> {
        let receivers = *receivers.downcast::<Vec<Receiver<T>>>().map_err(|_| erased_bug("receivers"))?;
        Ok(Box::new(ReadingPort::<T, S, INPUT> { receivers, select: self.select.clone() }))
    }

    fn chain(&self, core: Core<O, K>) -> Box<dyn Any> {
        let next: Next<T> = Box::new(OperatorPush::<O, K, T, S, INPUT>::new(core, self.select.clone()));
        Box::new(next)
    }
}

struct ReadingPort<T, S, const INPUT: usize> {
    /// By writing worker.
    receivers: Vec<Receiver<T>>,
    select: S,
}

impl<O, K, T, S, const INPUT: usize> OpenPort<O, K> for ReadingPort<T, S, INPUT>
where
    O: Handler<INPUT, K, Record = T> + Timers<K> + Operator<Outputs: Wired>,
    K: Key + ?Sized,
    T: Send + 'static,
    S: KeySelector<T, K>,
{
    fn channels(&self) -> usize {
        self.receivers.len()
    }

    fn poll(&mut self, channel: usize, core: &mut Core<O, K>) -> Result<Polled> {
        let receiver = &mut self.receivers[channel];
        match receiver.receive()? {
            None => Ok(Polled::Empty),
            Some(Event::Control(control)) => Ok(Polled::Control(control)),
            Some(Event::Batch(mut batch)) => {
                core.process::<INPUT, T, S>(&mut batch, &self.select)?;
                receiver.recycle(batch);
                Ok(Polled::Batch)
            }
        }
    }
}
