//! What of a record goes where in a message, and what becomes of records that do not fit.

use crate::support::{Job, eventually, kafka, numbers, parsed, read, sink};
use staunch::api::sink::{Committable, Share, SinkWriter, TwoPhaseCommit};
use staunch::connectors::format::{DeadLetters, Format, Json, Text, Try};
use staunch::connectors::kafka::{KafkaSink, KafkaSource, OnRefused};
use staunch::{Batch, Epoch, ErrorKind, Failed, Timestamp};
use staunch_tests::kafka::{LIMITED_USER, Operation, PASSWORD, Record, Resource, secure};

/// The part of a record before the colon.
fn before(record: &str) -> &str {
    record.split_once(':').map_or(record, |(before, _)| before)
}

fn header(record: &Record, name: &str) -> Option<String> {
    let found = record.headers.iter().find(|(header, _)| header == name)?;
    Some(String::from_utf8(found.1.clone()?).unwrap())
}

#[test]
fn key_headers_timestamp_partition_and_tombstone_are_the_records() {
    let client = kafka!();
    let (topic, lineage) = (client.topic("message", 3), client.name("lineage"));
    let sink = KafkaSink::<Text>::topic(client.brokers(), &topic)
        .key(|record| before(record).as_bytes())
        .headers(|record, headers| _ = headers.add("length", record.len().to_string()).add_null("nothing").add("e", ""))
        .timestamp(|record| Timestamp::from_millis(record.len() as i64 * 1_000))
        .partition(|record| (before(record) != "any").then(|| before(record).parse().unwrap()))
        .tombstone(|record| record.ends_with(":gone"));
    let mut job = Job::start(&[sink], &lineage);
    job.write_at(0, ["0:a", "1:gone", "2:", "any:x"].map(String::from).into(), Timestamp::from_millis(7));
    let committable = job.prepare();
    job.commit(&committable);
    let partitions = client.read_committed(&topic);
    for (partition, value) in [(0, Some("0:a")), (1, None), (2, Some("2:"))] {
        let record = partitions[partition].iter().find(|record| record.key.as_deref() != Some(b"any")).unwrap();
        let bytes = value.map(|value| value.as_bytes().to_vec());
        assert_eq!((&record.value, record.key.clone()), (&bytes, Some(partition.to_string().into_bytes())));
        let length = value.map_or("1:gone".len(), str::len);
        assert_eq!(record.timestamp, length as i64 * 1_000);
        let nothing = [("nothing".to_owned(), None), ("e".to_owned(), Some(vec![]))];
        assert_eq!(record.headers[0], ("length".to_owned(), Some(length.to_string().into_bytes())));
        assert_eq!(record.headers[1..], nothing);
    }
    assert_eq!(partitions.concat().len(), 4);
}

#[test]
fn records_go_to_the_topics_that_they_name_in_one_transaction() {
    let client = kafka!();
    let (topics, lineage) = ([client.topic("named-a", 2), client.topic("named-b", 1)], client.name("lineage"));
    let sink =
        KafkaSink::<Text>::topic_by(client.brokers(), |record: &String| before(record)).key(|record| record.as_bytes());
    let mut job = Job::workers(&[sink], &lineage, &[], Epoch(0), 2).unwrap();
    let mut expected = [vec![], vec![]];
    for round in 0..3 {
        for writer in 0..2 {
            let records = (0..200).map(|number| format!("{}:{round}{writer}{number:03}", topics[number % 2]));
            let records: Vec<String> = records.collect();
            records.iter().enumerate().for_each(|(number, record)| expected[number % 2].push(record.clone()));
            job.write(writer, records);
        }
        let committable = job.prepare();
        let said = parsed(&committable);
        assert_eq!((said.records, said.writers.len()), (400, 2));
        assert!(said.partitions.iter().all(|range| !range.topic_id.is_empty()));
        assert_eq!(client.open_transactions(&format!("tests/{lineage}/")).len(), 1);
        job.commit(&committable);
        for (topic, expected) in topics.iter().zip(&mut expected) {
            expected.sort();
            assert_eq!(client.committed_values(topic), *expected);
        }
    }
}

