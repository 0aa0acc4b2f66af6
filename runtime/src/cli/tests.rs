use super::checkpoints::{listing, manifest_text};
use super::live::Live;
use super::status::{Rate, line, summary};
use super::watch::Watch;
use super::{args, logs, numbers};
use crate::api::sink::Committable;
use crate::api::source::SplitPosition;
use crate::api::state::Schema;
use crate::control::manifest::{
    CheckpointKind, Claim, Cut, Manifest, OperatorCut, Slot, SourceCut, StateLayout, StatePart, StoreIdentity,
};
use crate::control::store::{SlotStatus, Surveyed};
use crate::id::Epoch;
use crate::progress::{CheckpointStats, Observer, Outcome, Progress, Summary};
use crate::settings::layers::Layers;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tracing_subscriber::fmt::MakeWriter;
use uuid::Uuid;

#[test]
fn the_commands_are_well_formed_and_their_flags_are_the_settings() {
    args::command("word_count", "word_count").debug_assert();
    let given = [
        "word_count",
        "run",
        "--workers",
        "4",
        "--restore",
        "17",
        "--allow-dropped-state",
        "--set",
        "a=1",
        "--set",
        "b=2",
    ];
    let matches = args::command("word_count", "word_count").try_get_matches_from(given).unwrap();
    let (_, run) = matches.subcommand().unwrap();
    let flags = args::flags(run);
    let expected = [("workers", "4"), ("checkpoint.restore", "17"), ("checkpoint.allow_dropped_state", "true")];
    assert_eq!(flags, expected.map(|(key, value)| (key, value.to_owned())));
    assert_eq!(run.get_many::<String>("set").unwrap().len(), 2);
    let settings = Layers { flags, ..Layers::default() }.read().unwrap().settings;
    assert_eq!((settings.workers, settings.checkpoint.restore), (4, Some(17)));
    assert!(settings.checkpoint.allow_dropped_state);
}

#[test]
fn commands_without_the_settings_flags_are_read_too() {
    for given in [
        &["p", "graph", "--format", "dot", "--workers", "2"][..],
        &["p", "checkpoints", "list", "--dir", "d"],
        &["p", "checkpoints", "show", "17", "--json"],
        &["p", "transactions", "list", "--all", "--set", "a=1"],
        &["p", "transactions", "abort", "some/id", "--dir", "d", "--yes", "--force"],
    ] {
        let matches = args::command("p", "p").try_get_matches_from(given).unwrap();
        let (_, mut of) = matches.subcommand().unwrap();
        while let Some((_, inner)) = of.subcommand() {
            of = inner;
        }
        super::layered(of).ok().expect("flags that a command lacks are passed over");
    }
    let wrong = args::command("p", "p").try_get_matches_from(["p", "run", "--worker", "2"]).unwrap_err();
    assert_eq!(wrong.exit_code(), 2);
    assert!(wrong.to_string().contains("--workers"), "{wrong}");
}

#[test]
fn help_names_every_setting_and_has_examples() {
    let error =
        args::command("word_count", "word_count").try_get_matches_from(["word_count", "run", "--help"]).unwrap_err();
    let help = error.to_string();
    for key in crate::settings::keys::KEYS {
        assert!(help.contains(&format!("--{}", key.flag())), "{}", key.name);
    }
    assert!(help.contains("word_count run --config job.toml --restore 17"), "{help}");
}

#[test]
fn numbers_are_written_for_people() {
    assert_eq!([0, 999, 1_000, 12_345_678].map(numbers::count), ["0", "999", "1,000", "12,345,678"]);
    assert_eq!([0.0, 999.4, 12_345.0, 999_600.0, 4.56e9].map(numbers::short), ["0", "999", "12.3k", "1.00M", "4.56G"]);
    assert_eq!(
        [0, 1023, 1024, 4_300_000, 1 << 50].map(numbers::bytes),
        ["0 B", "1023 B", "1.00 KiB", "4.10 MiB", "1024 TiB"]
    );
    let times = [12, 1_560, 185_000, 7_380_000].map(Duration::from_millis).map(numbers::time);
    assert_eq!(times, ["12 ms", "1.5 s", "3 min 05 s", "2 h 03 min"]);
}

fn progress(seconds: u64, read: u64) -> Progress {
    Progress { elapsed: Duration::from_secs(seconds), attempt: 1, sources_read: read, ..Progress::default() }
}

