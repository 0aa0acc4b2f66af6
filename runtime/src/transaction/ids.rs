//! [`Ids`]: the transactional ids of a job, and which attempt's each one is.
//!
//! ```text
//! <job>/<lineage>/<slot>-<n>       the nth producer of the attempt that claimed this slot
//! <that>~r<revision>-<slot>        its records once more, written by the attempt that claimed this slot
//! ```
//!
//! An attempt initialises ids of its own slot alone, and takes over those of slots below it. So one that was
//! superseded and sleeps through it touches nothing of its successor's, however late it wakes: neither
//! what a later manifest lists, nor what is open.
//!
//! Former builds wrote `<n>` and `~r<revision>`. Slots begin at 1, so those ids are below all.

/// The ids as one attempt sees them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ids {
    /// `<job>/<lineage>/`.
    prefix: String,
    slot: u64,
}

/// What stands between a transactional id and the revision of its replay.
const REVISION: &str = "~r";

impl Ids {
    /// Those of the attempt that claimed this slot.
    #[must_use]
    pub fn new(job: &str, lineage: &str, slot: u64) -> Self {
        Self { prefix: format!("{job}/{lineage}/"), slot }
    }

    /// What all ids of this job and checkpoint store begin with: `<job>/<lineage>/`.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The id of this attempt's nth producer.
    #[must_use]
    pub fn producer(&self, number: u64) -> String {
        format!("{}{}-{number}", self.prefix, self.slot)
    }

    /// The id under which this attempt writes again what was written under `id`.
    pub(super) fn replay_of(&self, id: &str) -> String {
        let (first, revision, _) = split(id);
        format!("{first}{REVISION}{}-{}", revision + 1, self.slot)
    }

    /// Whether an id is an earlier attempt's.
    pub(super) fn is_earlier(&self, id: &str) -> bool {
        slot_of(id) < self.slot
    }

    /// Whether an id is another attempt's that is not earlier; asked before this one has a producer.
    pub(super) fn is_later(&self, id: &str) -> bool {
        slot_of(id) > self.slot || slot_of(id) == self.slot && !is_replay(id)
    }
}

/// The slot of the attempt whose id it is; 0 for a former build's.
pub(super) fn slot_of(id: &str) -> u64 {
    match split(id) {
        (_, 1.., slot) => slot,
        (first, 0, _) => {
            let name = first.rsplit('/').next().unwrap_or(first);
            name.split_once('-').and_then(|(slot, _)| slot.parse().ok()).unwrap_or(0)
        }
    }
}

/// Whether the id is that of a replay.
pub(super) fn is_replay(id: &str) -> bool {
    split(id).1 > 0
}

/// The id first written under, how often its transaction was replayed, and who wrote the last replay.
fn split(id: &str) -> (&str, u32, u64) {
    let replay = id.rsplit_once(REVISION).and_then(|(first, rest)| {
        let (revision, slot) = rest.split_once('-').unwrap_or((rest, "0"));
        Some((first, revision.parse().ok()?, slot.parse().ok()?))
    });
    replay.unwrap_or((id, 0, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_has_ids_of_its_own_and_tells_those_of_earlier_ones() {
        let ids = Ids::new("job", "line-age", 12);
        assert_eq!((ids.prefix(), ids.producer(3).as_str()), ("job/line-age/", "job/line-age/12-3"));
        for earlier in ["11-0", "9-99", "0", "7", "2-3~r1-11", "3~r1", "anything"] {
            assert!(ids.is_earlier(&format!("job/line-age/{earlier}")), "{earlier}");
        }
        for own_or_later in ["12-0", "13-0", "100-7", "2-3~r1-12", "3~r4-13"] {
            assert!(!ids.is_earlier(&format!("job/line-age/{own_or_later}")), "{own_or_later}");
        }
    }

    #[test]
    fn a_replay_of_a_replay_counts_on() {
        for first in ["job/1/7", "job/1/2-7"] {
            let mut id = first.to_owned();
            assert!(!is_replay(&id));
            for revision in 1..=11 {
                id = Ids::new("job", "1", 20 + revision).replay_of(&id);
                assert_eq!(id, format!("{first}~r{revision}-{}", 20 + revision));
                assert!(is_replay(&id) && slot_of(&id) == 20 + revision);
            }
        }
        assert_eq!(Ids::new("job", "1", 9).replay_of("job/1/7~r3"), "job/1/7~r4-9", "a former build's");
        assert!(is_replay("a/1~r1") && !is_replay("a/1") && !is_replay("a~r/1-2"));
    }
}
