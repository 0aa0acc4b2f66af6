//! Which checkpoint to go on from, given what the log holds. Pure.
//!
//! The rule is "the newest, or an error": an older checkpoint repeats output that was committed since,
//! so only a person may choose it. Such a choice is recorded in the claim and holds until something
//! newer is published; else a restart would quietly undo it.

use super::{Found, RestoreFrom};
use crate::control::manifest::{Manifest, Slot};
use crate::error::{Error, ErrorKind, Result};
use crate::id::Epoch;

/// The checkpoint to go on from.
#[derive(Debug)]
pub(super) struct Base {
    pub(super) slot: u64,
    pub(super) manifest: Manifest,
    /// It is not what the log alone would say.
    pub(super) chosen: bool,
}

/// Decides; `found` is rising. `None`: there is no checkpoint yet.
pub(super) fn choose(found: &[Found], restore: RestoreFrom) -> Result<Option<Base>> {
    match restore {
        RestoreFrom::Newest => newest(found),
        RestoreFrom::Slot { slot, accept_repeats } => chosen(found, slot, accept_repeats).map(Some),
    }
}

fn newest(found: &[Found]) -> Result<Option<Base>> {
    for (at, (slot, content)) in found.iter().enumerate().rev() {
        match content {
            Ok(Slot::Manifest(manifest)) => {
                return Ok(Some(Base { slot: *slot, manifest: manifest.clone(), chosen: false }));
            }
            Ok(Slot::Claim(claim)) => {
                if let Some(slot) = claim.restored_slot.filter(|_| claim.chosen) {
                    return readable(found, slot).map(|manifest| Some(Base { slot, manifest, chosen: true }));
                }
            }
            Ok(Slot::Abandoned(_)) => {}
            Err(unreadable) => {
                let error = unreadable.at(format!("slot {slot}, which may hold the newest checkpoint,"));
                let older = found[..at].iter().rev().find_map(|(slot, content)| match content {
                    Ok(Slot::Manifest(manifest)) => Some((slot, manifest.cut.epoch)),
                    _ => None,
                });
                let advice = match older {
                    Some((slot, epoch)) => format!(
                        "The newest that can be read is checkpoint {epoch}: `--restore {slot} --accept-repeats` goes \
                         on from it, and output committed since then appears twice"
                    ),
                    None => "No checkpoint can be read".to_owned(),
                };
                return Err(Error::new(ErrorKind::Checkpoint, format!("{}. {advice}", error.message())));
            }
        }
    }
    Ok(None)
}

fn chosen(found: &[Found], slot: u64, accept_repeats: bool) -> Result<Base> {
    let manifest = readable(found, slot)?;
    let newer = found.iter().rev().find_map(|(other, content)| match content {
        _ if *other <= slot => None,
        Ok(Slot::Manifest(manifest)) => Some(format!("checkpoint {} in slot {other}", manifest.cut.epoch)),
        Err(unreadable) => Some(format!("slot {other} ({unreadable})")),
        Ok(_) => None,
    });
    match newer {
        None => Ok(Base { slot, manifest, chosen: false }),
        Some(_) if accept_repeats => Ok(Base { slot, manifest, chosen: true }),
        Some(newer) => Err(Error::new(
            ErrorKind::Config,
            format!(
                "slot {slot} is older than {newer}; going on from it repeats output that was committed since. Leave \
                 `--restore` out to go on from the newest, or add `--accept-repeats`"
            ),
        )),
    }
}

fn readable(found: &[Found], slot: u64) -> Result<Manifest> {
    let content = found.iter().find(|(other, _)| *other == slot).map(|(_, content)| content);
    let reason = match content {
        Some(Ok(Slot::Manifest(manifest))) => return Ok(manifest.clone()),
        Some(Ok(other)) => format!("holds no checkpoint but the {other}"),
        Some(Err(unreadable)) => return Err(unreadable.at(format!("slot {slot}"))),
        None => "does not exist".to_owned(),
    };
    Err(Error::new(ErrorKind::Config, format!("slot {slot} {reason}; `checkpoints list` shows which can be restored")))
}

/// The epoch after all that were ever published, so that no number means two checkpoints.
pub(super) fn next_epoch(found: &[Found]) -> Epoch {
    let known = found.iter().filter_map(|(_, content)| match content {
        Ok(Slot::Manifest(manifest)) => Some(manifest.cut.epoch.0),
        Ok(Slot::Claim(claim)) => claim.restored_epoch.map(|epoch| epoch.0),
        _ => None,
    });
    // A slot that cannot be read may have held one more each.
    let unreadable = found.iter().filter(|(_, content)| content.is_err()).count() as u64;
    Epoch(known.max().unwrap_or(0) + unreadable + 1)
}
