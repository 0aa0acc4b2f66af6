//! A join: two sources, aligned; which side comes first differs from run to run, what has come in the end
//! does not.

use serde::{Deserialize, Serialize};
use staunch::memory::{MemorySink, MemorySource};
use staunch::testing::Inputs;
use staunch::{Flow, Output, State, operator, pipeline, sink, source};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Order {
    pub customer: u64,
    pub amount: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Payment {
    pub customer: u64,
    pub paid: u64,
}

/// What a customer has ordered and paid so far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Account {
    pub customer: u64,
    pub ordered: u64,
    pub paid: u64,
}

#[source]
pub fn orders() -> MemorySource<Order> {
    MemorySource::new(Vec::new())
}

#[source]
pub fn payments() -> MemorySource<Payment> {
    MemorySource::new(Vec::new())
}

#[derive(Clone, Default, State)]
pub struct Accounts {
    ordered: u64,
    paid: u64,
}

#[operator]
impl Accounts {
    #[input]
    fn order(&mut self, order: &Order, #[output] accounts: &mut Output<Account>) {
        self.ordered += order.amount;
        accounts.emit(Account { customer: order.customer, ordered: self.ordered, paid: self.paid });
    }

    #[input]
    fn payment(&mut self, payment: &Payment, #[output] accounts: &mut Output<Account>) {
        self.paid += payment.paid;
        accounts.emit(Account { customer: payment.customer, ordered: self.ordered, paid: self.paid });
    }
}

#[sink]
pub fn balances() -> MemorySink<Account> {
    MemorySink::new()
}

#[pipeline(no_main)]
pub fn accounts(flow: &Flow<()>) {
    let orders = orders::open(flow).key_by(|order| &order.customer);
    let payments = payments::open(flow).key_by(|payment| &payment.customer);
    balances::write(Accounts::on(orders, payments));
}

#[test]
fn a_join_sees_each_side_exactly_once() {
    let orders_in = (0..15).map(|n| Order { customer: n % 5, amount: 10 + n });
    let payments_in = (0..15).map(|n| Payment { customer: (n * 3) % 5, paid: 1 + n });
    let inputs = Inputs::new(()).source::<orders>(orders_in).source::<payments>(payments_in);
    crate::run("join", accounts::crash_test(inputs).compare_with::<balances>(counted_once));
}

/// As many records, and for each customer the same last one: sums, so nothing was lost or counted twice.
fn counted_once(undisturbed: &[Account], crashed: &[Account]) -> Result<(), String> {
    let last = |all: &[Account]| {
        let mut last: Vec<Account> = Vec::new();
        for account in all.iter().rev() {
            if last.iter().all(|known| known.customer != account.customer) {
                last.push(account.clone());
            }
        }
        last.sort_by_key(|account| account.customer);
        (all.len(), last)
    };
    let (expected, found) = (last(undisturbed), last(crashed));
    if expected == found { Ok(()) } else { Err(format!("expected {expected:?}, found {found:?}")) }
}
