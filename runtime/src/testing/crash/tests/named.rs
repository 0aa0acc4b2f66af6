//! A test that would test nothing says so: sources and sinks that are not there, input of which nothing comes
//! out. And what goes wrong in the test's own code keeps its seed and its story.

use super::pipelines::{Total, count, lines, readings, split, totals, word_count, words};
use crate::api::metadata::Metadata;
use crate::api::sink::{Sink, SinkContext, WriterContext};
use crate::connectors::memory::{MemorySink, MemorySource};
use crate::testing::{Compare, CrashTest, Inputs};
use crate::time::Timestamp;
use crate::{Flow, operator, pipeline, sink, source};

/// One source, opened under another id, and two sinks of one kind.
#[pipeline(no_main)]
fn counted_in_europe(flow: &Flow<()>) {
    let counts = count::on(split::on(lines::at("eu").open(flow)).key_by(|word| word.as_str()));
    totals::at("first").write(counts.clone());
    totals::at("second").write(counts);
}

fn europe() -> CrashTest<counted_in_europe> {
    let line = |line: &'static str| (Timestamp::MIN, line);
    counted_in_europe::crash_test(Inputs::new(()).partition::<lines>("eu", ["a b a", "b"].map(line))).schedules(0)
}

fn refused<P: crate::flow::Pipeline>(test: CrashTest<P>) -> String {
    let failure = test.try_run().unwrap_err();
    assert_eq!(failure.seed, None, "{failure}");
    failure.what
}

#[test]
fn input_for_a_source_that_is_not_there_is_refused() {
    let what = refused(counted_in_europe::crash_test(Inputs::new(()).source::<lines>(["a"])));
    assert!(what.contains("no source `lines`; it has `eu`"), "{what}");
    let reading = super::pipelines::Reading { meter: 1, at_ms: 1 };
    let what = refused(word_count::crash_test(words().partition::<readings>("lines", [(Timestamp::MIN, reading)])));
    assert!(what.contains("the records of source `lines` are not of the type") && what.contains("Reading"), "{what}");
}

#[test]
fn a_word_about_a_sink_that_is_not_there_is_refused() {
    let whats = [
        refused(europe().key::<totals, _>(|total| total.word.clone())),
        refused(europe().compare_sink::<totals>(Compare::Multiset)),
        refused(europe().compare_with::<totals>(|_, _| Ok(()))),
        refused(europe().show::<totals>(|total| total.word.clone())),
    ];
    for what in whats {
        assert!(what.contains("no sink `totals`; it has `first`, `second`"), "{what}");
    }
}

#[test]
fn a_sink_that_was_written_to_with_at_is_configured_under_its_id() {
    let test = europe().key_at::<totals, _>("first", |total| total.word.clone());
    let test = test.show_at::<totals>("first", |total| format!("{} {}", total.word, total.count));
    test.compare_sink_at::<totals>("second", Compare::Multiset).run();
    let never = |_: &[Total], _: &[Total]| Err("never the same".to_owned());
    let what = refused(europe().compare_with_at::<totals>("second", never));
    assert!(what.contains("sink `second`: never the same"), "{what}");
}

#[test]
fn input_of_which_nothing_comes_out_is_refused() {
    for inputs in [Inputs::new(()), Inputs::new(()).source::<lines>([" ", ""])] {
        let what = refused(word_count::crash_test(inputs));
        assert!(what.contains("commits no record at all"), "{what}");
    }
}

#[test]
fn an_assertion_in_the_tests_own_comparison_keeps_seed_and_story() {
    let test = word_count::crash_test(words()).schedules(200).compare_with::<totals>(|undisturbed, crashed| {
        assert_eq!(undisturbed.first(), crashed.first(), "the first is another one");
        Ok(())
    });
    // Which of two partitions comes first is anybody's: already the undisturbed runs differ.
    let failure = test.try_run().unwrap_err();
    assert!(failure.what.contains("the first is another one"), "{failure}");
    assert!(failure.story.contains("process 1 starts with"), "{failure}");
}

#[test]
fn a_panic_of_the_tests_own_keeps_its_story() {
    let shown = |total: &Total| if total.count > 1 { panic!("it cannot be shown") } else { total.word.clone() };
    let failure = word_count::crash_test(words()).show::<totals>(shown).try_run().unwrap_err();
    assert!(failure.what.contains("it cannot be shown"), "{failure}");
    assert!(failure.story.contains("process 1 starts with"), "{failure}");
}

#[source]
fn texts() -> MemorySource<String> {
    MemorySource::new(Vec::new())
}

#[operator]
fn located(text: String, #[metadata] metadata: &Metadata) -> (String, i32, i64) {
    (text, metadata.origin.partition, metadata.origin.offset)
}

#[sink]
fn places() -> MemorySink<(String, i32, i64)> {
    MemorySink::new()
}

#[pipeline(no_main)]
fn where_from(flow: &Flow<()>) {
    places::write(located::on(texts::open(flow)));
}

#[test]
fn a_record_comes_from_the_same_place_whatever_the_number_of_workers() {
    let inputs = (0..4).fold(Inputs::new(()), |inputs, split| {
        inputs.source::<texts>((0..3).map(|offset| format!("{split}@{offset}")))
    });
    let as_named = |_: &[(String, i32, i64)], crashed: &[(String, i32, i64)]| {
        assert_eq!(crashed.len(), 12);
        for (text, partition, offset) in crashed {
            assert_eq!(*text, format!("{partition}@{offset}"));
        }
        Ok(())
    };
    where_from::crash_test(inputs).compare_with::<places>(as_named).schedules(0).run();
}

/// A sink whose keys are no text: replacing what is none makes two of them look the same.
struct ByBytes(MemorySink<(Vec<u8>, u64)>);

type Inner = MemorySink<(Vec<u8>, u64)>;

impl Sink for ByBytes {
    type Record = <Inner as Sink>::Record;
    type Participant = <Inner as Sink>::Participant;
    type Writer = <Inner as Sink>::Writer;

    fn describe(&self) -> String {
        "by bytes".to_owned()
    }

    fn key_of(&self, record: &Self::Record) -> Option<Vec<u8>> {
        Some(record.0.clone())
    }

    fn open(&self, context: &SinkContext<'_>) -> crate::Result<Self::Participant> {
        self.0.open(context)
    }

    fn writer(&self, participant: &mut Self::Participant, context: &WriterContext<'_>) -> crate::Result<Self::Writer> {
        self.0.writer(participant, context)
    }
}

#[source]
fn pieces() -> MemorySource<(Vec<u8>, u64)> {
    MemorySource::new(Vec::new())
}

#[sink]
fn by_bytes() -> ByBytes {
    ByBytes(MemorySink::new())
}

#[pipeline(no_main)]
fn copied(flow: &Flow<()>) {
    by_bytes::write(pieces::open(flow));
}

#[test]
fn keys_that_are_no_text_are_not_taken_for_each_other() {
    let split = |key: u8| (0..6).map(move |n| (vec![key], n));
    let inputs = Inputs::new(()).source::<pieces>(split(0xfe)).source::<pieces>(split(0xff));
    copied::crash_test(inputs).schedules(0).run();
}
