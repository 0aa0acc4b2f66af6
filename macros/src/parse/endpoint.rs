//! `#[source]` and `#[sink]`.

use super::attributes;
use super::item::FnItem;
use super::operator::unraw;
use super::options::Options;
use super::returns::arguments;
use crate::errors::Errors;
use crate::model::{End, Endpoint};
use proc_macro2::TokenStream;
use syn::{FnArg, ReturnType, Type};

/// A function that describes a source or a sink.
pub fn endpoint(end: End, args: TokenStream, item: &mut FnItem, errors: &mut Errors) -> Endpoint {
    let options = Options::parse(args, &["id", "type_name"], errors);
    let mut params: Vec<Type> = Vec::new();
    for arg in &item.sig.inputs {
        if let FnArg::Typed(param) = arg {
            if let Some(attr) =
                param.attrs.iter().find(|attr| attributes::role(std::slice::from_ref(attr), errors).is_some())
            {
                let help = "every parameter is a part of the configuration, by type: write `limits: &Limits`";
                errors.push(
                    attr,
                    format_args!("a {} function takes no attributes on parameters", end.attribute()),
                    help,
                );
            }
            params.push((*param.ty).clone());
        }
    }
    attributes::clean_params(&mut item.sig);
    let returned = match &item.sig.output {
        ReturnType::Type(_, ty) => Some((**ty).clone()),
        ReturnType::Default => None,
    };
    let (connector, fallible) = match returned.as_ref().and_then(|ty| arguments(ty, "Result")).as_deref() {
        Some([ok, ..]) => (Some((*ok).clone()), true),
        _ => (returned, false),
    };
    let name = &item.sig.ident;
    Endpoint {
        end,
        vis: item.vis.clone(),
        type_name: options.ident("type_name", errors).unwrap_or_else(|| name.clone()),
        id: options.id("id", name, unraw(name), errors),
        cfgs: item.cfgs(),
        sig: item.sig.clone(),
        params,
        connector,
        fallible,
    }
}