#[test]
fn topics_that_nobody_asked_about_before_the_barrier_are_asked_about_after_it() {
    let client = kafka!();
    let (topic, lineage) = (client.topic("deferred", 1), client.name("lineage"));
    for exactly_once in [true, false] {
        let sink = KafkaSink::<Text>::topic_by(client.brokers(), |record: &String| before(record));
        let sink = if exactly_once { sink.exactly_once() } else { sink.at_least_once() };
        let mut job = Job::start(&[sink], &lineage);
        let mut expected = Vec::new();
        for round in 0..3 {
            // No `ready` in between: what the writer cannot send is left to the participant.
            let mut batch = Batch::default();
            let records: Vec<_> = (0..50).map(|number| format!("{topic}:{exactly_once}{round}{number:02}")).collect();
            records.iter().for_each(|record| batch.push(record.clone(), Timestamp::MIN));
            job.writers[0].write(&mut batch).unwrap();
            expected.extend(records);
            if let Some(committable) = job.try_prepare().unwrap() {
                job.commit(&committable);
            }
            let seen = client.read_committed(&topic).concat();
            let seen: Vec<_> =
                seen.iter().map(Record::text).filter(|text| text.contains(&exactly_once.to_string())).collect();
            assert_eq!(seen, expected, "all of them, and in order");
        }
    }
}

#[test]
fn a_record_that_does_not_fit_stops_the_job_is_left_out_or_becomes_a_dead_letter() {
    let client = kafka!();
    let (topic, dead, lineage) = (client.topic("fits", 2), client.topic("dead", 1), client.name("lineage"));
    let stopped = client.topic("stopped", 2);
    let sink = |topic: &str, policy: OnRefused| {
        let known = [topic.to_owned(), "no-such-topic".to_owned(), "no/topic".to_owned(), String::new()];
        KafkaSink::<Text>::topic_with(client.brokers(), move |record, out| {
            out.push_str(&known[before(record).parse().unwrap_or(0_usize)]);
        })
        .key(|record| before(record).as_bytes())
        .headers(|record, headers| _ = headers.add("own", before(record)))
        .partition(|record| (before(record) == "far").then_some(7))
        .set("message.max.bytes", "100000")
        .on_refused(policy)
    };
    let large = format!("large:{}", "x".repeat(150_000));
    let bad =
        [("1:", "no-such-topic"), ("2:", "no/topic"), ("3:", "\"\""), ("far:", "partition 7"), (&large, "too large")];
    for (number, (record, reason)) in bad.iter().enumerate() {
        // What these leave open holds back the readers of their topic.
        let mut job = Job::start(&[sink(&stopped, OnRefused::Stop)], &format!("{lineage}{number}"));
        job.write(0, vec!["good:".into()]);
        let mut batch = Batch::default();
        batch.push((*record).to_owned(), Timestamp::MIN);
        let written = job.writers[0].write(&mut batch);
        let error = written.and_then(|()| job.try_prepare()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Sink);
        assert!(error.message().contains(reason) && error.message().contains("on_refused"), "{error}");
    }
    let records = || bad.iter().flat_map(|(record, _)| [(*record).to_owned(), "good:".to_owned()]).collect::<Vec<_>>();
    let mut job = Job::start(&[sink(&topic, OnRefused::Skip)], &lineage);
    job.write(0, records());
    eventually("sent or left out", || job.writers[0].ready().unwrap().then_some(()));
    assert_eq!(job.writers[0].left_out(), bad.len() as u64);
    let committable = job.prepare();
    job.commit(&committable);
    assert_eq!(client.committed_values(&topic), ["good:"; 5]);

    let mut job = Job::start(&[sink(&topic, OnRefused::DeadLetter(dead.clone()))], &lineage);
    job.write(0, records());
    let committable = job.prepare();
    assert!(client.committed_values(&dead).is_empty(), "dead letters belong to the transaction");
    job.commit(&committable);
    assert_eq!(client.committed_values(&topic), ["good:"; 10]);
    let letters = client.read_committed(&dead).concat();
    assert_eq!(letters.len(), bad.len());
    for (letter, (record, reason)) in letters.iter().zip(&bad) {
        assert_eq!(letter.key.as_deref(), Some(before(record).as_bytes()));
        assert_eq!(header(letter, "own").as_deref(), Some(before(record)));
        assert!(header(letter, "staunch.refused.reason").unwrap().contains(reason), "{letter:?}");
        assert_eq!(letter.text(), &record[..record.len().min(64 << 10)]);
    }
    assert_eq!(header(&letters[0], "staunch.refused.topic").as_deref(), Some("no-such-topic"));
    assert_eq!(header(&letters[4], "staunch.refused.bytes"), Some(large.len().to_string()));
}

