//! Connections with TLS and SASL: the same options for librdkafka and for the wire client.

use crate::support::{Job, eventually, kafka, numbers, read};
use staunch::connectors::format::Text;
use staunch::connectors::kafka::wire::Cluster;
use staunch::connectors::kafka::{KafkaSink, KafkaSource, Security};
use staunch::{Epoch, Error, ErrorKind};
use staunch_tests::kafka::{Client, LIMITED_USER, Operation, PASSWORD, Resource, SecureBroker, USER, secure};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

type Options = BTreeMap<&'static str, String>;

fn login(protocol: &str, mechanism: &str) -> Options {
    let options = [
        ("security.protocol", protocol),
        ("sasl.mechanism", mechanism),
        ("sasl.username", USER),
        ("sasl.password", PASSWORD),
    ];
    options.into_iter().map(|(key, value)| (key, value.to_owned())).collect()
}

fn trusting(mut options: Options, ca: PathBuf) -> Options {
    options.insert("ssl.ca.location", ca.to_str().expect("text").to_owned());
    options
}

fn sink(brokers: &str, topic: &str, options: &Options) -> KafkaSink<Text> {
    let sink = KafkaSink::topic(brokers, topic).key(|value: &String| value.as_bytes());
    options.iter().fold(sink, |sink, (key, value)| sink.set(*key, value.as_str()))
}

/// Writes, prepares, dies; the next attempt commits over the wire, writes more and commits that itself.
fn survives_its_death(secure: &SecureBroker, brokers: &str, options: &Options) {
    let admin = secure.broker().client();
    let (topic, lineage) = (admin.topic("secure", 1), admin.name("lineage"));
    let sink = || [sink(brokers, &topic, options)];
    let mut job = Job::start(&sink(), &lineage);
    job.write(0, numbers(0..10));
    let prepared = job.prepare();
    drop(job);
    assert!(admin.committed_values(&topic).is_empty());
    let mut job = Job::restart(&sink(), &lineage, std::slice::from_ref(&prepared), prepared.epoch).unwrap();
    assert_eq!(admin.committed_values(&topic).len(), 10);
    job.write(0, numbers(10..20));
    let prepared = job.prepare();
    job.commit(&prepared);
    assert_eq!(admin.committed_values(&topic), numbers(0..20));
}

/// Why the job does not start.
fn refused(admin: &Client, brokers: &str, options: &Options) -> Error {
    let started = Instant::now();
    let error = Job::restart(&[sink(brokers, "any", options)], &admin.name("lineage"), &[], Epoch(0)).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert!(started.elapsed() < Duration::from_secs(20), "{error}: only after {:?}", started.elapsed());
    error
}

#[track_caller]
fn says(error: &Error, words: &[&str]) {
    for word in words {
        assert!(error.to_string().contains(word), "{word:?} is not in: {error}");
    }
}

#[test]
fn every_mechanism_survives_the_death_of_a_job() {
    let Some(secure) = secure() else { return };
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        let options = trusting(login("SASL_SSL", mechanism), secure.file("ca.pem"));
        survives_its_death(secure, &secure.sasl_ssl(), &options);
    }
    let token = [
        ("security.protocol", "SASL_SSL".to_owned()),
        ("sasl.mechanisms", "OAUTHBEARER".to_owned()),
        ("enable.sasl.oauthbearer.unsecure.jwt", "true".to_owned()),
        ("sasl.oauthbearer.config", format!("principal={USER}")),
    ];
    let options = trusting(token.into_iter().collect(), secure.file("ca.pem"));
    survives_its_death(secure, &secure.sasl_ssl(), &options);
    survives_its_death(secure, &secure.sasl_plaintext(), &login("SASL_PLAINTEXT", "SCRAM-SHA-256"));
}

