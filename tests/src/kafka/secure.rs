//! A broker with TLS, SASL and an authorizer, with certificates made for it.
//!
//! | listener | what it asks for |
//! |---|---|
//! | `PLAINTEXT` | nothing; who comes here may do everything |
//! | `SSL` | a client certificate of the authority; its common name is the user |
//! | `SASL_SSL`, `SASL_PLAINTEXT` | PLAIN, SCRAM or OAUTHBEARER |
//! | `EXPIRED` | nothing, but its certificate expired long ago |

use super::acl::{self, Operation, Permission, Resource};
use super::broker::{Broker, free_port};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, date_time_ymd,
};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The password of all users.
pub const PASSWORD: &str = "pass-word_42";
/// Who may log in with a password: one that the authorizer lets do everything, one that it does not.
pub const USER: &str = "ada";
pub const LIMITED_USER: &str = "bob";

/// The broker, its certificates, and where its listeners are.
pub struct SecureBroker {
    broker: Broker,
    folder: TempDir,
    ports: Ports,
}

struct Ports {
    ssl: u16,
    sasl_ssl: u16,
    sasl_plaintext: u16,
    expired: u16,
}

impl SecureBroker {
    /// Starts it.
    ///
    /// # Panics
    /// As [`Broker::start`].
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        make_certificates(folder.path());
        let [ssl, sasl_ssl, sasl_plaintext, expired] = std::array::from_fn(|_| free_port());
        let ports = Ports { ssl, sasl_ssl, sasl_plaintext, expired };
        let scram = ["SCRAM-SHA-256", "SCRAM-SHA-512"]
            .map(|mechanism| format!("{mechanism}=[name={USER},password=\"{PASSWORD}\"]"));
        let format = ["--add-scram", &scram[0], "--add-scram", &scram[1]];
        let broker = Broker::make(|port, controller| properties(folder.path(), &ports, port, controller), &format);
        Self { broker, folder, ports }
    }

    /// The broker itself; its address is that of the `PLAINTEXT` listener.
    pub fn broker(&self) -> &Broker {
        &self.broker
    }

    pub fn ssl(&self) -> String {
        format!("localhost:{}", self.ports.ssl)
    }

    pub fn sasl_ssl(&self) -> String {
        format!("localhost:{}", self.ports.sasl_ssl)
    }

    /// Under a name that is not in the broker's certificate.
    pub fn sasl_ssl_by_address(&self) -> String {
        format!("127.0.0.1:{}", self.ports.sasl_ssl)
    }

    pub fn sasl_plaintext(&self) -> String {
        format!("localhost:{}", self.ports.sasl_plaintext)
    }

    pub fn expired(&self) -> String {
        format!("localhost:{}", self.ports.expired)
    }

    /// Allows a user something.
    pub fn allow(&self, principal: &str, resource: Resource<'_>, operation: Operation) {
        acl::say(self.broker.address(), principal, Permission::Allow, operation, resource);
    }

    /// Takes from a user what it was allowed.
    pub fn deny(&self, principal: &str, resource: Resource<'_>, operation: Operation) {
        acl::say(self.broker.address(), principal, Permission::Deny, operation, resource);
    }

    /// `ca.pem`, `other-ca.pem`, `client.pem`, `client.key`.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

fn properties(folder: &Path, ports: &Ports, port: u16, controller: u16) -> Vec<(String, String)> {
    let Ports { ssl, sasl_ssl, sasl_plaintext, expired } = ports;
    let secured = |host: &str| {
        format!(
            "PLAINTEXT://127.0.0.1:{port},SSL://{host}:{ssl},SASL_SSL://{host}:{sasl_ssl},\
             SASL_PLAINTEXT://{host}:{sasl_plaintext},EXPIRED://{host}:{expired}"
        )
    };
    let file = |name: &str| folder.join(name).display().to_string();
    let mut all = vec![
        ("listeners".to_owned(), format!("{},CONTROLLER://127.0.0.1:{controller}", secured("127.0.0.1"))),
        ("advertised.listeners".to_owned(), secured("localhost")),
        (
            "listener.security.protocol.map".to_owned(),
            "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_SSL:SASL_SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,EXPIRED:SSL"
                .to_owned(),
        ),
        ("ssl.keystore.type".to_owned(), "PEM".to_owned()),
        ("ssl.keystore.location".to_owned(), file("broker.pem")),
        ("ssl.truststore.type".to_owned(), "PEM".to_owned()),
        ("ssl.truststore.location".to_owned(), file("ca.pem")),
        ("listener.name.ssl.ssl.client.auth".to_owned(), "required".to_owned()),
        ("listener.name.expired.ssl.keystore.location".to_owned(), file("expired.pem")),
        ("ssl.principal.mapping.rules".to_owned(), "RULE:^CN=([^,]+).*$/$1/".to_owned()),
        ("sasl.enabled.mechanisms".to_owned(), "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER".to_owned()),
        ("connections.max.reauth.ms".to_owned(), "2000".to_owned()),
        ("authorizer.class.name".to_owned(), "org.apache.kafka.metadata.authorizer.StandardAuthorizer".to_owned()),
        ("super.users".to_owned(), format!("User:ANONYMOUS;User:{USER};User:client")),
    ];
    for listener in ["sasl_ssl", "sasl_plaintext"] {
        let plain = format!(
            "org.apache.kafka.common.security.plain.PlainLoginModule required user_{USER}=\"{PASSWORD}\" \
             user_{LIMITED_USER}=\"{PASSWORD}\";"
        );
        let scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;".to_owned();
        let token = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required \
                     unsecuredLoginStringClaim_sub=\"broker\";"
            .to_owned();
        let mechanisms =
            [("plain", plain), ("scram-sha-256", scram.clone()), ("scram-sha-512", scram), ("oauthbearer", token)];
        for (mechanism, module) in mechanisms {
            all.push((format!("listener.name.{listener}.{mechanism}.sasl.jaas.config"), module));
        }
    }
    all
}

/// The authority, the broker's certificates of it (one of them out of date), a client's, and another
/// authority that has signed nothing.
fn make_certificates(folder: &Path) {
    let ca = authority("staunch tests");
    write(folder, "ca.pem", &ca.pem());
    write(folder, "other-ca.pem", &authority("somebody else").pem());
    for (name, until) in [("broker.pem", 2100), ("expired.pem", 2001)] {
        let (certificate, key) = signed(&ca, "localhost", ExtendedKeyUsagePurpose::ServerAuth, until);
        // Kafka wants both in one file.
        write(folder, name, &format!("{key}{certificate}"));
    }
    let (certificate, key) = signed(&ca, "client", ExtendedKeyUsagePurpose::ClientAuth, 2100);
    write(folder, "client.pem", &certificate);
    write(folder, "client.key", &key);
}

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a certificate")
}

/// Certificate and key, as PEM.
fn signed(
    ca: &CertifiedIssuer<'static, KeyPair>,
    name: &str,
    usage: ExtendedKeyUsagePurpose,
    until_year: i32,
) -> (String, String) {
    let mut params = CertificateParams::new([name.to_owned()]).expect("a legal name");
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = vec![usage];
    (params.not_before, params.not_after) = (date_time_ymd(2000, 1, 1), date_time_ymd(until_year, 1, 1));
    let key = KeyPair::generate().expect("a key");
    let certificate = params.signed_by(&key, ca).expect("a certificate");
    (certificate.pem(), key.serialize_pem())
}

fn write(folder: &Path, name: &str, text: &str) {
    fs::write(folder.join(name), text).expect("a temporary folder can be written");
}
