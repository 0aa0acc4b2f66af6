//! The harness of one operator: what it lets a test do and see, and what it says when something is wrong.

use staunch::testing::Snapshot;
use staunch::{Context, ErrorKind, Metadata, Origin, Output, State, Timestamp, operator};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::time::Duration;

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms)
}

/// What a call panics with.
fn panic_of(call: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(call)).expect_err("it has to panic");
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).expect("panics are texts")
}

/// Joins a user's clicks with the pages that were shown within a second; both sides are inputs.
#[derive(State, Clone, Default, Debug, PartialEq)]
struct Shown {
    page: Option<String>,
    clicks: u64,
}

#[operator]
impl Shown {
    #[input]
    fn page(&mut self, page: &(u32, String), #[context] cx: &mut Context<'_>) {
        self.page = Some(page.1.clone());
        cx.set_timer(cx.event_time() + Duration::from_secs(1));
        cx.set_processing_timer(cx.processing_time() + Duration::from_secs(60));
    }

    #[input]
    fn click(
        &mut self,
        #[key] user: &u32,
        _click: &(u32, ()),
        #[output] clicked: &mut Output<(u32, String)>,
    ) -> Result<(), String> {
        self.clicks += 1;
        let page = self.page.clone().ok_or_else(|| format!("{user} clicked on nothing"))?;
        clicked.emit((*user, page));
        Ok(())
    }

    #[timer]
    fn gone(&mut self, at: Timestamp, #[key] user: &u32, #[context] cx: &mut Context<'_>) -> (u32, i64) {
        self.page = None;
        (*user, at.as_millis().min(cx.watermark().as_millis()))
    }

    #[timer(processing_time)]
    fn forget(&mut self, _at: Timestamp, #[context] cx: &mut Context<'_>) {
        cx.forget();
    }
}

/// Two inputs, each with its own selector.
macro_rules! shown {
    () => {
        Shown::harness(|page: &(u32, String)| &page.0, |click: &(u32, ())| &click.0)
    };
}

#[test]
fn the_watermark_is_the_least_of_the_inputs() {
    let mut h = shown!();
    h.push_page_at(at(10), (1, "home".into()));
    h.watermark_page(at(5_000));
    assert_eq!(h.current_watermark(), Timestamp::MIN, "the other input may bring earlier ones");
    h.watermark_click(at(1_009)).out().expect_none();
    assert_eq!((h.current_watermark(), h.next_timer()), (at(1_009), Some(at(1_010))));
    h.watermark_click(at(1_010)).out().expect([(1, 1_010)]);
    assert_eq!(h.timer_count(), 0);
    // The end of one input; the other decides.
    h.watermark_click(Timestamp::MAX);
    assert_eq!(h.current_watermark(), at(5_000));
    h.watermark_page(Timestamp::MAX);
    assert_eq!(h.current_watermark(), Timestamp::MAX);
}

#[test]
fn an_idle_input_is_not_waited_for_until_its_next_record() {
    let mut h = shown!();
    h.watermark_page(at(100)).idle_click();
    assert_eq!(h.current_watermark(), at(100));
    h.push_click((1, ())).watermark_page(at(200));
    assert_eq!(h.current_watermark(), at(100));
    h.watermark_click(at(150));
    assert_eq!(h.current_watermark(), at(150));
}

#[test]
fn a_watermark_of_an_input_that_goes_backwards_is_refused() {
    let mut h = shown!();
    h.watermark_page(at(100));
    let text = panic_of(|| {
        let _ = h.watermark_page(at(99));
    });
    assert_eq!(text, "a watermark never goes backwards: 99 ms after 100 ms, input `page`");
    assert!(
        panic_of(|| {
            let _ = h.watermark(at(99));
        })
        .contains("99 ms after 100 ms")
    );
}

