//! What a topic must hold whose records count up by key: each key's numbers from 1 on, each once, in
//! order, in one partition. Knows neither jobs nor brokers.

use std::collections::HashMap;

/// The records of one topic, as they are read.
#[derive(Clone, Debug, Default)]
pub struct Sequences {
    /// Of each key: its partition, and how far it has come.
    last: HashMap<String, (i32, u64)>,
    records: u64,
}

impl Sequences {
    /// The next record.
    ///
    /// # Errors
    /// What is wrong with it: a number was lost, repeated or overtaken, or the key is in two partitions.
    pub fn take(&mut self, partition: i32, key: &str, number: u64) -> Result<(), String> {
        self.records += 1;
        let Some((own, last)) = self.last.get_mut(key) else {
            self.last.insert(key.to_owned(), (partition, number));
            return if number == 1 {
                Ok(())
            } else {
                Err(format!("`{key}` begins with {number}: what was before is lost"))
            };
        };
        if *own != partition {
            return Err(format!("`{key}` is in the partitions {own} and {partition}"));
        }
        let before = std::mem::replace(last, number);
        match number {
            number if number == before + 1 => Ok(()),
            number if number <= before => Err(format!("`{key}` has {number} after {before}: twice, or out of order")),
            _ => Err(format!("`{key}` goes from {before} to {number}: what is between is lost, or comes too late")),
        }
    }

    /// How many records there were.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Whether each key has come as far as wanted, and no other is there.
    ///
    /// # Errors
    /// The first keys that have not.
    pub fn compare(&self, wanted: &HashMap<String, u64>) -> Result<(), String> {
        let got = |key: &str| self.last.get(key).map_or(0, |(_, last)| *last);
        let short = wanted.iter().filter(|(key, last)| got(key) != **last);
        let mut wrong: Vec<String> =
            short.map(|(key, last)| format!("`{key}` ends with {}, not with {last}", got(key))).collect();
        let foreign = self.last.keys().filter(|key| !wanted.contains_key(*key));
        wrong.extend(foreign.map(|key| format!("`{key}` was never asked for")));
        if wrong.is_empty() {
            return Ok(());
        }
        wrong.sort_unstable();
        let more = wrong.len().saturating_sub(10);
        wrong.truncate(10);
        Err(format!("{} (and {more} more)", wrong.join("; ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(records: &[(i32, &str, u64)]) -> Result<Sequences, String> {
        let mut sequences = Sequences::default();
        records.iter().try_for_each(|(partition, key, number)| sequences.take(*partition, key, *number))?;
        Ok(sequences)
    }

    #[test]
    fn what_counts_up_is_taken() {
        let sequences = taken(&[(0, "a", 1), (1, "b", 1), (0, "a", 2)]).unwrap();
        assert_eq!(sequences.records(), 3);
        let wanted = |a| HashMap::from([("a".to_owned(), a), ("b".to_owned(), 1)]);
        assert_eq!(sequences.compare(&wanted(2)), Ok(()));
        assert!(sequences.compare(&wanted(3)).unwrap_err().contains("`a` ends with 2, not with 3"));
        assert!(sequences.compare(&HashMap::new()).unwrap_err().contains("never asked for"));
    }

    #[test]
    fn what_is_lost_repeated_or_elsewhere_is_told() {
        let assert_wrong = |records: &[(i32, &str, u64)], what| {
            assert!(taken(records).unwrap_err().contains(what), "{records:?}");
        };
        assert_wrong(&[(0, "a", 2)], "is lost");
        assert_wrong(&[(0, "a", 1), (0, "a", 3)], "is lost");
        assert_wrong(&[(0, "a", 1), (0, "a", 1)], "twice");
        assert_wrong(&[(0, "a", 1), (1, "a", 2)], "partitions");
    }
}
