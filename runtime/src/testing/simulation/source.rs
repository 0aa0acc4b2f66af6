//! A simulated source: splits that grow while a test pushes, read in batches of any size.

use super::world::{Pid, World};
use crate::api::source::{Polled, ReaderContext, SplitPosition};
use crate::error::{Error, ErrorKind, Result};
use crate::flow::stand_in::{AnyRecord, ReaderStandIn, SourceStandIn};
use crate::time::Timestamp;
use std::sync::Arc;
use std::time::Duration;

/// Makes a record, as often as it is read.
pub(crate) type MakeRecord = Arc<dyn Fn() -> AnyRecord + Send + Sync>;

/// A source's splits, in the world.
#[derive(Clone, Default)]
pub(crate) struct Splits {
    pub splits: Vec<Vec<(MakeRecord, Timestamp)>>,
    /// Nothing more will come.
    pub ended: bool,
}

pub(super) struct SimulatedSource {
    pub world: Arc<World>,
    pub pid: Pid,
    pub id: String,
}

impl SourceStandIn for SimulatedSource {
    fn reader(&self, context: &ReaderContext<'_>) -> Result<Box<dyn ReaderStandIn>> {
        let (world, pid, id) = (self.world.clone(), self.pid, self.id.clone());
        let restored = context.restored.unwrap_or_default().iter().map(stand).collect::<Result<Vec<_>>>()?;
        let (worker, workers) = (context.worker, context.workers);
        let mut reader = Reader { world, pid, id, worker, workers, splits: Vec::new(), restored, turn: 0 };
        reader.discover();
        Ok(Box::new(reader))
    }
}

fn stand(at: &SplitPosition) -> Result<(usize, usize)> {
    let stand = at.split.parse().ok().zip(at.position.as_u64().and_then(|next| usize::try_from(next).ok()));
    stand.ok_or_else(|| {
        Error::new(ErrorKind::Checkpoint, format!("position {} of split {} is no simulated one", at.position, at.split))
    })
}

struct Reader {
    world: Arc<World>,
    pid: Pid,
    id: String,
    worker: usize,
    workers: usize,
    splits: Vec<Split>,
    restored: Vec<(usize, usize)>,
    turn: usize,
}

struct Split {
    number: usize,
    next: usize,
    finished: bool,
}

/// A reader that is woken by nothing but the simulation asks again at once when that lets it.
const ASK_AGAIN: Duration = Duration::MAX;
const BATCH_MAX: usize = 2;

impl Reader {
    /// Takes over splits of its own that have appeared.
    fn discover(&mut self) {
        let known = self.splits.last().map_or(0, |split| split.number + 1);
        let there = self.world.with(|state| state.sources.get(&self.id).map_or(0, |source| source.splits.len()));
        for number in (known..there).filter(|number| number % self.workers == self.worker) {
            let restored = self.restored.iter().find(|(split, _)| *split == number);
            self.splits.push(Split { number, next: restored.map_or(0, |(_, next)| *next), finished: false });
        }
    }
}

impl ReaderStandIn for Reader {
    fn poll(&mut self, records: &mut Vec<(AnyRecord, Timestamp)>) -> Result<Polled> {
        if !self.world.enter(self.pid, "source-poll") {
            return Ok(Polled::Pending { retry_after: ASK_AGAIN });
        }
        self.discover();
        let Self { splits, turn, id, .. } = self;
        self.world.with(|state| {
            if state.sources_pause && state.chance.one_in(2) {
                return Ok(Polled::Pending { retry_after: Duration::from_millis(1) });
            }
            let ended = state.input_ended || state.sources.get(id).is_some_and(|source| source.ended);
            let none = Splits::default();
            let source = state.sources.get(id).unwrap_or(&none);
            for _ in 0..splits.len() {
                let at = *turn % splits.len();
                *turn += 1;
                let split = &mut splits[at];
                let there = &source.splits[split.number][split.next..];
                if there.is_empty() {
                    split.finished = ended;
                    continue;
                }
                let most = 1 + state.chance.below(BATCH_MAX);
                let taken = &there[..most.min(there.len())];
                records.extend(taken.iter().map(|(make, time)| (make(), *time)));
                split.next += taken.len();
                return Ok(Polled::Records { split: at });
            }
            Ok(if ended { Polled::End } else { Polled::Pending { retry_after: ASK_AGAIN } })
        })
    }

    fn positions(&self) -> Vec<SplitPosition> {
        let position = |split: &Split| SplitPosition {
            split: split.number.to_string(),
            position: split.next.into(),
            finished: split.finished,
        };
        self.splits.iter().map(position).collect()
    }
}
