//! What is looked at before a sink writes: settings with which it could not work are refused, settings
//! with which it would promise more than the cluster keeps are told.
//!
//! The rules are pure; `wire` asks for the facts.

use super::message::OnRefused;
use super::participant::Options;
use super::wire::{Cluster, ClusterFacts, Configs, TopicFacts};
use crate::api::sink::SinkContext;
use crate::error::{Error, ErrorKind, Result};
use std::time::Duration;

/// How long brokers have to answer all questions of a check.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

const TIMEOUT_MAX: &str = "transaction.max.timeout.ms";
const LOG_REPLICAS: &str = "transaction.state.log.replication.factor";
const LOG_IN_SYNC_MIN: &str = "transaction.state.log.min.isr";
const IN_SYNC_MIN: &str = "min.insync.replicas";
const UNCLEAN: &str = "unclean.leader.election.enable";
const CLEANUP: &str = "cleanup.policy";
const BATCH_MAX: &str = "max.message.bytes";
const TIMES: &str = "message.timestamp.type";

/// What brokers measure is a batch, which is longer than its records by its head (KIP-98). librdkafka keeps
/// a record, and a batch of several with its head, within `message.max.bytes`.
const BATCH_HEAD: u64 = 61;
/// The least that librdkafka takes as `message.max.bytes`.
const RECORD_MAX_LEAST: u64 = 1_000;

/// What an exactly-once sink does with its topic: Kafka's numbers and names (`AclOperation`).
const TOPIC_RIGHTS: &[(u8, &str)] = &[(4, "Write"), (8, "Describe"), (3, "Read (recovery reads what was written)")];

/// Looks at the cluster, when the participant opens. `id` is one of the ids that will be used.
pub(super) fn cluster(cluster: &mut Cluster, options: &Options, context: &SinkContext<'_>, id: &str) -> Result<()> {
    warn(times(options, context)?);
    let facts = cluster.cluster_facts(&[TIMEOUT_MAX, LOG_REPLICAS, LOG_IN_SYNC_MIN], ANSWER_WITHIN)?;
    broker_timeout(options.transaction_timeout, &facts.configs)?;
    warn(durable_decisions(&facts));
    cluster.may_use_id(id, ANSWER_WITHIN)?;
    let open = cluster.open_transactions(&format!("{}/", context.job), ANSWER_WITHIN)?;
    warn(other_stores(context, open.iter().map(|transaction| transaction.id.as_str())));
    Ok(())
}

/// The job's name with another checkpoint store: a copy of it that runs beside this one, or what is left
/// of one. Told and not refused: the store is part of every id, so neither ends what is the other's, and
/// what a dead one left is aborted by the brokers soon. But nothing else keeps the two apart.
fn other_stores<'a>(context: &SinkContext<'_>, open: impl Iterator<Item = &'a str>) -> Vec<String> {
    let own = format!("{}/{}/", context.job, context.lineage);
    let others: Vec<&str> = open.filter(|id| !id.starts_with(&own)).collect();
    let Some(first) = others.first() else { return Vec::new() };
    vec![format!(
        "{} open transactions have the name of this job and another checkpoint store ({first}): if another copy of the job \
         runs with a store of its own, both write the same output; stop one, or give it another name. `transactions list` \
         shows them",
        others.len()
    )]
}

/// Looks at a topic, before the first writer of it is made. One that does not exist is for others to refuse.
/// Returns how long a batch may be for it, if that is told.
pub(super) fn topic(cluster: &mut Cluster, topic: &str) -> Result<Option<u64>> {
    let names = [IN_SYNC_MIN, UNCLEAN, CLEANUP, TIMES, BATCH_MAX];
    let Some(facts) = cluster.topic_facts(topic, &names, ANSWER_WITHIN)? else { return Ok(None) };
    if let Some(right) = facts.missing(topic, TOPIC_RIGHTS) {
        return Err(right.error(&cluster.principal()));
    }
    warn(durable_records(topic, &facts));
    Ok(number(&facts.configs, BATCH_MAX))
}

/// Whether librdkafka refuses each record that the broker would refuse for its size. What only the broker
/// refuses fails the attempt, whatever the sink is to do with it. Compression is not counted on: what it saves
/// is not known before.
pub(super) fn sizes(topic: &str, batch_max: u64, record_max: u64, on_refused: &OnRefused) -> Result<Vec<String>> {
    let needed = record_max + BATCH_HEAD;
    if batch_max >= needed {
        return Ok(Vec::new());
    }
    let fitting = batch_max.saturating_sub(BATCH_HEAD);
    let advice = if fitting >= RECORD_MAX_LEAST {
        format!("add .set(\"message.max.bytes\", \"{fitting}\"), or raise {BATCH_MAX} of the topic to {needed}")
    } else {
        format!("raise {BATCH_MAX} of the topic to {needed}")
    };
    let finding = format!(
        "the topic {topic} takes batches of {batch_max} bytes ({BATCH_MAX}), and this sink may send {needed}: a record \
         between the two is refused by the broker, and the job restarts until it stops"
    );
    match on_refused {
        OnRefused::Stop => Ok(vec![format!("{finding}; {advice}")]),
        OnRefused::Skip | OnRefused::DeadLetter(_) => {
            let message = format!("{finding}, in spite of .on_refused(..): {advice}");
            Err(Error::new(ErrorKind::Config, message))
        }
    }
}

