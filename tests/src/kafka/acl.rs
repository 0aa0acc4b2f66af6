//! What a user may do.

use super::raw;
use kafka_protocol::messages::CreateAclsRequest;
use kafka_protocol::messages::create_acls_request::AclCreation;
use kafka_protocol::protocol::StrBytes;

/// What a right is about.
#[derive(Clone, Copy, Debug)]
pub enum Resource<'a> {
    Topic(&'a str),
    TransactionalIds { prefix: &'a str },
}

/// What a right allows: Kafka's numbers (`AclOperation`).
#[derive(Clone, Copy, Debug)]
pub enum Operation {
    Read = 3,
    Write = 4,
    Describe = 8,
}

/// CreateAcls in this version has lengths of fixed size.
const VERSION: i16 = 1;

/// What is said of a right: Kafka's numbers (`AclPermissionType`).
#[derive(Clone, Copy, Debug)]
pub(super) enum Permission {
    /// Wins over any that allows it.
    Deny = 2,
    Allow = 3,
}

/// Says it, over a connection to `address` whose user may do that.
pub(super) fn say(
    address: &str,
    principal: &str,
    permission: Permission,
    operation: Operation,
    resource: Resource<'_>,
) {
    let (literal, prefixed) = (3, 4);
    let (kind, name, pattern) = match resource {
        Resource::Topic(name) => (2, name, literal),
        Resource::TransactionalIds { prefix } => (5, prefix, prefixed),
    };
    let text = |text: &str| StrBytes::from_string(text.to_owned());
    let acl = AclCreation::default()
        .with_resource_type(kind)
        .with_resource_name(text(name))
        .with_resource_pattern_type(pattern)
        .with_principal(text(principal))
        .with_host(text("*"))
        .with_operation(operation as i8)
        .with_permission_type(permission as i8);
    let answer = raw::ask(address, &CreateAclsRequest::default().with_creations(vec![acl]), VERSION);
    assert!(answer.results.iter().all(|result| result.error_code == 0), "{answer:?}");
}
