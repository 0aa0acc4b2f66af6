//! Who has taken the job over: never this process from itself, whatever answers were lost.

use super::*;

/// What a process has done in the store, over its attempts.
#[derive(Default)]
struct Process(Option<Own>);

impl Process {
    fn claim(&mut self, store: &MemoryStore, attempt: u128) -> Result<Claimed> {
        open(store).claim(&request(attempt, RestoreFrom::Newest), &mut self.0)
    }

    /// Why its attempt failed that has failed with an error of this kind.
    fn why_failed(&self, store: &MemoryStore, kind: ErrorKind) -> Error {
        open(store).why_failed(Error::new(kind, "locked out"), self.0.as_ref().unwrap())
    }

    fn assert_superseded(&mut self, store: &MemoryStore, attempt: u128) {
        assert_eq!(self.why_failed(store, ErrorKind::Store).kind(), ErrorKind::Superseded);
        assert_eq!(self.claim(store, attempt).err().unwrap().kind(), ErrorKind::Superseded);
    }
}

#[test]
fn what_comes_of_a_takeover_is_told_as_one() {
    let (store, mut process, mut other) = (store(), Process::default(), Process::default());
    let mut first = process.claim(&store, 1).unwrap();
    publish(&mut first.log, 1);
    assert_eq!(process.why_failed(&store, ErrorKind::Sink).kind(), ErrorKind::Sink, "nobody else is there");

    let mut second = other.claim(&store, 2).unwrap();
    let error = process.why_failed(&store, ErrorKind::Sink);
    assert_eq!(error.kind(), ErrorKind::Superseded);
    assert!(error.to_string().contains("taken the job over") && error.to_string().ends_with("locked out"), "{error}");
    for kind in [ErrorKind::Config, ErrorKind::State, ErrorKind::Internal] {
        assert_eq!(process.why_failed(&store, kind).kind(), kind);
    }
    // Retention deletes the claims, and what the younger one published tells as much.
    publish(&mut second.log, 2);
    second.log.retain(1).unwrap();
    assert_eq!(store.list().unwrap().len(), 1);
    assert_eq!(process.why_failed(&store, ErrorKind::FateUnknown).kind(), ErrorKind::Superseded);
    assert_eq!(other.why_failed(&store, ErrorKind::Sink).kind(), ErrorKind::Sink);
}

#[test]
fn a_claim_without_an_answer_takes_nothing_over_from_its_own_process() {
    for lost in [Fault::AnswerLost, Fault::Delayed] {
        let (store, mut process) = (store(), Process::default());
        publish(&mut process.claim(&store, 1).unwrap().log, 1);
        for attempt in [2, 3] {
            store.fail_next(&[lost, Fault::Refused, Fault::Refused]);
            assert_eq!(process.claim(&store, attempt).err().unwrap().kind(), ErrorKind::Store);
            store.land_delayed();
            let error = process.why_failed(&store, ErrorKind::Store);
            assert_eq!(error.kind(), ErrorKind::Store, "{lost:?}, attempt {attempt}: {error}");
        }
        assert_eq!(store.list().unwrap(), [1, 2, 3, 4], "the claims are there");
        let mut last = process.claim(&store, 4).unwrap();
        assert_eq!((last.log.attempt(), last.restored.unwrap().cut.epoch), (5, Epoch(1)));
        publish(&mut last.log, 2);
        assert_eq!(process.why_failed(&store, ErrorKind::Sink).kind(), ErrorKind::Sink);

        claim(&store, 9);
        process.assert_superseded(&store, 5);
        assert_superseded(last.log.publish(cut(3), 0));
    }
}

#[test]
fn what_an_attempt_could_not_write_may_come_after_a_claim_that_failed() {
    let (store, mut process) = (store(), Process::default());
    let mut first = process.claim(&store, 1).unwrap();
    store.fail_next(&[&[Fault::Delayed][..], &[Fault::Refused; 5]].concat());
    assert_eq!(first.log.publish(cut(1), 0).unwrap_err().kind(), ErrorKind::Store);
    store.fail_next(&[Fault::Refused; 3]);
    assert_eq!(process.claim(&store, 2).err().unwrap().kind(), ErrorKind::Store);
    store.land_delayed();
    assert_eq!(process.why_failed(&store, ErrorKind::Sink).kind(), ErrorKind::Sink);
    let third = process.claim(&store, 3).unwrap();
    assert_eq!((third.log.attempt(), third.restored.unwrap().cut.epoch), (3, Epoch(1)));
}

#[test]
fn another_process_that_came_before_a_late_claim_has_taken_the_job_over() {
    for lost in [Fault::AnswerLost, Fault::Delayed, Fault::Refused] {
        let (store, mut process) = (store(), Process::default());
        process.claim(&store, 1).unwrap();
        store.fail_next(&[lost, Fault::Refused, Fault::Refused]);
        assert_eq!(process.claim(&store, 2).err().unwrap().kind(), ErrorKind::Store);
        let mut other = claim(&store, 9);
        store.land_delayed();
        process.assert_superseded(&store, 3);
        publish(&mut other.log, 1);
    }
}
