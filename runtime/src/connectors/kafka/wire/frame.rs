//! Frames: a length, a header, a message. Pure, and suspicious of every number in them.

#![warn(clippy::disallowed_methods, reason = "no clock and no thread reaches what only decides or decodes")]

use super::shape;
use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{
    AddPartitionsToTxnRequest, ApiKey, ApiVersionsRequest, DescribeConfigsRequest, DescribeTransactionsRequest,
    EndTxnRequest, FetchRequest, FindCoordinatorRequest, InitProducerIdRequest, ListOffsetsRequest,
    ListTransactionsRequest, MetadataRequest, ProduceRequest, RequestHeader, ResponseHeader, SaslAuthenticateRequest,
    SaslHandshakeRequest,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};

/// No answer to our requests is anywhere near this size.
const ANSWER_BYTES_MAX: usize = 128 << 20;

/// A request as it is sent by this client.
pub(super) fn encode<R: Request>(
    request: &R,
    version: i16,
    correlation: i32,
    client: StrBytes,
) -> Result<BytesMut, String> {
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(correlation)
        .with_client_id(Some(client));
    let mut frame = BytesMut::new();
    frame.put_i32(0);
    header.encode(&mut frame, R::header_version(version)).map_err(|error| error.to_string())?;
    request.encode(&mut frame, version).map_err(|error| error.to_string())?;
    let length = i32::try_from(frame.len() - 4).map_err(|_| "the request is too long".to_owned())?;
    frame[..4].copy_from_slice(&length.to_be_bytes());
    Ok(frame)
}

/// Why four bytes are no length of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoLength {
    /// They begin a TLS record.
    Tls,
    /// They are negative or beyond all reason.
    Nonsense,
}

/// How long the answer is that these four bytes announce.
pub(super) fn length(bytes: [u8; 4]) -> Result<usize, NoLength> {
    // An alert or a handshake of TLS 1.x.
    if matches!(bytes, [0x15 | 0x16, 3, ..]) {
        return Err(NoLength::Tls);
    }
    let length = usize::try_from(i32::from_be_bytes(bytes)).map_err(|_| NoLength::Nonsense)?;
    if length > ANSWER_BYTES_MAX { Err(NoLength::Nonsense) } else { Ok(length) }
}

/// The message of an answer, without its length. Never takes more memory than a small multiple of what is there.
pub(super) fn decode<R: Request>(mut bytes: Bytes, version: i16, correlation: i32) -> Result<R::Response, String> {
    let header = ResponseHeader::decode(&mut bytes, R::Response::header_version(version));
    let header = header.map_err(|error| format!("an answer without a header: {error}"))?;
    if header.correlation_id != correlation {
        return Err(format!("an answer to request {} instead of {correlation}", header.correlation_id));
    }
    let shape =
        shape::of(R::KEY, version).ok_or_else(|| format!("no shape of request {} version {version}", R::KEY))?;
    shape::walk(shape, &bytes).ok_or_else(|| format!("a damaged answer to request {} version {version}", R::KEY))?;
    R::Response::decode(&mut bytes, version).map_err(|error| format!("an answer that cannot be read: {error}"))
}

/// Reads bytes as the answer to a request of this key and version, whatever they are. For tests that
/// throw anything at it: must neither panic nor reserve more memory than a small multiple of the bytes.
///
/// # Errors
/// Why they are no such answer.
pub fn read_answer(key: i16, version: i16, bytes: &[u8]) -> Result<(), String> {
    fn of<R: Request>(bytes: &[u8], version: i16) -> Result<(), String> {
        let correlation = bytes.first_chunk().map_or(0, |first| i32::from_be_bytes(*first));
        decode::<R>(Bytes::copy_from_slice(bytes), version, correlation).map(drop)
    }
    match ApiKey::try_from(key) {
        Ok(ApiKey::Produce) => of::<ProduceRequest>(bytes, version),
        Ok(ApiKey::Fetch) => of::<FetchRequest>(bytes, version),
        Ok(ApiKey::ListOffsets) => of::<ListOffsetsRequest>(bytes, version),
        Ok(ApiKey::Metadata) => of::<MetadataRequest>(bytes, version),
        Ok(ApiKey::FindCoordinator) => of::<FindCoordinatorRequest>(bytes, version),
        Ok(ApiKey::SaslHandshake) => of::<SaslHandshakeRequest>(bytes, version),
        Ok(ApiKey::ApiVersions) => of::<ApiVersionsRequest>(bytes, version),
        Ok(ApiKey::InitProducerId) => of::<InitProducerIdRequest>(bytes, version),
        Ok(ApiKey::AddPartitionsToTxn) => of::<AddPartitionsToTxnRequest>(bytes, version),
        Ok(ApiKey::EndTxn) => of::<EndTxnRequest>(bytes, version),
        Ok(ApiKey::DescribeConfigs) => of::<DescribeConfigsRequest>(bytes, version),
        Ok(ApiKey::SaslAuthenticate) => of::<SaslAuthenticateRequest>(bytes, version),
        Ok(ApiKey::DescribeTransactions) => of::<DescribeTransactionsRequest>(bytes, version),
        Ok(ApiKey::ListTransactions) => of::<ListTransactionsRequest>(bytes, version),
        _ => Err(format!("request {key} is never sent")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_not_believed() {
        assert_eq!(length([0, 0, 1, 0]), Ok(256));
        assert_eq!(length([0xff, 0, 0, 0]), Err(NoLength::Nonsense));
        assert_eq!(length([0x7f, 0xff, 0xff, 0xff]), Err(NoLength::Nonsense));
        assert_eq!(length([0x15, 3, 3, 0]), Err(NoLength::Tls));
    }

    #[test]
    fn an_answer_to_another_request_is_refused() {
        // Correlation 7, no tags; no error and a producer.
        let mut bytes = vec![0, 0, 0, 7, 0];
        bytes.extend([0; 17]);
        assert!(decode::<InitProducerIdRequest>(bytes.clone().into(), 4, 7).is_ok());
        assert!(decode::<InitProducerIdRequest>(bytes.clone().into(), 4, 8).unwrap_err().contains("request 7"));
        bytes.pop();
        assert!(decode::<InitProducerIdRequest>(bytes.into(), 4, 7).unwrap_err().contains("damaged"));
        assert!(decode::<InitProducerIdRequest>(Bytes::new(), 4, 7).is_err());
    }

    #[test]
    fn what_claims_billions_of_elements_is_refused_before_any_room_is_made() {
        let mut metadata = vec![0, 0, 0, 7, 0];
        metadata.extend([0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f]);
        assert!(read_answer(3, 12, &metadata).unwrap_err().contains("damaged"));
        assert!(read_answer(99, 0, &metadata).is_err());
        for key in 0..80 {
            for version in 0..20 {
                assert!(read_answer(key, version, &[]).is_err());
            }
        }
    }
}