pub(super) fn warn(findings: Vec<String>) {
    for finding in findings {
        tracing::warn!(target: "staunch::kafka", "{finding}");
    }
}

/// A transaction has to last from an epoch's first record until its checkpoint is durable.
fn times(options: &Options, context: &SinkContext<'_>) -> Result<Vec<String>> {
    let (timeout, margin) = (options.transaction_timeout, options.margin());
    let text = |time: Duration| humantime::format_duration(time);
    if timeout < context.epoch_interval + margin {
        let message = format!(
            ".transaction_timeout({}) is too short: with a checkpoint every {} no transaction would last until its \
             checkpoint; make it more than {}, or checkpoint.interval shorter",
            text(timeout),
            text(context.epoch_interval),
            text(context.epoch_within + margin)
        );
        return Err(Error::new(ErrorKind::Config, message));
    }
    if timeout < context.epoch_within + margin {
        return Ok(vec![format!(
            ".transaction_timeout({}) is shorter than a checkpoint may take: brokers abort the transaction of a slow one, \
             and the job restarts from the checkpoint before; make it more than {}, or checkpoint.timeout shorter",
            text(timeout),
            text(context.epoch_within + margin)
        )]);
    }
    Ok(Vec::new())
}

fn number(configs: &Configs, name: &str) -> Option<u64> {
    configs.as_ref()?.get(name)?.parse().ok()
}

/// KIP-98: brokers refuse a producer whose transactions may stay open for longer.
fn broker_timeout(timeout: Duration, configs: &Configs) -> Result<()> {
    let Some(max_ms) = number(configs, TIMEOUT_MAX) else {
        tracing::debug!(target: "staunch::kafka", "the brokers do not tell {TIMEOUT_MAX}: no right DescribeConfigs on the cluster");
        return Ok(());
    };
    if timeout.as_millis() <= u128::from(max_ms) {
        return Ok(());
    }
    let message = format!(
        ".transaction_timeout({}) is more than the brokers allow ({TIMEOUT_MAX}={max_ms}): make it {} or less, or raise \
         {TIMEOUT_MAX} on all brokers",
        humantime::format_duration(timeout),
        humantime::format_duration(Duration::from_millis(max_ms))
    );
    Err(Error::new(ErrorKind::Config, message))
}

/// Whether a commit that was answered survives the death of one broker. A cluster of one broker cannot
/// do better, so nothing is said of it.
fn durable_decisions(facts: &ClusterFacts) -> Vec<String> {
    let mut found = Vec::new();
    let (Some(replicas), Some(in_sync)) =
        (number(&facts.configs, LOG_REPLICAS), number(&facts.configs, LOG_IN_SYNC_MIN))
    else {
        return found;
    };
    if facts.brokers > 1 && replicas < 2 {
        found.push(format!(
            "{LOG_REPLICAS}={replicas}: when the one broker that knows it is lost, it is not known any more which \
             transactions were committed; use 3"
        ));
    } else if facts.brokers > 1 && in_sync < 2 {
        found.push(format!(
            "{LOG_IN_SYNC_MIN}={in_sync}: a commit may be known to a single broker, and be lost with it; use 2"
        ));
    }
    found
}

/// Whether records that were acknowledged survive the death of one broker, and whether they can be
/// written again from the log. A cluster of one broker cannot do better than a single copy, so nothing is said of it.
fn durable_records(topic: &str, facts: &TopicFacts) -> Vec<String> {
    let mut found = Vec::new();
    let is = |name: &str, value: &str| {
        facts.configs.as_ref().and_then(|all| all.get(name)).is_some_and(|it| it.contains(value))
    };
    match number(&facts.configs, IN_SYNC_MIN) {
        Some(in_sync) if in_sync > facts.replicas as u64 => found.push(format!(
            "{topic}: {IN_SYNC_MIN}={in_sync}, but its partitions have {} copies: older brokers refuse every record, and \
             newer ones while one copy is away; add copies, or lower it",
            facts.replicas
        )),
        Some(1) if facts.replicas > 1 => found.push(format!(
            "{topic}: {IN_SYNC_MIN}=1: an acknowledged record may be on a single broker, and be lost with it; use 2"
        )),
        _ => {}
    }
    if facts.replicas == 1 && facts.brokers > 1 {
        found.push(format!(
            "{topic}: its partitions have a single copy: when the broker that keeps it is lost, so are the acknowledged \
             records; use 3 copies, and {IN_SYNC_MIN}=2"
        ));
    }
    if is(UNCLEAN, "true") {
        found.push(format!(
            "{topic}: {UNCLEAN}=true: a broker that lacks committed records may become leader, and they are gone; use false"
        ));
    }
    if is(CLEANUP, "compact") {
        found.push(format!(
            "{topic}: {CLEANUP}=compact: a transaction that expires while the job is down cannot be written again from \
             a compacted log; keep .transaction_timeout(..) above the longest time the job may be down"
        ));
    }
    if is(TIMES, "LogAppendTime") {
        found.push(format!(
            "{topic}: {TIMES}=LogAppendTime: readers see when a record was stored and not its event time, and where a \
             transaction that expired is written again, the time of that; use CreateTime to keep the record's own"
        ));
    }
    found
}

#[cfg(test)]
mod tests;
