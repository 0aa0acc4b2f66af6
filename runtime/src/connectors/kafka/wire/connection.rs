//! One connection to one broker: opened as its security asks for, then one request at a time.

#![expect(clippy::disallowed_methods, reason = "deadlines of real brokers, threads of real clients")]

use super::frame::{self, NoLength};
use super::network::Trouble;
use super::shape;
use crate::clock::{Clock, SystemClock};
use crate::connectors::kafka::reach::Reach;
use crate::connectors::kafka::security::{Encryption, Sasl, Security, tls_words};
use crate::error::{Error, ErrorKind, Result};
use bytes::Bytes;
use kafka_protocol::messages::{ApiVersionsRequest, SaslAuthenticateRequest, SaslHandshakeRequest};
use kafka_protocol::protocol::{Request, StrBytes};
use std::io;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{timeout, timeout_at};
use tokio_rustls::rustls::pki_types::ServerName;

/// The program that asks, whatever it calls itself.
const SOFTWARE: StrBytes = StrBytes::from_static_str("staunch");
/// Room that an answer is given before any of it is there.
const ROOM: usize = 64 << 10;
/// UNSUPPORTED_VERSION.
const UNSUPPORTED_VERSION: i16 = 35;

/// How all connections of a client are opened.
pub(super) struct Access {
    pub security: Security,
    encryption: Option<Encryption>,
    reach: Reach,
}

