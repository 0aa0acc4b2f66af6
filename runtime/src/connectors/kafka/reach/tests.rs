use super::*;

fn read(options: &[(&str, &str)]) -> Result<Reach> {
    Reach::from_options(&options.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect())
}

/// The message of a `Config` error.
fn refused(key: &str, value: &str) -> String {
    let error = read(&[(key, value)]).expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains(&format!("{key}={value}")), "{error}");
    error.message().to_owned()
}

#[test]
fn what_librdkafka_is_told_is_heeded() {
    let told = [
        ("client.id", "billing"),
        ("broker.address.family", "V4"),
        ("socket.timeout.ms", "120000"),
        ("socket.connection.setup.timeout.ms", "1500"),
    ];
    let expected = Reach {
        client_id: "billing".to_owned(),
        family: Family::V4,
        request_within: Duration::from_secs(120),
        connect_within: Duration::from_millis(1_500),
    };
    assert_eq!(read(&told).unwrap(), expected);
    assert_eq!(read(&[("broker.address.family", "v6")]).unwrap().family, Family::V6);
}

#[test]
fn what_only_tunes_librdkafka_is_free() {
    for key in ["linger.ms", "statistics.interval.ms", "queue.buffering.max.kbytes", "socket.keepalive.enable"] {
        assert_eq!(read(&[(key, "1")]).unwrap(), Reach::default());
    }
}

#[test]
fn what_asks_other_brokers_than_are_asked_here_is_refused() {
    assert!(refused("client.dns.lookup", "resolve_canonical_bootstrap_servers_only").contains("at_least_once"));
    assert_eq!(read(&[("client.dns.lookup", "use_all_dns_ips")]).unwrap(), Reach::default());
    refused("plugin.library.paths", "monitoring");
    refused("broker.address.family", "v5");
    refused("socket.timeout.ms", "0");
    refused("socket.timeout.ms", "soon");
    refused("socket.connection.setup.timeout.ms", "-1");
}

#[test]
fn families_choose_addresses() {
    let [v4, v6]: [SocketAddr; 2] = ["127.0.0.1:1".parse().unwrap(), "[::1]:1".parse().unwrap()];
    assert_eq!([Family::Any, Family::V4, Family::V6].map(|family| family.has(&v4)), [true, true, false]);
    assert_eq!([Family::Any, Family::V4, Family::V6].map(|family| family.has(&v6)), [true, false, true]);
}
