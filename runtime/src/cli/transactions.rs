//! `transactions list`, `commit` and `abort`, and `run --dry-run`: what a job left open outside, and what
//! the next start would do about it.
//!
//! Nothing here takes the job over: what is shown holds for the moment. What is refused is decided by
//! pure functions over what was found.

use super::checkpoints::{line, when};
use super::numbers::{count, time};
use crate::api::sink::Committable;
use crate::api::transactions::{Foreseen, OpenTransaction, Outlook};
use crate::control::recovery::Recovery;
use crate::error::{Error, ErrorKind, Result};
use crate::id::Epoch;
use crate::job::Look;
use std::fmt::Write;
use std::time::Duration;

/// How many partitions are named on a line.
const HOLDS_MAX: usize = 3;

/// Whose an open transaction is, and what the next start makes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// A checkpoint promised it: it has to be committed.
    Promised(Epoch),
    /// The job's own, and no checkpoint lists it.
    Unlisted,
    /// It has the job's name, but another checkpoint store.
    OtherStore,
    /// Somebody else's.
    Foreign,
}

/// An open transaction with its standing.
pub(super) struct Found {
    /// The participant through whose cluster it was found.
    pub participant: usize,
    pub transaction: OpenTransaction,
    pub standing: Standing,
    /// What the next start does about it.
    pub next: &'static str,
}

impl Standing {
    fn belongs_to(self) -> String {
        match self {
            Self::Promised(epoch) => format!("checkpoint {epoch}"),
            Self::Unlisted => "no checkpoint".to_owned(),
            Self::OtherStore => "another store".to_owned(),
            Self::Foreign => "not this job".to_owned(),
        }
    }

    /// What the next start does about one that is open, unless it is `refused`; `foreseen` of what is promised.
    fn recovery(self, foreseen: Option<&Outlook>, refused: bool) -> &'static str {
        match self {
            Self::Promised(_) | Self::Unlisted if refused => "is refused",
            Self::Promised(_) => match foreseen {
                Some(Outlook::Replay(_)) => "writes it again",
                Some(Outlook::Loss(_) | Outlook::Stop(_)) => "stops",
                Some(Outlook::Commit | Outlook::Committed) | None => "commits it",
            },
            Self::Unlisted => "aborts it",
            Self::OtherStore | Self::Foreign => "leaves it",
        }
    }

    /// Why ending it so would break what the job guarantees. The order of commits is another matter.
    fn objection(self, commit: bool) -> Option<&'static str> {
        match (self, commit) {
            (Self::Promised(_), true) | (Self::Unlisted, false) => None,
            (Self::Promised(_), false) => {
                Some("a checkpoint promised its records: aborted, they are lost or have to be written again")
            }
            (Self::Unlisted, true) => {
                Some("no checkpoint lists it: its records will be written again, and then be there twice")
            }
            (Self::OtherStore | Self::Foreign, _) => {
                Some("it is not of this job and checkpoint store: its owner decides")
            }
        }
    }
}

/// The standing of a transaction named `id`; `promised` by the checkpoint that the next start goes on from.
pub(super) fn standing(id: &str, job: &str, lineage: Option<&str>, promised: Option<Epoch>) -> Standing {
    let mut parts = id.splitn(3, '/');
    match (promised, parts.next(), parts.next()) {
        (Some(epoch), ..) => Standing::Promised(epoch),
        (None, Some(name), Some(store)) if name == job => {
            if Some(store) == lineage {
                Standing::Unlisted
            } else {
                Standing::OtherStore
            }
        }
        _ => Standing::Foreign,
    }
}

/// What the checkpoint lists.
fn listed(look: &Look) -> &[Committable] {
    look.restored.as_ref().map_or(&[], |manifest| &manifest.cut.committables)
}

/// The name of a participant, the epoch of what it prepared, and what recovery would do about that.
type Listed = (String, Epoch, Option<Foreseen>);

/// What recovery would do about what the checkpoint lists, with the name of the participant; the oldest first.
/// Of those that nobody can be asked about, the epoch alone.
fn foresee(look: &mut Look) -> Result<Vec<Listed>> {
    let mut committables = listed(look).to_vec();
    committables.sort_by_key(|committable| committable.epoch);
    let mut foreseen = Vec::new();
    for (name, tool) in &mut look.tools {
        let mine: Vec<_> = committables.extract_if(.., |committable| committable.participant == *name).collect();
        let of = tool.foresee(&mine).map_err(|error| error.at(tool.place()))?;
        foreseen.extend(of.into_iter().map(|it| (name.clone(), it.epoch, Some(it))));
    }
    foreseen.extend(committables.into_iter().map(|committable| (committable.participant, committable.epoch, None)));
    foreseen.sort_by_key(|(_, epoch, _)| *epoch);
    Ok(foreseen)
}

