use super::super::tests::manifest;
use super::*;
use crate::api::transactions::TransactionTool;
use std::sync::{Arc, Mutex};

/// A server whose committables are the ids of their transactions, and that keeps what was ended.
struct Server {
    open: Vec<OpenTransaction>,
    ended: Arc<Mutex<Vec<(String, bool)>>>,
    /// An older transaction that has to be written again, and with it what is younger.
    aborted: Option<&'static str>,
}

impl TransactionTool for Server {
    fn place(&self) -> String {
        "server".to_owned()
    }

    fn open(&mut self, prefix: &str) -> Result<Vec<OpenTransaction>> {
        Ok(self.open.iter().filter(|it| it.id.starts_with(prefix)).cloned().collect())
    }

    fn is(&self, committable: &Committable, transaction: &OpenTransaction) -> Result<bool> {
        Ok(committable.bytes == transaction.id.as_bytes())
    }

    fn foresee(&mut self, committables: &[Committable]) -> Result<Vec<Foreseen>> {
        let mut is_behind = false;
        let of = |committable: &Committable| {
            let id = String::from_utf8(committable.bytes.clone()).unwrap();
            is_behind |= self.aborted == Some(&*id);
            let outlook = match self.open.iter().any(|it| it.id == id) {
                _ if is_behind => Outlook::Replay(format!("9 records of {id}")),
                true => Outlook::Commit,
                false => Outlook::Stop("it expired".to_owned()),
            };
            Foreseen { epoch: committable.epoch, id, outlook }
        };
        Ok(committables.iter().map(of).collect())
    }

    fn end(&mut self, transaction: &OpenTransaction, commit: bool) -> Result<()> {
        self.ended.lock().unwrap().push((transaction.id.clone(), commit));
        Ok(())
    }
}

type Ended = Arc<Mutex<Vec<(String, bool)>>>;

/// Checkpoint 3 lists `totals/l/1` and `totals/l/9`, the latter of which is not open.
fn look() -> (Look, Ended) {
    look_with(None)
}

fn look_with(aborted: Option<&'static str>) -> (Look, Ended) {
    let open = |id: &str, holds: &[&str]| OpenTransaction {
        id: id.to_owned(),
        state: "Ongoing".to_owned(),
        producer: "producer 7 epoch 0".to_owned(),
        started_ms: Some(10_000),
        timeout_ms: Some(60_000),
        holds: holds.iter().map(|&it| it.to_owned()).collect(),
    };
    let ended = Ended::default();
    let open = vec![
        open("totals/l/1", &["out/0"]),
        open("totals/l/2", &["out/0", "out/1", "out/2", "out/3", "out/4"]),
        open("totals/m/1", &[]),
        open("else\x1b[31m", &["x/0"]),
    ];
    let server = Server { open, ended: ended.clone(), aborted };
    let mut manifest = manifest();
    let listed = |id: &str| Committable { participant: "sink".into(), epoch: Epoch(3), bytes: id.into() };
    manifest.cut.committables = vec![listed("totals/l/1"), listed("totals/l/9")];
    let look = Look {
        job: "totals".to_owned(),
        store: "checkpoints".to_owned(),
        lineage: Some("l".to_owned()),
        restored: Some(manifest),
        recovery: Ok(Recovery::Fresh),
        tools: vec![("sink".to_owned(), Box::new(server))],
        now_ms: 12_000,
    };
    (look, ended)
}

#[test]
fn each_transaction_is_shown_with_what_becomes_of_it() {
    let (mut look, _) = look();
    let expected = "\
ID          STATE    AGE    PRODUCER            BELONGS TO     NEXT START  HOLDS BACK
totals/l/1  Ongoing  2.0 s  producer 7 epoch 0  checkpoint 3   commits it  out/0
totals/l/2  Ongoing  2.0 s  producer 7 epoch 0  no checkpoint  aborts it   out/0, out/1, out/2 and 2 more
totals/m/1  Ongoing  2.0 s  producer 7 epoch 0  another store  leaves it   -

what the checkpoint lists
  sink of checkpoint 3: prepared; the next start commits it
  sink of checkpoint 3: its fate is not known: it expired; the next start stops with this
";
    assert_eq!(list(&mut look, false).unwrap(), expected);
    let all = list(&mut look, true).unwrap();
    assert!(all.contains("else [31m") && all.contains("not this job"), "{all}");
    look.tools.clear();
    assert!(list(&mut look, true).unwrap().starts_with("no sink of totals"));
}