#[test]
fn the_rate_is_that_of_the_last_seconds() {
    let mut rate = Rate::default();
    assert_eq!(rate.read(Duration::ZERO, 0), None);
    assert_eq!(rate.read(Duration::from_secs(1), 100), Some(100.0));
    for second in 2..=10 {
        rate.read(Duration::from_secs(second), 100);
    }
    assert_eq!(rate.read(Duration::from_secs(11), 100), Some(0.0));
}

#[test]
fn the_status_line_tells_what_is_known() {
    let mut progress = progress(62, 1_200_000);
    assert_eq!(line("totals", &progress, None), "totals 1 min 02 s | 1,200,000 read | no checkpoint yet");
    (progress.lag, progress.left_out) = (Some(17), 3);
    progress.attempt = 2;
    progress.failed_attempts = 1;
    let (took, ended_ago) = (Duration::from_millis(12), Duration::from_millis(400));
    progress.last_checkpoint = Some(CheckpointStats { epoch: Epoch(61), took, bytes: 4_300_000, ended_ago });
    assert_eq!(
        line("totals", &progress, Some(250_000.0)),
        "totals 1 min 02 s | 1,200,000 read, 250k/s | 17 behind | 3 left out | checkpoint 61 400 ms ago (took 12 ms, 4.10 MiB) | attempt 2"
    );
}

#[test]
fn the_summary_says_how_it_ended_and_what_comes_next() {
    let mut ended = Summary {
        elapsed: Duration::from_secs(2),
        records_read: 5_000,
        records_written: 7,
        checkpoints: 1,
        ..Summary::default()
    };
    assert_eq!(
        summary("totals", &ended),
        "totals has ended: all input is processed and committed\n  5,000 records read (2.50k/s), 7 written, in 2.0 s; 1 checkpoint in 1 attempt"
    );
    ended.records_left_out = 2;
    assert!(summary("totals", &ended).contains("7 written, 2 left out, in 2.0 s"));
    ended.outcome = Outcome::Suspended;
    ended.last_epoch = Some(Epoch(9));
    assert!(summary("totals", &ended).contains("is suspended after checkpoint 9: the next start goes on from there"));
}

