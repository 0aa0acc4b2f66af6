use super::*;
use proptest::prelude::*;

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms)
}

fn risen(ms: i64) -> Progress {
    Progress { watermark: Some(at(ms)), ..Progress::default() }
}

const NOTHING: Progress = Progress { active: false, watermark: None, idle: false };
const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn the_input_that_is_furthest_back_decides() {
    let mut inputs = InputWatermarks::new(2);
    assert_eq!(inputs.watermark(0, at(10)), NOTHING);
    assert_eq!(inputs.watermark(1, at(5)), risen(5));
    assert_eq!(inputs.watermark(1, at(3)), NOTHING);
    assert_eq!(inputs.watermark(1, at(12)), risen(10));
}

#[test]
fn an_ended_input_holds_nothing_back_and_the_last_ends_time() {
    let mut inputs = InputWatermarks::new(2);
    assert_eq!(inputs.watermark(0, at(10)), NOTHING);
    assert_eq!(inputs.end(1), risen(10));
    assert_eq!(inputs.active(1), NOTHING);
    assert_eq!(inputs.end(0), Progress { watermark: Some(Timestamp::MAX), ..NOTHING });
}

#[test]
fn an_idle_input_is_left_out_until_it_is_active_again() {
    let mut inputs = InputWatermarks::new(2);
    assert_eq!(inputs.watermark(0, at(10)), NOTHING);
    assert_eq!(inputs.idle(1), risen(10));
    // Its old watermark does not pull the combined one back.
    assert_eq!(inputs.active(1), NOTHING);
    assert_eq!(inputs.watermark(0, at(20)), NOTHING);
    assert_eq!(inputs.watermark(1, at(15)), risen(15));
}

#[test]
fn when_all_are_idle_the_greatest_counts_whichever_was_last() {
    for order in [[0, 1], [1, 0]] {
        let mut inputs = InputWatermarks::new(3);
        let _ = inputs.watermark(0, at(10));
        let _ = inputs.watermark(1, at(5));
        assert_eq!(inputs.end(2), risen(5));
        let first = inputs.idle(order[0]);
        assert_eq!(first, if order[0] == 1 { risen(10) } else { NOTHING });
        let second = inputs.idle(order[1]);
        assert_eq!(second, Progress { idle: true, ..if order[0] == 1 { NOTHING } else { risen(10) } });
        assert_eq!(inputs.active(0), Progress { active: true, ..NOTHING });
    }
}

#[test]
fn a_split_stays_behind_its_greatest_time() {
    let mut splits = SplitWatermarks::new(Duration::from_millis(5), None);
    splits.add_splits(2, at(0));
    splits.observe(0, at(100), at(0));
    assert_eq!(splits.advance(at(0)), NOTHING, "the other split had no record yet");
    splits.observe(1, at(50), at(0));
    assert_eq!(splits.advance(at(0)), risen(44));
    splits.observe(1, at(20), at(0));
    assert_eq!(splits.advance(at(0)), NOTHING);
    splits.observe(1, Timestamp::MIN, at(0));
    splits.end_split(1, at(0));
    assert_eq!(splits.advance(at(0)), risen(94));
}

#[test]
fn a_silent_split_is_left_out_and_then_the_source_is_idle() {
    let mut splits = SplitWatermarks::new(Duration::ZERO, Some(MINUTE));
    splits.add_splits(2, at(0));
    splits.observe(0, at(100), at(30_000));
    assert_eq!(splits.advance(at(59_999)), NOTHING);
    assert_eq!(splits.advance(at(60_000)), risen(99));
    assert_eq!(splits.advance(at(90_000)), Progress { idle: true, ..NOTHING });
    assert_eq!(splits.advance(at(95_000)), NOTHING);
    splits.observe(1, at(7), at(96_000));
    assert_eq!(splits.advance(at(96_000)), Progress { active: true, ..NOTHING });
    splits.observe(1, at(201), at(97_000));
    assert_eq!(splits.advance(at(97_000)), risen(200));
}

#[test]
fn a_source_without_splits_is_idle_and_never_ends_time() {
    let mut splits = SplitWatermarks::new(Duration::ZERO, None);
    assert_eq!(splits.advance(at(0)), Progress { idle: true, ..NOTHING });
    splits.observe(0, at(10), at(0));
    assert_eq!(splits.advance(at(0)), Progress { active: true, ..risen(9) });
    splits.end_split(0, at(0));
    assert_eq!(splits.advance(at(0)), Progress { idle: true, ..NOTHING });
    splits.observe(1, at(20), at(0));
    assert_eq!(splits.advance(at(0)), Progress { active: true, ..risen(19) });
}

proptest! {
    #[test]
    fn a_combined_watermark_is_the_least_ever_and_never_falls(
        steps in prop::collection::vec((0..4_usize, 0..5_u8, 0..100_i64), 0..200)
    ) {
        let mut inputs = InputWatermarks::new(4);
        let (mut last, mut idle) = (Timestamp::MIN, false);
        let mut least = [Timestamp::MIN; 4];
        let mut excluded = [false; 4];
        for (channel, what, ms) in steps {
            let progress = match what {
                0 => { excluded[channel] = true; inputs.idle(channel) }
                1 => { excluded[channel] = false; inputs.active(channel) }
                2 if ms < 5 => { excluded[channel] = true; least[channel] = Timestamp::MAX; inputs.end(channel) }
                _ => { least[channel] = least[channel].max(at(ms)); inputs.watermark(channel, at(ms)) }
            };
            if let Some(watermark) = progress.watermark {
                prop_assert!(watermark > last);
                let held_back = (0..4).filter(|channel| !excluded[*channel]).map(|channel| least[channel]).min();
                prop_assert!(held_back.is_none_or(|least| watermark <= least));
                last = watermark;
            }
            prop_assert!(!progress.active || idle);
            prop_assert!(!progress.idle || !idle);
            idle = (idle || progress.idle) && !progress.active;
        }
    }
}

#[test]
fn after_a_restart_time_is_not_taken_back() {
    let mut inputs = InputWatermarks::new(1);
    inputs.go_on_from(Timestamp::from_millis(10));
    assert_eq!(inputs.watermark(0, Timestamp::from_millis(5)), Progress::default());
    assert_eq!(inputs.watermark(0, Timestamp::from_millis(11)).watermark, Some(Timestamp::from_millis(11)));
}
