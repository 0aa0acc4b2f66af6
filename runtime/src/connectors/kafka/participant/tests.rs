use super::*;

#[test]
fn a_commit_is_clean_within_the_shortest_pause_before_a_request_is_repeated() {
    for (options, clean_ms) in [
        (&[][..], 300),
        (&[("retry.backoff.ms", "100")], 75),
        (&[("retry.backoff.max.ms", "40")], 30),
        (&[("retry.backoff.ms", "100"), ("retry.backoff.max.ms", "2000")], 75),
    ] {
        let mut settings = Settings::new("localhost");
        options.iter().for_each(|(key, value): &(&str, &str)| settings.set((*key).to_owned(), (*value).to_owned()));
        let transaction_timeout = Duration::from_secs(60);
        let plan = Options { settings, exactly_once: true, transaction_timeout, shards: 1 }
            .plan(None, Cancellation::default())
            .unwrap();
        assert_eq!(plan.clean_within, Duration::from_millis(clean_ms), "{options:?}");
    }
}