#[test]
fn every_output_is_read_by_itself_and_once() {
    let mut h = shown!();
    h.push_click((7, ())).push_page_at(at(0), (7, "home".into())).push_click_at(at(1), (7, ())).watermark(at(1_000));
    assert_eq!((h.out().len(), h.out_clicked().len(), h.out_failed().len()), (1, 1, 1));
    h.out_clicked().expect_timed([((7, "home".to_owned()), at(1))]);
    assert!(h.out_clicked().is_empty());
    let rejected = h.out_failed().take_next();
    assert_eq!((rejected.error.as_str(), rejected.operator.as_str()), ("7 clicked on nothing", "shown"));
    let (clicked, returned, failed) = h.take();
    assert_eq!((clicked.len(), returned, failed.len()), (0, vec![(7, 1_000)], 0));
}

#[test]
fn timers_are_listed_by_key_and_fire_as_the_clocks_advance() {
    let mut h = shown!();
    h.processing_time(at(500));
    h.push_page_at(at(10), (1, "a".into())).push_page_at(at(30), (1, "b".into())).push_page_at(at(20), (2, "c".into()));
    assert_eq!(h.timers(&1), [at(1_010), at(1_030)]);
    assert_eq!(h.processing_timers(&1), [at(60_500)]);
    assert_eq!((h.timers(&3), h.timer_count(), h.processing_timer_count()), (vec![], 3, 2));
    while let Some(next) = h.next_timer() {
        h.watermark(next);
    }
    h.out().expect([(1, 1_010), (2, 1_020), (1, 1_030)]);
    assert_eq!((h.keys(), h.next_processing_timer()), (2, Some(at(60_500))));
    h.advance(Duration::from_secs(59));
    assert_eq!(h.keys(), 2);
    h.advance(Duration::from_secs(1));
    assert_eq!((h.keys(), h.processing_timer_count()), (0, 0));
}

#[derive(State, Clone, Default)]
struct Endless;

#[operator]
impl Endless {
    #[input]
    fn record(&mut self, record: &u64, #[context] cx: &mut Context<'_>) {
        cx.set_timer(at(*record as i64));
    }

    #[timer]
    fn again(&mut self, at: Timestamp, #[context] cx: &mut Context<'_>) {
        cx.set_timer(at);
    }
}

#[test]
fn timers_without_end_are_told_from_a_slow_test() {
    let mut h = Endless::harness(|record| record);
    h.push(1u64);
    assert!(
        panic_of(|| {
            let _ = h.watermark(at(1));
        })
        .contains("timers set timers without end")
    );
}

#[operator]
fn sum(n: u64, #[state] sum: &mut u64) -> u64 {
    *sum += n;
    *sum
}

#[test]
fn state_is_read_by_key() {
    let mut h = sum::harness_with(|n| n % 10);
    h.push_all([1u64, 2, 11, 22]);
    assert_eq!(h.state(&1).map(|state| state.sum), Some(12));
    assert!(h.state(&3).is_none());
    let all: Vec<_> = h.states().into_iter().map(|(key, state)| (key, state.sum)).collect();
    assert_eq!(all, [(1, 12), (2, 24)]);
}

#[test]
fn snapshots_of_some_workers_are_restored_by_another_number_of_them() {
    let one = sum::harness_with(|n| n % 100);
    let mut two = one.workers(2);
    for n in 0..200u64 {
        let h = two.iter_mut().find(|h| h.owns(&(n % 100))).expect("somebody owns it");
        h.push(n);
    }
    assert!(two.iter_mut().all(|h| h.keys() > 20), "both have keys");
    two[0].watermark(at(70));
    two[1].watermark(at(50));
    let snapshots: Vec<_> = two.iter_mut().map(|h| h.snapshot()).collect();
    let mut three = two.remove(0).restore_workers(&snapshots, 3);
    let weakest: Vec<_> = three.iter_mut().map(|h| h.current_watermark()).collect();
    assert_eq!(weakest, [at(70), at(50), at(50)], "of the workers whose keys each took over, the weakest promise");
    let mut all: Vec<_> = three.iter_mut().flat_map(|h| h.states()).map(|(key, state)| (key, state.sum)).collect();
    all.sort_unstable();
    assert_eq!(all, (0..100).map(|key| (key, 2 * key + 100)).collect::<Vec<_>>());
    // And one of them crashes, and goes on from its own share.
    let snapshot = three[1].snapshot();
    let keys = three[1].keys();
    let mut again = three.remove(1).restore(&snapshot);
    assert_eq!(again.keys(), keys);

    let foreign = (0..100).find(|key| !again.owns(key)).expect("others own some");
    assert!(
        panic_of(|| {
            let _ = again.push(foreign);
        })
        .contains("owns the key")
    );
    let error = again.restore_share(&snapshots[..1], 0, 1).err().expect("the other half is missing");
    assert_eq!(error.kind(), ErrorKind::State);
    assert!(error.to_string().contains("no snapshot holds the key groups from 16384 on"), "{error}");
}