/// Text that has no form as bytes when it is `bad`.
struct Picky;

impl Format for Picky {
    type Record = String;

    fn decode(bytes: &[u8]) -> Result<String, String> {
        Text::decode(bytes)
    }

    fn encode(record: &String, out: &mut Vec<u8>) -> Result<(), String> {
        if record == "bad" { Err("is bad".into()) } else { Text::encode(record, out) }
    }
}

#[test]
fn a_record_that_cannot_be_encoded_is_refused_too() {
    let client = kafka!();
    let (topic, dead, lineage) = (client.topic("picky", 1), client.topic("picky-dead", 1), client.name("lineage"));
    let sink = || KafkaSink::<Picky>::topic(client.brokers(), &topic).key(|record| record.as_bytes());
    let mut job = Job::start(&[sink()], &lineage);
    let mut batch = Batch::default();
    batch.push("bad".to_owned(), Timestamp::MIN);
    let written = job.writers[0].write(&mut batch);
    let error = written.and_then(|()| job.try_prepare()).unwrap_err();
    assert!(error.message().contains("a record is bad"), "{error}");
    let mut job = Job::start(&[sink().on_refused(OnRefused::DeadLetter(dead.clone()))], &lineage);
    job.write(0, ["1", "bad", "2"].map(String::from).into());
    let committable = job.prepare();
    job.commit(&committable);
    assert_eq!(client.committed_values(&topic), ["1", "2"]);
    let letters = client.read_committed(&dead).concat();
    assert_eq!(
        letters.iter().map(|letter| (&letter.key, &letter.value)).collect::<Vec<_>>(),
        [(&Some(b"bad".to_vec()), &None)]
    );
}

#[test]
fn another_partitioner_finds_the_partitions_that_it_finds_elsewhere() {
    let client = kafka!();
    let (topic, lineage) = (client.topic("partitioned", 5), client.name("lineage"));
    let mut job = Job::start(&[sink(&client, &topic).set("partitioner", "fnv1a")], &lineage);
    job.write(0, numbers(0..200));
    let committable = job.prepare();
    job.commit(&committable);
    // FNV-1a of 32 bits, without its sign: as Sarama's hash partitioner.
    let hash = |key: &[u8]| {
        let hash = key.iter().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
        (hash as i32).unsigned_abs() as usize
    };
    let partitions = client.read_committed(&topic);
    for (partition, records) in partitions.iter().enumerate() {
        assert!(records.iter().all(|record| hash(record.key.as_deref().unwrap()) % 5 == partition), "{partition}");
    }
    assert_eq!(partitions.concat().len(), 200);
}

