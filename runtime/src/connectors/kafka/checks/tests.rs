use super::super::settings::Settings;
use super::*;
use crate::id::Epoch;
use crate::stop::Cancellation;

const SECOND: Duration = Duration::from_secs(1);

fn options(timeout: Duration) -> Options {
    Options { settings: Settings::new("localhost"), exactly_once: true, transaction_timeout: timeout, shards: 1 }
}

fn context() -> SinkContext<'static> {
    let (epoch, epoch_interval, epoch_within) = (Epoch(1), 4 * SECOND, 64 * SECOND);
    SinkContext {
        participant: "p",
        job: "j",
        lineage: "l",
        attempt: 1,
        epoch,
        workers: 1,
        epoch_interval,
        epoch_within,
        cancellation: Cancellation::default(),
    }
}

fn told(pairs: &[(&str, &str)]) -> Configs {
    Some(pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect())
}

fn facts(replicas: usize, configs: &[(&str, &str)]) -> TopicFacts {
    TopicFacts { replicas, brokers: 3, operations: None, configs: told(configs) }
}

#[test]
fn a_transaction_outlasts_the_interval() {
    let error = times(&options(5 * SECOND), &context()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains("checkpoint.interval"), "{error}");
    times(&options(6 * SECOND), &context()).unwrap();
}

#[test]
fn a_transaction_that_a_slow_checkpoint_outlasts_is_told() {
    // A quarter of the timeout, and at most half a minute, has to be left when the checkpoint is durable.
    for short in [6 * SECOND, 85 * SECOND] {
        let told = times(&options(short), &context()).unwrap().concat();
        assert!(told.contains("checkpoint.timeout") && told.contains(".transaction_timeout("), "{told}");
    }
    let told = times(&options(85 * SECOND), &context()).unwrap().concat();
    assert!(told.contains("1m 25s") && told.contains("more than 1m 25s 250ms"), "{told}");
    assert_eq!(times(&options(86 * SECOND), &context()).unwrap(), Vec::<String>::new());
}

#[test]
fn another_store_under_the_same_name_is_told() {
    assert!(other_stores(&context(), ["j/l/0", "j/l/1"].into_iter()).is_empty());
    let told = other_stores(&context(), ["j/l/0", "j/other/3"].into_iter()).concat();
    assert!(told.contains("1 open") && told.contains("j/other/3"), "{told}");
}

#[test]
fn brokers_set_the_longest_timeout() {
    let configs = told(&[(TIMEOUT_MAX, "900000")]);
    broker_timeout(900 * SECOND, &configs).unwrap();
    let error = broker_timeout(901 * SECOND, &configs).unwrap_err();
    assert!(error.kind() == ErrorKind::Config && error.message().contains("15m"), "{error}");
    broker_timeout(901 * SECOND, &None).unwrap();
}

#[test]
fn decisions_are_kept_by_more_than_one_broker() {
    let found = |brokers, replicas, in_sync| {
        let configs = told(&[(LOG_REPLICAS, replicas), (LOG_IN_SYNC_MIN, in_sync)]);
        durable_decisions(&ClusterFacts { brokers, configs }).concat()
    };
    assert_eq!(found(1, "1", "1"), "");
    assert_eq!(found(3, "3", "2"), "");
    assert!(found(3, "1", "1").contains(LOG_REPLICAS));
    assert!(found(3, "3", "1").contains(LOG_IN_SYNC_MIN));
}

#[test]
fn records_are_kept_by_more_than_one_broker() {
    let found = |replicas, configs: &[(&str, &str)]| durable_records("totals", &facts(replicas, configs)).concat();
    assert_eq!(found(3, &[(IN_SYNC_MIN, "2"), (UNCLEAN, "false"), (CLEANUP, "delete")]), "");
    assert!(found(3, &[(IN_SYNC_MIN, "1")]).contains("totals: min.insync.replicas=1"));
    for in_sync in ["1", "2"] {
        let configs = &[(IN_SYNC_MIN, in_sync)];
        assert!(found(1, configs).contains("a single copy"));
        // There is no other broker to keep another.
        let alone = TopicFacts { brokers: 1, ..facts(1, configs) };
        assert!(!durable_records("totals", &alone).concat().contains("a single copy"));
    }
    assert!(found(2, &[(IN_SYNC_MIN, "3")]).contains("refuse every record"));
    assert!(found(3, &[(UNCLEAN, "true")]).contains(UNCLEAN));
    assert!(found(3, &[(CLEANUP, "delete,compact")]).contains("compact"));
}

#[test]
fn times_that_the_broker_sets_are_told() {
    let found = |times| durable_records("totals", &facts(3, &[(TIMES, times)])).concat();
    assert_eq!(found("CreateTime"), "");
    assert!(found("LogAppendTime").contains("totals: message.timestamp.type=LogAppendTime"));
}

#[test]
fn rights_are_bits() {
    let all = TopicFacts { operations: Some(1 << 4 | 1 << 8 | 1 << 3), ..facts(1, &[]) };
    assert_eq!(all.missing("totals", TOPIC_RIGHTS), None);
    let reader = TopicFacts { operations: Some(1 << 8 | 1 << 3), ..facts(1, &[]) };
    let error = reader.missing("totals", TOPIC_RIGHTS).unwrap().error("User:ada");
    assert!(error.message().contains("User:ada the right Write on the topic totals"), "{error}");
    assert_eq!(facts(1, &[]).missing("totals", TOPIC_RIGHTS), None, "not told");
}

#[test]
fn what_brokers_would_refuse_is_refused_before() {
    let letters = OnRefused::DeadLetter("dead".into());
    let head = |batch_max, policy: &OnRefused| sizes("totals", batch_max, 1_000_000, policy);
    for policy in [&OnRefused::Stop, &OnRefused::Skip, &letters] {
        assert_eq!(head(1_000_061, policy).unwrap(), Vec::<String>::new());
    }
    let told = head(1_000_060, &OnRefused::Stop).unwrap().concat();
    assert!(told.contains("totals") && told.contains(r#".set("message.max.bytes", "999999")"#), "{told}");
    for policy in [&OnRefused::Skip, &letters] {
        let error = head(1_000_060, policy).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().contains(r#".set("message.max.bytes", "999999")"#), "{error}");
    }
    // librdkafka takes no less than 1,000.
    assert!(head(1_061, &letters).unwrap_err().message().contains(r#""1000""#));
    let error = head(1_060, &letters).unwrap_err();
    assert!(!error.message().contains(".set(") && error.message().contains("raise"), "{error}");
}