#[test]
fn a_client_certificate_is_shown() {
    let Some(secure) = secure() else { return };
    let file = |name| secure.file(name).to_str().unwrap().to_owned();
    let mut options = Options::from([("security.protocol", "SSL".to_owned()), ("ssl.ca.location", file("ca.pem"))]);
    let admin = secure.broker().client();
    says(&refused(&admin, &secure.ssl(), &options), &["ssl.certificate.location"]);
    options.insert("ssl.certificate.location", file("client.pem"));
    options.insert("ssl.key.location", file("client.key"));
    survives_its_death(secure, &secure.ssl(), &options);
    let text = |name| std::fs::read_to_string(secure.file(name)).unwrap();
    let options = Options::from([
        ("security.protocol", "ssl".to_owned()),
        ("ssl.ca.pem", text("ca.pem")),
        ("ssl.certificate.pem", text("client.pem")),
        ("ssl.key.pem", text("client.key")),
    ]);
    survives_its_death(secure, &secure.ssl(), &options);
}

#[test]
fn who_the_broker_is_is_checked() {
    let Some(secure) = secure() else { return };
    let admin = secure.broker().client();
    let options = |ca| trusting(login("SASL_SSL", "PLAIN"), secure.file(ca));
    says(&refused(&admin, &secure.sasl_ssl(), &options("other-ca.pem")), &["ssl.ca.location", "authority"]);
    says(&refused(&admin, &secure.expired(), &options("ca.pem")), &["expired"]);

    let by_address = secure.sasl_ssl_by_address();
    let error = refused(&admin, &by_address, &options("ca.pem"));
    says(&error, &["127.0.0.1", "ssl.endpoint.identification.algorithm"]);
    let mut any_name = options("ca.pem");
    any_name.insert("ssl.endpoint.identification.algorithm", "none".to_owned());
    survives_its_death(secure, &by_address, &any_name);
    let mut any_name = options("other-ca.pem");
    any_name.insert("ssl.endpoint.identification.algorithm", "none".to_owned());
    says(&refused(&admin, &by_address, &any_name), &["ssl.ca.location"]);
    let mut anybody = options("other-ca.pem");
    anybody.insert("enable.ssl.certificate.verification", "false".to_owned());
    survives_its_death(secure, &by_address, &anybody);
}

#[test]
fn who_may_not_come_in_is_told_why() {
    let Some(secure) = secure() else { return };
    let admin = secure.broker().client();
    for mechanism in ["PLAIN", "SCRAM-SHA-256"] {
        let mut options = trusting(login("SASL_SSL", mechanism), secure.file("ca.pem"));
        options.insert("sasl.password", "wrong".to_owned());
        says(&refused(&admin, &secure.sasl_ssl(), &options), &["sasl.password", USER, mechanism]);
    }
    let token = [
        ("security.protocol", "SASL_PLAINTEXT".to_owned()),
        ("sasl.mechanism", "OAUTHBEARER".to_owned()),
        ("enable.sasl.oauthbearer.unsecure.jwt", "true".to_owned()),
        ("sasl.oauthbearer.config", format!("principal={USER} lifeSeconds=0")),
    ];
    says(&refused(&admin, &secure.sasl_plaintext(), &token.into_iter().collect()), &["token", USER]);
    says(&refused(&admin, &secure.sasl_ssl(), &login("SASL_SSL", "GSSAPI")), &["GSSAPI", "SCRAM"]);
}

#[test]
fn a_listener_of_another_protocol_is_recognised() {
    let Some(secure) = secure() else { return };
    let admin = secure.broker().client();
    says(&refused(&admin, &secure.ssl(), &Options::new()), &["TLS", "security.protocol"]);
    says(&refused(&admin, secure.broker().address(), &login("SASL_PLAINTEXT", "PLAIN")), &["security.protocol"]);
}

#[test]
fn options_that_would_reach_other_brokers_are_refused() {
    let admin = kafka!();
    let lookup = [("client.dns.lookup", "resolve_canonical_bootstrap_servers_only".to_owned())];
    says(&refused(&admin, admin.brokers(), &lookup.into_iter().collect()), &["client.dns.lookup", "at_least_once"]);
}

