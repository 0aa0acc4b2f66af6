//! The wire client against brokers that misbehave in ways that a real one shows rarely.

use super::*;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::{
    ApiKey, ApiVersionsResponse, FetchResponse, MetadataResponse, ProduceResponse, TopicName,
};
use kafka_protocol::protocol::{Encodable, StrBytes};
use kafka_protocol::records::{Compression, Record, RecordBatchEncoder, RecordEncodeOptions, TimestampType};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// What a broker does about a request.
enum Reaction {
    /// These bytes after the correlation, whole.
    Answer(Vec<u8>),
    /// As many of the bytes as said, then the connection ends.
    Cut(Vec<u8>, usize),
    /// The answer to another request.
    Confused(Vec<u8>),
    /// These bytes and nothing else.
    Raw(Vec<u8>),
    Silence,
}

/// A broker that reacts so to its nth request, whose key it is told. Returns its address.
fn broker(react: impl Fn(usize, i16) -> Reaction + Send + Sync + 'static) -> String {
    broker_of(None, react)
}

/// One that speaks only to this client.
fn broker_of(client: Option<&'static str>, react: impl Fn(usize, i16) -> Reaction + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (react, count) = (Arc::new(react), Arc::new(AtomicUsize::new(0)));
    crate::threads::spawn("broker".to_owned(), move || {
        for stream in listener.incoming().flatten() {
            let (react, count) = (react.clone(), count.clone());
            crate::threads::spawn("connection".to_owned(), move || serve(stream, client, &*react, &count)).unwrap();
        }
    })
    .unwrap();
    address
}

fn serve(mut stream: TcpStream, client: Option<&str>, react: &dyn Fn(usize, i16) -> Reaction, count: &AtomicUsize) {
    loop {
        let mut length = [0; 4];
        if stream.read_exact(&mut length).is_err() {
            return;
        }
        let mut request = vec![0; u32::from_be_bytes(length) as usize];
        stream.read_exact(&mut request).unwrap();
        let mut request = Bytes::from(request);
        let (key, _version, correlation) = (request.get_i16(), request.get_i16(), request.get_i32());
        let length = request.get_i16();
        let id = request.split_to(usize::try_from(length).unwrap());
        if client.is_some_and(|client| client.as_bytes() != id) {
            return;
        }
        let framed = |correlation: i32, body: &[u8]| {
            let mut frame = BytesMut::new();
            frame.put_u32(body.len() as u32 + 4);
            frame.put_i32(correlation);
            frame.extend(body);
            frame
        };
        let sent = match react(count.fetch_add(1, Ordering::SeqCst), key) {
            Reaction::Answer(body) => stream.write_all(&framed(correlation, &body)),
            Reaction::Confused(body) => stream.write_all(&framed(correlation + 1, &body)),
            Reaction::Raw(bytes) => stream.write_all(&bytes),
            Reaction::Silence => Ok(()),
            Reaction::Cut(body, length) => {
                let _ = stream.write_all(&framed(correlation, &body)[..length]);
                return;
            }
        };
        if sent.is_err() {
            return;
        }
    }
}

fn written(answer: &impl Encodable, version: i16, tags: bool) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    if tags {
        bytes.put_u8(0);
    }
    answer.encode(&mut bytes, version).unwrap();
    bytes.to_vec()
}

fn versions(keys: &[ApiKey]) -> Vec<u8> {
    let known = |key: &ApiKey| ApiVersion::default().with_api_key(*key as i16).with_min_version(0).with_max_version(12);
    written(&ApiVersionsResponse::default().with_api_keys(keys.iter().map(known).collect()), 3, false)
}

/// What a sound broker says.
fn sound(key: i16) -> Vec<u8> {
    if key == ApiKey::ApiVersions as i16 {
        return versions(&[ApiKey::ApiVersions, ApiKey::Metadata]);
    }
    let cluster = StrBytes::from_static_str("the cluster");
    let itself = MetadataResponseBroker::default().with_host(StrBytes::from_static_str("127.0.0.1"));
    let answer = MetadataResponse::default().with_cluster_id(Some(cluster)).with_brokers(vec![itself]);
    written(&answer, 12, true)
}

const WITHIN: Duration = Duration::from_secs(30);
/// For what has to run out of time.
const SHORT: Duration = Duration::from_millis(400);

fn asked(brokers: &str, within: Duration) -> Result<String> {
    Cluster::new(brokers, Security::Plaintext).unwrap().cluster_id(within)
}

#[test]
fn a_broken_answer_is_asked_for_anew() {
    let first: [fn(Vec<u8>) -> Reaction; 5] = [
        |body| Reaction::Cut(body, 0),
        |body| Reaction::Cut(body, 2),
        |body| Reaction::Cut(body, 9),
        Reaction::Confused,
        |_| Reaction::Answer(vec![0xff; 40]),
    ];
    for (number, first) in first.into_iter().enumerate() {
        for at in [0, 1] {
            let address =
                broker(move |count, key| if count == at { first(sound(key)) } else { Reaction::Answer(sound(key)) });
            assert_eq!(asked(&address, WITHIN).unwrap(), "the cluster", "break {number} at request {at}");
        }
    }
}

