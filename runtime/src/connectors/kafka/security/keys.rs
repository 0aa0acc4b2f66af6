//! librdkafka's options about TLS, and those among them that only OpenSSL can honour.

use super::wrong;
use crate::error::Result;
use std::collections::BTreeMap;

/// Options that change what a TLS connection accepts or who we are, and that are not understood here.
/// To ignore one would be less safe than what was asked for.
const NOT_HONOURED: &[(&str, &str)] = &[
    ("ssl.cipher.suites", "the cipher suites are rustls's safe defaults; remove it"),
    ("ssl.curves.list", "the key exchanges are rustls's safe defaults; remove it"),
    ("ssl.sigalgs.list", "the signature algorithms are rustls's safe defaults; remove it"),
    ("ssl.keystore.location", "give certificate and key as PEM: ssl.certificate.location and ssl.key.location"),
    ("ssl.keystore.password", "give certificate and key as PEM: ssl.certificate.location and ssl.key.location"),
    ("ssl.crl.location", "lists of revoked certificates are not read; remove it"),
    ("ssl.engine.location", "OpenSSL engines are not used; give the key as PEM: ssl.key.location"),
    ("ssl.engine.id", "OpenSSL engines are not used; give the key as PEM: ssl.key.location"),
    ("ssl.providers", "OpenSSL providers are not used; remove it"),
    ("ssl.ca.certificate.stores", "Windows stores are not read by name; use ssl.ca.location"),
];

/// Refuses options that an exactly-once sink cannot honour.
pub(super) fn refuse_unhonoured(options: &BTreeMap<String, String>) -> Result<()> {
    match NOT_HONOURED.iter().find(|(key, _)| options.contains_key(*key)) {
        None => Ok(()),
        Some((key, instead)) => Err(wrong(format!(
            "the Kafka option {key} cannot be honoured where transactions are recovered: {instead}, or use \
             .at_least_once()"
        ))),
    }
}

/// An option that is true or false, in librdkafka's spellings.
pub(super) fn flag(key: &str, value: Option<&str>, default: bool) -> Result<bool> {
    match value.map(str::to_ascii_lowercase).as_deref() {
        None => Ok(default),
        Some("true" | "t" | "1") => Ok(true),
        Some("false" | "f" | "0") => Ok(false),
        Some(value) => Err(wrong(format!("the Kafka option {key}={value} is neither true nor false"))),
    }
}