/// All that is open: of this job, or with `all` of its clusters.
pub(super) fn find(look: &mut Look, foreseen: &[Listed], all: bool) -> Result<Vec<Found>> {
    let prefix = if all { String::new() } else { format!("{}/", look.job) };
    let (committables, refused) = (listed(look).to_vec(), look.recovery.is_err());
    let names: Vec<String> = look.tools.iter().map(|(name, _)| name.clone()).collect();
    let mut found = Vec::new();
    for (participant, (name, tool)) in look.tools.iter_mut().enumerate() {
        for transaction in tool.open(&prefix).map_err(|error| error.at(tool.place()))? {
            let mut promised = None;
            for committable in &committables {
                let is_its_own = committable.participant == *name;
                // Of a sink that the job has no more, as with another list of brokers: it may be of any kind.
                let is_nobodys = !names.contains(&committable.participant);
                if is_its_own && tool.is(committable, &transaction)?
                    || is_nobodys && tool.is(committable, &transaction).unwrap_or(false)
                {
                    promised = Some(committable.epoch);
                }
            }
            let standing = standing(&transaction.id, &look.job, look.lineage.as_deref(), promised);
            let its = foreseen.iter().filter(|(participant, ..)| participant == name);
            let its = its.filter_map(|(.., it)| it.as_ref()).find(|it| it.id == transaction.id);
            let next = standing.recovery(its.map(|it| &it.outlook), refused);
            found.push(Found { participant, transaction, standing, next });
        }
    }
    Ok(found)
}

/// `transactions list`.
pub(super) fn list(look: &mut Look, all: bool) -> Result<String> {
    let mut text = String::new();
    if look.tools.is_empty() {
        let _ = writeln!(text, "no sink of {} has transactions outside", look.job);
        return Ok(text);
    }
    let foreseen = foresee(look)?;
    let found = find(look, &foreseen, all)?;
    if found.is_empty() {
        let _ = writeln!(text, "no open transactions");
    } else {
        text.push_str(&table(&found, look.now_ms));
    }
    if let Err(error) = &look.recovery {
        let _ = writeln!(text, "\nthe next start would be refused: {}", line(&error.to_string()));
    }
    if !foreseen.is_empty() {
        let _ = write!(text, "\nwhat the checkpoint lists\n{}", outlooks(&foreseen));
    }
    Ok(text)
}

