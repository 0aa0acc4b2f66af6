//! Everything together: a fallible operator with its dead letters, four sinks, two of them in Kafka, a stream
//! read three times, two keyed operators one after the other.

use serde::{Deserialize, Serialize};
use staunch::connectors::format::Json;
use staunch::connectors::kafka::KafkaSink;
use staunch::memory::{MemorySink, MemorySource};
use staunch::testing::Inputs;
use staunch::{Failed, Flow, operator, pipeline, sink, source};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Order {
    pub customer: u64,
    pub article: u64,
    pub amount: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Numbered {
    pub order: Order,
    pub number: u64,
}

#[source]
pub fn texts() -> MemorySource<String> {
    MemorySource::new(Vec::new())
}

#[operator]
pub fn parse(text: &String) -> Result<Order, String> {
    let numbers: Vec<u64> = text.split(' ').filter_map(|word| word.parse().ok()).collect();
    match numbers[..] {
        [customer, article, amount] => Ok(Order { customer, article, amount }),
        _ => Err(format!("`{text}` is no order")),
    }
}

#[operator]
pub fn number(#[key] _customer: &u64, order: Order, #[state] orders: &mut u64) -> Numbered {
    *orders += 1;
    Numbered { order, number: *orders }
}

#[operator]
pub fn large(order: &Numbered) -> Option<Numbered> {
    (order.order.amount > 50).then(|| order.clone())
}

/// How much of an article was sold: the order of customers among each other is anybody's, the sum is not.
#[operator]
pub fn sold(#[key] _article: &u64, order: Numbered, #[state] amounts: &mut Vec<u64>) -> Option<(u64, u64)> {
    amounts.push(order.order.amount);
    amounts.len().is_multiple_of(6).then(|| (order.order.article, amounts.iter().sum()))
}

#[sink]
pub fn rejected() -> MemorySink<Failed<String>> {
    MemorySink::new()
}

#[sink]
pub fn numbers() -> MemorySink<Numbered> {
    MemorySink::new()
}

/// Simulated, it writes through Kafka transactions, which it shares with `sums`.
#[sink]
pub fn noticed() -> KafkaSink<Json<Numbered>> {
    KafkaSink::topic("simulated:9092", "noticed")
}

#[sink]
pub fn sums() -> KafkaSink<Json<(u64, u64)>> {
    KafkaSink::topic("simulated:9092", "sums")
}

#[pipeline(no_main)]
pub fn shop(flow: &Flow<()>) {
    let (orders, failures) = parse::on(texts::open(flow));
    rejected::write(failures);
    let numbered = number::on(orders.key_by(|order| &order.customer));
    numbers::write(numbered.clone());
    noticed::write(large::on(numbered.clone()));
    let all = sold::on(numbered.key_by(|order| &order.order.article));
    sums::write(all);
}

#[test]
fn orders_are_numbered_summed_and_rejected_exactly_once() {
    // Each article has six orders, in all: the sum of all six does not depend on their order.
    let text = |n: u64| if n % 7 == 6 { format!("order {n}?") } else { format!("{} {} {}", n % 3, n % 2, 10 * n) };
    let split = |from: u64| (from..from + 7).map(text).collect::<Vec<_>>();
    let inputs = Inputs::new(()).source::<texts>(split(0)).source::<texts>(split(7));
    let test = shop::crash_test(inputs)
        .key::<sums, _>(|(article, _)| *article)
        .compare_with::<numbers>(|undisturbed, crashed| {
            assert_eq!(amounts(undisturbed), amounts(crashed));
            for customer in 0..3 {
                let mut numbers: Vec<u64> = of(crashed, customer).map(|it| it.number).collect();
                numbers.sort_unstable();
                let all: Vec<u64> = (1..).take(numbers.len()).collect();
                assert_eq!(numbers, all, "each order of customer {customer} has the next number");
            }
            Ok(())
        })
        .compare_with::<noticed>(|undisturbed, crashed| {
            assert_eq!(amounts(undisturbed), amounts(crashed));
            Ok(())
        });
    crate::run("orders", test);
}

fn of(orders: &[Numbered], customer: u64) -> impl Iterator<Item = &Numbered> {
    orders.iter().filter(move |it| it.order.customer == customer)
}

/// Who ordered for how much. Which of two splits is read first is anybody's, so the numbers themselves may differ.
fn amounts(orders: &[Numbered]) -> Vec<(u64, u64)> {
    let mut amounts: Vec<(u64, u64)> = orders.iter().map(|it| (it.order.customer, it.order.amount)).collect();
    amounts.sort_unstable();
    amounts
}
