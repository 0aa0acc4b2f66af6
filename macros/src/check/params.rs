//! Rules for the parameters of operators.

use crate::errors::Errors;
use crate::model::{Function, Operator, Param, Role, Trigger, peel, plain_name};
use crate::print::spell;
use std::collections::HashSet;
use syn::Type;

/// All rules for the parameters of one function.
pub fn all(function: &Function, errors: &mut Errors) {
    match function.trigger {
        Trigger::Record => one_record(function, errors),
        Trigger::EventTimer | Trigger::ProcessingTimer => one_time(function, errors),
    }
    each_role_once(function, errors);
    each_resource_once(function, errors);
    for param in &function.params {
        match param.role {
            Role::Record => record_is_owned(param, errors),
            Role::State { .. } => {
                is_reference(param, "`#[state]`", true, errors);
                has_name(param, "state", errors);
            }
            Role::Output => {
                output_is_mut(param, errors);
                output_is_no_container(param, errors);
                has_name(param, "output", errors);
            }
            Role::Key => {
                is_shared(param, "`#[key]`", "K", errors);
                key_is_no_float(param, errors);
            }
            Role::Config => is_shared(param, "`#[config]`", "Config", errors),
            Role::Metadata => is_shared(param, "`#[metadata]`", "Metadata", errors),
            Role::Resource => is_reference(param, "`#[resource]`", true, errors),
            Role::Context => is_reference(param, "`#[context]`", true, errors),
            Role::EventTime | Role::ProcessingTime | Role::At => is_by_value(param, errors),
        }
    }
}

fn name(param: &Param, other: &str) -> String {
    param.name.as_ref().map_or_else(|| other.to_owned(), ToString::to_string)
}

/// Exactly one parameter without attribute is the record.
fn one_record(function: &Function, errors: &mut Errors) {
    let mut records = function.with_role(|role| role == Role::Record);
    if records.next().is_none() {
        let help = "add a parameter without attribute, by value or by reference: `line: &Line`";
        errors.push(&function.sig.ident, "this operator takes no record", help);
    }
    for more in records {
        let help = "mark what this is: `#[state]`, `#[config]`, `#[resource]`, `#[key]`, …; an operator with several inputs is an `impl` block with several `#[input]` methods";
        errors.push(&more.ty, "a second record: only one parameter goes without attribute", help);
    }
}

/// A timer is told the time that it was set for, and no record.
fn one_time(function: &Function, errors: &mut Errors) {
    let mut times = function.with_role(|role| role == Role::At);
    if times.next().is_none() {
        let help = "add the time that the timer was set for: `at: Timestamp`";
        errors.push(&function.sig.ident, "this timer does not take its time", help);
    }
    for more in times {
        let help =
            "mark what this is (`#[config]`, `#[output]`, …); a timer has no record, keep in the state what it needs";
        errors.push(&more.ty, "only a timer's time goes without attribute", help);
    }
    for param in function.with_role(|role| role == Role::Metadata) {
        let help = "keep in the state what the timer needs of it";
        errors.push(&param.ty, "a timer has no record, and so no metadata", help);
    }
}

/// Streams carry values; a reference to something unsized has nothing to be borrowed from.
fn record_is_owned(param: &Param, errors: &mut Errors) {
    let name = name(param, "record");
    if param.is_mut() {
        let help = format!("write `{name}: {0}` to own it, or `{name}: &{0}` to read it", spell(param.target()));
        errors.push(&param.ty, "a record is not changed in place", help);
    } else if param.reference().is_some() {
        let owned = match peel(param.target()) {
            Type::Path(path) if path.path.is_ident("str") => "String".to_owned(),
            Type::Slice(slice) => format!("Vec<{}>", spell(&slice.elem)),
            _ => return,
        };
        let help = format!("write `{name}: &{owned}`: streams carry owned values");
        errors.push(&param.ty, format_args!("`{}` is not the type of a stream's records", spell(param.target())), help);
    }
}

