//! What recovery would make of what a manifest lists, without doing any of it: `settle` and `participant` do
//! what is foreseen here.

use super::ask::{Topics, ask};
use super::brokers::Brokers;
use super::committable::KafkaCommittable;
use super::fate::Fate;
use super::ids::is_replay;
use super::participant::check_cluster;
use super::replay;
use super::settle::is_whole;
use crate::api::transactions::{Foreseen, Outlook};
use crate::error::Result;

/// What recovery would do about each transaction of these committables, the oldest first. Changes nothing.
///
/// # Errors
/// The brokers did not answer in time.
pub fn foresee(
    brokers: &mut impl Brokers,
    cluster_id: &str,
    committables: &[Vec<KafkaCommittable>],
) -> Result<Vec<Foreseen>> {
    let (mut foreseen, mut is_behind) = (Vec::new(), false);
    for transactions in committables {
        let mut again = false;
        for ours in transactions {
            let (outlook, is_written) = outlook(brokers, cluster_id, ours, is_behind)?;
            again |= is_written || is_replay(&ours.transactional_id);
            foreseen.push(Foreseen { epoch: ours.epoch, id: ours.transactional_id.clone(), outlook });
        }
        is_behind |= again;
    }
    Ok(foreseen)
}

/// What becomes of one, and whether something of it is written again.
fn outlook(
    brokers: &mut impl Brokers,
    cluster_id: &str,
    ours: &KafkaCommittable,
    is_behind: bool,
) -> Result<(Outlook, bool)> {
    if let Err(error) = check_cluster(cluster_id, ours) {
        return Ok((Outlook::Stop(error.message().to_owned()), false));
    }
    let (records, id) = (ours.records, &ours.transactional_id);
    let why = match ask(brokers, ours)? {
        Fate::Committed => return Ok((Outlook::Committed, false)),
        Fate::Unknown(why) => return Ok((Outlook::Stop(why), false)),
        Fate::Open if !is_behind && is_whole(brokers, ours, &mut Topics::default())? => {
            return Ok((Outlook::Commit, false));
        }
        Fate::Open if !is_behind => {
            format!("{records} records of {id} are open, and not all can be committed any more")
        }
        Fate::Open => format!("{records} records of {id} are open, and older ones have to come before them"),
        Fate::Aborted => format!("{records} records of {id} were aborted"),
    };
    Ok(match replay::lost(brokers, ours)? {
        None => (Outlook::Replay(why), true),
        Some((lost, reasons)) => {
            (Outlook::Loss(format!("{why}, and {lost} of them are gone ({reasons})")), lost < records)
        }
    })
}
