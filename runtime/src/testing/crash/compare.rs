//! When two outputs are the same.

use crate::flow::stand_in::AnyRecord;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

/// What has to be the same in what a sink has committed, compared with an undisturbed run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compare {
    /// The same records in the same order. Only for pipelines with one partition, one worker and one input:
    /// otherwise interleaving legitimately changes the order.
    Exact,
    /// The same records, each as often; those of one key in the same order, where the sink's key is known.
    PerKey,
    /// The same records, each as often, in any order.
    Multiset,
    /// Each record at least as often, in any order: for sinks that are at least once, which are compared so unless
    /// something else is said for the sink itself.
    AtLeastOnce,
    /// For each key the same last record: for outputs that are only ever read as a table.
    LastPerKey,
}

/// How a sink's records are compared.
#[derive(Clone)]
pub(super) enum Rule {
    Given(Compare),
    Own(OwnRule),
}

/// The undisturbed run's records, and those of the run that was disturbed.
type OwnRule = Arc<dyn Fn(&[&AnyRecord], &[&AnyRecord]) -> Result<(), String> + Send + Sync>;

/// A sink's committed records.
#[derive(Default)]
pub(super) struct Output {
    pub written: Vec<AnyRecord>,
    /// The numbers of those that are visible, in the order in which readers see them.
    pub visible: Vec<usize>,
    /// The sink has no transactions.
    pub at_least_once: bool,
    pub shown: Vec<String>,
    /// As many as records, where the sink has keys.
    pub keys: Option<Vec<String>>,
}

/// Records that a message names at most.
const NAMED_MAX: usize = 5;

impl Output {
    /// The visible records.
    pub fn records(&self) -> impl Iterator<Item = &AnyRecord> {
        self.visible.iter().map(|number| &self.written[*number])
    }
}

impl Rule {
    /// Says what is different.
    pub fn check(&self, undisturbed: &Output, crashed: &Output) -> Result<(), String> {
        match self {
            Self::Own(rule) => {
                let (undisturbed, crashed): (Vec<_>, Vec<_>) =
                    (undisturbed.records().collect(), crashed.records().collect());
                rule(&undisturbed, &crashed)
            }
            Self::Given(Compare::Exact) => {
                multiset(undisturbed, crashed)?;
                if undisturbed.shown == crashed.shown {
                    Ok(())
                } else {
                    Err(in_order("", &undisturbed.shown, &crashed.shown))
                }
            }
            Self::Given(Compare::Multiset) => multiset(undisturbed, crashed),
            Self::Given(Compare::AtLeastOnce) => at_least(undisturbed, crashed),
            Self::Given(Compare::PerKey) => multiset(undisturbed, crashed).and_then(|()| per_key(undisturbed, crashed)),
            Self::Given(Compare::LastPerKey) => last_per_key(undisturbed, crashed),
        }
    }
}

fn in_order(of: &str, undisturbed: &[String], crashed: &[String]) -> String {
    let at = undisturbed.iter().zip(crashed).position(|(expected, found)| expected != found).unwrap_or(0);
    let from = |records: &[String]| records[at..].iter().take(NAMED_MAX).cloned().collect::<Vec<_>>().join(", ");
    format!(
        "the order of records{of} is not kept\n    undisturbed, from record {at}: {}\n    now:                   {}",
        from(undisturbed),
        from(crashed)
    )
}

fn multiset(undisturbed: &Output, crashed: &Output) -> Result<(), String> {
    counted(undisturbed, crashed, true)
}

fn at_least(undisturbed: &Output, crashed: &Output) -> Result<(), String> {
    counted(undisturbed, crashed, false)
}

/// `more_is_wrong`: records that are there more often than expected are a difference, too.
fn counted(undisturbed: &Output, crashed: &Output, more_is_wrong: bool) -> Result<(), String> {
    let mut balance: BTreeMap<&str, i64> = BTreeMap::new();
    undisturbed.shown.iter().for_each(|record| *balance.entry(record).or_default() += 1);
    crashed.shown.iter().for_each(|record| *balance.entry(record).or_default() -= 1);
    let named = |sign: i64| {
        let mut text = String::new();
        let mut total = 0;
        for (record, times) in balance.iter().map(|(record, balance)| (record, balance * sign)) {
            if times > 0 {
                total += times;
                if total <= NAMED_MAX as i64 {
                    let _ = write!(
                        text,
                        "\n    {record}{}",
                        if times > 1 { format!(" ({times} times)") } else { String::new() }
                    );
                }
            }
        }
        (total, text)
    };
    let ((lost, which_lost), (more, which_more)) = (named(1), named(-1));
    if lost == 0 && (more == 0 || !more_is_wrong) {
        return Ok(());
    }
    let mut text = format!("{} records are expected, {} are there", undisturbed.shown.len(), crashed.shown.len());
    if lost > 0 {
        let _ = write!(text, "\n  missing, {lost} in all:{which_lost}");
    }
    if more > 0 && more_is_wrong {
        let _ = write!(text, "\n  too many, {more} in all:{which_more}");
    }
    Err(text)
}

/// Each key's records, as shown, in their order.
fn by_key(output: &Output) -> Option<BTreeMap<&str, Vec<String>>> {
    let keys = output.keys.as_ref()?;
    let mut sorted: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (key, record) in keys.iter().zip(&output.shown) {
        sorted.entry(key).or_default().push(record.clone());
    }
    Some(sorted)
}

fn per_key(undisturbed: &Output, crashed: &Output) -> Result<(), String> {
    let (Some(expected), Some(found)) = (by_key(undisturbed), by_key(crashed)) else { return Ok(()) };
    for (key, records) in &expected {
        let there = found.get(key).map_or(&[][..], Vec::as_slice);
        if records != there {
            return Err(in_order(&format!(" of key {key}"), records, there));
        }
    }
    Ok(())
}

fn last_per_key(undisturbed: &Output, crashed: &Output) -> Result<(), String> {
    let (Some(expected), Some(found)) = (by_key(undisturbed), by_key(crashed)) else {
        return Err("its records have no key to compare by: give one with `.key::<sink, _>(|record| …)`".to_owned());
    };
    for key in expected.keys().chain(found.keys()) {
        let last = |of: &BTreeMap<&str, Vec<String>>| of.get(key).and_then(|records| records.last().cloned());
        let (expected, found) = (last(&expected), last(&found));
        if expected != found {
            let show = |last: Option<String>| last.unwrap_or_else(|| "none".to_owned());
            return Err(format!("the last record of key {key} is {} instead of {}", show(found), show(expected)));
        }
    }
    Ok(())
}
