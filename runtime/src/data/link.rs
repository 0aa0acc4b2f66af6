//! The channels of one input of the graph, over all workers.

use super::channel::{Receiver, Sender, channel};
use crate::api::source::Waker;
use std::any::Any;

/// One worker's ends: a `Vec<Sender<T>>` by reading worker, and a `Vec<Receiver<T>>` by writing worker.
pub(crate) struct LinkEnds {
    pub senders: Box<dyn Any + Send>,
    pub receivers: Box<dyn Any + Send>,
}

/// From each worker to each: N x N channels.
pub(crate) fn all_to_all<T: Send + 'static>(wakers: &[Waker]) -> Vec<LinkEnds> {
    let mut receivers: Vec<Vec<Receiver<T>>> = wakers.iter().map(|_| Vec::new()).collect();
    let mut senders: Vec<Vec<Sender<T>>> = Vec::new();
    for writer in wakers {
        let row = wakers.iter().zip(&mut receivers).map(|(reader, inbound)| {
            let (sender, receiver) = channel(writer.clone(), reader.clone());
            inbound.push(receiver);
            sender
        });
        senders.push(row.collect());
    }
    ends(senders, receivers)
}

/// From each worker to itself.
pub(crate) fn one_to_one<T: Send + 'static>(wakers: &[Waker]) -> Vec<LinkEnds> {
    let pairs = wakers.iter().map(|waker| channel::<T>(waker.clone(), waker.clone()));
    let (senders, receivers) = pairs.map(|(sender, receiver)| (vec![sender], vec![receiver])).unzip();
    ends(senders, receivers)
}

fn ends<T: Send + 'static>(senders: Vec<Vec<Sender<T>>>, receivers: Vec<Vec<Receiver<T>>>) -> Vec<LinkEnds> {
    let both = senders.into_iter().zip(receivers);
    both.map(|(senders, receivers)| LinkEnds { senders: Box::new(senders), receivers: Box::new(receivers) }).collect()
}
