//! Helper attributes: `#[key]`, `#[state]`, … on parameters, `#[input]` and `#[timer]` on methods.

use crate::errors::Errors;
use crate::model::{Role, Trigger};
use crate::suggest;
use syn::{Attribute, FnArg, ImplItem, ItemImpl, Meta, Signature};

const ON_PARAMS: &[&str] =
    &["key", "state", "output", "config", "resource", "context", "event_time", "processing_time", "metadata"];
const ON_METHODS: &[&str] = &["input", "timer"];
/// What rustc itself allows on parameters.
const BUILT_IN: &[&str] = &["allow", "warn", "deny", "expect", "forbid", "cfg", "cfg_attr"];

fn is_one_of(attr: &Attribute, names: &[&str]) -> bool {
    names.iter().any(|name| attr.path().is_ident(name))
}

/// Removes helper attributes from parameters, mistyped ones too, which rustc would report once more.
pub fn clean_params(sig: &mut Signature) {
    for arg in &mut sig.inputs {
        let attrs = match arg {
            FnArg::Receiver(receiver) => &mut receiver.attrs,
            FnArg::Typed(param) => &mut param.attrs,
        };
        attrs.retain(|attr| is_one_of(attr, BUILT_IN));
    }
}

/// Removes helper attributes from the methods and their parameters.
pub fn clean_methods(item: &mut ItemImpl) {
    for method in &mut item.items {
        if let ImplItem::Fn(method) = method {
            let marked = trigger_attribute(&method.attrs).is_some();
            let mistyped = method.attrs.iter().position(|attr| mistyped_trigger(attr).is_some());
            mistyped.map(|at| method.attrs.remove(at));
            method.attrs.retain(|attr| !is_one_of(attr, ON_METHODS));
            if marked || mistyped.is_some() {
                clean_params(&mut method.sig);
            }
        }
    }
}

fn only_path(attr: &Attribute, errors: &mut Errors) {
    if let Meta::List(_) | Meta::NameValue(_) = &attr.meta {
        let name = attr.path().get_ident().map(ToString::to_string).unwrap_or_default();
        errors.push(&attr.meta, format_args!("`#[{name}]` takes no argument"), format_args!("write `#[{name}]`"));
    }
}

fn is_opaque(attr: &Attribute, errors: &mut Errors) -> bool {
    match &attr.meta {
        Meta::Path(_) => false,
        Meta::List(list) if list.tokens.to_string() == "opaque" => true,
        other => {
            let help = "write `#[state]`, or `#[state(opaque)]` for a serde type of another crate";
            errors.push(other, "`#[state]` does not take this argument", help);
            false
        }
    }
}

fn role_of(attr: &Attribute, errors: &mut Errors) -> Option<Role> {
    let name = attr.path().get_ident()?.to_string();
    if name == "state" {
        return Some(Role::State { opaque: is_opaque(attr, errors) });
    }
    let role = match name.as_str() {
        "key" => Role::Key,
        "output" => Role::Output,
        "config" => Role::Config,
        "resource" => Role::Resource,
        "context" => Role::Context,
        "event_time" => Role::EventTime,
        "processing_time" => Role::ProcessingTime,
        "metadata" => Role::Metadata,
        _ => return None,
    };
    only_path(attr, errors);
    Some(role)
}

/// What a parameter's attribute says; `None` if there is none.
pub fn role(attrs: &[Attribute], errors: &mut Errors) -> Option<Role> {
    let mut found = None;
    for attr in attrs {
        if attr.path().is_ident("cfg") || attr.path().is_ident("cfg_attr") {
            errors.push(
                attr,
                "a parameter of an operator cannot be conditional",
                "put `#[cfg]` above the whole function",
            );
        } else if is_one_of(attr, BUILT_IN) {
        } else if is_one_of(attr, ON_METHODS) {
            let name = attr.path().get_ident().map(ToString::to_string).unwrap_or_default();
            let help =
                "put it above a method of an `#[operator] impl` block; a parameter without attribute is the record";
            errors.push(attr, format_args!("`#[{name}]` does not belong on a parameter"), help);
        } else if let Some(role) = role_of(attr, errors) {
            if found.replace(role).is_some() {
                errors.push(attr, "a parameter has one role", "keep one of these attributes");
            }
        } else {
            let name = crate::print::spell(&attr.path());
            let help = suggest::help(&name, ON_PARAMS, |known| format!("`#[{known}]`"));
            errors.push(attr, format_args!("unknown attribute `#[{name}]` on an operator's parameter"), help);
            // Not the record, at least.
            found = found.or(suggest::nearest(&name, ON_PARAMS).and_then(role_named));
        }
    }
    found
}