#[test]
fn what_was_promised_before_a_crash_holds_after_it() {
    let mut h = shown!();
    h.push_page_at(at(10), (1, "home".into())).watermark(at(500));
    let snapshot = h.snapshot();
    let mut h = h.restore(&snapshot);
    assert_eq!((h.current_watermark(), h.timers(&1)), (at(500), vec![at(1_010)]));
    // The inputs start anew, so what they promise first may be less; it changes nothing.
    h.watermark(at(400));
    assert_eq!(h.current_watermark(), at(500));
    h.watermark(at(1_010)).out().expect([(1, 1_010)]);
}

#[operator]
fn locate(line: &String, #[metadata] metadata: &Metadata) -> Result<String, std::num::ParseIntError> {
    let number: u64 = line.parse()?;
    let Origin { source, partition, offset } = &metadata.origin;
    Ok(format!("{number} from {source}/{partition}@{offset}, {} headers", metadata.headers.len()))
}

#[test]
fn a_record_carries_the_metadata_that_the_test_gives_it() {
    let origin = |offset| Origin { source: "lines".into(), partition: 3, offset };
    let mut h = locate::harness();
    h.with_metadata(origin(7)).push("1").push("2");
    h.with_metadata(Metadata { headers: vec![("a".into(), None)].into(), ..origin(8).into() }).push("3");
    h.with_metadata(origin(9)).push("x").push("y");
    h.out().expect(["1 from lines/3@7, 0 headers", "2 from /0@0, 0 headers", "3 from lines/3@8, 1 headers"]);
    let origins: Vec<_> = h.out_failed().take().into_iter().map(|failed| failed.origin).collect();
    assert_eq!(origins, [Some(origin(9)), None]);
}

/// Versions of one operator, as it changes over the years.
mod v1 {
    #[staunch::operator]
    pub fn tally(n: &u64, #[state] sum: &mut u64, #[state] last: &mut Option<u64>) -> u64 {
        *last = Some(*n);
        *sum += n;
        *sum
    }
}

mod v2 {
    #[staunch::operator]
    pub fn tally(n: &u64, #[state] sum: &mut u64, #[state] first: &mut Option<u32>) -> u64 {
        first.get_or_insert(0);
        *sum += n;
        *sum
    }
}

#[test]
fn a_snapshot_file_shows_whether_a_later_version_still_reads_it() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/snapshots/tally-v1.snap");
    let mut h = v1::tally::harness(|n| n);
    h.push_all([4u64, 4, 5]);
    h.snapshot().keep(file);
    let mut h = v1::tally::harness(|n| n).restore_file(file);
    h.push(4u64).out().expect([12]);

    // The same bytes, taken for those of the later version.
    let snapshot = Snapshot::from_bytes(std::fs::read(file).unwrap());
    let error = v2::tally::harness(|n| n).try_restore(&snapshot).err().expect("another shape");
    assert_eq!(error.kind(), ErrorKind::State);
    let text = error.to_string();
    assert!(text.contains("- the field `state.first` is new\n  - the field `state.last` is gone"), "{text}");
    let text = panic_of(|| drop(v2::tally::harness(|n| n).restore_file(file)));
    assert!(text.contains("tally-v1.snap`: the state of operator `tally` has another shape"), "{text}");
    // And by another key.
    let error =
        v1::tally::harness_with(|n| n.to_string()).try_restore(&Snapshot::from_bytes(snapshot.as_bytes().to_vec()));
    assert!(error.err().expect("another key").to_string().contains("- the key is `str`, and was `u64`"));
}

