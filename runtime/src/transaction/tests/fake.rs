//! A cluster of one topic `t` with two partitions. One thread, no time but the one it is told.

use crate::error::{Error, ErrorKind, Result};
use crate::transaction::*;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

/// INVALID_TXN_STATE, INVALID_PRODUCER_EPOCH.
const INVALID_STATE: i16 = 48;
const FENCED: i16 = 90;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Entry {
    Data(u64),
    Marker(bool),
    /// Compacted away.
    Gone,
}

#[derive(Debug, Default)]
pub struct Partition {
    pub log: Vec<(Producer, Entry)>,
    pub start: usize,
    /// Its leader is new, and shows nothing from this offset on until this time in milliseconds.
    pub new_leader: Option<(usize, u64)>,
}

impl Partition {
    fn high_watermark(&self, now_ms: u64) -> usize {
        let shown = self.new_leader.filter(|(_, until_ms)| now_ms < *until_ms);
        shown.map_or(self.log.len(), |(shown, _)| shown)
    }
}

#[derive(Clone, Debug)]
struct Coordinated {
    producer: Producer,
    state: &'static str,
    start_ms: i64,
    /// The first offset of the open transaction, by partition.
    open: BTreeMap<i32, i64>,
}

/// An end that is decided and not written yet.
#[derive(Debug)]
struct Late {
    questions: usize,
    id: String,
    partitions: Vec<i32>,
    commit: bool,
}

#[derive(Debug)]
pub struct World {
    pub topic_id: Option<String>,
    /// As many as there are, unless said otherwise.
    pub known_partitions: Option<i32>,
    pub compacted: Option<bool>,
    pub partitions: Vec<Partition>,
    ids: BTreeMap<String, Coordinated>,
    now_ms: u64,
    next_producer: i64,
    /// Partitions that have no leader when the next transaction ends: their markers are forgotten (KAFKA-20734).
    pub forgets: Vec<i32>,
    /// And when each later one does.
    pub forgets_always: bool,
    /// The markers of the next transaction that ends are written when its coordinator was asked so often.
    pub marks_later: Option<usize>,
    late: Option<Late>,
    /// What is asked of the cluster, in order.
    pub asked: Vec<String>,
    /// Takes the replay's id over after so many more copied partitions.
    pub rob_after_copies: Option<usize>,
    /// Values that its topics do not take any more when they are copied.
    pub refused: Vec<u64>,
    /// What happens after ids were listed, before the answer comes.
    pub after_list: Option<fn(&Cluster)>,
}

/// A handle; all share one world.
#[derive(Clone, Debug)]
pub struct Cluster(pub Rc<RefCell<World>>);

/// A live producer of it.
#[derive(Clone, Debug)]
pub struct Live {
    id: String,
    cluster: Cluster,
    session: Rc<RefCell<(Producer, Written)>>,
    pub unclean: Rc<RefCell<Option<&'static str>>>,
    age: Duration,
}

impl Cluster {
    pub fn new() -> Self {
        let partitions = (0..2).map(|_| Partition::default()).collect();
        Self(Rc::new(RefCell::new(World {
            topic_id: Some("id-1".into()),
            known_partitions: None,
            compacted: Some(false),
            partitions,
            ids: BTreeMap::new(),
            now_ms: 1_000,
            next_producer: 1,
            asked: Vec::new(),
            rob_after_copies: None,
            refused: Vec::new(),
            after_list: None,
            forgets: Vec::new(),
            forgets_always: false,
            marks_later: None,
            late: None,
        })))
    }

    pub fn producer(&self, id: &str) -> Live {
        let session = Rc::new(RefCell::new((Producer { id: -1, epoch: -1 }, Written::default())));
        Live { id: id.into(), cluster: self.clone(), session, unclean: Rc::default(), age: Duration::ZERO }
    }

    /// What readers of committed data see.
    pub fn committed(&self) -> Vec<Vec<u64>> {
        (0..2).map(|partition| self.0.borrow().committed(partition)).collect()
    }

    pub fn state(&self, id: &str) -> &'static str {
        self.0.borrow().ids.get(id).map_or("unknown", |it| it.state)
    }

    /// The broker's time for this id is up.
    pub fn expire(&self, id: &str) {
        let mut world = self.0.borrow_mut();
        world.finish(id, false, 1);
    }

    /// All partitions have a new leader, which shows nothing from this offset on for so long.
    pub fn change_leaders(&self, shown: usize, seconds: u64) {
        let mut world = self.0.borrow_mut();
        let until_ms = world.now_ms + seconds * 1_000;
        world.partitions.iter_mut().for_each(|partition| partition.new_leader = Some((shown, until_ms)));
    }

    /// The topic is deleted, and there is another one of its name.
    pub fn create_anew(&self) {
        let mut world = self.0.borrow_mut();
        world.topic_id = Some("id-2".into());
        world.partitions.iter_mut().for_each(|partition| *partition = Partition::default());
    }

    /// Forgets a transactional id.
    pub fn forget(&self, id: &str) {
        self.0.borrow_mut().ids.remove(id);
    }

    /// How often something was asked whose text begins so.
    pub fn asked(&self, what: &str) -> usize {
        self.0.borrow().asked.iter().filter(|asked| asked.starts_with(what)).count()
    }
}

