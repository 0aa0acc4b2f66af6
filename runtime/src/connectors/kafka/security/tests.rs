use super::*;

/// Made by `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256`; valid for a hundred years.
const CERTIFICATE: &str = include_str!("tests/certificate.pem");
/// The same key in the clear, and by `openssl pkcs8 -topk8` with the password `secret`.
const KEY: &str = include_str!("tests/key.pem");
const ENCRYPTED_KEY: &str = include_str!("tests/encrypted-key.pem");

fn read(options: &[(&str, &str)]) -> Result<Security> {
    let options = options.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
    Security::from_options(&options)
}

/// The message of a `Config` error.
fn refused(options: &[(&str, &str)]) -> String {
    let error = read(options).expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Config);
    error.message().to_owned()
}

/// As when a client is made: files are read and keys looked at.
fn encrypted(options: &[(&str, &str)]) -> Result<()> {
    let options: Vec<_> = [("security.protocol", "SSL")].iter().chain(options).copied().collect();
    Encryption::new(read(&options)?.tls().expect("TLS")).map(drop)
}

#[test]
fn protocols_are_read_in_any_case() {
    assert_eq!(read(&[]).unwrap(), Security::Plaintext);
    assert_eq!(read(&[("security.protocol", "PLAINTEXT")]).unwrap().protocol(), "PLAINTEXT");
    assert_eq!(read(&[("security.protocol", "ssl")]).unwrap().protocol(), "SSL");
    assert!(refused(&[("security.protocol", "TLS")]).contains("none of PLAINTEXT, SSL"));
}

#[test]
fn each_mechanism_needs_its_options() {
    let sasl = |mechanism, more: &[(&'static str, &'static str)]| {
        let mut options = vec![("security.protocol", "SASL_SSL"), ("sasl.mechanism", mechanism)];
        options.extend(more);
        options
    };
    let login = [("sasl.username", "ada"), ("sasl.password", "secret")];
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        let security = read(&sasl(mechanism, &login)).unwrap();
        assert_eq!((security.sasl().unwrap().mechanism(), security.principal().as_str()), (mechanism, "User:ada"));
        assert!(!format!("{security:?}").contains("secret"));
        assert!(refused(&sasl(mechanism, &login[..1])).contains("sasl.password"));
        assert!(refused(&sasl(mechanism, &login[1..])).contains("sasl.username"));
    }
    let token = [("enable.sasl.oauthbearer.unsecure.jwt", "true"), ("sasl.oauthbearer.config", "principal=bob")];
    assert_eq!(read(&sasl("OAUTHBEARER", &token)).unwrap().principal(), "User:bob");
    assert!(refused(&sasl("OAUTHBEARER", &token[..1])).contains("sasl.oauthbearer.config"));
    assert!(refused(&sasl("OAUTHBEARER", &token[1..])).contains("enable.sasl.oauthbearer.unsecure.jwt"));
    assert!(refused(&sasl("OAUTHBEARER", &[("sasl.oauthbearer.method", "oidc")])).contains("sasl.oauthbearer.method"));
    assert!(refused(&sasl("GSSAPI", &login)).contains("GSSAPI"));
    assert!(refused(&[("security.protocol", "SASL_PLAINTEXT")]).contains("GSSAPI"));
}

#[test]
fn what_cannot_be_honoured_is_refused_by_name() {
    for key in ["ssl.keystore.location", "ssl.crl.location", "ssl.cipher.suites", "ssl.engine.location"] {
        assert!(refused(&[("security.protocol", "SSL"), (key, "x")]).contains(key));
        assert_eq!(read(&[(key, "x")]).unwrap(), Security::Plaintext, "it changes nothing without TLS");
    }
    let algorithm = "ssl.endpoint.identification.algorithm";
    assert!(refused(&[("security.protocol", "SSL"), (algorithm, "maybe")]).contains(algorithm));
    let verification = "enable.ssl.certificate.verification";
    assert!(refused(&[("security.protocol", "SSL"), (verification, "maybe")]).contains(verification));
    assert!(refused(&[("security.protocol", "SSL"), ("ssl.key.pem", KEY)]).contains("ssl.certificate.location"));
    assert!(
        refused(&[("security.protocol", "SSL"), ("ssl.certificate.pem", CERTIFICATE)]).contains("ssl.key.location")
    );
}

#[test]
fn certificates_and_keys_come_as_text_or_as_files() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (certificate, key) = (file("0123abcd.0", CERTIFICATE), file("key.pem", KEY));
    encrypted(&[("ssl.ca.pem", CERTIFICATE)]).unwrap();
    encrypted(&[("ssl.ca.location", &certificate)]).unwrap();
    encrypted(&[("ssl.ca.location", folder.path().to_str().unwrap())]).unwrap();
    let ours = [("ssl.certificate.location", &*certificate), ("ssl.key.location", &*key), ("ssl.ca.pem", CERTIFICATE)];
    encrypted(&ours).unwrap();
    let none = file("none.pem", "not PEM");
    let error = encrypted(&[("ssl.ca.location", &none)]).unwrap_err();
    assert!(error.message().contains("ssl.ca.location") && error.message().contains(&none), "{error}");
    let error = encrypted(&[("ssl.ca.location", "missing.pem")]).unwrap_err();
    assert!(error.message().contains("missing.pem"), "{error}");
    let error = encrypted(&[("ssl.ca.pem", CERTIFICATE), ("ssl.certificate.pem", CERTIFICATE), ("ssl.key.pem", "x")]);
    assert!(error.unwrap_err().message().contains("ssl.key.pem"));
}

#[test]
fn a_key_may_have_a_password() {
    let options = [("ssl.ca.pem", CERTIFICATE), ("ssl.certificate.pem", CERTIFICATE), ("ssl.key.pem", ENCRYPTED_KEY)];
    let with = |password| encrypted(&[&options[..], &[("ssl.key.password", password)]].concat());
    with("secret").unwrap();
    assert!(with("wrong").unwrap_err().message().contains("ssl.key.password"));
    assert!(encrypted(&options).unwrap_err().message().contains("ssl.key.password"));
}
