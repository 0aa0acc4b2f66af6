//! What a user may do: the one administrative request that librdkafka's Rust client does not have.

use bytes::{BufMut, BytesMut};
use kafka_protocol::messages::create_acls_request::AclCreation;
use kafka_protocol::messages::{ApiKey, CreateAclsRequest, CreateAclsResponse, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};
use std::io::{Read, Write};
use std::net::TcpStream;

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

/// Gives the right, over a connection to `address` whose user may do that.
pub(super) fn allow(address: &str, principal: &str, resource: Resource<'_>, operation: Operation) {
    let (literal, prefixed, permitted) = (3, 4, 3);
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
        .with_permission_type(permitted);
    let answer = ask(address, &CreateAclsRequest::default().with_creations(vec![acl]));
    assert!(answer.results.iter().all(|result| result.error_code == 0), "{answer:?}");
}

fn ask(address: &str, request: &CreateAclsRequest) -> CreateAclsResponse {
    let key = ApiKey::CreateAcls;
    let header = RequestHeader::default().with_request_api_key(key as i16).with_request_api_version(VERSION);
    let mut message = BytesMut::new();
    header.encode(&mut message, key.request_header_version(VERSION)).expect("a legal header");
    request.encode(&mut message, VERSION).expect("a legal request");
    let mut frame = BytesMut::new();
    frame.put_u32(message.len() as u32);
    frame.extend(message);
    let mut stream = TcpStream::connect(address).expect("the broker is up");
    stream.write_all(&frame).expect("the broker reads");
    let mut length = [0; 4];
    stream.read_exact(&mut length).expect("the broker answers");
    let mut answer = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut answer).expect("the broker answers");
    let mut answer = bytes::Bytes::from(answer);
    ResponseHeader::decode(&mut answer, key.response_header_version(VERSION)).expect("a header");
    CreateAclsResponse::decode(&mut answer, VERSION).expect("an answer")
}