#[test]
fn a_partition_that_was_added_while_the_job_runs_is_found() {
    let client = kafka!();
    let (topic, lineage) = (client.topic("grows", 1), client.name("lineage"));
    let partition = |record: &String| record.strip_prefix("to ").and_then(|partition| partition.parse().ok());
    let sink = sink(&client, &topic).partition(partition);
    let mut job = Job::workers(&[sink], &lineage, &[], Epoch(0), 2).unwrap();
    let epoch = |job: &mut Job, records: &str| {
        for writer in 0..2 {
            job.write(writer, vec![records.to_owned(); 10]);
        }
        let committable = job.prepare();
        job.commit(&committable);
    };
    // By now several producers have seen the topic as it was.
    (0..3).for_each(|_| epoch(&mut job, "to 0"));
    client.add_partitions(&topic, 2);
    // What is known of a topic is believed for ten seconds. Then one writer learns, and the other has to know.
    std::thread::sleep(std::time::Duration::from_millis(10_100));
    (0..3).for_each(|_| epoch(&mut job, "to 1"));
    assert_eq!(client.read_committed(&topic).iter().map(Vec::len).collect::<Vec<_>>(), [60, 60]);
}

#[test]
fn dead_letters_need_a_topic_that_exists() {
    let client = kafka!();
    let topic = client.topic("living", 1);
    let sink = sink(&client, &topic).on_refused(OnRefused::DeadLetter("no-such-dead-topic".into()));
    let error = Job::restart(&[sink], &client.name("lineage"), &[], Epoch(0)).err().unwrap();
    assert!(error.message().contains("no-such-dead-topic"), "{error}");
}

#[test]
fn what_cannot_be_decoded_is_written_as_it_was_read() {
    let client = kafka!();
    let (topic, dead, lineage) = (client.topic("mixed", 1), client.topic("undecodable", 1), client.name("lineage"));
    let headers = vec![("h".to_owned(), Some(b"1".to_vec())), ("null".to_owned(), None)];
    let bad = Record { offset: 1, timestamp: 77, key: Some(b"k".to_vec()), value: Some(vec![b'x', 0, 255]), headers };
    client.produce(&topic, 0, ["1"]);
    client.produce_record(&topic, 0, &bad);
    let source = KafkaSource::<Try<Json<u32>>>::topic(client.brokers(), &topic).bounded();
    let mut reading = read(&source, None).unwrap();
    reading.until_end().unwrap();
    let read = reading.batches.iter_mut().flat_map(|(_, batch)| batch.drain().collect::<Vec<_>>());
    let failed = read.filter_map(|(record, time)| {
        let error = record.err()?;
        Some(Failed { error, operator: "good".into(), origin: None, time })
    });
    let failed: Vec<_> = failed.collect();
    let mut job = Job::start(&[KafkaSink::<DeadLetters>::dead_letters(client.brokers(), &dead)], &lineage);
    job.write_at(0, failed, Timestamp::from_millis(77));
    let committable = job.prepare();
    job.commit(&committable);
    let letters = client.read_committed(&dead).concat();
    let [letter] = &letters[..] else { panic!("{letters:?}") };
    assert_eq!((letter.timestamp, &letter.key, &letter.value), (77, &bad.key, &bad.value));
    assert_eq!(letter.headers[..2], bad.headers);
    assert!(header(letter, "staunch.error").unwrap().contains("JSON"), "{letter:?}");
    let origin =
        ["topic", "partition", "offset"].map(|part| header(letter, &format!("staunch.origin.{part}")).unwrap());
    assert_eq!(origin, [topic, "0".to_owned(), "1".to_owned()]);
}