impl Access {
    /// Reads the files that the security names.
    pub fn new(security: Security, reach: Reach) -> Result<Self> {
        let encryption = security.tls().map(Encryption::new).transpose()?;
        Ok(Self { security, encryption, reach })
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

pub(super) struct Connection {
    stream: Box<dyn Stream>,
    host: String,
    port: u16,
    correlation: i32,
    client: StrBytes,
    request_within: Duration,
    /// Of each request that the broker knows: key, lowest and highest version.
    versions: Vec<(i16, i16, i16)>,
}

impl Connection {
    pub async fn open(host: &str, port: u16, access: &Access, deadline: Instant) -> Result<Self, Trouble> {
        let connecting = deadline.min(Instant::now() + access.reach.connect_within);
        let stream = within(connecting, connect(host, port, access)).await;
        let stream = stream.map_err(|error| trouble(&error, host, port, Some(&access.security)))?;
        let (correlation, versions) = (0, Vec::new());
        let client = StrBytes::from_string(access.reach.client_id.clone());
        let (host, request_within) = (host.to_owned(), access.reach.request_within);
        let mut connection = Self { stream, host, port, correlation, client, request_within, versions };
        connection.learn_versions(access, deadline).await?;
        if let Some(sasl) = access.security.sasl() {
            connection.authenticate(sasl, deadline).await?;
        }
        Ok(connection)
    }

    /// Sends a request in the highest version that both sides know, of those given.
    pub async fn call<R: Request>(
        &mut self,
        request: R,
        ours: RangeInclusive<i16>,
        deadline: Instant,
    ) -> Result<(i16, R::Response), Trouble> {
        let version = self.version::<R>(&ours)?;
        Ok((version, self.send(request, version, deadline).await?))
    }

    /// Sends a request without waiting for its answer; returns the number to [`Self::finish`] it with.
    pub async fn start<R: Request>(
        &mut self,
        request: &R,
        ours: RangeInclusive<i16>,
        deadline: Instant,
    ) -> Result<i32, Trouble> {
        let version = self.version::<R>(&ours)?;
        let started = within(deadline.min(Instant::now() + self.request_within), self.write(request, version)).await;
        started.map_err(|error| trouble(&error, &self.host, self.port, None))
    }

    /// The answer to a request that was started; answers come in the order of requests.
    pub async fn finish<R: Request>(
        &mut self,
        correlation: i32,
        ours: RangeInclusive<i16>,
        deadline: Instant,
    ) -> Result<R::Response, Trouble> {
        let version = self.version::<R>(&ours)?;
        let answer = within(deadline.min(Instant::now() + self.request_within), self.read()).await;
        let answer = answer.map_err(|error| trouble(&error, &self.host, self.port, None))?;
        frame::decode::<R>(answer, version, correlation).map_err(|why| self.passing(why))
    }

    fn version<R: Request>(&self, ours: &RangeInclusive<i16>) -> Result<i16, Trouble> {
        let known = |version: &i16| shape::of(R::KEY, *version).is_some();
        let theirs = self.versions.iter().find(|(key, ..)| *key == R::KEY);
        let both = theirs.map(|&(_, lowest, highest)| lowest.max(*ours.start())..=highest.min(*ours.end()));
        let version = both.and_then(|both| both.rev().find(known));
        version.ok_or_else(|| self.too_old(format_args!("it does not know request {} in version {ours:?}", R::KEY)))
    }

    async fn learn_versions(&mut self, access: &Access, deadline: Instant) -> Result<(), Trouble> {
        let request = ApiVersionsRequest::default()
            .with_client_software_name(SOFTWARE)
            .with_client_software_version(StrBytes::from_static_str(env!("CARGO_PKG_VERSION")));
        let answer = self.exchange(&request, 3, deadline).await;
        let answer = answer.map_err(|error| trouble(&error, &self.host, self.port, Some(&access.security)))?;
        // A broker that does not know the version answers in the first one, whose error comes at the same place.
        if answer.get(4..6) == Some(&UNSUPPORTED_VERSION.to_be_bytes()) {
            return Err(self.too_old(format_args!("it does not know ApiVersions in version 3")));
        }
        let answer = self.decode::<ApiVersionsRequest>(answer, 3)?;
        if answer.error_code != 0 {
            return Err(self.passing(format_args!("ApiVersions: error {}", answer.error_code)));
        }
        self.versions = answer.api_keys.iter().map(|api| (api.api_key, api.min_version, api.max_version)).collect();
        Ok(())
    }

    /// KIP-43, KIP-152. A broker that wants to be told again after some time (KIP-368) closes the connection, and
    /// is told on the next one.
    async fn authenticate(&mut self, sasl: &Sasl, deadline: Instant) -> Result<(), Trouble> {
        let mechanism = StrBytes::from_static_str(sasl.mechanism());
        let handshake = SaslHandshakeRequest::default().with_mechanism(mechanism);
        let answer = self.call(handshake, 1..=1, deadline).await?.1;
        if answer.error_code != 0 {
            let mechanisms: Vec<&str> = answer.mechanisms.iter().map(|name| &**name).collect();
            let message = if mechanisms.is_empty() {
                "it wants no SASL: is this a listener of another security.protocol?".to_owned()
            } else {
                format!("it does not accept sasl.mechanism={}, but {mechanisms:?}", sasl.mechanism())
            };
            return Err(self.refused(message));
        }
        let nonce = crate::random::uuid().simple().to_string();
        let (mut message, mut exchange) = sasl.begin(nonce, SystemClock.now_ms());
        loop {
            let request = SaslAuthenticateRequest::default().with_auth_bytes(message.into());
            let answer = self.call(request, 2..=2, deadline).await?.1;
            if answer.error_code != 0 {
                let why = answer.error_message.map(|why| format!(" ({})", &*why)).unwrap_or_default();
                let (user, mechanism) = (sasl.user(), sasl.mechanism());
                return Err(self.refused(format!(
                    "it does not let {user:?} in with {mechanism}: check sasl.username and sasl.password, or the token{why}"
                )));
            }
            match exchange.next(&answer.auth_bytes).map_err(|why| self.refused(why))? {
                None => return Ok(()),
                Some(next) => (message, exchange) = next,
            }
        }
    }

    async fn send<R: Request>(&mut self, request: R, version: i16, deadline: Instant) -> Result<R::Response, Trouble> {
        let answer = self.exchange(&request, version, deadline).await;
        let answer = answer.map_err(|error| trouble(&error, &self.host, self.port, None))?;
        self.decode::<R>(answer, version)
    }

    fn decode<R: Request>(&self, answer: Bytes, version: i16) -> Result<R::Response, Trouble> {
        frame::decode::<R>(answer, version, self.correlation).map_err(|why| self.passing(why))
    }

    async fn exchange<R: Request>(&mut self, request: &R, version: i16, deadline: Instant) -> io::Result<Bytes> {
        within(deadline.min(Instant::now() + self.request_within), async {
            self.write(request, version).await?;
            self.read().await
        })
        .await
    }

    /// Sends a request; returns its number.
    async fn write<R: Request>(&mut self, request: &R, version: i16) -> io::Result<i32> {
        self.correlation = self.correlation.wrapping_add(1);
        let frame = frame::encode(request, version, self.correlation, self.client.clone()).map_err(io::Error::other)?;
        self.stream.write_all(&frame).await?;
        self.stream.flush().await?;
        Ok(self.correlation)
    }

    /// The next answer, without its length.
    async fn read(&mut self) -> io::Result<Bytes> {
        let mut prefix = [0; 4];
        self.stream.read_exact(&mut prefix).await?;
        let length = frame::length(prefix).map_err(|why| io::Error::other(NotKafka(why)))?;
        // Room grows with what arrives, whatever was announced.
        let mut answer = Vec::with_capacity(length.min(ROOM));
        (&mut self.stream).take(length as u64).read_to_end(&mut answer).await?;
        if answer.len() < length { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(answer.into()) }
    }

    fn too_old(&self, what: impl std::fmt::Display) -> Trouble {
        self.refused(format!("it is too old: exactly-once output needs Kafka 3.0 or later ({what})"))
    }

    fn refused(&self, why: impl std::fmt::Display) -> Trouble {
        Trouble::Final(Error::new(ErrorKind::Config, format!("the broker {}:{}: {why}", self.host, self.port)))
    }

    fn passing(&self, why: impl std::fmt::Display) -> Trouble {
        Trouble::Passing(format!("the broker {}:{}: {why}", self.host, self.port))
    }
}

async fn connect(host: &str, port: u16, access: &Access) -> io::Result<Box<dyn Stream>> {
    let stream = tcp(host, port, &access.reach).await?;
    stream.set_nodelay(true)?;
    let Some(Encryption(connector)) = &access.encryption else { return Ok(Box::new(stream)) };
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    Ok(Box::new(connector.connect(name, stream).await?))
}

async fn tcp(host: &str, port: u16, reach: &Reach) -> io::Result<TcpStream> {
    let known = lookup_host((host, port)).await?;
    let addresses: Vec<SocketAddr> = known.filter(|address| reach.family.has(address)).collect();
    let none = || io::Error::other("no address of it is of the kind that broker.address.family asks for");
    first_of(&addresses, reach.connect_within, TcpStream::connect).await.ok_or_else(none)?
}

/// The first of the addresses that accepts, else what the last one said. Each has its share of the time, as one that
/// answers nothing would take all of it.
async fn first_of<T, F: Future<Output = io::Result<T>>>(
    addresses: &[SocketAddr],
    within: Duration,
    connect: impl Fn(SocketAddr) -> F,
) -> Option<io::Result<T>> {
    let share = within / u32::try_from(addresses.len()).ok()?.max(1);
    let mut last = None;
    for &address in addresses {
        let connected = timeout(share, connect(address)).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        if connected.is_ok() {
            return Some(connected);
        }
        last = Some(connected);
    }
    last
}

/// These bytes come from something that does not speak Kafka.
#[derive(Debug)]
struct NotKafka(NoLength);

impl std::error::Error for NotKafka {}

impl std::fmt::Display for NotKafka {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.0 {
            NoLength::Tls => "it speaks TLS: set security.protocol to SSL or SASL_SSL",
            NoLength::Nonsense => "its answer is no Kafka message",
        })
    }
}

/// What a failure of a connection means; `opening` while nothing has been answered on it yet.
fn trouble(error: &io::Error, host: &str, port: u16, opening: Option<&Security>) -> Trouble {
    let place = format!("the broker {host}:{port}");
    let not_kafka = error.get_ref().and_then(|inner| inner.downcast_ref::<NotKafka>());
    if let Some(NotKafka(NoLength::Tls)) = not_kafka {
        return Trouble::Final(Error::new(ErrorKind::Config, format!("{place}: {error}")));
    }
    if let Some(error) = tls_words(error, host) {
        return Trouble::Final(error.at(place));
    }
    let hint = match opening {
        Some(security) if error.kind() == io::ErrorKind::UnexpectedEof => {
            format!("; is this a {} listener (security.protocol)?", security.protocol())
        }
        _ => String::new(),
    };
    Trouble::Passing(format!("{place}: {error}{hint}"))
}

async fn within<T>(deadline: Instant, io: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout_at(deadline.into(), io).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

#[cfg(test)]
mod tests;
