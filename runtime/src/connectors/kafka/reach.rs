//! How brokers are reached: librdkafka's options about that, as the wire client understands them. What
//! only tunes librdkafka's queues, batches and buffers is none of its business.
//!
//! Options in, values out; nothing connects here.

#![warn(clippy::disallowed_methods, reason = "no clock and no thread reaches what only decides or decodes")]

use crate::error::{Error, ErrorKind, Result};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// Which addresses of a broker are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Any,
    V4,
    V6,
}

impl Family {
    pub fn has(self, address: &SocketAddr) -> bool {
        match self {
            Self::Any => true,
            Self::V4 => address.is_ipv4(),
            Self::V6 => address.is_ipv6(),
        }
    }
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reach {
    /// Who asks, in the broker's logs, metrics and quotas.
    pub client_id: String,
    pub family: Family,
    /// The longest time for one request; then the broker counts as away and the question is asked anew.
    pub request_within: Duration,
    /// The longest time until there is a connection, encrypted where that is asked for; another broker may be up.
    pub connect_within: Duration,
}

impl Default for Reach {
    /// Shorter times than librdkafka's: somebody waits for the job's start.
    fn default() -> Self {
        Self {
            client_id: "staunch".to_owned(),
            family: Family::Any,
            request_within: Duration::from_secs(10),
            connect_within: Duration::from_secs(5),
        }
    }
}

/// Options that change where brokers are looked for, and how, and that are not understood here: each with the
/// value that changes nothing, if there is one. To ignore one would be to ask other brokers than was said.
const NOT_HONOURED: &[(&str, &str, &str)] = &[
    ("client.dns.lookup", "use_all_dns_ips", "all addresses of a name are tried"),
    ("plugin.library.paths", "", "librdkafka's plugins see nothing of it"),
];

impl Reach {
    /// Reads `client.id`, `broker.address.family`, `socket.timeout.ms` and `socket.connection.setup.timeout.ms`.
    ///
    /// # Errors
    /// `Config`, naming the option, for what is wrong or cannot be honoured.
    pub fn from_options(options: &BTreeMap<String, String>) -> Result<Self> {
        for (key, harmless, why) in NOT_HONOURED {
            if let Some(value) = options.get(*key).filter(|value| value != harmless) {
                return Err(wrong(format!(
                    "the Kafka option {key}={value} cannot be honoured where transactions are recovered: {why}; remove \
                     it, or use .at_least_once()"
                )));
            }
        }
        let mut reach = Self::default();
        if let Some(id) = options.get("client.id") {
            reach.client_id.clone_from(id);
        }
        if let Some(family) = options.get("broker.address.family") {
            reach.family = match family.to_ascii_lowercase().as_str() {
                "any" => Family::Any,
                "v4" => Family::V4,
                "v6" => Family::V6,
                _ => return Err(wrong(format!("broker.address.family={family} is none of any, v4 and v6"))),
            };
        }
        let times = [
            ("socket.timeout.ms", &mut reach.request_within),
            ("socket.connection.setup.timeout.ms", &mut reach.connect_within),
        ];
        for (key, time) in times {
            if let Some(text) = options.get(key) {
                let ms = text.parse().ok().filter(|ms| *ms > 0);
                *time = ms.map(Duration::from_millis).ok_or_else(|| {
                    wrong(format!("the Kafka option {key}={text} is no number of milliseconds above 0"))
                })?;
            }
        }
        Ok(reach)
    }
}

fn wrong(message: String) -> Error {
    Error::new(ErrorKind::Config, message)
}

#[cfg(test)]
mod tests;
