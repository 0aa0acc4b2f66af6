//! Operators of several inputs and timers.

use staunch::{Context, Output, State, Timestamp, operator};
use std::time::Duration;

#[derive(State, Default, Clone, Debug, PartialEq)]
pub struct Session {
    orders: u64,
    paid: u64,
}

pub struct Order {
    user: u32,
}

pub struct Payment {
    user: u32,
    cents: u64,
}

pub struct Minimum(u64);

const SECOND: Duration = Duration::from_secs(1);

#[operator(id = "sessions")]
impl Session {
    #[input]
    fn order(&mut self, _order: &Order, #[context] cx: &mut Context<'_>) {
        self.orders += 1;
        cx.set_timer(cx.event_time() + SECOND);
        cx.set_processing_timer(cx.processing_time() + SECOND);
    }

    #[input]
    fn payment(
        &mut self,
        #[key] user: &u32,
        payment: Payment,
        #[config] minimum: &Minimum,
        #[output] large: &mut Output<(u32, u64)>,
    ) -> Result<(), String> {
        self.paid += payment.cents;
        if payment.cents > minimum.0 {
            large.emit((*user, payment.cents));
        }
        if payment.cents == 0 { Err(format!("{user} paid nothing")) } else { Ok(()) }
    }

    #[timer]
    fn end(&mut self, at: Timestamp, #[key] user: &u32, #[output] ended: &mut Output<(u32, Self)>) {
        ended.emit_at((*user, self.clone()), at);
    }

    #[timer(processing_time)]
    fn remind(&mut self, _at: Timestamp, #[context] cx: &mut Context<'_>) -> Result<(), String> {
        cx.forget();
        Err("forgotten".into())
    }

    /// Not a handler.
    #[must_use]
    pub fn balance(&self) -> u64 {
        self.paid
    }
}

#[test]
fn inputs_and_timers_share_the_state_of_a_key() {
    let mut h = Session::harness(|order: &Order| &order.user, |payment: &Payment| &payment.user);
    h.provide(Minimum(100));
    h.push_order_at(Timestamp::from_millis(10), Order { user: 1 });
    h.push_payment(Payment { user: 1, cents: 101 }).push_payment(Payment { user: 2, cents: 0 });
    assert_eq!(h.state(&1).map(Session::balance), Some(101));
    h.watermark(Timestamp::from_millis(1_010));
    let (large, ended, failed) = h.take();
    assert_eq!(large, [(1, 101)]);
    assert_eq!(ended, [(1, Session { orders: 1, paid: 101 })]);
    assert_eq!(failed[0].error, "2 paid nothing");
    let snapshot = h.snapshot();
    let mut h = h.restore(&snapshot);
    h.processing_time(Timestamp::from_millis(5_000));
    assert_eq!(h.take().2[0].error, "forgotten");
    assert_eq!(h.state(&1), None);
}

#[derive(State, Default, Clone)]
struct Pair<L, R> {
    left: Option<L>,
    right: Option<R>,
}

#[operator]
impl<L: State + Default, R: State + Default> Pair<L, R> {
    #[input]
    fn left(&mut self, left: L) -> Option<(L, R)> {
        self.left = Some(left);
        self.both()
    }

    #[input]
    fn right(&mut self, right: R) -> Option<(L, R)> {
        self.right = Some(right);
        self.both()
    }

    fn both(&mut self) -> Option<(L, R)> {
        self.left.clone().zip(self.right.clone())
    }
}

#[test]
fn a_generic_state_is_a_generic_operator() {
    let mut h = Pair::<u64, String>::harness_with(|n| *n, |text| text.len() as u64);
    h.push_left(1u64).push_right("a").push_right("bb").push_left(2u64);
    assert_eq!(h.take(), [(1, "a".to_owned()), (2, "bb".to_owned())]);
}

#[derive(State, Default, Clone)]
struct Merge;

#[operator]
impl Merge {
    #[input]
    fn number(number: u64) -> String {
        number.to_string()
    }

    #[input]
    fn text(text: String) -> String {
        text
    }
}

#[test]
fn methods_without_self_need_no_key() {
    let mut h = Merge::harness();
    assert_eq!(h.push_number(1u64).push_text("a").take(), ["1", "a"]);
}
