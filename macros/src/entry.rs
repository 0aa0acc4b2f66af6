//! What each macro does: parse, check, then expand, or fall back to the item and its errors.
//!
//! On every path the user's item comes out first, without helper attributes: an error never makes
//! the function disappear from the editor.

use crate::errors::Errors;
use crate::model::End;
use crate::parse::{self, FnItem, OperatorItem};
use crate::{check, expand, print};
use proc_macro2::TokenStream;
use quote::quote;
use syn::{DeriveInput, Ident};

/// The item, then what was generated, or the errors and what stands in for it.
fn finish(
    name: &Ident,
    item: &TokenStream,
    errors: Errors,
    expand: impl FnOnce() -> TokenStream,
    stub: impl FnOnce() -> TokenStream,
) -> TokenStream {
    let generated = match errors.finish() {
        Ok(()) => expand(),
        Err(errors) => {
            let stub = stub();
            quote!(#errors #stub)
        }
    };
    let expansion = quote!(#item #generated);
    print::on_request(&name.to_string(), &expansion);
    expansion
}

/// An item that is not what the macro goes on: as it is, with the error.
fn unparsed(item: &TokenStream, error: &syn::Error) -> TokenStream {
    let error = error.to_compile_error();
    quote!(#item #error)
}

fn function(what: &str, item: &TokenStream) -> Result<FnItem, TokenStream> {
    syn::parse2(item.clone()).map_err(|error| match syn::parse2::<syn::Item>(item.clone()) {
        Ok(syn::Item::Fn(_)) | Err(_) => unparsed(item, &error),
        Ok(_) => {
            let wrong = format!("`#[{what}]` goes on a function\nhelp: write it above a `fn`");
            let first: TokenStream = item.clone().into_iter().take(1).collect();
            unparsed(item, &syn::Error::new_spanned(first, wrong))
        }
    })
}

/// `#[operator]`.
pub fn operator(args: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let parsed = match syn::parse2::<OperatorItem>(item.clone()) {
        Ok(parsed) => parsed,
        Err(error) => {
            errors.push_parse(error);
            let errors = errors.finish().err();
            return quote!(#item #errors);
        }
    };
    let (operator, block, item) = match parsed {
        OperatorItem::Function(mut item) => (parse::function(args, &mut item, &mut errors), None, quote!(#item)),
        OperatorItem::Methods(mut item) => {
            let operator = parse::methods(args, &mut item, &mut errors);
            let tokens = quote!(#item);
            (operator, Some(item), tokens)
        }
    };
    check::operator(&operator, block.as_deref(), &mut errors);
    let name = print_name(&operator);
    finish(&name, &item, errors, || expand::operator(&operator), || expand::operator_stub(&operator))
}

fn print_name(operator: &crate::model::Operator) -> Ident {
    use crate::model::Shape;
    match &operator.shape {
        Shape::Function { type_name, .. } => type_name.clone(),
        Shape::Methods { ty } => match crate::model::peel(ty) {
            syn::Type::Path(path) => path.path.segments.last().map(|segment| segment.ident.clone()),
            _ => None,
        }
        .unwrap_or_else(|| quote::format_ident!("operator")),
    }
}

/// `#[source]` and `#[sink]`.
pub fn endpoint(end: End, args: TokenStream, item: &TokenStream) -> TokenStream {
    let mut parsed = match function(end.attribute(), item) {
        Ok(parsed) => parsed,
        Err(fallback) => return fallback,
    };
    let mut errors = Errors::default();
    let endpoint = parse::endpoint(end, args, &mut parsed, &mut errors);
    check::endpoint(&endpoint, &mut errors);
    let (expand, stub) = (|| expand::endpoint(&endpoint), || expand::endpoint_stub(&endpoint));
    finish(&endpoint.type_name, &quote!(#parsed), errors, expand, stub)
}

/// `#[pipeline]`.
pub fn pipeline(args: TokenStream, item: &TokenStream) -> TokenStream {
    let mut parsed = match function("pipeline", item) {
        Ok(parsed) => parsed,
        Err(fallback) => return fallback,
    };
    let mut errors = Errors::default();
    let pipeline = parse::pipeline(args, &mut parsed, &mut errors);
    check::pipeline(&pipeline, &mut errors);
    let (expand, stub) = (|| expand::pipeline(&pipeline), || expand::pipeline_stub(&pipeline));
    finish(&pipeline.type_name, &quote!(#parsed), errors, expand, stub)
}

/// `#[derive(State)]`.
pub fn state(item: TokenStream) -> TokenStream {
    let parsed = match syn::parse2::<DeriveInput>(item) {
        Ok(parsed) => parsed,
        Err(error) => return error.into_compile_error(),
    };
    let mut errors = Errors::default();
    let state = parse::state(&parsed, &mut errors);
    finish(&parsed.ident, &TokenStream::new(), errors, || expand::state(&state), TokenStream::new)
}
