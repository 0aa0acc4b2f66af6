//! The protocol over a small cluster in memory, which knows what transactions are.

mod fake;
mod live;
mod losses;
mod markers;
mod recover;

use super::*;
use crate::api::sink::Committable;
use crate::error::{ErrorKind, Result};
use crate::id::Epoch;
use fake::{Cluster, Live};
use std::cell::RefCell;

/// Some transaction.
pub(super) fn transaction(id: &str) -> KafkaCommittable {
    KafkaCommittable {
        version: 1,
        cluster_id: "c".into(),
        epoch: Epoch(1),
        transactional_id: id.into(),
        producer_id: 1,
        producer_epoch: 0,
        start_ms: 5,
        timeout_ms: 60_000,
        records: 1,
        partitions: vec![],
        writers: vec![WriterShare { sink: "out".into(), worker: 0, records: 1 }],
    }
}

/// The first attempt, with nothing to recover from.
fn transactions(cluster: &Cluster) -> Transactions<Cluster, Live> {
    attempt(cluster, 1)
}

/// That of a slot.
fn attempt(cluster: &Cluster, slot: u64) -> Transactions<Cluster, Live> {
    let ids = Ids::new("job", "lineage", slot);
    Transactions::new(cluster.clone(), "c".into(), ids, std::time::Duration::from_secs(60))
}

/// Writes and prepares an epoch as a live process does; values over two partitions.
fn prepare(
    attempt: &mut Transactions<Cluster, Live>,
    cluster: &Cluster,
    number: u64,
    epoch: u64,
    values: &[u64],
) -> (Committable, Live) {
    let live = cluster.producer(&attempt.ids().producer(number));
    live.initialise().unwrap();
    live.begin().unwrap();
    values.iter().for_each(|value| live.write((*value % 2) as i32, *value));
    (prepared(attempt, epoch, &live).unwrap(), live)
}

fn prepared(attempt: &mut Transactions<Cluster, Live>, epoch: u64, live: &Live) -> Result<Committable> {
    let producers = vec![(0, live.clone())];
    let bytes = attempt.prepare(Epoch(epoch), producers, &rotation(), |live, _| Ok(live.written()))?;
    Ok(Committable { participant: "kafka".into(), epoch: Epoch(epoch), bytes: bytes.expect("there are records") })
}

struct Shared(RefCell<Rotation<Live>>);

impl SharedRotation<Live> for Shared {
    fn with<R>(&self, change: impl FnOnce(&mut Rotation<Live>) -> R) -> R {
        change(&mut self.0.borrow_mut())
    }
}

fn rotation() -> Shared {
    Shared(RefCell::new(Rotation::new(1)))
}

/// How many producers may begin again when the manifest of this epoch is durable.
fn given_back(rotation: &Shared, manifest: u64) -> usize {
    rotation.with(|rotation| {
        rotation.committed(Epoch(manifest), Vec::new());
        std::iter::from_fn(|| rotation.wanted().filter(|wanted| matches!(wanted, Wanted::Again(_)))).count()
    })
}