#[test]
fn a_topic_that_this_user_may_not_write_to_is_refused() {
    let Some(secure) = secure() else { return };
    let admin = secure.broker().client();
    let principal = format!("User:{LIMITED_USER}");
    for exactly_once in [false, true] {
        let topics = ["open", "guarded", "hidden", "unread", "letters"].map(|about| admin.topic(about, 1));
        let [open, guarded, hidden, unread, letters] = &topics;
        let lineage = admin.name("lineage");
        let ids = format!("tests/{lineage}/");
        let allow = |topic, operations: &[Operation]| {
            let resource = Resource::Topic(topic);
            operations.iter().for_each(|operation| secure.allow(&principal, resource, *operation));
        };
        secure.allow(&principal, Resource::TransactionalIds { prefix: &ids }, Operation::Write);
        for topic in [open, letters, unread] {
            allow(topic, &[Operation::Write, Operation::Describe]);
        }
        allow(guarded, &[Operation::Describe, Operation::Read]);
        if exactly_once {
            // Recovery looks at what was written.
            [open, letters].into_iter().for_each(|topic| allow(topic, &[Operation::Read]));
        }
        let sink = || {
            let sink = KafkaSink::<Text>::topic_by(secure.sasl_plaintext(), |record: &String| before(record));
            let sink = if exactly_once { sink.exactly_once() } else { sink.at_least_once() };
            sink.on_refused(OnRefused::DeadLetter(letters.clone()))
                .set("security.protocol", "SASL_PLAINTEXT")
                .set("sasl.mechanism", "PLAIN")
                .set("sasl.username", LIMITED_USER)
                .set("sasl.password", PASSWORD)
        };
        // A right takes a moment to reach the broker.
        let mut job = eventually("allowed to start", || Job::restart(&[sink()], &lineage, &[], Epoch(0)).ok());
        job.write(0, [open, guarded, hidden, unread].map(|topic| format!("{topic}:x")).into());
        let prepared = job.try_prepare().unwrap();
        assert_eq!(prepared.is_some(), exactly_once);
        prepared.iter().for_each(|prepared| job.commit(prepared));
        assert_eq!(admin.committed_values(open), [format!("{open}:x")]);
        let read = admin.read_committed(letters).concat();
        let reasons: Vec<_> = read.iter().map(|letter| header(letter, "staunch.refused.reason").unwrap()).collect();
        assert!(reasons[0].contains(&format!("may not write to the topic {guarded}")), "{reasons:?}");
        // Whether a topic exists is not told to those who may not describe it.
        assert!(reasons[1].contains(hidden) && reasons[1].contains("Write"), "{reasons:?}");
        if exactly_once {
            let says = &reasons[2];
            assert!(says.contains(&format!("may not read the topic {unread}")) && says.contains("Read"), "{reasons:?}");
        } else {
            assert_eq!(admin.committed_values(unread), [format!("{unread}:x")]);
        }
        assert_eq!(reasons.len(), 2 + usize::from(exactly_once), "{reasons:?}");
    }
}

#[test]
fn what_follows_a_barrier_waits_for_what_was_left_before_it() {
    let client = kafka!();
    for exactly_once in [true, false] {
        let (topic, lineage) = (client.topic("left", 1), client.name("lineage"));
        let sink = KafkaSink::<Text>::topic_by(client.brokers(), |record: &String| before(record));
        let sink = if exactly_once { sink.exactly_once() } else { sink.at_least_once() };
        let mut job = Job::start(&[sink], &lineage);
        let records = |from: u32| numbers(from..from + 50).into_iter().map(|number| format!("{topic}:{number}"));
        let write = |job: &mut Job, from: u32| {
            let mut batch = Batch::default();
            records(from).for_each(|record| batch.push(record, Timestamp::MIN));
            job.writers[0].write(&mut batch).unwrap();
        };
        // Nobody has asked about the topic yet: all of it is left to the participant.
        write(&mut job, 0);
        let epoch = job.epoch;
        let share = Share { sink: "sink".into(), worker: 0, bytes: job.writers[0].seal(epoch).unwrap() };
        job.epoch = epoch.next();
        write(&mut job, 50);
        let started = std::time::Instant::now();
        while started.elapsed() < std::time::Duration::from_secs(1) {
            assert!(!job.writers[0].ready().unwrap(), "the participant has not sent its part yet");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        if let Some(bytes) = job.participant.prepare(epoch, vec![share]).unwrap() {
            job.commit(&Committable { participant: "kafka".into(), epoch, bytes });
        }
        eventually("sent", || job.writers[0].ready().unwrap().then_some(()));
        if let Some(committable) = job.try_prepare().unwrap() {
            job.commit(&committable);
        }
        let seen = client.read_committed(&topic).concat();
        let seen: Vec<_> = seen.iter().map(|record| record.text().to_owned()).collect();
        assert_eq!(seen, records(0).chain(records(50)).collect::<Vec<_>>());
    }
}
