//! librdkafka's log lines and errors, given to `tracing`.

#![expect(clippy::disallowed_methods, reason = "deadlines of real brokers, threads of real clients")]

use super::notice::Notice;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Writes one log line; the severity is syslog's.
pub(super) fn write(severity: i32, text: &str) {
    match severity {
        ..=3 => tracing::warn!(target: "staunch::kafka", "librdkafka: {text}"),
        4 => tracing::info!(target: "staunch::kafka", "librdkafka: {text}"),
        _ => tracing::debug!(target: "staunch::kafka", "librdkafka: {text}"),
    }
}

/// Errors of a client that are no record's: an unreachable broker gives hundreds a second.
#[derive(Default)]
pub(super) struct Errors(Mutex<Notice>);

impl Errors {
    pub fn report(&self, text: impl std::fmt::Display) {
        let due = self.0.lock().unwrap_or_else(PoisonError::into_inner).due(Instant::now());
        if let Some(held_back) = due {
            tracing::warn!(target: "staunch::kafka", held_back, "Kafka: {text}; librdkafka keeps trying");
        }
    }
}

/// The context of clients that only ask questions or consume.
#[derive(Default)]
pub(super) struct Context {
    errors: Errors,
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, _facility: &str, text: &str) {
        write(level as i32, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // A consumer that is closed gives what is left in its queue to here: an end of a partition is no error.
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::PartitionEOF) {
            self.errors.report(format_args!("{error}: {reason}"));
        }
    }
}

impl ConsumerContext for Context {}
