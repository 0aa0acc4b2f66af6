//! One connection to one broker: framing, versions, one request at a time.

use crate::connectors::kafka::settings::Security;
use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{ApiVersionsRequest, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};
use std::io;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout_at;

/// No answer to our requests is anywhere near this size.
const ANSWER_BYTES_MAX: usize = 128 << 20;
/// Who asks, in the broker's logs and metrics.
const CLIENT: StrBytes = StrBytes::from_static_str("staunch");
/// The longest time for one request; then the broker counts as away and the question is asked anew.
const REQUEST: Duration = Duration::from_secs(10);

pub(super) struct Connection {
    stream: TcpStream,
    correlation: i32,
    /// Of each request that the broker knows: key, lowest and highest version.
    versions: Vec<(i16, i16, i16)>,
}

impl Connection {
    pub async fn open(host: &str, port: u16, security: Security, deadline: Instant) -> io::Result<Self> {
        match security {
            Security::Plaintext => {}
        }
        let stream = within(deadline, TcpStream::connect((host, port))).await?;
        stream.set_nodelay(true)?;
        let mut connection = Self { stream, correlation: 0, versions: Vec::new() };
        let request = ApiVersionsRequest::default()
            .with_client_software_name(CLIENT)
            .with_client_software_version(StrBytes::from_static_str(env!("CARGO_PKG_VERSION")));
        let answer = connection.send(request, 3, deadline).await?;
        if answer.error_code != 0 {
            return Err(io::Error::other(format!("ApiVersions: error {}", answer.error_code)));
        }
        connection.versions =
            answer.api_keys.iter().map(|api| (api.api_key, api.min_version, api.max_version)).collect();
        Ok(connection)
    }

    /// Sends a request in the highest version that both sides know, of those given.
    pub async fn call<R: Request>(
        &mut self,
        request: R,
        ours: RangeInclusive<i16>,
        deadline: Instant,
    ) -> io::Result<(i16, R::Response)> {
        let theirs = self.versions.iter().find(|(key, ..)| *key == R::KEY);
        let version = theirs.map(|&(_, lowest, highest)| (lowest, highest.min(*ours.end())));
        match version {
            Some((lowest, version)) if version >= lowest && version >= *ours.start() => {
                Ok((version, self.send(request, version, deadline).await?))
            }
            _ => Err(io::Error::new(
                io::ErrorKind::Unsupported,
                format!(
                    "the broker does not know request {} in version {ours:?}: Kafka 3.0 or later is needed",
                    R::KEY
                ),
            )),
        }
    }

    async fn send<R: Request>(&mut self, request: R, version: i16, deadline: Instant) -> io::Result<R::Response> {
        self.correlation += 1;
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(self.correlation)
            .with_client_id(Some(CLIENT));
        let mut frame = BytesMut::new();
        frame.put_i32(0);
        header.encode(&mut frame, R::header_version(version)).map_err(io::Error::other)?;
        request.encode(&mut frame, version).map_err(io::Error::other)?;
        let length = u32::try_from(frame.len() - 4).map_err(io::Error::other)?;
        frame[..4].copy_from_slice(&length.to_be_bytes());
        let mut answer = within(deadline, self.exchange(&frame)).await?;
        let header =
            ResponseHeader::decode(&mut answer, R::Response::header_version(version)).map_err(io::Error::other)?;
        if header.correlation_id != self.correlation {
            return Err(io::Error::other("the broker answered another request"));
        }
        R::Response::decode(&mut answer, version).map_err(io::Error::other)
    }

    async fn exchange(&mut self, frame: &[u8]) -> io::Result<Bytes> {
        self.stream.write_all(frame).await?;
        let length = usize::try_from(self.stream.read_i32().await?).unwrap_or(usize::MAX);
        if length > ANSWER_BYTES_MAX {
            return Err(io::Error::other("the answer is no Kafka message: is this a PLAINTEXT listener?"));
        }
        let mut answer = vec![0; length];
        self.stream.read_exact(&mut answer).await?;
        Ok(answer.into())
    }
}

async fn within<T>(deadline: Instant, io: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let deadline = deadline.min(Instant::now() + REQUEST);
    timeout_at(deadline.into(), io).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}
