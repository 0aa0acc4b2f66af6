//! The partitions whose offsets a reader waits for while it reads: which of them are asked for next, and what an
//! answer leaves to be asked again.
//!
//! Pure: knows no client and no clock.

#![warn(clippy::disallowed_methods, reason = "no clock and no thread reaches what only decides or decodes")]

use super::position::split_name;
use super::raw::{FoundOffset, Which};
use super::start::Topic;
use std::collections::VecDeque;

/// A partition whose offset is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub topic: usize,
    pub partition: i32,
    pub which: Which,
    /// The number of its split, if it has one: it was lost, and is not new.
    pub split: Option<usize>,
}

/// A partition whose offset is known now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Placed {
    pub topic: usize,
    pub partition: i32,
    pub split: Option<usize>,
    pub offset: i64,
}

/// One question at a time is under way, so that each answer has its question.
#[derive(Debug, Default)]
pub(super) struct Queue {
    fresh: Vec<Wanted>,
    asked: Vec<Wanted>,
    /// Asked for in vain. Each alone from then on, in turn: librdkafka tells nothing at all while one partition of a
    /// question has no leader.
    again: VecDeque<Wanted>,
}

impl Queue {
    pub fn add(&mut self, wanted: Wanted) {
        self.fresh.push(wanted);
    }

    /// What to ask for now, all of one kind; nothing while there is a question under way.
    pub fn ask(&mut self) -> &[Wanted] {
        if !self.asked.is_empty() {
            return &[];
        }
        match self.fresh.first().map(|first| first.which) {
            Some(which) => self.asked = self.fresh.extract_if(.., |wanted| wanted.which == which).collect(),
            None => self.asked.extend(self.again.pop_front()),
        }
        &self.asked
    }

    /// The answer to the question that is under way: what it places, and why it does not place the others.
    pub fn answered(&mut self, topics: &[Topic], found: &[FoundOffset]) -> (Vec<Placed>, Vec<String>) {
        let (mut placed, mut failed) = (Vec::new(), Vec::new());
        for wanted in std::mem::take(&mut self.asked) {
            let Wanted { topic, partition, split, .. } = wanted;
            let name = &topics[topic].name;
            let told = found.iter().find(|(told, number, _)| **told == **name && *number == partition);
            let why = match told {
                Some((.., Ok(offset))) if *offset >= 0 => {
                    placed.push(Placed { topic, partition, split, offset: *offset });
                    continue;
                }
                Some((.., Err(error))) => error.to_string(),
                _ => "no answer".to_owned(),
            };
            failed.push(format!("{}: {why}", split_name(name, partition)));
            self.again.push_back(wanted);
        }
        (placed, failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rdkafka::types::RDKafkaErrorCode;

    fn topics() -> [Topic; 1] {
        [Topic { name: "t".into(), name_c: c"t".to_owned(), id: None, partitions: 9 }]
    }

    fn queue(wanted: &[(i32, Which)]) -> Queue {
        let mut queue = Queue::default();
        for &(partition, which) in wanted {
            queue.add(Wanted { topic: 0, partition, which, split: None });
        }
        queue
    }

    fn asked(queue: &mut Queue) -> Vec<i32> {
        queue.ask().iter().map(|wanted| wanted.partition).collect()
    }

    fn told(offsets: &[(i32, Result<i64, RDKafkaErrorCode>)]) -> Vec<FoundOffset> {
        offsets.iter().map(|&(partition, offset)| ("t".to_owned(), partition, offset)).collect()
    }

    #[test]
    fn one_kind_is_asked_for_at_a_time_and_what_was_told_is_placed() {
        let mut queue = queue(&[(1, Which::Earliest), (2, Which::Latest), (3, Which::Earliest)]);
        assert_eq!(asked(&mut queue), [1, 3]);
        assert!(asked(&mut queue).is_empty(), "one question at a time");
        let (placed, failed) = queue.answered(&topics(), &told(&[(3, Ok(30)), (2, Ok(20)), (1, Ok(10))]));
        let offsets = placed.iter().map(|placed| (placed.partition, placed.offset));
        assert_eq!((offsets.collect::<Vec<_>>(), failed.len()), (vec![(1, 10), (3, 30)], 0));
        assert_eq!(asked(&mut queue), [2]);
    }

    #[test]
    fn a_partition_without_a_leader_holds_up_no_other() {
        let mut queue = queue(&[(1, Which::Earliest), (2, Which::Earliest), (3, Which::Latest)]);
        assert_eq!(asked(&mut queue), [1, 2]);
        // As when 1 has no leader: nothing is told.
        assert_eq!(queue.answered(&topics(), &[]).1, ["t/1: no answer", "t/2: no answer"]);
        assert_eq!(asked(&mut queue), [3], "of another kind");
        assert_eq!(queue.answered(&topics(), &told(&[(3, Ok(30))])).0.len(), 1);
        assert_eq!(asked(&mut queue), [1]);
        let error = RDKafkaErrorCode::LeaderNotAvailable;
        let (placed, failed) = queue.answered(&topics(), &told(&[(1, Err(error))]));
        assert!(placed.is_empty() && failed[0].starts_with("t/1: ") && failed[0].contains("eader"), "{failed:?}");
        assert_eq!(asked(&mut queue), [2], "alone");
        assert_eq!(queue.answered(&topics(), &told(&[(2, Ok(20))])).0.len(), 1);
        queue.add(Wanted { topic: 0, partition: 4, which: Which::Latest, split: Some(7) });
        assert_eq!(asked(&mut queue), [4], "what was not asked for in vain comes first");
        assert_eq!(queue.answered(&topics(), &told(&[(4, Ok(-1))])).1, ["t/4: no answer"]);
        assert_eq!(asked(&mut queue), [1]);
        assert_eq!(queue.answered(&topics(), &told(&[(1, Ok(10))])).0[0].offset, 10);
        assert_eq!(asked(&mut queue), [4]);
        assert_eq!(queue.answered(&topics(), &told(&[(4, Ok(40))])).0[0].split, Some(7));
        assert!(asked(&mut queue).is_empty());
    }
}
