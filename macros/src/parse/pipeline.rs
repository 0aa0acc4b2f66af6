//! `#[pipeline]`.

use super::attributes;
use super::item::FnItem;
use super::operator::unraw;
use super::options::Options;
use crate::errors::Errors;
use crate::model::PipelineFn;
use proc_macro2::TokenStream;

/// A function that wires a flow.
pub fn pipeline(args: TokenStream, item: &mut FnItem, errors: &mut Errors) -> PipelineFn {
    let options = Options::parse(args, &["name", "type_name", "no_main"], errors);
    let name = &item.sig.ident;
    let model = PipelineFn {
        vis: item.vis.clone(),
        type_name: options.ident("type_name", errors).unwrap_or_else(|| name.clone()),
        name: options.id("name", name, unraw(name), errors),
        cfgs: item.cfgs(),
        sig: item.sig.clone(),
        no_main: options.flag("no_main", errors),
    };
    attributes::clean_params(&mut item.sig);
    model
}
