use super::*;
use bytes::BytesMut;
use kafka_protocol::messages::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnTopicResult,
};
use kafka_protocol::messages::api_versions_response::{ApiVersion, FinalizedFeatureKey, SupportedFeatureKey};
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use kafka_protocol::messages::describe_producers_response::{PartitionResponse, ProducerState, TopicResponse};
use kafka_protocol::messages::describe_transactions_response::{TopicData, TransactionState as DescribedState};
use kafka_protocol::messages::fetch_response::{
    AbortedTransaction, EpochEndOffset, FetchableTopicResponse, LeaderIdAndEpoch, PartitionData, SnapshotId,
};
use kafka_protocol::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use kafka_protocol::messages::list_transactions_response::TransactionState;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch as ProduceLeader, NodeEndpoint, PartitionProduceResponse,
    TopicProduceResponse,
};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Encodable, StrBytes};

/// An answer as a broker writes it.
fn written(answer: &impl Encodable, version: i16) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    answer.encode(&mut bytes, version).unwrap();
    bytes.to_vec()
}

fn text(text: &'static str) -> StrBytes {
    StrBytes::from_static_str(text)
}

fn topic() -> TopicName {
    TopicName(text("topic"))
}

/// Every answer with something in all of its lists.
fn answers() -> Vec<(i16, i16, Vec<u8>)> {
    let mut all = vec![
        (18, 3, written(&api_versions(), 3)),
        (1, 12, written(&fetch(), 12)),
        (32, 4, written(&configs(), 4)),
        (36, 2, written(&SaslAuthenticateResponse::default().with_auth_bytes(vec![1, 2].into()), 2)),
        (17, 1, written(&SaslHandshakeResponse::default().with_mechanisms(vec![text("PLAIN"), text("X")]), 1)),
        (10, 3, written(&FindCoordinatorResponse::default().with_host(text("host")), 3)),
    ];
    all.extend([9, 10, 11].map(|version| (0, version, written(&produce(version >= 10), version))));
    all.extend([11, 12].map(|version| (3, version, written(&metadata(), version))));
    all.extend([2, 3, 4].map(|version| (22, version, written(&InitProducerIdResponse::default(), version))));
    all.extend([3, 4].map(|version| (26, version, written(&EndTxnResponse::default(), version))));
    all.extend([0, 1].map(|version| (66, version, written(&list(), version))));
    let partition = ListOffsetsPartitionResponse::default();
    let offsets = ListOffsetsTopicResponse::default().with_name(topic()).with_partitions(vec![partition]);
    let offsets = ListOffsetsResponse::default().with_topics(vec![offsets]);
    all.extend([6, 7].map(|version| (2, version, written(&offsets, version))));
    let added = AddPartitionsToTxnTopicResult::default()
        .with_name(topic())
        .with_results_by_partition(vec![AddPartitionsToTxnPartitionResult::default()]);
    let added = AddPartitionsToTxnResponse::default().with_results_by_topic_v3_and_below(vec![added]);
    all.push((24, 3, written(&added, 3)));
    let producers = PartitionResponse::default()
        .with_error_message(Some(text("no")))
        .with_active_producers(vec![ProducerState::default(); 2]);
    let producers = TopicResponse::default().with_name(topic()).with_partitions(vec![producers; 2]);
    all.push((61, 0, written(&DescribeProducersResponse::default().with_topics(vec![producers]), 0)));
    let state = DescribedState::default()
        .with_transactional_id(TransactionalId(text("id")))
        .with_topics(vec![TopicData::default().with_topic(topic()).with_partitions(vec![1, 2])].into_iter().collect());
    all.push((65, 0, written(&DescribeTransactionsResponse::default().with_transaction_states(vec![state]), 0)));
    all
}

fn api_versions() -> ApiVersionsResponse {
    ApiVersionsResponse::default()
        .with_api_keys(vec![ApiVersion::default(); 3])
        .with_supported_features(vec![SupportedFeatureKey::default().with_name(text("a"))])
        .with_finalized_features_epoch(7)
        .with_finalized_features(vec![FinalizedFeatureKey::default().with_name(text("b"))])
        .with_zk_migration_ready(true)
}

fn fetch() -> FetchResponse {
    let partition = PartitionData::default()
        .with_aborted_transactions(Some(vec![AbortedTransaction::default(); 2]))
        .with_records(Some(vec![7; 300].into()))
        .with_diverging_epoch(EpochEndOffset::default().with_epoch(3))
        .with_current_leader(LeaderIdAndEpoch::default().with_leader_epoch(3))
        .with_snapshot_id(SnapshotId::default().with_epoch(3));
    FetchResponse::default()
        .with_responses(vec![FetchableTopicResponse::default().with_topic(topic()).with_partitions(vec![partition])])
}

fn produce(tagged: bool) -> ProduceResponse {
    let mut partition = PartitionProduceResponse::default()
        .with_record_errors(vec![BatchIndexAndErrorMessage::default()])
        .with_error_message(Some(text("no")));
    let mut answer = ProduceResponse::default();
    if tagged {
        partition = partition.with_current_leader(ProduceLeader::default().with_leader_epoch(3));
        answer = answer.with_node_endpoints(vec![NodeEndpoint::default().with_host(text("host"))]);
    }
    answer.with_responses(vec![
        TopicProduceResponse::default().with_name(topic()).with_partition_responses(vec![partition]),
    ])
}

fn metadata() -> MetadataResponse {
    let broker = MetadataResponseBroker::default().with_host(text("host"));
    let ids = vec![BrokerId(1), BrokerId(2)];
    let partition = MetadataResponsePartition::default().with_replica_nodes(ids.clone()).with_isr_nodes(ids);
    let found = MetadataResponseTopic::default().with_name(Some(topic())).with_partitions(vec![partition; 2]);
    MetadataResponse::default().with_brokers(vec![broker; 3]).with_cluster_id(Some(text("c"))).with_topics(vec![found])
}

fn configs() -> DescribeConfigsResponse {
    let config = DescribeConfigsResourceResult::default()
        .with_name(text("name"))
        .with_value(Some(text("value")))
        .with_synonyms(vec![DescribeConfigsSynonym::default()])
        .with_documentation(Some(text("words")));
    DescribeConfigsResponse::default().with_results(vec![DescribeConfigsResult::default().with_configs(vec![config])])
}

fn list() -> ListTransactionsResponse {
    ListTransactionsResponse::default()
        .with_unknown_state_filters(vec![text("x")])
        .with_transaction_states(vec![TransactionState::default().with_transaction_state(text("Ongoing")); 2])
}

#[test]
fn shapes_are_those_that_brokers_write() {
    for (key, version, bytes) in answers() {
        let left = walk(of(key, version).expect("it is asked for"), &bytes).map(<[u8]>::len);
        assert_eq!(left, Some(0), "request {key} version {version}");
    }
}

#[test]
fn an_answer_that_is_cut_off_is_noticed() {
    for (key, version, bytes) in answers() {
        for end in 0..bytes.len() {
            assert!(
                walk(of(key, version).unwrap(), &bytes[..end]).is_none(),
                "request {key} version {version} at {end}"
            );
        }
    }
}

#[test]
fn counts_are_not_believed() {
    // An error and two billion mechanisms; throttle time and four billion topics.
    assert!(walk(SASL_HANDSHAKE, &[0, 0, 0x7f, 0xff, 0xff, 0xff]).is_none());
    assert!(walk(LIST_OFFSETS, &[0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f]).is_none());
    assert!(walk(LIST_OFFSETS, &[0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f]).is_none());
    assert!(of(1, 13).is_none());
}
