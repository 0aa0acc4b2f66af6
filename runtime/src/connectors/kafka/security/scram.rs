//! The client's side of SCRAM (RFC 5802, RFC 7677) as Kafka speaks it (KIP-84).
//!
//! Written here as Kafka takes passwords byte for byte, while the libraries normalise them first
//! (SASLprep) and so refuse some that librdkafka accepts. The primitives are `ring`'s.
//!
//! Pure but for the nonce, which is given.

use base64::prelude::{BASE64_STANDARD as BASE64, Engine};
use ring::{digest, hmac, pbkdf2};
use std::num::NonZeroU32;

/// Kafka's own clients ask for at least this many iterations; fewer would make the password cheap to guess.
const ITERATIONS_MIN: u32 = 4_096;
/// More would only keep this side busy: a broker of ill will could ask for minutes of work.
const ITERATIONS_MAX: u32 = 10_000_000;

/// Which hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Hash {
    Sha256,
    Sha512,
}

impl Hash {
    fn hmac(self) -> hmac::Algorithm {
        match self {
            Self::Sha256 => hmac::HMAC_SHA256,
            Self::Sha512 => hmac::HMAC_SHA512,
        }
    }

    fn digest(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha512 => &digest::SHA512,
        }
    }

    fn pbkdf2(self) -> pbkdf2::Algorithm {
        match self {
            Self::Sha256 => pbkdf2::PBKDF2_HMAC_SHA256,
            Self::Sha512 => pbkdf2::PBKDF2_HMAC_SHA512,
        }
    }
}

/// The first message, with what the second one needs.
pub(in super::super) struct First {
    hash: Hash,
    nonce: String,
    bare: String,
}

/// By what the broker has to prove that it knows the password, too: a signature of the exchange.
pub(in super::super) struct Awaited {
    key: hmac::Key,
    exchange: String,
}

impl First {
    /// `nonce` is printable, without commas, and never used before.
    pub fn new(hash: Hash, username: &str, nonce: String) -> Self {
        let username = username.replace('=', "=3D").replace(',', "=2C");
        let bare = format!("n={username},r={nonce}");
        Self { hash, nonce, bare }
    }

    pub fn message(&self) -> Vec<u8> {
        format!("n,,{}", self.bare).into_bytes()
    }

    /// The final message, in answer to the broker's first.
    pub fn answer(&self, password: &str, server_first: &[u8]) -> Result<(Vec<u8>, Awaited), String> {
        let server_first = std::str::from_utf8(server_first).map_err(|_| "its SCRAM message is no text")?;
        let field = |name: &str| server_first.split(',').find_map(|field| field.strip_prefix(name));
        let (Some(nonce), Some(salt), Some(iterations)) = (field("r="), field("s="), field("i=")) else {
            return Err(format!("its SCRAM message lacks nonce, salt or iterations: {server_first:?}"));
        };
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() {
            return Err("it did not extend the nonce: is somebody replaying an old exchange?".to_owned());
        }
        let salt = BASE64.decode(salt).map_err(|_| "its SCRAM salt is not base64")?;
        let iterations = iterations.parse().ok().filter(|count| (ITERATIONS_MIN..=ITERATIONS_MAX).contains(count));
        let iterations = iterations.and_then(NonZeroU32::new).ok_or_else(|| {
            format!("its number of SCRAM iterations is not from {ITERATIONS_MIN} to {ITERATIONS_MAX}")
        })?;

        let mut salted = vec![0; self.hash.digest().output_len()];
        pbkdf2::derive(self.hash.pbkdf2(), iterations, &salt, password.as_bytes(), &mut salted);
        let sign = |key: &[u8], text: &[u8]| hmac::sign(&hmac::Key::new(self.hash.hmac(), key), text);
        let client_key = sign(&salted, b"Client Key");
        let stored_key = digest::digest(self.hash.digest(), client_key.as_ref());
        // "biws" is base64 of "n,,": no channel binding.
        let without_proof = format!("c=biws,r={nonce}");
        let exchange = format!("{},{server_first},{without_proof}", self.bare);
        let signature = sign(stored_key.as_ref(), exchange.as_bytes());
        let proof: Vec<u8> = client_key.as_ref().iter().zip(signature.as_ref()).map(|(key, sign)| key ^ sign).collect();
        let server_key = sign(&salted, b"Server Key");
        let awaited = Awaited { key: hmac::Key::new(self.hash.hmac(), server_key.as_ref()), exchange };
        Ok((format!("{without_proof},p={}", BASE64.encode(proof)).into_bytes(), awaited))
    }
}

impl Awaited {
    /// Checks the broker's last message.
    pub fn check(&self, server_final: &[u8]) -> Result<(), String> {
        let text = String::from_utf8_lossy(server_final);
        if let Some(error) = text.strip_prefix("e=") {
            return Err(format!("it says {error:?}"));
        }
        let signature = text.split(',').find_map(|field| field.strip_prefix("v="));
        let signature = signature.and_then(|signature| BASE64.decode(signature).ok()).unwrap_or_default();
        hmac::verify(&self.key, self.exchange.as_bytes(), &signature).map_err(|_| {
            "its signature is wrong: it does not know the password, so it is not the broker it claims to be".to_owned()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
    const SERVER_FIRST: &str = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";

    fn first() -> First {
        First::new(Hash::Sha256, "user", NONCE.to_owned())
    }

    /// The example of RFC 7677, section 3.
    #[test]
    fn speaks_as_the_rfc_does() {
        let first = first();
        assert_eq!(first.message(), b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let (message, awaited) = first.answer("pencil", SERVER_FIRST.as_bytes()).unwrap();
        assert_eq!(
            String::from_utf8(message).unwrap(),
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        awaited.check(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=").unwrap();
        assert!(awaited.check(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5=").is_err());
        assert!(awaited.check(b"e=invalid-proof").unwrap_err().contains("invalid-proof"));
        assert!(awaited.check(b"").is_err());
    }

    #[test]
    fn names_are_escaped() {
        let first = First::new(Hash::Sha512, "a=b,c", "x".into());
        assert_eq!(first.message(), b"n,,n=a=3Db=2Cc,r=x");
    }

    #[test]
    fn what_the_broker_says_is_not_believed() {
        let wrong = |message: &str| first().answer("pencil", message.as_bytes()).err().expect("refused");
        assert!(wrong("r=other,s=W22Z,i=4096").contains("nonce"));
        assert!(wrong("r=rOprNGfwEbeRWgbNEkqO,s=W22Z,i=4096").contains("nonce"));
        assert!(wrong(&SERVER_FIRST.replace("i=4096", "i=1")).contains("iterations"));
        assert!(wrong(&SERVER_FIRST.replace("i=4096", "i=4000000000")).contains("iterations"));
        assert!(wrong(&SERVER_FIRST.replace("s=W22Z", "s=\u{e9}")).contains("base64"));
        assert!(wrong("e=other-error").contains("lacks"));
    }
}
