//! From a checked [model](crate::model) to tokens. Nothing here can fail, and nothing here is logic of
//! the runtime: what is generated are declarations and one call.

mod call;
mod endpoint;
mod harness;
mod operator;
mod pipeline;
mod state;
mod stub;
mod wiring;

pub use endpoint::endpoint;
pub use operator::operator;
pub use pipeline::pipeline;
pub use state::state;
pub use stub::{endpoint_stub, operator_stub, pipeline_stub};

use crate::model::Keying;
use crate::paths::{Key, Send};
use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::{Attribute, GenericParam, Generics, Ident, Type, Visibility};

/// Generated code is nobody's to lint: its names, its unused parameters, its style.
fn allow() -> TokenStream {
    quote! {
        #[allow(dead_code, non_camel_case_types, private_bounds, private_interfaces)]
        #[allow(missing_debug_implementations, missing_docs, unreachable_pub)]
        #[allow(unused_variables, clippy::all, clippy::pedantic)]
    }
}

/// Everything that is generated beside the type, in a scope of its own.
fn hidden(cfgs: &[Attribute], content: &TokenStream) -> TokenStream {
    let allow = allow();
    quote!(#(#cfgs)* #allow const _: () = { #content };)
}

/// A type without values to speak of, named like the function beside it. Braced structs and functions
/// live in different namespaces.
fn empty_struct(cfgs: &[Attribute], vis: &Visibility, name: &Ident) -> TokenStream {
    let allow = allow();
    quote!(#(#cfgs)* #[doc(hidden)] #allow #vis struct #name {})
}

/// Type parameters that can be records: on another thread, for as long as the job runs.
fn with_record_bounds(generics: &Generics) -> Generics {
    let mut generics = generics.clone();
    for param in generics.type_params_mut() {
        param.bounds.push(syn::parse_quote!(#Send));
        param.bounds.push(syn::parse_quote!('static));
    }
    generics
}

/// The key as it stands in generated signatures.
struct KeyType {
    /// Whether it is a type parameter of the generated item.
    param: Option<GenericParam>,
    ty: TokenStream,
    keyed: bool,
    /// Whether values of it can be returned.
    sized: bool,
}

impl KeyType {
    fn of(keying: &Keying) -> Self {
        match keying {
            Keying::Unkeyed => Self { param: None, ty: quote!(()), keyed: false, sized: true },
            Keying::By(ty) => {
                let unsized_ =
                    matches!(**ty, Type::Slice(_)) || matches!(&**ty, Type::Path(path) if path.path.is_ident("str"));
                Self { param: None, ty: ty.to_token_stream(), keyed: true, sized: !unsized_ }
            }
            Keying::Any => {
                Self { param: Some(syn::parse_quote!(__K: #Key + ?Sized)), ty: quote!(__K), keyed: true, sized: true }
            }
        }
    }

    /// These parameters, with the key's.
    fn add_to(&self, generics: &Generics) -> Generics {
        let mut generics = generics.clone();
        generics.params.extend(self.param.clone());
        generics
    }
}

/// An identifier with this text, raw if need be.
fn ident(text: &str, other: &str) -> Ident {
    syn::parse_str::<Ident>(text).unwrap_or_else(|_| {
        let legal = text.starts_with(|first: char| first.is_alphabetic());
        if legal { format_ident!("r#{text}", span = Span::call_site()) } else { format_ident!("{other}") }
    })
}
