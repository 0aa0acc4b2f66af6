//! One attempt of the job: claim, recover, then epoch after epoch.
//!
//! ```text
//! Read -> Claim -> Settle (each sink) -> Open -> Run: Seal (each worker) -> Prepare
//!                  -> Publish -> Commit (each sink) -> Run … -> Done
//! ```
//! Workers and sinks are worked off in order, which loses nothing: they are alike. What nobody else can
//! notice is one step with what follows. The guards of [`Guards`] are where the protocol could be got wrong.

use crate::cluster::{Answer, Fate, Name, REPLAY, record};
use crate::world::{Delayed, Listed, Manifest, Slot, World};
use crate::{CHECKPOINTS, Guards, SINKS, WORKERS};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    Starting,
    /// Has read the log, whose next slot was free.
    Claiming,
    Settling,
    /// Was told that what is listed is open.
    Ending(Name),
    /// Has copied what had expired; the manifest has to name the copy.
    Replayed(Name),
    Opening,
    Running,
    Publishing,
    /// The answer to the publication was lost.
    InDoubt,
    Committing,
    Done,
    /// Gave up; the job starts another attempt.
    Failed,
    /// Another attempt has taken over.
    Superseded,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Attempt {
    pub number: u8,
    pub phase: Phase,
    /// The sink whose turn it is.
    pub sink: usize,
    /// The slot that it writes next.
    pub slot: usize,
    /// What the last manifest that it knows of says.
    pub epochs: u8,
    pub listed: Listed,
    /// Ids whose sessions are its own, by sink.
    pub sessions: [[Option<u8>; 2]; SINKS],
    /// The transactions of the running epoch.
    pub txns: Listed,
    /// How many workers have passed the barrier.
    pub sealed: usize,
    /// Commits that it went on without; none where the guard is on.
    pub outstanding: Listed,
}

/// What came of writing to the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Delivery {
    Answered,
    /// It landed, and the answer was lost.
    AnswerLost,
    /// It timed out, and may still land.
    Late,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    Read,
    Claim,
    Settle,
    End,
    PublishReplay,
    Open,
    Seal,
    Prepare,
    Publish(Delivery),
    Resolve,
    /// With a clean answer, or with one that was lost while the request is delivered once more.
    Commit {
        clean: bool,
    },
    CommitOutstanding(usize),
}

impl Attempt {
    pub fn new(number: u8) -> Self {
        Self {
            number,
            phase: Phase::Starting,
            sink: 0,
            slot: 0,
            epochs: 0,
            listed: Listed::default(),
            sessions: Default::default(),
            txns: Listed::default(),
            sealed: 0,
            outstanding: Listed::default(),
        }
    }

    /// What it has written to a sink and not yet asked the cluster about.
    pub fn unprepared(&self, sink: usize) -> Option<Name> {
        self.txns[sink].filter(|_| self.phase == Phase::Running)
    }

    /// Where a death can be told from one a step earlier, or later: where others can see what it did.
    pub fn can_die(&self) -> bool {
        match self.phase {
            Phase::Starting | Phase::Claiming | Phase::Ending(_) | Phase::Replayed(_) | Phase::Publishing => false,
            _ => !self.is_over(),
        }
    }

