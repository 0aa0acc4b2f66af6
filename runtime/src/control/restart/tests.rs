use super::*;

fn policy(restarts_max: usize) -> RestartPolicy {
    let settings =
        RestartSettings { restarts_max, window_ms: 10_000, initial_ms: 100, backoff_ms_max: 1_000, factor: 3.0 };
    RestartPolicy::new(settings)
}

fn waits(policy: &mut RestartPolicy, times_ms: &[u64]) -> Vec<Option<u64>> {
    let decide = |now_ms: &u64| match policy.decide(ErrorKind::Sink, *now_ms) {
        RestartDecision::Restart { after_ms } => Some(after_ms),
        RestartDecision::Stop(_) => None,
    };
    times_ms.iter().map(decide).collect()
}

#[test]
fn the_wait_grows_up_to_its_limit() {
    assert_eq!(waits(&mut policy(9), &[0, 1, 2, 3]), [Some(100), Some(300), Some(900), Some(1_000)]);
}

#[test]
fn too_many_failures_in_a_window_stop_the_job() {
    assert_eq!(waits(&mut policy(2), &[0, 1, 2]), [Some(100), Some(300), None]);
    assert_eq!(waits(&mut policy(0), &[0]), [None]);
}

#[test]
fn failures_far_apart_never_do() {
    let times: Vec<u64> = (0..50).map(|failure| failure * 10_000).collect();
    assert!(waits(&mut policy(1), &times).iter().all(|wait| *wait == Some(100)));
}

#[test]
fn what_a_restart_cannot_mend_stops_at_once() {
    for kind in
        [ErrorKind::Config, ErrorKind::State, ErrorKind::DataLoss, ErrorKind::FateUnknown, ErrorKind::Superseded]
    {
        assert_eq!(policy(9).decide(kind, 0), RestartDecision::Stop(StopReason::Permanent));
    }
}

#[test]
fn odd_settings_and_clocks_do_no_harm() {
    let settings = RestartSettings {
        restarts_max: 9,
        window_ms: 10,
        initial_ms: u64::MAX,
        backoff_ms_max: u64::MAX,
        factor: f64::NAN,
    };
    let mut policy = RestartPolicy::new(settings);
    assert_eq!(waits(&mut policy, &[100, 50]), [Some(u64::MAX), Some(u64::MAX)]);
}
