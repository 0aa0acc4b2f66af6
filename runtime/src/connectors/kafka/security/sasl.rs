//! SASL: who we are, in the words of each mechanism. What is sent and what an answer means, without
//! a connection.

use super::scram::{Awaited, First, Hash};
use super::token::TokenConfig;
use std::fmt;

/// Who connects, and how that is proven.
#[derive(Clone, PartialEq, Eq)]
pub struct Sasl(pub(super) Mechanism);

#[derive(Clone, PartialEq, Eq)]
pub(super) enum Mechanism {
    Plain { username: String, password: String },
    Scram { hash: Hash, username: String, password: String },
    OauthBearer(TokenConfig),
}

impl Sasl {
    /// The mechanism, as Kafka names it.
    pub(in super::super) fn mechanism(&self) -> &'static str {
        match &self.0 {
            Mechanism::Plain { .. } => "PLAIN",
            Mechanism::Scram { hash: Hash::Sha256, .. } => "SCRAM-SHA-256",
            Mechanism::Scram { hash: Hash::Sha512, .. } => "SCRAM-SHA-512",
            Mechanism::OauthBearer(_) => "OAUTHBEARER",
        }
    }

    /// The user's name.
    pub(in super::super) fn user(&self) -> &str {
        match &self.0 {
            Mechanism::Plain { username, .. } | Mechanism::Scram { username, .. } => username,
            Mechanism::OauthBearer(config) => &config.principal,
        }
    }

    /// The first message, and what comes after it. `nonce` makes the exchange unrepeatable.
    pub(in super::super) fn begin(&self, nonce: String, now_ms: u64) -> (Vec<u8>, Exchange<'_>) {
        match &self.0 {
            Mechanism::Plain { username, password } => {
                (format!("\0{username}\0{password}").into_bytes(), Exchange::Accepted)
            }
            Mechanism::Scram { hash, username, password } => {
                let first = First::new(*hash, username, nonce);
                (first.message(), Exchange::ScramFirst(first, password))
            }
            Mechanism::OauthBearer(config) => (config.message(now_ms), Exchange::Token),
        }
    }
}

/// Never shows a password.
impl fmt::Debug for Sasl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} as {}", self.mechanism(), self.user())
    }
}

/// What is expected of the broker's next answer.
pub(in super::super) enum Exchange<'a> {
    /// Nothing more than that it has no error.
    Accepted,
    ScramFirst(First, &'a str),
    ScramFinal(Awaited),
    Token,
}

impl<'a> Exchange<'a> {
    /// The message that follows an answer without an error; `None` when we are authenticated.
    pub fn next(self, answer: &[u8]) -> Result<Option<(Vec<u8>, Exchange<'a>)>, String> {
        match self {
            Self::Accepted => Ok(None),
            Self::ScramFirst(first, password) => {
                let (message, awaited) = first.answer(password, answer)?;
                Ok(Some((message, Self::ScramFinal(awaited))))
            }
            Self::ScramFinal(awaited) => awaited.check(answer).map(|()| None),
            // A token that is refused is answered with the reason; the error comes after our next message.
            Self::Token if answer.is_empty() => Ok(None),
            Self::Token => Ok(Some((vec![1], Self::Accepted))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_is_one_message_and_its_password_is_not_shown() {
        let sasl = Sasl(Mechanism::Plain { username: "ada".into(), password: "secret".into() });
        let (message, exchange) = sasl.begin("nonce".into(), 0);
        assert_eq!(message, b"\0ada\0secret");
        assert!(exchange.next(b"").unwrap().is_none());
        assert_eq!(format!("{sasl:?}"), "PLAIN as ada");
    }

    #[test]
    fn a_refused_token_is_acknowledged_so_that_the_error_comes() {
        let sasl = Sasl(Mechanism::OauthBearer(TokenConfig::parse("principal=ada").unwrap()));
        assert!(sasl.begin(String::new(), 0).1.next(b"").unwrap().is_none());
        let (message, _) = sasl.begin(String::new(), 0).1.next(b"{\"status\":\"invalid_token\"}").unwrap().unwrap();
        assert_eq!(message, [1]);
        assert_eq!(sasl.user(), "ada");
    }
}
