//! What a worker tells the coordinator.

use crate::api::source::SplitPosition;
use crate::error::Error;
use crate::id::Epoch;
use crate::time::Timestamp;
use std::cell::Cell;
use std::rc::Rc;

/// One node's part in a checkpoint, or a turn in its life.
#[derive(Debug)]
pub(crate) enum Report {
    /// The worker's copy of the graph stands; it begins to read.
    Built,
    /// A source share passed the barrier at these positions.
    Source { node: usize, epoch: Epoch, positions: Vec<SplitPosition>, ended: bool },
    /// An operator's state at the barrier: the table's bytes and the timers'.
    State { node: usize, epoch: Epoch, state: StateBytes },
    /// A sink's writer sealed its share.
    Sealed { node: usize, epoch: Epoch, share: Vec<u8> },
    /// A source share has nothing more to read.
    Ended { node: usize },
    /// The worker has to stop: user code failed or panicked, or a connector failed.
    Failed(Error),
    /// The worker has stopped as asked.
    Stopped,
}

/// An operator's encoded state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct StateBytes {
    pub bytes: Vec<u8>,
    /// The number of keys.
    pub entries: u64,
    /// Whether timers are among the bytes.
    pub timers: bool,
    /// The operator's watermark at the barrier.
    pub watermark: Timestamp,
}

impl StateBytes {
    /// Whether there is nothing worth keeping.
    pub fn is_empty(&self) -> bool {
        self.entries == 0 && !self.timers
    }
}

/// Where a worker's nodes put their reports.
#[derive(Clone)]
pub(crate) struct Reporter {
    send: Rc<dyn Fn(Report)>,
    has_sent: Rc<Cell<bool>>,
}

impl Reporter {
    pub fn new(send: impl Fn(Report) + 'static) -> Self {
        Self { send: Rc::new(send), has_sent: Rc::default() }
    }

    pub fn send(&self, report: Report) {
        self.has_sent.set(true);
        (self.send)(report);
    }

    /// Whether anything was reported since this was last asked.
    pub fn take_has_sent(&self) -> bool {
        self.has_sent.take()
    }
}