fn role_named(name: &str) -> Option<Role> {
    let ident = quote::format_ident!("{name}");
    let attr: Attribute = syn::parse_quote!(#[#ident]);
    let mut errors = Errors::default();
    let role = role_of(&attr, &mut errors);
    let _never_any = errors.finish();
    role
}

/// The first `#[input]` or `#[timer]`.
pub fn trigger_attribute(attrs: &[Attribute]) -> Option<&Attribute> {
    attrs.iter().find(|attr| is_one_of(attr, ON_METHODS))
}

/// `#[imput]`: what it was meant to be.
fn mistyped_trigger(attr: &Attribute) -> Option<&'static str> {
    let name = attr.path().get_ident()?.to_string();
    let known = ["inline", "ignore", "must_use", "test", "cold"];
    let mistyped = !known.contains(&name.as_str()) && !ON_METHODS.contains(&name.as_str());
    mistyped.then(|| suggest::nearest(&name, ON_METHODS)).flatten()
}

/// What a method's attribute says; `None` for methods that are not handlers.
pub fn trigger(attrs: &[Attribute], errors: &mut Errors) -> Option<Trigger> {
    for attr in attrs {
        if let Some(meant) = mistyped_trigger(attr) {
            let name = crate::print::spell(&attr.path());
            errors.push(
                attr,
                format_args!("unknown attribute `#[{name}]`"),
                format_args!("did you mean `#[{meant}]`?"),
            );
        }
    }
    let attr = trigger_attribute(attrs)?;
    for more in attrs.iter().filter(|other| is_one_of(other, ON_METHODS)).skip(1) {
        errors.push(more, "a method is one input, or one timer", "keep one of these attributes");
    }
    if attr.path().is_ident("input") {
        only_path(attr, errors);
        return Some(Trigger::Record);
    }
    match &attr.meta {
        Meta::Path(_) => Some(Trigger::EventTimer),
        Meta::List(list) if list.tokens.to_string() == "processing_time" => Some(Trigger::ProcessingTimer),
        Meta::List(list) if list.tokens.to_string() == "event_time" => Some(Trigger::EventTimer),
        other => {
            errors.push(other, "unknown clock", "write `#[timer]` for event time, or `#[timer(processing_time)]`");
            Some(Trigger::EventTimer)
        }
    }
}

/// Reports `#[input]` and `#[timer]` on a free function.
pub fn refuse_triggers(attrs: &[Attribute], errors: &mut Errors) {
    for attr in attrs.iter().filter(|attr| is_one_of(attr, ON_METHODS)) {
        let name = attr.path().get_ident().map(ToString::to_string).unwrap_or_default();
        let help = format!("write `#[operator] impl YourState {{ #[{name}] fn … }}`: several handlers share one state");
        errors.push(attr, format_args!("`#[{name}]` stands on methods, not on a function"), help);
    }
}

/// Removes `#[input]` and `#[timer]`.
pub fn clean_triggers(attrs: &mut Vec<Attribute>) {
    attrs.retain(|attr| !is_one_of(attr, ON_METHODS));
}

/// A record by reference is one of the stream's owned values, so `&String` is right where it is written.
pub fn allow_owned_references(params: &[crate::model::Param], attrs: &mut Vec<Attribute>) {
    if params.iter().any(|param| param.role == Role::Record && param.reference().is_some()) {
        attrs.push(syn::parse_quote!(#[allow(clippy::ptr_arg)]));
    }
}
