//! What brokers do not allow, in terms of what an administrator has to allow.

use crate::error::{Error, ErrorKind};

/// A right that is missing: an operation on a resource, in Kafka's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Right {
    pub operation: &'static str,
    pub resource: String,
}

impl Right {
    /// The error that says what to allow to whom.
    pub fn error(&self, principal: &str) -> Error {
        let message =
            format!("the brokers do not allow it: give {principal} the right {} on {}", self.operation, self.resource);
        Error::new(ErrorKind::Config, message)
    }
}

const TOPIC: i16 = 29;
const GROUP: i16 = 30;
const CLUSTER: i16 = 31;
const TRANSACTIONAL_ID: i16 = 53;

/// What was missing when a request got this error code; `what` is the request, or a topic's name.
pub(super) fn right(code: i16, what: &str) -> Option<Right> {
    let is_question = what.starts_with("Describe") || what.starts_with("Find") || what.starts_with("List");
    let (operation, resource) = match code {
        TRANSACTIONAL_ID if is_question => ("Describe", "the TransactionalId, by its prefix (the job's name and /)"),
        TRANSACTIONAL_ID => ("Write", "the TransactionalId, by its prefix (the job's name and /)"),
        TOPIC if what == "Fetch" || what == "DescribeProducers" => ("Read", "the topic"),
        TOPIC if what == "Produce" || what == "AddPartitionsToTxn" => ("Write", "the topic"),
        TOPIC => ("Describe", "the topic"),
        GROUP => ("Read", "the consumer group"),
        CLUSTER => ("Describe", "the cluster"),
        _ => return None,
    };
    Some(Right { operation, resource: resource.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_right_the_resource_and_the_principal() {
        let error = right(TRANSACTIONAL_ID, "EndTxn").unwrap().error("User:ada");
        assert_eq!(error.kind(), ErrorKind::Config);
        let message = error.message();
        assert!(message.contains("User:ada") && message.contains("Write") && message.contains("TransactionalId"));
        assert_eq!(right(TRANSACTIONAL_ID, "FindCoordinator").unwrap().operation, "Describe");
        assert_eq!(right(TOPIC, "Fetch").unwrap().operation, "Read");
        assert_eq!(right(TOPIC, "totals").unwrap().operation, "Describe");
        assert_eq!(right(0, "Fetch"), None);
    }
}