/// What was written, for tests.
#[derive(Clone, Default)]
struct Screen(Arc<Mutex<Vec<u8>>>);

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Screen {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

#[test]
fn logs_scroll_above_the_live_line() {
    let screen = Screen::default();
    let live = Live::new(Box::new(screen.clone()), true);
    live.draw("one".into());
    live.make_writer().write_all(b"log\n").unwrap();
    live.clear();
    live.clear();
    let erase = "\r\x1b[2K";
    let drawn = format!("{erase}\x1b[?7lone\x1b[?7h");
    assert_eq!(screen.text(), format!("{drawn}{erase}log\n{drawn}{erase}"));
}

#[test]
fn without_a_terminal_there_is_no_live_line() {
    let screen = Screen::default();
    let live = Live::new(Box::new(screen.clone()), false);
    let mut watch = Watch::new("totals", live.clone());
    for second in 0..30 {
        watch.progress(&progress(second, second));
    }
    live.say("bye");
    live.clear();
    assert_eq!(screen.text(), "bye\n");
}

#[test]
fn the_live_line_is_drawn_four_times_a_second() {
    let screen = Screen::default();
    let mut watch = Watch::new("totals", Live::new(Box::new(screen.clone()), true));
    for ms in 0..1000 {
        watch.progress(&Progress { elapsed: Duration::from_millis(ms), ..Progress::default() });
    }
    assert_eq!(screen.text().matches("totals").count(), 4);
}

#[test]
fn a_wrong_log_filter_says_where_it_came_from() {
    assert!(logs::filter_of(Some("info,staunch=debug"), Some("=/=")).is_ok());
    let said = logs::filter_of(None, Some("staunch=loud")).unwrap_err().to_string();
    assert!(said.starts_with("RUST_LOG: `staunch=loud` is not a filter"), "{said}");
}

fn identity() -> StoreIdentity {
    StoreIdentity { job: "totals".into(), lineage: Uuid::nil() }
}

pub(super) fn manifest() -> Manifest {
    let position = |at: u64| SplitPosition {
        split: format!("lines-{at}"),
        position: serde_json::json!({ "offset": at }),
        finished: at == 1,
    };
    let layout = StateLayout::new("str", Schema::Leaf("u64".into()), false, true);
    let part = StatePart::of(0, 0..32_768, "blob".into(), b"four", 2);
    let committable =
        |bytes: &[u8]| Committable { participant: "totals".into(), epoch: Epoch(3), bytes: bytes.to_vec() };
    Manifest {
        identity: identity(),
        attempt: Uuid::nil(),
        published_ms: 1_700_000_001_000,
        cut: Cut {
            epoch: Epoch(3),
            kind: CheckpointKind::Suspend,
            triggered_ms: 1_700_000_000_000,
            workers: 2,
            sources: vec![SourceCut { id: "lines".into(), splits: vec![position(0), position(1)], finished: false }],
            operators: vec![OperatorCut { id: "count".into(), layout, watermarks: Vec::new(), parts: vec![part] }],
            committables: vec![committable(b"{\"id\":\"\x1b[31m\"}"), committable(&[0xff; 3])],
        },
    }
}

#[test]
fn a_listing_has_a_line_for_everything_in_the_store() {
    let claim = Claim {
        identity: identity(),
        attempt: Uuid::nil(),
        restored_slot: None,
        restored_epoch: None,
        chosen: false,
        claimed_ms: 1_699_999_999_000,
        info: "host, pid 7".into(),
    };
    let found = |slot: Option<u64>, name: &str, status| Surveyed { slot, name: name.into(), bytes: 0, status };
    let found = [
        found(Some(1), "1", SlotStatus::Ok(Box::new(Slot::Claim(claim)))),
        found(Some(2), "2", SlotStatus::Ok(Box::new(Slot::Manifest(manifest())))),
        found(Some(3), "3", SlotStatus::HalfWritten("3 bytes of 40".into())),
        found(None, "notes\x07.txt", SlotStatus::Foreign),
    ];
    let expected = "\
.staunch/totals: job `totals`, lineage 00000000-0000-0000-0000-000000000000
      SLOT  WHAT          EPOCH  WHEN (UTC)            STATE  NOTE
         1  claim             -  2023-11-14T22:13:19Z      -  first start; host, pid 7
         2  suspend           3  2023-11-14T22:13:21Z    4 B  2 workers, 2 entries, 2 to commit
         3  half-written      -  -                         -  3 bytes of 40
notes .txt  foreign           -  -                         -  not of this store; left alone
";
    assert_eq!(listing(".staunch/totals", &identity(), &found), expected);
    assert!(listing("x", &identity(), &[]).ends_with("no checkpoints yet\n"));
}

#[test]
fn a_checkpoint_is_shown_in_full_and_cannot_write_to_the_terminal() {
    let expected = "\
suspend 3 in slot 2
  job `totals`, lineage 00000000-0000-0000-0000-000000000000
  attempt 00000000-0000-0000-0000-000000000000, 2 workers
  triggered 2023-11-14T22:13:20Z, durable 2023-11-14T22:13:21Z

sources
  lines
    lines-0: {\"offset\":0}
    lines-1: {\"offset\":1} (ended)

state
  count: 2 entries, 4 B, 1 parts
    str -> u64, processing timers

prepared by sinks
  totals of checkpoint 3: {\"id\":\" [31m\"}
  totals of checkpoint 3: 3 B
";
    assert_eq!(manifest_text(2, &manifest()), expected);
}

#[test]
fn a_store_is_looked_at_without_changing_it() {
    let dir = tempfile::tempdir().unwrap();
    let none = super::checkpoints::list(dir.path()).unwrap_err().to_string();
    assert!(none.contains("there is no checkpoint store at"), "{none}");
    let store = crate::control::store::LocalStore::open(dir.path(), "totals", Uuid::nil).unwrap();
    use crate::control::store::CheckpointStore;
    let mut ours = manifest();
    ours.identity = store.identity().clone();
    store.create(1, &Slot::Manifest(ours).encode().unwrap()).unwrap();
    assert!(super::checkpoints::list(dir.path()).unwrap().contains("1  suspend"));
    assert!(super::checkpoints::show(dir.path(), "latest", false).unwrap().starts_with("suspend 3 in slot 1"));
    let json = super::checkpoints::show(dir.path(), "1", true).unwrap();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap()["cut"]["epoch"], 3);
    for (which, said) in [("7", "there is no slot 7"), ("newest", "`newest` is not a slot")] {
        let error = super::checkpoints::show(dir.path(), which, false).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
}
