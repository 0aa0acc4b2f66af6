//! The one call of the user's function in each handler: arguments in, results out.

use crate::model::{Emits, FAILED, Function, OUT, Operator, Param, Role, Shape};
use crate::paths::{MetadataOf, VariantErr, VariantNone, VariantOk, VariantSome};
use proc_macro2::{Span, TokenStream};
use quote::quote_spanned;
use syn::Index;
use syn::spanned::Spanned;

/// Local variables that no name of the user's can reach: a function may be called `record` or `out`.
pub fn local() -> Span {
    Span::mixed_site()
}

/// The body of a handler.
pub fn body(operator: &Operator, function: &Function) -> TokenStream {
    let arguments = function.params.iter().map(|param| argument(operator, param));
    let name = &function.sig.ident;
    let span = local();
    let call = match &operator.shape {
        Shape::Function { .. } => {
            let (_, types, _) = operator.generics.split_for_impl();
            let types = (!operator.generics.params.is_empty()).then(|| types.as_turbofish());
            quote_spanned!(span=> #name #types (#(#arguments),*))
        }
        Shape::Methods { .. } if function.sig.receiver().is_some() => {
            quote_spanned!(span=> self.#name(#(#arguments),*))
        }
        Shape::Methods { .. } => quote_spanned!(span=> Self::#name(#(#arguments),*)),
    };
    let (before, emit) = (read_context(function), emit(operator, function, &call));
    quote_spanned!(span=> #before #emit)
}

/// What is read from the context before it is lent to the call.
fn read_context(function: &Function) -> TokenStream {
    let span = local();
    let reads = function.params.iter().filter_map(|param| match param.role {
        Role::EventTime => Some(quote_spanned!(span=> let event_time = context.event_time();)),
        Role::ProcessingTime => Some(quote_spanned!(span=> let processing_time = context.processing_time();)),
        Role::Metadata => Some(quote_spanned!(span=> let metadata = #MetadataOf(context);)),
        _ => None,
    });
    quote_spanned!(span=> #(#reads)*)
}

fn port(operator: &Operator, name: &str) -> Index {
    Index::from(operator.ports().iter().position(|port| port.name == name).unwrap_or_default())
}

/// A mismatch is reported where the user wrote the parameter's type.
fn argument(operator: &Operator, param: &Param) -> TokenStream {
    let span = local().located_at(param.ty.span());
    let name = &param.name;
    let (configs, resources) = operator.env();
    let part = |types: &[&syn::Type], first: usize| {
        Index::from(first + types.iter().position(|ty| *ty == param.target()).unwrap_or_default())
    };
    match param.role {
        Role::Record if param.reference().is_some() => quote_spanned!(span=> &record),
        Role::Record => quote_spanned!(span=> record),
        Role::Key => quote_spanned!(span=> key),
        Role::State { .. } if param.is_mut() => quote_spanned!(span=> &mut self.#name),
        Role::State { .. } => quote_spanned!(span=> &self.#name),
        Role::Output => {
            let at = port(operator, &param.plain_name("output"));
            quote_spanned!(span=> &mut out.#at)
        }
        Role::Config => {
            let at = part(&configs, 0);
            quote_spanned!(span=> &*env.#at)
        }
        Role::Resource => {
            let at = part(&resources, configs.len());
            if param.is_mut() { quote_spanned!(span=> &mut env.#at) } else { quote_spanned!(span=> &env.#at) }
        }
        Role::Context => quote_spanned!(span=> context),
        Role::EventTime => quote_spanned!(span=> event_time),
        Role::ProcessingTime => quote_spanned!(span=> processing_time),
        Role::Metadata => quote_spanned!(span=> metadata),
        Role::At => quote_spanned!(span=> at),
    }
}

fn emit(operator: &Operator, function: &Function, call: &TokenStream) -> TokenStream {
    let (out, failed) = (port(operator, OUT), port(operator, FAILED));
    let span = local();
    let fails = quote_spanned!(span=> out.#failed.emit(context.failed(error)));
    match (&function.returns.emits, &function.returns.error) {
        (Emits::Nothing, None) => quote_spanned!(span=> #call;),
        (Emits::One(_), None) => quote_spanned!(span=> out.#out.emit(#call);),
        (Emits::Optional(_), None) => {
            quote_spanned!(span=> if let #VariantSome(record) = #call { out.#out.emit(record); })
        }
        (Emits::Nothing, Some(_)) => quote_spanned!(span=> if let #VariantErr(error) = #call { #fails; }),
        (Emits::One(_), Some(_)) => quote_spanned! {span=>
            match #call {
                #VariantOk(record) => out.#out.emit(record),
                #VariantErr(error) => #fails,
            }
        },
        (Emits::Optional(_), Some(_)) => quote_spanned! {span=>
            match #call {
                #VariantOk(#VariantSome(record)) => out.#out.emit(record),
                #VariantOk(#VariantNone) => {}
                #VariantErr(error) => #fails,
            }
        },
    }
}