impl World {
    /// The first offsets of open transactions, with their producers' ids.
    fn open_producers(&self, partition: usize) -> BTreeMap<i64, i64> {
        let mut open = BTreeMap::new();
        for (at, (by, entry)) in self.partitions[partition].log.iter().enumerate() {
            match entry {
                Entry::Data(_) => _ = open.entry(by.id).or_insert(at as i64),
                Entry::Marker(_) => _ = open.remove(&by.id),
                Entry::Gone => {}
            }
        }
        open
    }

    fn last_stable(&self, partition: usize) -> i64 {
        let first = self.open_producers(partition).into_values().min();
        first.unwrap_or(self.partitions[partition].log.len() as i64)
    }

    /// First offsets of aborted transactions, with their producers.
    fn aborted(&self, partition: usize) -> Vec<(i64, i64)> {
        let log = &self.partitions[partition].log;
        let mut aborted = Vec::new();
        for (at, (by, entry)) in log.iter().enumerate() {
            if *entry == Entry::Marker(false) {
                let before =
                    log[..at].iter().rposition(|(of, entry)| of.id == by.id && matches!(entry, Entry::Marker(_)));
                let first = (before.map_or(0, |at| at + 1)..at).find(|&at| log[at].0.id == by.id);
                aborted.extend(first.map(|first| (by.id, first as i64)));
            }
        }
        aborted
    }

    fn committed(&self, partition: usize) -> Vec<u64> {
        let log = &self.partitions[partition].log;
        let stable = self.last_stable(partition) as usize;
        let mut seen = Vec::new();
        for at in self.partitions[partition].start..stable {
            let (by, Entry::Data(value)) = log[at] else { continue };
            let end = log[at..].iter().find(|(of, entry)| of.id == by.id && matches!(entry, Entry::Marker(_)));
            if end.is_some_and(|(_, entry)| *entry == Entry::Marker(true)) {
                seen.push(value);
            }
        }
        seen
    }

    fn finish(&mut self, id: &str, commit: bool, raise: i16) {
        let it = self.ids.get_mut(id).expect("the id is known");
        assert_eq!(it.state, "Ongoing");
        it.producer.epoch += raise;
        let forgotten = if self.forgets_always { self.forgets.clone() } else { std::mem::take(&mut self.forgets) };
        let open = std::mem::take(&mut it.open).into_keys().filter(|partition| !forgotten.contains(partition));
        let (questions, partitions) = (self.marks_later.take().unwrap_or(0), open.collect());
        it.state = if commit { "PrepareCommit" } else { "PrepareAbort" };
        self.late = Some(Late { questions, id: id.to_owned(), partitions, commit });
        self.mark();
    }

    /// Writes markers that are due.
    fn mark(&mut self) {
        if let Some(Late { id, partitions, commit, .. }) = self.late.take_if(|late| late.questions == 0) {
            let it = self.ids.get_mut(&id).expect("it was open");
            it.state = if commit { "CompleteCommit" } else { "CompleteAbort" };
            for partition in partitions {
                self.partitions[partition as usize].log.push((it.producer, Entry::Marker(commit)));
            }
        }
        if let Some(late) = &mut self.late {
            late.questions -= 1;
        }
    }

    /// What a session has written to a range, as far as it is there.
    fn values(&self, range: &SessionRange<'_>) -> Vec<u64> {
        let of = &self.partitions[range.partition as usize];
        let first = (range.first as usize).max(of.start);
        let mine = of.log[first..=range.last as usize].iter().filter(|(by, _)| *by == range.from);
        mine.filter_map(|(_, entry)| if let Entry::Data(value) = entry { Some(*value) } else { None }).collect()
    }

    pub fn open_in_all(&self) -> usize {
        (0..self.partitions.len()).map(|partition| self.open_producers(partition).len()).sum()
    }

    fn initialise(&mut self, id: &str) -> Producer {
        if self.ids.get(id).is_some_and(|it| it.state == "Ongoing") {
            self.finish(id, false, 0);
        }
        let next = Producer { id: self.next_producer, epoch: -1 };
        let it = self.ids.entry(id.to_owned()).or_insert_with(|| Coordinated {
            producer: next,
            state: "Empty",
            start_ms: -1,
            open: BTreeMap::new(),
        });
        self.next_producer += 1;
        it.producer.epoch += 1;
        (it.state, it.start_ms) = ("Empty", -1);
        it.producer
    }