    pub fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Done | Phase::Failed | Phase::Superseded)
    }

    pub fn steps(&self, guards: &Guards, world: &World, steps: &mut Vec<Step>) {
        match self.phase {
            Phase::Starting => steps.push(Step::Read),
            Phase::Claiming => steps.push(Step::Claim),
            Phase::Settling => steps.push(Step::Settle),
            Phase::Ending(_) => steps.push(Step::End),
            Phase::Replayed(_) => steps.push(Step::PublishReplay),
            Phase::Opening => steps.push(Step::Open),
            Phase::Running => {
                if self.sealed < WORKERS {
                    steps.push(Step::Seal);
                }
                let wanted = if guards.wait_for_all_workers { WORKERS } else { 1 };
                if self.sealed >= wanted {
                    steps.push(Step::Prepare);
                }
            }
            Phase::Publishing => {
                steps.push(Step::Publish(Delivery::Answered));
                if world.left.lost_publications > 0 {
                    steps.extend([Step::Publish(Delivery::AnswerLost), Step::Publish(Delivery::Late)]);
                }
            }
            Phase::InDoubt => steps.push(Step::Resolve),
            Phase::Committing => {
                steps.push(Step::Commit { clean: true });
                if world.left.lost_commits > 0 && world.delayed.is_none() {
                    steps.push(Step::Commit { clean: false });
                }
            }
            Phase::Done | Phase::Failed | Phase::Superseded => {}
        }
        if !self.is_over() {
            let outstanding = (0..SINKS).filter(|sink| self.outstanding[*sink].is_some());
            steps.extend(outstanding.map(Step::CommitOutstanding));
        }
    }

    pub fn take(&mut self, step: Step, guards: &Guards, world: &mut World) {
        match step {
            Step::Read => self.read(guards, world),
            Step::Claim => {
                let claimed = world.create(self.slot, Slot::Claim);
                // Somebody was quicker: what it wrote has to be read first.
                if claimed {
                    self.slot += 1;
                    self.recover(guards);
                } else {
                    *self = Self::new(self.number);
                }
            }
            Step::Settle => self.settle(guards, world),
            Step::End => {
                if let Phase::Ending(name) = self.phase {
                    // What the answer says decides nothing; the fate is asked again.
                    let _ = world.clusters[self.sink].end(name.id, name.session, true);
                    self.phase = Phase::Settling;
                }
            }
            Step::PublishReplay => self.publish_replay(world),
            Step::Open => self.open(guards, world),
            Step::Seal => self.seal(guards, world),
            Step::Prepare => self.prepare(guards, world),
            Step::Publish(delivery) => self.publish(delivery, guards, world),
            Step::Resolve => self.resolve(guards, world),
            Step::Commit { clean } => self.commit(clean, guards, world),
            Step::CommitOutstanding(sink) => {
                if let Some(name) = self.outstanding[sink].take() {
                    let _ = world.clusters[sink].end(name.id, name.session, true);
                }
            }
        }
    }

    fn read(&mut self, guards: &Guards, world: &World) {
        self.slot = world.log.len();
        (self.epochs, self.listed) = world.newest().map(|it| (it.epochs, it.listed)).unwrap_or_default();
        if guards.claim_first {
            self.phase = Phase::Claiming;
        } else {
            self.recover(guards);
        }
    }

    fn recover(&mut self, guards: &Guards) {
        self.phase = if guards.settle_first { Phase::Settling } else { Phase::Opening };
        self.skip_settled(guards);
    }

    fn settle(&mut self, guards: &Guards, world: &mut World) {
        let Some(name) = self.listed[self.sink] else { return self.settled(guards) };
        let superseded = self.is_superseded(world);
        let cluster = &mut world.clusters[self.sink];
        match cluster.fate(name) {
            Fate::Open => self.phase = Phase::Ending(name),
            Fate::Committed => self.settled(guards),
            Fate::Aborted | Fate::Fenced | Fate::Expired => {
                let records = cluster.txns[usize::from(name.start)].records;
                let session = cluster.init(REPLAY, superseded);
                let Some(copy) = cluster.begin(REPLAY, session, false) else { return };
                let _ = cluster.write(REPLAY, session, records);
                self.phase = Phase::Replayed(copy);
                if !guards.publish_replays {
                    let _ = cluster.end(REPLAY, session, true);
                    self.listed[self.sink] = Some(copy);
                    self.phase = Phase::Settling;
                }
            }
        }
    }

    /// Its slot is taken, whether it knows or not.
    fn is_superseded(&self, world: &World) -> bool {
        world.log.len() > self.slot
    }

    fn settled(&mut self, guards: &Guards) {
        self.sink += 1;
        if self.sink == SINKS {
            self.sink = 0;
            self.phase = if guards.settle_first { Phase::Opening } else { self.running() };
        }
        self.skip_settled(guards);
    }

    /// Where nothing is listed there is nothing to settle.
    fn skip_settled(&mut self, guards: &Guards) {
        if self.phase == Phase::Settling && self.listed[self.sink].is_none() {
            self.settled(guards);
        }
    }

    fn publish_replay(&mut self, world: &mut World) {
        let Phase::Replayed(copy) = self.phase else { return };
        let mut listed = self.listed;
        listed[self.sink] = Some(copy);
        let manifest = Manifest { attempt: self.number, epochs: self.epochs, listed };
        if world.create(self.slot, Slot::Manifest(manifest)) {
            self.slot += 1;
            self.listed = listed;
            self.phase = Phase::Settling;
        } else {
            self.phase = Phase::Superseded;
        }
    }

    /// Aborts what lingers, and starts producers: on every id that is not listed.
    fn open(&mut self, guards: &Guards, world: &mut World) {
        let superseded = self.is_superseded(world);
        for sink in 0..SINKS {
            for id in 0..2 {
                if !guards.settle_first || self.listed[sink].is_none_or(|name| name.id != id) {
                    self.sessions[sink][usize::from(id)] = Some(world.clusters[sink].init(id, superseded));
                }
            }
        }
        self.phase = if guards.settle_first { self.running() } else { Phase::Settling };
        self.skip_settled(guards);
    }

    fn running(&self) -> Phase {
        if self.epochs == CHECKPOINTS { Phase::Done } else { Phase::Running }
    }

    /// I3: an id that the last manifest lists is not used.
    fn next_id(&self, sink: usize, guards: &Guards) -> u8 {
        let listed = self.listed[sink].map(|name| name.id);
        let again = listed.filter(|id| !guards.rotate_ids && *id != REPLAY);
        match again.filter(|id| self.sessions[sink][usize::from(*id)].is_some()) {
            Some(id) => id,
            None => u8::from(listed == Some(0)),
        }
    }

    /// The next worker writes its record of this epoch to all sinks, and passes the barrier.
    fn seal(&mut self, guards: &Guards, world: &mut World) {
        let superseded = self.is_superseded(world);
        for sink in 0..SINKS {
            let id = self.next_id(sink, guards);
            let cluster = &mut world.clusters[sink];
            let session = *self.sessions[sink][usize::from(id)].get_or_insert_with(|| cluster.init(id, superseded));
            if self.txns[sink].is_none() {
                self.txns[sink] = cluster.begin(id, session, false);
            }
            let written = self.txns[sink].is_some() && cluster.write(id, session, record(self.sealed, self.epochs));
            if !written {
                return self.fail(world);
            }
        }
        self.sealed += 1;
    }

    /// Asks the cluster what to list: the description of the id, if it is proven to be of our transaction.
    fn prepare(&mut self, guards: &Guards, world: &mut World) {
        for sink in 0..SINKS {
            let cluster = &world.clusters[sink];
            let Some(own) = self.txns[sink] else { return self.fail(world) };
            let id = cluster.ids[usize::from(own.id)];
            let open = cluster.open().any(|open| open == own.id);
            let described = id.last.filter(|_| open).map(|start| Name { id: own.id, session: id.session, start });
            match described.filter(|described| *described == own || !guards.prove_identity) {
                Some(described) => self.txns[sink] = Some(described),
                None => return self.fail(world),
            }
        }
        self.phase = if guards.publish_first { Phase::Publishing } else { Phase::Committing };
    }

    fn publish(&mut self, delivery: Delivery, guards: &Guards, world: &mut World) {
        if delivery != Delivery::Answered {
            world.left.lost_publications -= 1;
        }
        let listed = if guards.list_committables { self.txns } else { Listed::default() };
        let slot = Slot::Manifest(Manifest { attempt: self.number, epochs: self.epochs + 1, listed });
        if delivery == Delivery::Late {
            world.late = Some((self.slot, slot));
            self.phase = Phase::InDoubt;
            return;
        }
        if !guards.compare_and_set {
            self.slot = world.log.len();
        }
        let landed = world.create(self.slot, slot);
        if delivery == Delivery::AnswerLost {
            self.phase = Phase::InDoubt;
        } else if landed || !guards.losers_stop {
            self.published(guards);
        } else {
            self.phase = Phase::Superseded;
        }
    }

    fn published(&mut self, guards: &Guards) {
        self.slot += 1;
        self.phase = Phase::Committing;
        if !guards.publish_first {
            return self.next_epoch();
        }
        if !guards.settle_before_next {
            if self.outstanding == Listed::default() {
                self.outstanding = self.txns;
            }
            self.next_epoch();
        }
    }

    /// I6: a publication whose answer was lost is decided by what its slot holds, and by nothing else.
    fn resolve(&mut self, guards: &Guards, world: &mut World) {
        let Guards { read_back, abandon, .. } = *guards;
        match world.log.get(self.slot) {
            _ if !read_back => self.fail(world),
            Some(Slot::Manifest(manifest)) if manifest.attempt == self.number => self.published(guards),
            Some(_) => self.phase = Phase::Superseded,
            None => {
                if abandon {
                    world.create(self.slot, Slot::Abandoned);
                }
                self.fail(world);
            }
        }
    }

    fn commit(&mut self, clean: bool, guards: &Guards, world: &mut World) {
        let sink = self.sink;
        let Some(name) = self.txns[sink] else { return self.fail(world) };
        let cluster = &mut world.clusters[sink];
        let answer = cluster.end(name.id, name.session, true);
        if !clean {
            world.left.lost_commits -= 1;
            world.delayed = Some(Delayed { sink, id: name.id, session: name.session });
            if guards.retire_producers {
                self.sessions[sink][usize::from(name.id)] = None;
            }
        }
        if (answer == Answer::Fenced || !clean) && cluster.fate(name) != Fate::Committed {
            // The next attempt decides, with a claim.
            self.phase = Phase::Failed;
            return;
        }
        self.sink += 1;
        if self.sink < SINKS {
            return;
        }
        self.sink = 0;
        if guards.publish_first {
            self.next_epoch();
        } else {
            self.phase = Phase::Publishing;
        }
    }

    fn next_epoch(&mut self) {
        self.epochs += 1;
        self.listed = std::mem::take(&mut self.txns);
        self.sealed = 0;
        self.phase = self.running();
    }

    /// Gives up, and aborts what nobody has listed.
    fn fail(&mut self, world: &mut World) {
        for (cluster, name) in world.clusters.iter_mut().zip(std::mem::take(&mut self.txns)) {
            if let Some(name) = name {
                let _ = cluster.end(name.id, name.session, false);
            }
        }
        self.phase = Phase::Failed;
    }
}