#[test]
fn a_broker_that_is_away_is_passed_over() {
    let up = broker(|_, key| Reaction::Answer(sound(key)));
    let mut cluster = Cluster::new(&format!("127.0.0.1:1,{up}"), Security::Plaintext).unwrap();
    assert_eq!(cluster.cluster_id(WITHIN).unwrap(), "the cluster");
    let error = asked("127.0.0.1:1,127.0.0.1:2", SHORT).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Sink);
    assert!(error.message().contains("127.0.0.1:1,127.0.0.1:2"), "{error}");
}

fn told(brokers: &str, options: &[(&str, &str)]) -> Cluster {
    let mut settings = Settings::new(brokers);
    options.iter().for_each(|&(key, value)| settings.set(key.to_owned(), value.to_owned()));
    Cluster::of(&settings).unwrap()
}

#[test]
fn brokers_are_reached_as_the_options_say() {
    let picky = broker_of(Some("billing"), |_, key| Reaction::Answer(sound(key)));
    assert_eq!(told(&picky, &[("client.id", "billing")]).cluster_id(WITHIN).unwrap(), "the cluster");
    told(&picky, &[]).cluster_id(SHORT).unwrap_err();

    // One request without an answer costs no more than was said, and is asked again.
    let slow = broker(|count, key| if count == 0 { Reaction::Silence } else { Reaction::Answer(sound(key)) });
    let found = told(&slow, &[("socket.timeout.ms", "100")]).cluster_id(Duration::from_secs(8));
    assert_eq!(found.unwrap(), "the cluster");

    let up = broker(|_, key| Reaction::Answer(sound(key)));
    let by = |family| told(&up, &[("broker.address.family", family)]).cluster_id(SHORT);
    assert_eq!(by("v4").unwrap(), "the cluster");
    assert!(by("v6").unwrap_err().message().contains("broker.address.family"));
}

#[test]
fn a_broker_that_says_nothing_or_nonsense_costs_no_more_than_the_time_there_is() {
    for raw in [vec![], vec![0x7f, 0xff, 0xff, 0xff], vec![0xff, 0xff, 0xff, 0xff], vec![0x07, 0, 0, 0, 1, 2, 3]] {
        let address = broker(move |_, _| if raw.is_empty() { Reaction::Silence } else { Reaction::Raw(raw.clone()) });
        let error = asked(&address, SHORT).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Sink, "{error}");
        assert!(error.message().contains(&address), "{error}");
    }
}

#[test]
fn a_listener_that_speaks_tls_is_recognised() {
    let address = broker(|_, _| Reaction::Raw(vec![0x15, 3, 3, 0, 2, 2, 80]));
    let error = asked(&address, WITHIN).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains("security.protocol"), "{error}");
}

#[test]
fn a_broker_that_is_too_old_is_told_which_one_is_needed() {
    // Kafka before 2.4 does not know our ApiVersions, and answers in its first version.
    let ancient = broker(|_, _| Reaction::Answer(vec![0, 35, 0, 0, 0, 0]));
    // Kafka 2.8 knows neither this Metadata nor DescribeTransactions.
    let old = broker(|_, _| Reaction::Answer(versions(&[ApiKey::ApiVersions])));
    for address in [ancient, old] {
        let error = asked(&address, WITHIN).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().contains("Kafka 3.0") && error.message().contains(&address), "{error}");
    }
}

/// Three records of producer 7, epoch 2, at the offsets 0 to 2.
fn three_records() -> Bytes {
    let record = |offset| Record {
        transactional: true,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: 0,
        producer_id: 7,
        producer_epoch: 2,
        timestamp_type: TimestampType::Creation,
        offset,
        sequence: offset as i32,
        timestamp: 1_700_000_000_000,
        key: None,
        value: Some(Bytes::from_static(b"value")),
        headers: Default::default(),
    };
    let options = RecordEncodeOptions { version: 2, compression: Compression::None };
    let mut bytes = BytesMut::new();
    RecordBatchEncoder::encode(&mut bytes, &(0..3).map(record).collect::<Vec<_>>(), &options).unwrap();
    bytes.freeze()
}

