//! TLS from librdkafka's options: which authorities are trusted, who we are, what is checked.

use super::verify::{AnyCertificate, AnyName};
use super::{keys, wrong};
use crate::error::{Error, ErrorKind, Result};
use pkcs8::{EncryptedPrivateKeyInfoRef, SecretDocument};
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::{self, AlertDescription, CertificateError, ClientConfig, RootCertStore};

/// What was said about TLS.
#[derive(Clone, PartialEq, Eq)]
pub struct Tls {
    /// `None` for the system's authorities.
    authorities: Option<Pem>,
    /// Our certificate and its key.
    identity: Option<(Pem, Pem)>,
    key_password: Option<String>,
    checks: Checks,
}

/// What is checked of a broker's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Checks {
    ChainAndName,
    Chain,
    Nothing,
}

/// A PEM text or where it is, with the option that says so.
#[derive(Clone, PartialEq, Eq)]
struct Pem {
    key: &'static str,
    value: String,
    is_text: bool,
}

impl Tls {
    pub(super) fn from_options(options: &BTreeMap<String, String>) -> Result<Self> {
        keys::refuse_unhonoured(options)?;
        let pem = |text: &'static str, location: &'static str| {
            let of = |key, is_text| options.get(key).map(|value| Pem { key, value: value.clone(), is_text });
            of(text, true).or_else(|| of(location, false))
        };
        let certificate = pem("ssl.certificate.pem", "ssl.certificate.location");
        let identity = match (certificate, pem("ssl.key.pem", "ssl.key.location")) {
            (None, None) => None,
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (Some(given), None) => return Err(wrong(format!("{} needs ssl.key.location or ssl.key.pem", given.key))),
            (None, Some(given)) => {
                return Err(wrong(format!("{} needs ssl.certificate.location or ssl.certificate.pem", given.key)));
            }
        };
        let verify = options.get("enable.ssl.certificate.verification").map(String::as_str);
        let verify = keys::flag("enable.ssl.certificate.verification", verify, true)?;
        let name = options.get("ssl.endpoint.identification.algorithm").map_or("https", String::as_str);
        let checks = match (verify, name) {
            (false, _) => Checks::Nothing,
            (true, "https") => Checks::ChainAndName,
            (true, "none") => Checks::Chain,
            (true, other) => {
                let message = format!("ssl.endpoint.identification.algorithm={other} is neither https nor none");
                return Err(wrong(message));
            }
        };
        let authorities = pem("ssl.ca.pem", "ssl.ca.location").filter(|ca| ca.is_text || ca.value != "probe");
        Ok(Self { authorities, identity, key_password: options.get("ssl.key.password").cloned(), checks })
    }

    pub(super) fn has_certificate(&self) -> bool {
        self.identity.is_some()
    }

    fn authorities(&self) -> Result<RootCertStore> {
        let (certificates, from) = match &self.authorities {
            None => {
                let found = rustls_native_certs::load_native_certs();
                (found.certs, "the system's store of authorities; set ssl.ca.location".to_owned())
            }
            Some(pem) if !pem.is_text && Path::new(&pem.value).is_dir() => {
                (rustls_native_certs::load_certs_from_paths(None, Some(Path::new(&pem.value))).certs, pem.to_string())
            }
            Some(pem) => (pem.certificates()?, pem.to_string()),
        };
        let mut store = RootCertStore::empty();
        // A system's store may hold some that rustls does not understand.
        if store.add_parsable_certificates(certificates).0 == 0 {
            return Err(wrong(format!("no certificate of an authority was found in {from}")));
        }
        Ok(store)
    }

    fn identity(&self) -> Result<Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>> {
        let Some((certificate, key)) = &self.identity else { return Ok(None) };
        Ok(Some((certificate.certificates()?, key.private_key(self.key_password.as_deref())?)))
    }

    fn config(&self) -> Result<ClientConfig> {
        let provider = Arc::new(ring::default_provider());
        let refused = |error: rustls::Error| wrong("rustls refuses the TLS options").caused_by(error);
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(refused)?;
        let builder = match self.checks {
            Checks::Nothing => builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyCertificate(provider))),
            Checks::Chain => {
                let chain = WebPkiServerVerifier::builder_with_provider(self.authorities()?.into(), provider).build();
                let chain = chain.map_err(|error| wrong("the authorities cannot be used").caused_by(error))?;
                builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyName(chain)))
            }
            Checks::ChainAndName => builder.with_root_certificates(self.authorities()?),
        };
        match self.identity()? {
            None => Ok(builder.with_no_client_auth()),
            Some((certificates, key)) => builder.with_client_auth_cert(certificates, key).map_err(|error| {
                wrong("the client's certificate and key do not fit: ssl.certificate.location, ssl.key.location")
                    .caused_by(error)
            }),
        }
    }
}