/// The key, the context and the like are there once.
fn each_role_once(function: &Function, errors: &mut Errors) {
    for (role, what) in [
        (Role::Key, "key"),
        (Role::Context, "context"),
        (Role::Metadata, "metadata"),
        (Role::EventTime, "event_time"),
        (Role::ProcessingTime, "processing_time"),
    ] {
        for more in function.with_role(|other| other == role).skip(1) {
            let help = if role == Role::Key {
                "for a key of two parts take a tuple: `#[key] key: &(u64, u32)`"
            } else {
                "take one of them out"
            };
            errors.push(&more.ty, format_args!("a second `#[{what}]`"), help);
        }
    }
}

/// Two references to one resource cannot be handed out at once.
fn each_resource_once(function: &Function, errors: &mut Errors) {
    let mut seen = HashSet::new();
    for param in function.with_role(|role| role == Role::Resource) {
        if !seen.insert(param.target().clone()) {
            let help = "a worker has one resource of each type: take this one out, or wrap it in a type of its own";
            errors.push(&param.ty, "the same resource twice", help);
        }
    }
}

/// A name is part of the state's layout or of the graph.
fn has_name(param: &Param, what: &str, errors: &mut Errors) {
    let named = param.name.as_ref().is_some_and(|name| !plain_name(name).is_empty());
    if !named {
        let help = format!("write a name instead of a pattern: `#[{what}] name: {}`", spell(&param.ty));
        errors.push(&param.pat, format_args!("the name of this {what} is recorded, so it needs one"), help);
    }
}

fn is_reference(param: &Param, what: &str, mutable: bool, errors: &mut Errors) {
    if param.reference().is_none() {
        let mutability = if mutable { "mut " } else { "" };
        let help = format!("write `{}: &{mutability}{}`", name(param, "name"), spell(&param.ty));
        errors.push(&param.ty, format_args!("{what} is taken by reference: the runtime owns it"), help);
    }
}

/// What is shared is not changed.
fn is_shared(param: &Param, what: &str, example: &str, errors: &mut Errors) {
    is_reference(param, what, false, errors);
    if param.is_mut() {
        let (name, target) = (name(param, "name"), spell(param.target()));
        let target = if target.is_empty() { example.to_owned() } else { target };
        errors.push(&param.ty, format_args!("{what} cannot be changed"), format_args!("write `{name}: &{target}`"));
    }
}

/// Emitting appends to the output.
fn output_is_mut(param: &Param, errors: &mut Errors) {
    if !param.is_mut() {
        let help = format!("write `#[output] {}: &mut {}`", name(param, "records"), spell(param.target()));
        errors.push(&param.ty, "`#[output]` is taken by mutable reference", help);
    }
}

fn last_name(ty: &Type) -> String {
    match peel(ty) {
        Type::Path(path) => path.path.segments.last().map(|last| last.ident.to_string()).unwrap_or_default(),
        _ => String::new(),
    }
}

/// The types would tell as well, once for each place where the output occurs.
fn output_is_no_container(param: &Param, errors: &mut Errors) {
    let containers =
        ["Vec", "VecDeque", "Option", "String", "HashMap", "BTreeMap", "HashSet", "BTreeSet", "Box", "Sender"];
    if containers.contains(&last_name(param.target()).as_str()) {
        let help = format!("write `#[output] {}: &mut Output<T>` with the type of the records", name(param, "records"));
        errors.push(&param.ty, "an `#[output]` parameter is an `Output<T>`", help);
    }
}

/// Floats have no order and several encodings of one value.
fn key_is_no_float(param: &Param, errors: &mut Errors) {
    if ["f32", "f64"].contains(&last_name(param.target()).as_str()) {
        let help = "key by an integer, such as the price in cents, or by text";
        errors.push(&param.ty, "a stream cannot be keyed by a float", help);
    }
}

fn is_by_value(param: &Param, errors: &mut Errors) {
    if param.reference().is_some() {
        let help = format!("write `{}: {}`", name(param, "at"), spell(param.target()));
        errors.push(&param.ty, "a time is taken by value", help);
    }
}

/// State parameters are the fields of one struct.
pub fn states_differ_in_name(operator: &Operator, errors: &mut Errors) {
    let mut seen = HashSet::new();
    for param in operator.states() {
        if let Some(name) = &param.name
            && !seen.insert(plain_name(name))
        {
            let help = "give each state a name of its own: it is recorded in checkpoints";
            errors.push(name, format_args!("a second state with the name `{}`", plain_name(name)), help);
        }
    }
}