/// The leader of `t/0`, which has three records and shows them from the nth Fetch on. Says this of the nth time that
/// they are written again, or nothing.
fn leader(shows_at: usize, says: impl Fn(usize) -> Option<i16> + Send + Sync + 'static) -> String {
    let name = || TopicName(StrBytes::from_static_str("t"));
    let port = Arc::new(OnceLock::new());
    let (own_port, fetches, produced) = (port.clone(), AtomicUsize::new(0), AtomicUsize::new(0));
    let address = broker(move |_, key| {
        Reaction::Answer(match ApiKey::try_from(key).unwrap() {
            ApiKey::ApiVersions => versions(&[ApiKey::ApiVersions, ApiKey::Metadata, ApiKey::Fetch, ApiKey::Produce]),
            ApiKey::Metadata => {
                let itself = MetadataResponseBroker::default()
                    .with_host(StrBytes::from_static_str("127.0.0.1"))
                    .with_port(*own_port.wait());
                let topic = MetadataResponseTopic::default()
                    .with_name(Some(name()))
                    .with_partitions(vec![MetadataResponsePartition::default()]);
                written(&MetadataResponse::default().with_brokers(vec![itself]).with_topics(vec![topic]), 12, true)
            }
            ApiKey::Fetch => {
                let shows = fetches.fetch_add(1, Ordering::SeqCst) >= shows_at;
                let (records, end) = if shows { (three_records(), 3) } else { (Bytes::new(), 0) };
                let found = PartitionData::default().with_high_watermark(end).with_records(Some(records));
                let topic = FetchableTopicResponse::default().with_topic(name()).with_partitions(vec![found]);
                written(&FetchResponse::default().with_responses(vec![topic]), 12, true)
            }
            _ => {
                let Some(code) = says(produced.fetch_add(1, Ordering::SeqCst)) else {
                    return Reaction::Cut(Vec::new(), 0);
                };
                let stored = PartitionProduceResponse::default().with_base_offset(10).with_error_code(code);
                let topic = TopicProduceResponse::default().with_name(name()).with_partition_responses(vec![stored]);
                written(&ProduceResponse::default().with_responses(vec![topic]), 11, true)
            }
        })
    });
    port.set(address.rsplit_once(':').unwrap().1.parse().unwrap()).unwrap();
    address
}

/// Writes the leader's three records again.
fn copy(leader: &str, within: Duration) -> Result<Copied> {
    let (from, to) = (Producer { id: 7, epoch: 2 }, Producer { id: 8, epoch: 0 });
    let of = SessionRange { from, topic: "t", partition: 0, first: 0, last: 2 };
    let range = CopyRange { of, id: "x", to };
    Cluster::new(leader, Security::Plaintext).unwrap().copy(&range, within)
}

/// What follows would take its sequence numbers, and must not be taken for it.
#[test]
fn a_batch_is_left_out_only_if_it_was_stored_for_certain_nowhere() {
    const TOO_LARGE: i16 = 10;
    // NOT_ENOUGH_REPLICAS comes before anything is stored, REQUEST_TIMED_OUT perhaps after it.
    for before in [&[][..], &[Some(19)]] {
        let left_out = copy(&leader(0, move |time| *before.get(time).unwrap_or(&Some(TOO_LARGE))), WITHIN).unwrap();
        assert_eq!((left_out.records, left_out.first, left_out.last), (0, -1, -1));
        assert!(left_out.left_out.is_some_and(|why| why.contains("offset 0") && why.contains("max.message.bytes")));
    }
    for before in [&[None][..], &[Some(7)], &[None, Some(19)]] {
        let error = copy(&leader(0, move |time| *before.get(time).unwrap_or(&Some(TOO_LARGE))), WITHIN).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Sink, "another attempt writes as another producer");
        assert!(error.message().contains("(10)"), "{error}");
    }
}

#[test]
fn what_a_new_leader_does_not_show_yet_is_waited_for() {
    let copy = |shows_at, within| copy(&leader(shows_at, |_| Some(0)), within);
    let all = Copied { records: 3, first: 10, last: 12, left_out: None };
    assert_eq!(copy(0, WITHIN).unwrap(), all);
    assert_eq!(copy(5, WITHIN).unwrap(), all);
    let error = copy(usize::MAX, SHORT).unwrap_err();
    assert!(error.message().contains("shows nothing from offset 0 on"), "{error}");
}

/// A broker that knows no topic, as one that has just started.
fn without_topics() -> String {
    broker(|_, key| {
        Reaction::Answer(if key == ApiKey::ApiVersions as i16 {
            sound(key)
        } else {
            let name = Some(TopicName(StrBytes::from_static_str("t")));
            let unknown = MetadataResponseTopic::default().with_name(name).with_error_code(network::UNKNOWN_TOPIC);
            written(&MetadataResponse::default().with_topics(vec![unknown]), 12, true)
        })
    })
}

#[test]
fn that_there_is_no_topic_counts_only_when_time_is_up() {
    let mut cluster = Cluster::new(&without_topics(), Security::Plaintext).unwrap();
    assert_eq!(cluster.topic("t", SHORT).unwrap(), None);
    let cancellation = Cancellation::default();
    cluster.cancelled_by(cancellation.clone());
    cancellation.cancel();
    assert!(cluster.topic("t", WITHIN).is_err(), "nobody waited for a broker that starts");
}