    fn open(&mut self, id: &str, producer: Producer, partition: i32) -> Result<()> {
        let end = self.partitions[partition as usize].log.len() as i64;
        let it = self.ids.get_mut(id).filter(|it| it.producer == producer);
        let it = it.ok_or_else(|| Error::new(ErrorKind::Sink, "fenced"))?;
        if it.state != "Ongoing" {
            (it.state, it.start_ms) = ("Ongoing", self.now_ms as i64);
        }
        it.open.entry(partition).or_insert(end);
        Ok(())
    }

    fn append(&mut self, id: &str, producer: Producer, partition: i32, value: u64) -> Result<i64> {
        self.now_ms += 1;
        self.open(id, producer, partition)?;
        let log = &mut self.partitions[partition as usize].log;
        log.push((producer, Entry::Data(value)));
        Ok(log.len() as i64 - 1)
    }

    fn end(&mut self, id: &str, producer: Producer, commit: bool) -> i16 {
        match self.ids.get(id) {
            Some(it) if it.producer != producer => FENCED,
            Some(it) if it.state == "Ongoing" => {
                self.finish(id, commit, 0);
                0
            }
            _ => INVALID_STATE,
        }
    }
}

impl Brokers for Cluster {
    fn now(&self) -> Duration {
        Duration::from_millis(self.0.borrow().now_ms)
    }

    fn pause(&mut self, time: Duration) {
        self.0.borrow_mut().now_ms += time.as_millis() as u64;
    }

    fn describe(&mut self, id: &str) -> Result<Option<Described>> {
        let mut world = self.0.borrow_mut();
        world.mark();
        Ok(world.ids.get(id).map(|it| Described {
            state: it.state.into(),
            producer: it.producer,
            start_ms: it.start_ms,
            timeout_ms: 60_000,
            partitions: it.open.keys().map(|partition| ("t".to_owned(), *partition)).collect(),
        }))
    }

    fn end(&mut self, id: &str, producer: Producer, commit: bool) -> Result<i16> {
        let mut world = self.0.borrow_mut();
        world.asked.push(format!("end {id} {commit}"));
        Ok(world.end(id, producer, commit))
    }

    fn take_over(&mut self, id: &str) -> Result<Producer> {
        let mut world = self.0.borrow_mut();
        world.asked.push(format!("take over {id}"));
        Ok(world.initialise(id))
    }

    fn list(&mut self, prefix: &str) -> Result<Vec<Listed>> {
        let mut world = self.0.borrow_mut();
        let ids = world.ids.iter().filter(|(id, _)| id.starts_with(prefix));
        let listed = ids
            .map(|(id, it)| Listed { id: id.clone(), state: it.state.to_owned(), producer_id: it.producer.id })
            .collect();
        let after = world.after_list.take();
        drop(world);
        after.into_iter().for_each(|after| after(self));
        Ok(listed)
    }

    fn topic(&mut self, _name: &str) -> Result<Option<Topic>> {
        let world = self.0.borrow();
        let partitions = world.known_partitions.unwrap_or(world.partitions.len() as i32);
        Ok(world.topic_id.clone().map(|id| Topic { id, partitions }))
    }

    fn log_start(&mut self, _topic: &str, partition: i32) -> Result<i64> {
        self.0.borrow_mut().asked.push(format!("log start {partition}"));
        Ok(self.0.borrow().partitions[partition as usize].start as i64)
    }

    fn is_compacted(&mut self, _topic: &str) -> Result<Option<bool>> {
        Ok(self.0.borrow().compacted)
    }

    fn peek(&mut self, _topic: &str, partition: i32, offset: i64, isolation: Isolation) -> Result<Peek> {
        let world = self.0.borrow();
        let (at, of) = (partition as usize, &world.partitions[partition as usize]);
        let shown = of.high_watermark(world.now_ms);
        let end = if isolation == Isolation::Committed { shown.min(world.last_stable(at) as usize) } else { shown };
        if (offset as usize) < of.start || offset as usize > of.log.len() {
            return Ok(Peek { code: 1, high_watermark: -1, batch: None, aborted: vec![] });
        }
        let found = (offset as usize..end).find(|&at| of.log[at].1 != Entry::Gone);
        let batch = found.map(|at| BatchHeader {
            first: at as i64,
            last: at as i64,
            control: matches!(of.log[at].1, Entry::Marker(_)),
            producer_id: of.log[at].0.id,
            producer_epoch: of.log[at].0.epoch,
        });
        let aborted = if isolation == Isolation::Committed && batch.is_some() { world.aborted(at) } else { vec![] };
        Ok(Peek { code: 0, high_watermark: shown as i64, batch, aborted })
    }