/// Shows neither keys nor passwords.
impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TLS, {:?}, client certificate: {}", self.checks, self.has_certificate())
    }
}

impl Pem {
    fn read(&self) -> Result<Vec<u8>> {
        if self.is_text {
            return Ok(self.value.clone().into_bytes());
        }
        std::fs::read(&self.value).map_err(|error| wrong(format!("{self} cannot be read")).caused_by(error))
    }

    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>> {
        let bytes = self.read()?;
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
        let found = found.map_err(|error| wrong(format!("{self} is no PEM")).caused_by(error))?;
        if found.is_empty() {
            return Err(wrong(format!("{self} holds no certificate in PEM form (`-----BEGIN CERTIFICATE-----`)")));
        }
        Ok(found)
    }

    fn private_key(&self, password: Option<&str>) -> Result<PrivateKeyDer<'static>> {
        let text = String::from_utf8(self.read()?).map_err(|_| wrong(format!("{self} is no PEM")))?;
        if text.contains("Proc-Type: 4,ENCRYPTED") {
            let message = format!(
                "{self} is encrypted in OpenSSL's old form; convert it: openssl pkcs8 -topk8 -in old.pem -out key.pem"
            );
            return Err(wrong(message));
        }
        if let Some(start) = text.find("-----BEGIN ENCRYPTED PRIVATE KEY-----") {
            let password = password.ok_or_else(|| wrong(format!("{self} is encrypted: set ssl.key.password")))?;
            return self.decrypt(&text[start..], password);
        }
        PrivateKeyDer::from_pem_slice(text.as_bytes())
            .map_err(|error| wrong(format!("{self} holds no private key in PEM form")).caused_by(error))
    }

    fn decrypt(&self, text: &str, password: &str) -> Result<PrivateKeyDer<'static>> {
        const END: &str = "-----END ENCRYPTED PRIVATE KEY-----";
        let text = text.find(END).map_or(text, |end| &text[..end + END.len()]);
        let damaged = || wrong(format!("{self} is damaged, or encrypted in a way that is not supported (PBES2 is)"));
        let (_, sealed) = SecretDocument::from_pem(text).map_err(|error| damaged().caused_by(error))?;
        let sealed =
            EncryptedPrivateKeyInfoRef::try_from(sealed.as_bytes()).map_err(|error| damaged().caused_by(error))?;
        let key = sealed
            .decrypt(password)
            .map_err(|error| wrong(format!("{self} cannot be decrypted: check ssl.key.password")).caused_by(error))?;
        Ok(PrivatePkcs8KeyDer::from(key.as_bytes().to_vec()).into())
    }
}

/// The option, and the file that it names.
impl fmt::Display for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_text { f.write_str(self.key) } else { write!(f, "{} ({})", self.key, self.value) }
    }
}

/// Makes a connection's bytes unreadable for others, with the files that were named read once.
pub(in super::super) struct Encryption(pub TlsConnector);

impl Encryption {
    pub fn new(tls: &Tls) -> Result<Self> {
        Ok(Self(TlsConnector::from(Arc::new(tls.config()?))))
    }
}

/// What a failure of TLS means and what to change; `None` when the error is of another kind.
pub(in super::super) fn tls_words(error: &io::Error, host: &str) -> Option<Error> {
    let error = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    let words = match error {
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "its certificate comes from no authority that is trusted: set ssl.ca.location (or ssl.ca.pem) to that of the \
             brokers' authority"
                .to_owned()
        }
        rustls::Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            "its certificate has expired: renew it on the broker, and look at this machine's clock".to_owned()
        }
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => format!(
            "its certificate is not for {host}: use a name of its list of alternative names in the brokers' \
             advertised.listeners, or set ssl.endpoint.identification.algorithm=none"
        ),
        rustls::Error::InvalidCertificate(_) => "its certificate cannot be accepted".to_owned(),
        rustls::Error::AlertReceived(AlertDescription::InternalError | AlertDescription::UserCanceled) => return None,
        rustls::Error::AlertReceived(_) => {
            "it refuses this client's certificate or TLS version: look at ssl.certificate.location, ssl.key.location \
             and the broker's log"
                .to_owned()
        }
        rustls::Error::InvalidMessage(_) => {
            "it does not speak TLS: is this a listener of another security.protocol?".to_owned()
        }
        rustls::Error::PeerIncompatible(_) => "it has no version or cipher of TLS in common with us".to_owned(),
        // A broker that is just going down, for instance.
        _ => return None,
    };
    Some(Error::new(ErrorKind::Config, format!("{words} ({error})")))
}
