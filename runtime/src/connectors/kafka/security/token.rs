//! The unsecured token of OAUTHBEARER (RFC 7628, KIP-255) that librdkafka makes by itself from
//! `sasl.oauthbearer.config`: for tests and closed networks, where the name alone is believed.
//!
//! Follows librdkafka's rules for the text, so that both make the same token. Pure: time is given.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD as BASE64, Engine};
use serde_json::{Map, Value, json};

/// What `sasl.oauthbearer.config` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TokenConfig {
    pub principal: String,
    principal_claim: String,
    scope_claim: String,
    scope: Vec<String>,
    life_seconds: u64,
    extensions: Vec<(String, String)>,
}

impl TokenConfig {
    /// Reads `principal=alice scope=a,b lifeSeconds=600 extension_x=y`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut config = Self {
            principal: String::new(),
            principal_claim: "sub".to_owned(),
            scope_claim: "scope".to_owned(),
            scope: Vec::new(),
            life_seconds: 3_600,
            extensions: Vec::new(),
        };
        for word in text.split(' ').filter(|word| !word.is_empty()) {
            let (key, value) = word.split_once('=').ok_or_else(|| format!("{word:?} is not of the form key=value"))?;
            let value = value.to_owned();
            match key {
                "principal" => config.principal = value,
                "principalClaimName" => config.principal_claim = value,
                "scopeClaimName" => config.scope_claim = value,
                "scope" => config.scope = value.split(',').map(str::to_owned).collect(),
                "lifeSeconds" => {
                    config.life_seconds =
                        value.parse().map_err(|_| format!("lifeSeconds={value} is no number of seconds"))?;
                }
                _ => match key.strip_prefix("extension_") {
                    Some(name) => config.extensions.push((name.to_owned(), value)),
                    None => return Err(format!("{key:?} is no key of it")),
                },
            }
        }
        if config.principal.is_empty() {
            return Err("principal=.. is missing".to_owned());
        }
        Ok(config)
    }

    /// The client's only message, with a token that is issued now.
    pub fn message(&self, now_ms: u64) -> Vec<u8> {
        let now = now_ms / 1_000;
        let mut claims = Map::new();
        claims.insert(self.principal_claim.clone(), json!(self.principal));
        claims.insert("iat".to_owned(), json!(now));
        claims.insert("exp".to_owned(), json!(now + self.life_seconds));
        if !self.scope.is_empty() {
            claims.insert(self.scope_claim.clone(), json!(self.scope));
        }
        let part = |value: &Value| BASE64.encode(value.to_string());
        // An unsecured JWS ends with its empty signature (RFC 7515, appendix A.5).
        let token = format!("{}.{}.", part(&json!({ "alg": "none" })), part(&Value::Object(claims)));
        let mut message = format!("n,,\x01auth=Bearer {token}");
        for (name, value) in &self.extensions {
            message.push_str(&format!("\x01{name}={value}"));
        }
        message.push_str("\x01\x01");
        message.into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn makes_the_token_that_the_text_asks_for() {
        let text =
            "principalClaimName=azp principal=admin scopeClaimName=roles scope=one,two lifeSeconds=60 extension_t=v";
        let message = String::from_utf8(TokenConfig::parse(text).unwrap().message(5_000_500)).unwrap();
        let token = message.strip_prefix("n,,\x01auth=Bearer ").and_then(|rest| rest.strip_suffix("\x01t=v\x01\x01"));
        let parts: Vec<&str> = token.unwrap().split('.').collect();
        let read = |part: &str| serde_json::from_slice::<Value>(&BASE64.decode(part).unwrap()).unwrap();
        assert_eq!(read(parts[0]), json!({ "alg": "none" }));
        assert_eq!(read(parts[1]), json!({ "azp": "admin", "iat": 5_000, "exp": 5_060, "roles": ["one", "two"] }));
        assert_eq!(parts[2..], [""]);
    }

    #[test]
    fn tells_what_is_wrong_with_the_text() {
        let wrong = |text| TokenConfig::parse(text).unwrap_err();
        assert!(wrong("scope=x").contains("principal"));
        assert!(wrong("principal=x colour=red").contains("colour"));
        assert!(wrong("principal=x lifeSeconds=soon").contains("soon"));
        assert!(wrong("principal").contains("key=value"));
    }
}