    fn open_in(&mut self, partitions: &[(&str, i32)]) -> Result<Vec<OpenIn>> {
        let mut world = self.0.borrow_mut();
        world.asked.push("open in".to_owned());
        let of = |&(topic, partition): &(&str, i32)| {
            let open = world.open_producers(partition as usize).into_iter();
            open.map(|(producer_id, first)| OpenIn { topic: topic.to_owned(), partition, producer_id, first })
                .collect::<Vec<_>>()
        };
        Ok(partitions.iter().flat_map(of).collect())
    }

    fn find_marker(&mut self, _topic: &str, partition: i32, from: i64, producer_id: i64) -> Result<Marker> {
        let world = self.0.borrow();
        let of = &world.partitions[partition as usize];
        let mut found = of.log[..of.high_watermark(world.now_ms)].iter().skip(from as usize);
        Ok(match found.find(|(by, entry)| by.id == producer_id && *entry != Entry::Gone) {
            Some((by, Entry::Marker(committed))) => Marker::Found { committed: *committed, epoch: by.epoch },
            Some(_) => Marker::Overwritten,
            None => Marker::NotYet,
        })
    }

    fn add_partitions(&mut self, id: &str, producer: Producer, partitions: &[(&str, i32)]) -> Result<()> {
        let mut world = self.0.borrow_mut();
        partitions.iter().try_for_each(|(_, partition)| world.open(id, producer, *partition))
    }

    fn count(&mut self, range: &SessionRange<'_>) -> Result<Counted> {
        let mut world = self.0.borrow_mut();
        world.asked.push(format!("count {}/{}", range.topic, range.partition));
        let records = world.values(range).len() as u64;
        Ok(Counted { records, left_out: None })
    }

    fn copy(&mut self, range: &CopyRange<'_>) -> Result<Copied> {
        let CopyRange { of, id, to } = range;
        let mut world = self.0.borrow_mut();
        world.asked.push(format!("copy {}/{}", of.topic, of.partition));
        let mut copied = Copied { records: 0, first: -1, last: -1, left_out: None };
        for value in world.values(of) {
            if world.refused.contains(&value) {
                copied.left_out = Some("refused".to_owned());
                continue;
            }
            let offset = world.append(id, *to, of.partition, value)?;
            copied.first = if copied.records == 0 { offset } else { copied.first };
            (copied.records, copied.last) = (copied.records + 1, offset);
        }
        world.rob_after_copies = world.rob_after_copies.map(|left| left.saturating_sub(1));
        if world.rob_after_copies.take_if(|left| *left == 0).is_some() {
            world.initialise(id);
        }
        Ok(copied)
    }
}

impl Live {
    /// The same producer, whose transaction has been open for so long.
    pub fn aged(&self, seconds: u64) -> Self {
        Self { age: Duration::from_secs(seconds), ..self.clone() }
    }

    pub fn write(&self, partition: i32, value: u64) {
        let mut session = self.session.borrow_mut();
        let (producer, written) = &mut *session;
        let offset = self.cluster.0.borrow_mut().append(&self.id, *producer, partition, value).unwrap();
        match written.partitions.iter_mut().find(|range| range.partition == partition) {
            Some(range) => (range.last, range.records) = (offset, range.records + 1),
            None => written.partitions.push(PartitionRange {
                topic: "t".into(),
                topic_id: "id-1".into(),
                partition,
                first: offset,
                last: offset,
                records: 1,
            }),
        }
        written.writers = vec![WriterShare { sink: "out".into(), worker: 0, records: 1 }];
    }

    pub fn written(&self) -> Written {
        self.session.borrow().1.clone()
    }
}

impl LiveProducer for Live {
    fn id(&self) -> &str {
        &self.id
    }

    fn initialise(&self) -> Result<()> {
        self.session.borrow_mut().0 = self.cluster.0.borrow_mut().initialise(&self.id);
        Ok(())
    }

    fn begin(&self) -> Result<()> {
        self.session.borrow_mut().1 = Written::default();
        Ok(())
    }

    fn commit(&self) -> Answer {
        let code = self.cluster.0.borrow_mut().end(&self.id, self.session.borrow().0, true);
        match (*self.unclean.borrow(), code) {
            (None, 0) => Answer::Clean,
            (why, code) => Answer::Unclean(why.map_or(format!("error {code}"), str::to_owned)),
        }
    }

    fn abort(&self) -> Result<()> {
        self.cluster.0.borrow_mut().end(&self.id, self.session.borrow().0, false);
        Ok(())
    }

    fn age(&self) -> Duration {
        self.age
    }
}
