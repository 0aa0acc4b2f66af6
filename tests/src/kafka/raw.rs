//! Single requests that librdkafka's Rust client does not have, not through the client under test.

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const WITHIN: Duration = Duration::from_secs(30);

/// Asks the broker at `address` over a connection of its own, without encryption.
pub(super) fn ask<R: Request>(address: &str, request: &R, version: i16) -> R::Response {
    let header = RequestHeader::default().with_request_api_key(R::KEY).with_request_api_version(version);
    let mut message = BytesMut::new();
    header.encode(&mut message, R::header_version(version)).expect("a legal header");
    request.encode(&mut message, version).expect("a legal request");
    let mut frame = BytesMut::new();
    frame.put_u32(message.len() as u32);
    frame.extend(message);
    let mut stream = TcpStream::connect(address).expect("the broker is up");
    stream.set_read_timeout(Some(WITHIN)).expect("a legal time");
    stream.write_all(&frame).expect("the broker reads");
    let mut length = [0; 4];
    stream.read_exact(&mut length).expect("the broker answers");
    let mut answer = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut answer).expect("the broker answers");
    let mut answer = Bytes::from(answer);
    ResponseHeader::decode(&mut answer, R::Response::header_version(version)).expect("a header");
    R::Response::decode(&mut answer, version).expect("an answer")
}
