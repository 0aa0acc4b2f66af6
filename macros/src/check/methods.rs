//! Rules for operators that are `impl` blocks.

use super::signature;
use crate::errors::Errors;
use crate::model::{Function, Operator, Role, Trigger};
use crate::print::spell;
use syn::{ItemImpl, ReceiverKind};

/// All rules that only `impl` blocks have.
pub fn all(operator: &Operator, block: &ItemImpl, errors: &mut Errors) {
    is_inherent(block, errors);
    has_input(operator, block, errors);
    one_timer_per_clock(operator, errors);
    one_key_type(operator, errors);
    names_are_free(block, errors);
    for function in &operator.functions {
        receiver_is_reference(function, errors);
        state_is_self(function, errors);
        signature::no_generics(&function.sig, errors);
    }
}

/// The state's own methods are meant.
fn is_inherent(block: &ItemImpl, errors: &mut Errors) {
    if let Some((path, _)) = &block.trait_ {
        let help = format!("write `impl {}`, without the trait", spell(&block.self_ty));
        errors.push(path, "`#[operator]` does not go on the implementation of a trait", help);
    }
    if let Some(token) = &block.unsafety {
        errors.push(token, "an inherent `impl` block is not unsafe", "take off `unsafe`");
    }
}

/// Without an input nothing would ever call it.
fn has_input(operator: &Operator, block: &ItemImpl, errors: &mut Errors) {
    if operator.inputs().next().is_none() {
        let help = "put `#[input]` above each method that takes records: `#[input] fn order(&mut self, order: &Order)`";
        errors.push(&block.self_ty, "this operator has no input", help);
    }
}

/// A timer carries a time and nothing else that could tell two methods apart.
fn one_timer_per_clock(operator: &Operator, errors: &mut Errors) {
    for (trigger, attribute) in [(Trigger::EventTimer, "timer"), (Trigger::ProcessingTimer, "timer(processing_time)")] {
        let timers = operator.functions.iter().filter(|function| function.trigger == trigger);
        for more in timers.skip(1) {
            let help = "let one method look at the state to see what is due";
            errors.push(&more.sig.ident, format_args!("a second `#[{attribute}]` method"), help);
        }
    }
}

/// The state belongs to one key, so all that works on it is keyed alike.
fn one_key_type(operator: &Operator, errors: &mut Errors) {
    let mut keys = operator.params(Role::Key);
    let Some(first) = keys.next() else { return };
    for key in keys.filter(|key| key.target() != first.target()) {
        let help = format!(
            "all inputs of an operator are keyed by one type: write `&{}`, or change the other",
            spell(first.target())
        );
        errors.push(&key.ty, "another key type than that of the methods before", help);
    }
}

/// The type gets these functions from the macro.
fn names_are_free(block: &ItemImpl, errors: &mut Errors) {
    for item in &block.items {
        if let syn::ImplItem::Fn(method) = item {
            let name = method.sig.ident.to_string();
            if ["on", "at", "harness", "harness_with"].contains(&name.as_str()) {
                let help = "choose another name: `on`, `at`, `harness` and `harness_with` are generated";
                errors.push(&method.sig.ident, format_args!("an operator's type has its own `{name}`"), help);
            }
        }
    }
}

/// The runtime owns the state.
fn receiver_is_reference(function: &Function, errors: &mut Errors) {
    if let Some(receiver) = function.sig.receiver()
        && !matches!(receiver.kind, ReceiverKind::Reference(..))
    {
        errors.push(receiver, "a handler borrows its state", "write `&mut self`, or `&self` if it only reads");
    }
}

/// `self` is the state here.
fn state_is_self(function: &Function, errors: &mut Errors) {
    for param in function.with_role(|role| matches!(role, Role::State { .. })) {
        let help = "make it a field of the struct: `self` is the state of one key";
        errors.push(&param.pat, "`#[state]` in an `impl` block", help);
    }
}