#[test]
fn a_source_names_the_right_that_it_lacks() {
    let Some(secure) = secure() else { return };
    let admin = secure.broker().client();
    let (topic, principal) = (admin.topic("guarded", 1), format!("User:{LIMITED_USER}"));
    admin.produce(&topic, 0, numbers(0..10));
    let mut options = login("SASL_PLAINTEXT", "PLAIN");
    options.insert("sasl.username", LIMITED_USER.to_owned());
    let source = KafkaSource::<Text>::topic(secure.sasl_plaintext(), &topic).bounded();
    let source = options.iter().fold(source, |source, (key, value)| source.set(*key, value.as_str()));
    // To the end, or why not. Brokers learn of a right some time after it was given.
    let values = || read(&source, None).and_then(|mut reading| reading.until_end().map(|()| reading.values()));
    let lacks = |words: &str| {
        eventually(&format!("lacking {words:?}"), || {
            let error = values().expect_err("something is lacking");
            (error.kind() == ErrorKind::Source && error.message().contains(words)).then_some(())
        });
    };
    lacks(&format!("may not describe the topic {topic}: allow it Describe and Read"));
    secure.allow(&principal, Resource::Topic(&topic), Operation::Describe);
    lacks(&format!("may not read {topic}/0: allow it Describe and Read on the topic"));
    secure.allow(&principal, Resource::Topic(&topic), Operation::Read);
    assert_eq!(eventually("allowed to read", || values().ok()), numbers(0..10));
}

#[test]
fn a_session_that_the_broker_ends_is_opened_anew() {
    let Some(secure) = secure() else { return };
    let options = trusting(login("SASL_SSL", "SCRAM-SHA-512"), secure.file("ca.pem"));
    let options = options.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    let mut cluster = Cluster::new(&secure.sasl_ssl(), Security::from_options(&options).unwrap()).unwrap();
    let within = Duration::from_secs(30);
    let id = cluster.cluster_id(within).unwrap();
    // The fixture's brokers want to be told again after two seconds.
    std::thread::sleep(Duration::from_millis(2_500));
    assert_eq!(cluster.cluster_id(within).unwrap(), id);
}

#[test]
fn tokens_are_renewed_as_long_as_a_job_lives() {
    let Some(secure) = secure() else { return };
    let admin = secure.broker().client();
    let (topic, lineage) = (admin.topic("tokens", 1), admin.name("lineage"));
    // The fixture's brokers want to be told again after two seconds: a token that has ended would not do.
    let options = Options::from([
        ("security.protocol", "SASL_PLAINTEXT".to_owned()),
        ("sasl.mechanism", "OAUTHBEARER".to_owned()),
        ("enable.sasl.oauthbearer.unsecure.jwt", "true".to_owned()),
        ("sasl.oauthbearer.config", format!("principal={USER} lifeSeconds={}", TOKEN_LIFE.as_secs())),
    ]);
    let source = KafkaSource::<Text>::topic(secure.sasl_plaintext(), &topic);
    let source = options.iter().fold(source, |source, (key, value)| source.set(*key, value.as_str()));
    let mut reading = read(&source, None).unwrap();
    let mut job = Job::start(&[sink(&secure.sasl_plaintext(), &topic, &options)], &lineage);
    let (started, mut written) = (Instant::now(), 0);
    while started.elapsed() < 2 * TOKEN_LIFE {
        job.write(0, numbers(written..written + 10));
        written += 10;
        let began = Instant::now();
        let prepared = job.prepare();
        job.commit(&prepared);
        reading.until_count(written as usize).unwrap();
        assert!(began.elapsed() < TOKEN_LIFE, "an epoch took {:?}", began.elapsed());
        std::thread::sleep(Duration::from_millis(500));
    }
    assert_eq!(reading.values(), numbers(0..written));
}

/// Long enough that the next token, which is made when four fifths of this are over, is there in time.
const TOKEN_LIFE: Duration = Duration::from_secs(8);
