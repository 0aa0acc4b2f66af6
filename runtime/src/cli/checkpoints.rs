//! `checkpoints list` and `checkpoints show`: what is in a checkpoint store, for people.
//!
//! Opens the store to look at it and changes nothing, so it is safe beside a running job.

use super::numbers::{bytes, count};
use crate::api::sink::Committable;
use crate::api::source::SplitPosition;
use crate::control::manifest::{Cut, Manifest, Slot};
use crate::control::store::{CheckpointStore, LocalStore, SlotStatus, Surveyed, survey};
use crate::error::{Error, ErrorKind, Result};
use std::fmt::Write;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};
use uuid::Uuid;

/// What is shown of a value on one line.
const VALUE_CHARS_MAX: usize = 160;

/// Everything in the store, one line each.
pub(super) fn list(dir: &Path) -> Result<String> {
    let store = open(dir)?;
    Ok(listing(&store.describe(), store.identity(), &survey(&store)?))
}

/// One slot in full: its number, or `latest` for the newest checkpoint.
pub(super) fn show(dir: &Path, which: &str, json: bool) -> Result<String> {
    let store = open(dir)?;
    let found = survey(&store)?;
    let (slot, content) = choose(&found, which).map_err(|error| error.at(store.describe()))?;
    if json {
        return as_json(content);
    }
    Ok(match content {
        Slot::Manifest(manifest) => manifest_text(slot, manifest),
        other => format!("slot {slot}: {other}\n"),
    })
}

fn open(dir: &Path) -> Result<LocalStore> {
    // Looking makes nothing, so no name has to be unique.
    LocalStore::open_existing(dir, Uuid::nil)
}

pub(super) fn listing(place: &str, identity: &impl std::fmt::Display, found: &[Surveyed]) -> String {
    let mut text = format!("{place}: {identity}\n");
    if found.is_empty() {
        text.push_str("no checkpoints yet\n");
        return text;
    }
    let rows: Vec<[String; 6]> = found.iter().map(row).collect();
    let heads = ["SLOT", "WHAT", "EPOCH", "WHEN (UTC)", "STATE", "NOTE"].map(str::to_owned);
    let width = |at: usize| rows.iter().chain([&heads]).map(|row| row[at].chars().count()).max().unwrap_or(0);
    let widths: [usize; 6] = std::array::from_fn(width);
    for row in [&heads].into_iter().chain(&rows) {
        let [slot, what, epoch, when, state, note] = row;
        let line = format!(
            "{slot:>0$}  {what:<1$}  {epoch:>2$}  {when:<3$}  {state:>4$}  {note}",
            widths[0], widths[1], widths[2], widths[3], widths[4]
        );
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

fn row(it: &Surveyed) -> [String; 6] {
    let dash = || "-".to_owned();
    let bad = |what: &str, note: &str| [line(&it.name), what.to_owned(), dash(), dash(), dash(), note.to_owned()];
    match &it.status {
        SlotStatus::HalfWritten(detail) => bad("half-written", detail),
        SlotStatus::Corrupt(detail) => bad("unreadable", detail),
        SlotStatus::Foreign => bad("foreign", "not of this store; left alone"),
        SlotStatus::Ok(slot) => {
            let (what, epoch, ms, state, note) = match &**slot {
                Slot::Claim(claim) => (
                    "claim".to_owned(),
                    claim.restored_epoch,
                    claim.claimed_ms,
                    dash(),
                    claim_note(claim.restored_slot, &claim.info),
                ),
                Slot::Abandoned(it) => {
                    ("given up".to_owned(), Some(it.epoch), it.abandoned_ms, dash(), it.reason.clone())
                }
                Slot::Manifest(it) => {
                    let cut = &it.cut;
                    (cut.kind.to_string(), Some(cut.epoch), it.published_ms, bytes(cut.state_bytes()), cut_note(cut))
                }
            };
            let epoch = epoch.map_or_else(dash, |epoch| epoch.to_string());
            [it.name.clone(), what, epoch, when(ms), state, line(&note)]
        }
    }
}

fn claim_note(restored: Option<u64>, info: &str) -> String {
    match restored {
        Some(slot) => format!("goes on from slot {slot}; {info}"),
        None => format!("first start; {info}"),
    }
}

fn cut_note(cut: &Cut) -> String {
    let keys: u64 = cut.parts().map(|part| part.entries).sum();
    format!("{} workers, {} entries, {} to commit", cut.workers, count(keys), cut.committables.len())
}

fn choose<'a>(found: &'a [Surveyed], which: &str) -> Result<(u64, &'a Slot)> {
    let wrong = |message: String| Error::new(ErrorKind::Config, message);
    let readable = |it: &'a Surveyed| match &it.status {
        SlotStatus::Ok(slot) => it.slot.map(|number| (number, &**slot)),
        _ => None,
    };
    if which == "latest" {
        let newest = found.iter().rev().filter_map(readable).find(|(_, slot)| matches!(slot, Slot::Manifest(_)));
        return newest
            .ok_or_else(|| wrong("there is no checkpoint yet; `checkpoints list` shows what is there".to_owned()));
    }
    let number: u64 =
        which.parse().map_err(|_| wrong(format!("`{which}` is not a slot; write its number, or `latest`")))?;
    let Some(there) = found.iter().find(|it| it.slot == Some(number)) else {
        return Err(wrong(format!("there is no slot {number}; `checkpoints list` shows those there are")));
    };
    readable(there).ok_or_else(|| {
        let detail = match &there.status {
            SlotStatus::HalfWritten(detail) | SlotStatus::Corrupt(detail) => detail.as_str(),
            _ => "not of this store",
        };
        Error::new(ErrorKind::Checkpoint, format!("slot {number} cannot be read: {detail}"))
    })
}

