//! A real Kafka for tests: one broker per test binary, shared by its tests.
//!
//! | variable | |
//! |---|---|
//! | `STAUNCH_TEST_BROKERS` | use this cluster instead (tests that kill the broker are left out) |
//! | `STAUNCH_SKIP_KAFKA=1` | run no test that needs Kafka, and say so at the end |
//! | `KAFKA_VERSION` | the version to run, 4.3.1 by default |

mod acl;
mod broker;
mod client;
mod cluster;
mod configs;
mod memory;
pub mod proxy;
mod raw;
mod secure;
mod sequences;
mod session;
mod stable;

pub use acl::{Operation, Resource};
pub use broker::{Broker, version};
pub use client::{Client, Record, Transaction};
pub use cluster::ThreeBrokers;
pub use secure::{LIMITED_USER, PASSWORD, SecureBroker, USER};
pub use sequences::Sequences;
pub use session::{SINKS, Session, listed};
pub use stable::Seen;

use std::io::Write;
use std::sync::{Once, OnceLock};

/// The brokers that all tests of this binary share, started by the first that asks; `None` if tests
/// with Kafka are to be skipped.
///
/// # Panics
/// Without Java or Maven, naming what to install.
pub fn shared() -> Option<Client> {
    static SHARED: OnceLock<(String, Option<Broker>)> = OnceLock::new();
    if skipped() {
        return None;
    }
    let (brokers, _) = SHARED.get_or_init(|| match std::env::var("STAUNCH_TEST_BROKERS") {
        Ok(brokers) => (brokers, None),
        Err(_) => {
            let broker = Broker::start();
            (broker.address().to_owned(), Some(broker))
        }
    });
    Some(Client::new(brokers))
}

/// The broker with TLS, SASL and an authorizer that all tests of this binary share; `None` as for [`own`].
pub fn secure() -> Option<&'static SecureBroker> {
    static SECURE: OnceLock<SecureBroker> = OnceLock::new();
    is_ours().then(|| SECURE.get_or_init(SecureBroker::start))
}

/// A broker of one's own, to kill; `None` if tests with Kafka are to be skipped or run elsewhere.
pub fn own() -> Option<Broker> {
    own_with(&[])
}

/// A broker of one's own with these properties besides the fixture's; `None` as for [`own`].
pub fn own_with(properties: &[(&str, &str)]) -> Option<Broker> {
    is_ours().then(|| Broker::with(properties))
}

/// A broker of one's own that is also reached through these proxies; `None` as for [`own`].
pub fn behind(proxies: &[proxy::Proxy]) -> Option<Broker> {
    is_ours().then(|| proxy::broker_behind(proxies))
}

/// A cluster of one's own; `None` as for [`own`].
pub fn three() -> Option<ThreeBrokers> {
    is_ours().then(ThreeBrokers::start)
}

fn is_ours() -> bool {
    !skipped() && std::env::var_os("STAUNCH_TEST_BROKERS").is_none()
}

fn skipped() -> bool {
    let skip = std::env::var_os("STAUNCH_SKIP_KAFKA").is_some_and(|value| value == "1");
    if skip {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            // SAFETY: the handler only writes to stderr, and takes no lock that a test could hold.
            unsafe { libc::atexit(say_skipped) };
        });
    }
    skip
}

extern "C" fn say_skipped() {
    // Not `eprintln!`: the test harness would keep it to itself. Nobody is left to hear of a failure.
    let _ = std::io::stderr().write_all(b"STAUNCH_SKIP_KAFKA=1: the tests that need Kafka were NOT run\n");
}
