//! What stands in for the generated items of a function with errors, so that the code that uses them
//! does not add errors of its own. It accepts anything and never runs.

use super::operator::{Parts, record_type, row};
use super::wiring::visibility;
use super::{empty_struct, hidden, ident};
use crate::model::{End, Endpoint, Operator, PipelineFn, Shape};
use crate::paths::{Flow, FlowType, Into, JobBuilder, JobFn, Never, Pipeline, Result, Source, Stream, String, Wired};
use proc_macro2::TokenStream;
use quote::quote;

/// `impl Trait` can stand in the function's signature only.
fn names_no_type(ty: &syn::Type) -> bool {
    crate::print::spell(ty).contains("impl ")
}

/// `on` and `at` of an operator, with the outputs as far as they are known.
pub fn operator_stub(operator: &Operator) -> TokenStream {
    let parts = Parts::of(operator);
    let method = matches!(operator.shape, Shape::Function { .. })
        && operator.functions.iter().any(|it| it.sig.receiver().is_some());
    let unnamed = |ty: &Option<syn::Type>| ty.as_ref().is_some_and(names_no_type);
    let unnamed = operator.functions.iter().any(|it| unnamed(&it.returns.spelled));
    if operator.ports().len() > 4 || operator.generics.lifetimes().next().is_some() || method || unnamed {
        return TokenStream::new();
    }
    let this = &parts.this;
    let type_ = match &operator.shape {
        Shape::Function { vis, type_name } if operator.generics.params.is_empty() => {
            empty_struct(&operator.cfgs, vis, type_name)
        }
        _ => row(operator),
    };
    let records = operator.ports().into_iter().map(|port| record_type(&port.record)).collect::<Vec<_>>();
    let names: Vec<_> = parts.input_names().iter().map(|name| ident(name, "input")).collect();
    let vis = visibility(operator);
    let (generics, types, bounds) = parts.generics.split_for_impl();
    let declared = &parts.generics;
    let content = quote! {
        impl #generics #this #bounds {
            #vis fn on(#(#names: impl Sized),*) -> <(#(#records,)*) as #Wired>::Streams { #Never() }
            #vis fn at(id: impl #Into<#String>) -> __At #types { #Never() }
        }
        #vis struct __At #declared (fn() -> #this) #bounds;
        impl #generics __At #types #bounds {
            #vis fn on(self, #(#names: impl Sized),*) -> <(#(#records,)*) as #Wired>::Streams { #Never() }
        }
    };
    let hidden = hidden(&operator.cfgs, &content);
    quote!(#type_ #hidden)
}

/// `open` of a source with a known type, or `write` of a sink.
pub fn endpoint_stub(endpoint: &Endpoint) -> TokenStream {
    let (name, vis) = (&endpoint.type_name, &endpoint.vis);
    let row = empty_struct(&endpoint.cfgs, vis, name);
    let content = match (endpoint.end, &endpoint.connector) {
        (End::Source, Some(connector)) if endpoint.sig.generics.params.is_empty() && !names_no_type(connector) => {
            quote! {
                impl #name {
                    #vis fn open<__C>(flow: &#Flow<__C>) -> #Stream<<#connector as #Source>::Record> { #Never() }
                }
            }
        }
        (End::Source, _) => return TokenStream::new(),
        (End::Sink, _) => quote!(impl #name { #vis fn write(stream: impl Sized) {} }),
    };
    let hidden = hidden(&endpoint.cfgs, &content);
    quote!(#row #hidden)
}

/// `main` and, where the flow's type is known, `job`.
pub fn pipeline_stub(pipeline: &PipelineFn) -> TokenStream {
    let (name, vis) = (&pipeline.type_name, &pipeline.vis);
    let row = empty_struct(&pipeline.cfgs, vis, name);
    let known = pipeline.flow().filter(|_| pipeline.sig.generics.params.is_empty());
    let job = known.map(|flow| {
        quote! {
            impl #Pipeline for #name {
                const NAME: &'static str = "";
                type Config = <#flow as #FlowType>::Config;
                fn build(flow: &#Flow<Self::Config>) {}
            }
            impl #name {
                #vis fn job(config: <Self as #Pipeline>::Config) -> #JobBuilder<Self> { #JobFn::<Self>(config) }
            }
        }
    });
    let hidden = hidden(&pipeline.cfgs, &quote!(impl #name { #vis fn main() -> #Result<()> { #Never() } } #job));
    quote!(#row #hidden)
}
