//! Rules for sources and sinks.

use super::{id, signature};
use crate::errors::Errors;
use crate::model::{End, Endpoint, peel};
use crate::print::spell;
use syn::Type;

/// All rules for `#[source]` and `#[sink]` functions.
pub fn check(endpoint: &Endpoint, errors: &mut Errors) {
    let what = endpoint.end.attribute();
    id::is_legal(&endpoint.id, errors);
    signature::is_plain_fn(&endpoint.sig, errors);
    signature::not_generic_at_all(what, &endpoint.sig, errors);
    takes_parts(endpoint, errors);
    returns_connector(endpoint, errors);
}

/// It is called when the graph is built, when only the configuration is there.
fn takes_parts(endpoint: &Endpoint, errors: &mut Errors) {
    let what = endpoint.end.attribute();
    if let Some(receiver) = endpoint.sig.receiver() {
        let help = "make it a free function that takes its configuration: `config: &Config`";
        errors.push(receiver, format_args!("`#[{what}]` above a method"), help);
    }
    for ty in &endpoint.params {
        let shared = matches!(peel(ty), Type::Reference(reference) if reference.mutability.is_none());
        if !shared {
            let bare = match peel(ty) {
                Type::Reference(reference) => &*reference.elem,
                other => other,
            };
            let help = format!("write `&{}`: each parameter is a part of the configuration, by type", spell(bare));
            errors.push(ty, format_args!("a {what} function takes parts of the configuration by reference"), help);
        }
    }
}

/// The connector's type says what records there are.
fn returns_connector(endpoint: &Endpoint, errors: &mut Errors) {
    let what = endpoint.end.attribute();
    let example = match endpoint.end {
        End::Source => "`-> KafkaSource<Json<Order>>`",
        End::Sink => "`-> KafkaSink<Json<Total>>`",
    };
    match &endpoint.connector {
        None => {
            let help = format!("return what describes it, such as {example}");
            errors.push(&endpoint.sig.ident, format_args!("this {what} function returns nothing"), help);
        }
        Some(ty) if signature::is_unit(ty) => {
            let help = format!("return what describes it, such as {example}");
            errors.push(ty, format_args!("this {what} function returns nothing"), help);
        }
        Some(ty) => {
            if let Some(found) = signature::impl_trait(ty) {
                let help = format!("write out the type, such as {example}: streams carry its records");
                errors.push(&found, format_args!("a {what} function returns a named type"), help);
            }
        }
    }
}