#[test]
fn a_snapshot_file_that_is_missing_or_foreign_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("deep/er/missing.snap");
    let mut h = sum::harness_with(|n| n % 10);
    h.push(3u64);
    let snapshot = h.snapshot();
    if std::env::var_os("STAUNCH_SNAPSHOTS").is_none() {
        assert!(panic_of(|| snapshot.keep(&missing)).contains("run the test once with `STAUNCH_SNAPSHOTS=create`"));
    }
    assert!(
        panic_of(|| drop(sum::harness_with(|n| n % 10).restore_file(&missing))).contains("STAUNCH_SNAPSHOTS=create")
    );
    snapshot.save(&missing).unwrap();
    assert_eq!(sum::harness_with(|n| n % 10).restore_file(&missing).keys(), 1);
    assert_eq!(
        format!("{snapshot:?}"),
        "Snapshot of `sum` (u64 -> sum { sum: u64 }): keys 1, bytes 128, watermark none"
    );

    let restore = |bytes: &[u8]| sum::harness_with(|n| n % 10).try_restore(&Snapshot::from_bytes(bytes.to_vec())).err();
    let bytes = snapshot.as_bytes();
    for cut in [0, 10, 19, 40, bytes.len() - 60, bytes.len() - 1] {
        let error = restore(&bytes[..cut]).unwrap_or_else(|| panic!("cut at {cut}"));
        assert_eq!(error.kind(), ErrorKind::Checkpoint, "cut at {cut}: {error}");
    }
    let other = locate::harness().snapshot();
    let text = restore(other.as_bytes()).expect("of another operator").to_string();
    assert_eq!(text, "the snapshot is one of operator `locate`, not of `sum`");
}

#[test]
fn what_is_not_as_expected_is_shown_beside_what_is() {
    let mut h = sum::harness_with(|n| n % 10);
    h.push_all([1u64, 11, 21]);
    let text = panic_of(|| h.out().expect([1u64, 13, 33, 4]));
    let expected = "operator `sum`, output `out`: 3 emitted, 4 expected\n    1\n  ! 12\n    expected 13\n    33\n  ! nothing more\n    expected 4";
    assert_eq!(text, expected);
    h.push(31u64);
    assert!(panic_of(|| h.out().expect_none()).starts_with("operator `sum`, output `out`: nothing was expected"));
    assert_eq!(
        panic_of(|| {
            let _ = h.out().take_next();
        }),
        "operator `sum`, output `out`: nothing was emitted"
    );
    h.push(41u64);
    assert!(panic_of(|| h.out().expect_timed([(105u64, at(1))])).contains("! (105, Timestamp(-9223372036854775808))"));
}

#[test]
fn the_story_tells_what_was_done_and_what_is_left() {
    let mut h = shown!();
    h.push_click((7, ())).push_page_at(at(0), (7, "home".into())).watermark_page(at(50));
    let expected = "operator `shown`
  push `click` of key 7 without event time: failed 1
  push `page` of key 7 at 0 ms: nothing
  watermark of `page` 50 ms: nothing
  now: watermark none, clock 0 ms, keys with state 1, not yet taken: failed 1
  event-time timers: key 7 at 1000 ms
  processing-time timers: key 7 at 60000 ms";
    assert_eq!(h.story(), expected);
    let text = panic_of(|| {
        let _ = h.provide(1u8);
    });
    assert!(text.contains("operator `shown` is open already"), "{text}");
}

const FAILING: &str = "STAUNCH_TEST_FAILS";

/// Fails only when the test below calls it.
#[test]
fn failing() {
    let mut h = sum::harness_with(|n| n % 10);
    h.push(5u64);
    assert!(std::env::var_os(FAILING).is_none(), "any reason");
}

#[test]
fn a_failing_test_prints_the_story() {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "macros_harness::failing"]).env(FAILING, "1");
    let output = child.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success());
    assert!(text.contains("any reason"), "{text}");
    assert!(text.contains("operator `sum`\n  push `n` of key 5 without event time: out 1"), "{text}");
}