fn as_json(slot: &Slot) -> Result<String> {
    let json = match slot {
        Slot::Claim(it) => serde_json::to_string_pretty(it),
        Slot::Manifest(it) => serde_json::to_string_pretty(it),
        Slot::Abandoned(it) => serde_json::to_string_pretty(it),
    };
    json.map(|json| json + "\n")
        .map_err(|error| Error::new(ErrorKind::Internal, "a slot cannot be written as JSON").caused_by(error))
}

pub(super) fn manifest_text(slot: u64, manifest: &Manifest) -> String {
    let cut = &manifest.cut;
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{} {} in slot {slot}", cut.kind, cut.epoch);
    let _ = writeln!(text, "  {}", manifest.identity);
    let _ = writeln!(text, "  attempt {}, {} workers", manifest.attempt, cut.workers);
    let _ = writeln!(text, "  triggered {}, durable {}", when(cut.triggered_ms), when(manifest.published_ms));
    sources(&mut text, cut);
    operators(&mut text, cut);
    committables(&mut text, &cut.committables);
    text
}

fn sources(text: &mut String, cut: &Cut) {
    text.push_str("\nsources\n");
    for source in &cut.sources {
        let _ = writeln!(text, "  {}{}", source.id, if source.finished { " (ended)" } else { "" });
        for SplitPosition { split, position, finished } in &source.splits {
            let ended = if *finished { " (ended)" } else { "" };
            let _ = writeln!(text, "    {split}: {}{ended}", line(&position.to_string()));
        }
    }
}

fn operators(text: &mut String, cut: &Cut) {
    text.push_str("\nstate\n");
    if cut.operators.is_empty() {
        text.push_str("  none\n");
    }
    for operator in &cut.operators {
        let size: u64 = operator.parts.iter().map(|part| part.bytes).sum();
        let entries: u64 = operator.parts.iter().map(|part| part.entries).sum();
        let _ = writeln!(
            text,
            "  {}: {} entries, {}, {} parts",
            operator.id,
            count(entries),
            bytes(size),
            operator.parts.len()
        );
        let _ = writeln!(text, "    {}", operator.layout.text);
    }
}

fn committables(text: &mut String, committables: &[Committable]) {
    text.push_str("\nprepared by sinks\n");
    if committables.is_empty() {
        text.push_str("  nothing\n");
    }
    for it in committables {
        let shown = match std::str::from_utf8(&it.bytes) {
            Ok(readable) => line(readable),
            Err(_) => bytes(it.bytes.len() as u64),
        };
        let _ = writeln!(text, "  {} of checkpoint {}: {shown}", it.participant, it.epoch);
    }
}

/// Any text on one line that is not too long. What is in a store may be anything: control characters
/// must not reach the terminal.
pub(super) fn line(text: &str) -> String {
    let mut line: String =
        text.chars().map(|char| if char.is_control() { ' ' } else { char }).take(VALUE_CHARS_MAX).collect();
    if text.chars().nth(VALUE_CHARS_MAX).is_some() {
        line.push('…');
    }
    line
}

pub(super) fn when(ms: u64) -> String {
    // Beyond the year 9999 there is no such notation, and its formatter panics.
    const LAST_MS: u64 = 253_402_300_799_000;
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_millis(ms.min(LAST_MS))).to_string()
}