#[test]
fn what_is_younger_than_what_is_written_again_is_written_again() {
    let (mut look, _) = look_with(Some("totals/l/9"));
    // The older one comes first, in whichever order they are listed.
    look.restored.as_mut().unwrap().cut.committables[1].epoch = Epoch(2);
    let text = list(&mut look, false).unwrap();
    assert!(text.contains("checkpoint 3   writes it again  out/0"), "{text}");
    let lines = "\
  sink of checkpoint 2: 9 records of totals/l/9; the next start writes them again from the log
  sink of checkpoint 3: 9 records of totals/l/1; the next start writes them again from the log
";
    assert!(text.ends_with(lines), "{text}");
    assert!(dry_run(&mut look).unwrap().contains(lines));
    let error = end(&mut look, "totals/l/1", true, true, false).unwrap_err();
    assert!(error.message().contains("out of order"), "{error}");
}

/// The list of brokers was changed: the sink has another name, and the next start is refused.
#[test]
fn what_a_former_sink_was_promised_is_not_called_unlisted() {
    let (mut look, ended) = look();
    look.tools[0].0 = "renamed".to_owned();
    look.recovery = Err(Error::new(ErrorKind::State, "no sink of this name"));
    let text = list(&mut look, false).unwrap();
    for words in
        ["checkpoint 3   is refused  out/0", "no checkpoint  is refused", "would be refused: ", "no sink of this name"]
    {
        assert!(text.contains(words), "{words:?} is not in:\n{text}");
    }
    for (commit, why) in [(false, "promised its records"), (true, "no sink any more")] {
        let error = end(&mut look, "totals/l/1", commit, true, false).unwrap_err();
        assert!(error.message().contains(why), "{error}");
    }
    assert!(ended.lock().unwrap().is_empty());
}

#[test]
fn only_what_recovery_would_do_is_done_without_force() {
    let (mut look, ended) = look();
    let mut refused = |id: &str, commit, why: &str| {
        let error = end(&mut look, id, commit, true, false).unwrap_err();
        assert!(error.kind() == ErrorKind::Config && error.message().contains(why), "{error}");
    };
    refused("totals/l/1", false, "promised");
    refused("totals/l/2", true, "twice");
    refused("totals/m/1", false, "its owner decides");
    refused("totals/l/9", true, "no open transaction");
    // What is older comes first: to commit this one now would be the wrong order.
    look.restored.as_mut().unwrap().cut.committables[1].epoch = Epoch(2);
    let error = end(&mut look, "totals/l/1", true, true, false).unwrap_err();
    assert!(error.message().contains("totals/l/9 of checkpoint 2 is older and comes first"), "{error}");
    look.restored.as_mut().unwrap().cut.committables[1].epoch = Epoch(3);
    assert!(end(&mut look, "totals/l/1", true, false, false).unwrap().contains("would commit totals/l/1"));
    assert!(ended.lock().unwrap().is_empty());
    end(&mut look, "totals/l/1", true, true, false).unwrap();
    end(&mut look, "totals/l/2", false, true, false).unwrap();
    end(&mut look, "totals/m/1", false, true, true).unwrap();
    let done = [("totals/l/1", true), ("totals/l/2", false), ("totals/m/1", false)];
    assert_eq!(*ended.lock().unwrap(), done.map(|(id, commit)| (id.to_owned(), commit)));
}

#[test]
fn a_dry_run_tells_what_a_start_would_do() {
    let (mut look, ended) = look();
    let text = dry_run(&mut look).unwrap();
    for words in [
        "would go on from checkpoint 3",
        "once nothing stops it any more, it would abort totals/l/2",
        "it would leave totals/m/1 alone",
        "its fate is not known: it expired",
        "nothing was changed",
    ] {
        assert!(text.contains(words), "{words:?} is not in:\n{text}");
    }
    assert!(ended.lock().unwrap().is_empty());
    look.recovery = Err(Error::new(ErrorKind::State, "another shape"));
    let error = dry_run(&mut look).unwrap_err();
    assert!(error.kind() == ErrorKind::State && error.message().contains("another shape"), "{error}");
    (look.restored, look.recovery) = (None, Ok(Recovery::Fresh));
    assert!(dry_run(&mut look).unwrap().contains("for the first time"));
}