pub(super) fn table(found: &[Found], now_ms: u64) -> String {
    let rows: Vec<[String; 7]> = found
        .iter()
        .map(|Found { transaction: it, standing, next, .. }| {
            let age = it.started_ms.map_or("-".to_owned(), |ms| time(Duration::from_millis(now_ms.saturating_sub(ms))));
            let [belongs, recovery] = [standing.belongs_to(), (*next).to_owned()];
            [line(&it.id), line(&it.state), age, line(&it.producer), belongs, recovery, line(&holds(&it.holds))]
        })
        .collect();
    let heads = ["ID", "STATE", "AGE", "PRODUCER", "BELONGS TO", "NEXT START", "HOLDS BACK"].map(str::to_owned);
    let width = |at: usize| rows.iter().chain([&heads]).map(|row| row[at].chars().count()).max().unwrap_or(0);
    let widths: [usize; 7] = std::array::from_fn(width);
    let mut text = String::new();
    for row in [&heads].into_iter().chain(&rows) {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        let _ = writeln!(text, "{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
    text
}

fn holds(partitions: &[String]) -> String {
    match partitions {
        [] => "-".to_owned(),
        few if few.len() <= HOLDS_MAX => few.join(", "),
        many => format!("{} and {} more", many[..HOLDS_MAX].join(", "), many.len() - HOLDS_MAX),
    }
}

/// What recovery would do about each transaction, a line each.
fn outlooks(foreseen: &[Listed]) -> String {
    let mut text = String::new();
    for (participant, epoch, foreseen) in foreseen {
        let outlook = foreseen.as_ref().map(|it| words(&it.outlook));
        let outlook = outlook.unwrap_or_else(|| "committed, unless it is already".to_owned());
        let _ = writeln!(text, "  {participant} of checkpoint {epoch}: {}", line(&outlook));
    }
    text
}

fn words(outlook: &Outlook) -> String {
    match outlook {
        Outlook::Commit => "prepared; the next start commits it".to_owned(),
        Outlook::Committed => "committed; nothing is left to do".to_owned(),
        Outlook::Replay(why) => {
            format!("{why}; the next start writes them again from the log")
        }
        Outlook::Loss(why) => {
            format!("{why}; the next start stops with this, or with --accept-data-loss goes on without them")
        }
        Outlook::Stop(why) => format!("its fate is not known: {why}; the next start stops with this"),
    }
}

/// `transactions commit` and `transactions abort`.
pub(super) fn end(look: &mut Look, id: &str, commit: bool, yes: bool, force: bool) -> Result<String> {
    let wrong = |message: String| Error::new(ErrorKind::Config, message);
    let found = find(look, &[], true)?;
    let Some(it) = found.iter().find(|found| found.transaction.id == id) else {
        return Err(wrong(format!(
            "there is no open transaction {id:?}; `transactions list --all` shows those there are"
        )));
    };
    let verb = if commit { "commit" } else { "abort" };
    if !force {
        let objection = match it.standing.objection(commit) {
            None if commit => out_of_order(&foresee(look)?, &look.tools[it.participant].0, id),
            objection => objection.map(str::to_owned),
        };
        if let Some(why) = objection {
            return Err(wrong(format!("{id}: {why}. With --force it is done all the same")));
        }
    }
    if !yes {
        return Ok(format!("would {verb} {id} ({}); nothing was done: add --yes\n", it.standing.belongs_to()));
    }
    let (_, tool) = &mut look.tools[it.participant];
    tool.end(&it.transaction, commit).map_err(|error| error.at(tool.place()))?;
    let done = if commit { "committed" } else { "aborted" };
    Ok(format!("{id} was {done}\n"))
}

/// Why a transaction that a checkpoint promised is not to be committed now: what is older comes first, and may have
/// to be written again behind it.
fn out_of_order(foreseen: &[Listed], participant: &str, id: &str) -> Option<String> {
    let of: Vec<&Foreseen> =
        foreseen.iter().filter(|(name, ..)| name == participant).filter_map(|(.., it)| it.as_ref()).collect();
    let Some(its) = of.iter().find(|it| it.id == id) else {
        return Some("the job has no sink any more that writes it".to_owned());
    };
    if its.outlook != Outlook::Commit {
        return Some(format!("its records would be out of order, or there twice: {}", words(&its.outlook)));
    }
    let older = of.iter().find(|it| it.epoch < its.epoch && it.outlook != Outlook::Committed)?;
    Some(format!("{} of checkpoint {} is older and comes first: {}", older.id, older.epoch, words(&older.outlook)))
}

/// `run --dry-run`.
pub(super) fn dry_run(look: &mut Look) -> Result<String> {
    let mut text = format!("job {}, checkpoints in {}\n", look.job, look.store);
    let lead = match (&look.recovery, &look.restored) {
        (Err(error), _) => return Err(Error::new(error.kind(), format!("the next start would be refused: {error}"))),
        (Ok(Recovery::Finished(_)), Some(manifest)) => {
            format!("all input was processed in checkpoint {}: it would settle that and end", manifest.cut.epoch)
        }
        (Ok(_), Some(manifest)) => {
            let (epoch, published) = (manifest.cut.epoch, when(manifest.published_ms));
            format!("would go on from checkpoint {epoch} of {published}")
        }
        (Ok(_), None) => "would start for the first time, from the beginning of its sources".to_owned(),
    };
    let _ = writeln!(text, "{lead}");
    if let Ok(Recovery::Restore(plan) | Recovery::Finished(plan)) = &look.recovery {
        let groups: usize = plan.sources.values().map(|source| source.splits.len()).sum();
        let _ = writeln!(
            text,
            "  positions of {} splits, state of {} operators",
            count(groups as u64),
            plan.operators.len()
        );
        for what in &plan.dropped {
            let _ = writeln!(text, "  leaving behind {what}");
        }
    }
    let foreseen = foresee(look)?;
    if !foreseen.is_empty() {
        let _ = write!(text, "first it would settle what that checkpoint lists\n{}", outlooks(&foreseen));
    }
    let found = find(look, &foreseen, false)?;
    let stops = |outlook: &Outlook| matches!(outlook, Outlook::Loss(_) | Outlook::Stop(_));
    let stops = foreseen.iter().any(|(.., it)| it.as_ref().is_some_and(|it| stops(&it.outlook)));
    let lead = if stops { "once nothing stops it any more, it would" } else { "it would" };
    for it in found.iter().filter(|it| it.standing == Standing::Unlisted) {
        let _ = writeln!(text, "{lead} abort {}, which no checkpoint lists", it.transaction.id);
    }
    for it in found.iter().filter(|it| it.standing == Standing::OtherStore) {
        let _ = writeln!(text, "it would leave {} alone, which is of another checkpoint store", it.transaction.id);
    }
    text.push_str("nothing was changed\n");
    Ok(text)
}

#[cfg(test)]
mod tests;
