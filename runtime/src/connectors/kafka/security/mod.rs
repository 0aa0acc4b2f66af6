//! How a connection is made safe: encrypted by TLS, authenticated by SASL. The wire client reads the
//! same options as librdkafka, so that a user says it once; what it cannot honour is refused by name.
//!
//! Options in, values out: files are read when a client is made, and nothing connects here.

mod keys;
mod sasl;
mod scram;
mod tls;
mod token;
mod verify;

pub use sasl::Sasl;
pub use tls::Tls;
pub(super) use tls::{Encryption, tls_words};

use crate::error::{Error, ErrorKind, Result};
use sasl::Mechanism;
use scram::Hash;
use std::collections::BTreeMap;
use token::TokenConfig;

/// The security of a connection: librdkafka's `security.protocol`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Security {
    /// Neither encrypted nor authenticated.
    Plaintext,
    /// Authenticated, not encrypted.
    SaslPlaintext(Sasl),
    /// Encrypted; authenticated where a client certificate is given.
    Ssl(Tls),
    /// Encrypted and authenticated.
    SaslSsl(Tls, Sasl),
}

impl Security {
    /// Reads librdkafka's options: `security.protocol`; `ssl.ca.*`, `ssl.certificate.*` and `ssl.key.*` with
    /// PEM in files or as text, `ssl.endpoint.identification.algorithm`, `enable.ssl.certificate.verification`;
    /// `sasl.mechanism` PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 with `sasl.username` and `sasl.password`, or
    /// OAUTHBEARER with `sasl.oauthbearer.config`. Others that a connection's safety depends on are refused.
    ///
    /// # Errors
    /// `Config`, naming the option, for what is wrong, missing, or not to be had without librdkafka.
    pub fn from_options(options: &BTreeMap<String, String>) -> Result<Self> {
        let protocol = options.get("security.protocol").map_or("plaintext", String::as_str);
        match protocol.to_ascii_lowercase().as_str() {
            "plaintext" => Ok(Self::Plaintext),
            "ssl" => Ok(Self::Ssl(Tls::from_options(options)?)),
            "sasl_plaintext" => Ok(Self::SaslPlaintext(sasl(options)?)),
            "sasl_ssl" => Ok(Self::SaslSsl(Tls::from_options(options)?, sasl(options)?)),
            _ => Err(wrong(format!(
                "security.protocol={protocol} is none of PLAINTEXT, SSL, SASL_PLAINTEXT and SASL_SSL"
            ))),
        }
    }

    pub(super) fn tls(&self) -> Option<&Tls> {
        match self {
            Self::Ssl(tls) | Self::SaslSsl(tls, _) => Some(tls),
            Self::Plaintext | Self::SaslPlaintext(_) => None,
        }
    }

    pub(super) fn sasl(&self) -> Option<&Sasl> {
        match self {
            Self::SaslPlaintext(sasl) | Self::SaslSsl(_, sasl) => Some(sasl),
            Self::Plaintext | Self::Ssl(_) => None,
        }
    }

    /// As the value of `security.protocol`.
    pub(super) fn protocol(&self) -> &'static str {
        match self {
            Self::Plaintext => "PLAINTEXT",
            Self::SaslPlaintext(_) => "SASL_PLAINTEXT",
            Self::Ssl(_) => "SSL",
            Self::SaslSsl(..) => "SASL_SSL",
        }
    }

    /// Who the brokers take us for, for people.
    pub(super) fn principal(&self) -> String {
        match (self.sasl(), self.tls()) {
            (Some(sasl), _) => format!("User:{}", sasl.user()),
            (None, Some(tls)) if tls.has_certificate() => "the subject of ssl.certificate.location".to_owned(),
            (None, _) => "User:ANONYMOUS".to_owned(),
        }
    }
}

fn sasl(options: &BTreeMap<String, String>) -> Result<Sasl> {
    let mechanism = options.get("sasl.mechanisms").or_else(|| options.get("sasl.mechanism")).map(String::as_str);
    let missing =
        |key| move || wrong(format!("the Kafka option {key} is missing: SASL needs it; add .set({key:?}, ..)"));
    let needed = |key| options.get(key).cloned().ok_or_else(missing(key));
    let password = || Ok::<_, Error>((needed("sasl.username")?, needed("sasl.password")?));
    let scram = |hash| {
        let (username, password) = password()?;
        Ok(Sasl(Mechanism::Scram { hash, username, password }))
    };
    match mechanism {
        Some("PLAIN") => {
            let (username, password) = password()?;
            Ok(Sasl(Mechanism::Plain { username, password }))
        }
        Some("SCRAM-SHA-256") => scram(Hash::Sha256),
        Some("SCRAM-SHA-512") => scram(Hash::Sha512),
        Some("OAUTHBEARER") => token(options).map(|config| Sasl(Mechanism::OauthBearer(config))),
        other => {
            let given = other.map_or("not set, which means GSSAPI".to_owned(), |other| format!("{other:?}"));
            Err(wrong(format!(
                "the Kafka option sasl.mechanism is {given}; transactions are recovered with PLAIN, SCRAM-SHA-256, \
                 SCRAM-SHA-512 or OAUTHBEARER only: use one of them, or .at_least_once()"
            )))
        }
    }
}

fn token(options: &BTreeMap<String, String>) -> Result<TokenConfig> {
    if let Some(method) = options.get("sasl.oauthbearer.method").filter(|method| *method != "default") {
        return Err(wrong(format!(
            "the Kafka option sasl.oauthbearer.method={method} cannot be honoured: this build fetches no tokens; use \
             sasl.oauthbearer.config, or SCRAM or a client certificate instead"
        )));
    }
    let unsecured = options.get("enable.sasl.oauthbearer.unsecure.jwt").map(String::as_str);
    if !keys::flag("enable.sasl.oauthbearer.unsecure.jwt", unsecured, false)? {
        return Err(wrong(
            "sasl.mechanism=OAUTHBEARER needs enable.sasl.oauthbearer.unsecure.jwt=true: only the unsecured tokens of \
             sasl.oauthbearer.config can be made here; use SCRAM or a client certificate where they are not enough",
        ));
    }
    let text = options.get("sasl.oauthbearer.config").map_or("", String::as_str);
    TokenConfig::parse(text).map_err(|why| wrong(format!("the Kafka option sasl.oauthbearer.config: {why}")))
}

fn wrong(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, message)
}

#[cfg(test)]
mod tests;
