//! `#[source]` and `#[sink]`: `open`, `write`, and what describes the connector.

use super::{empty_struct, hidden};
use crate::model::{End, Endpoint, peel};
use crate::paths::{
    Described, Flow, Into, Parts, Result, Send, ShowFn, ShowMacro, Sink, SinkFn, Source, SourceFn, Stream, String,
    Sync, UnkeyedInput, VariantOk,
};
use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::Type;

fn bare(ty: &Type) -> &Type {
    match peel(ty) {
        Type::Reference(reference) => &reference.elem,
        other => other,
    }
}

/// The connector's type; only a wrong function has none.
pub fn connector(endpoint: &Endpoint) -> TokenStream {
    endpoint.connector.as_ref().map_or_else(|| quote!(()), ToTokens::to_token_stream)
}

fn describe(endpoint: &Endpoint) -> TokenStream {
    let (connector, name) = (connector(endpoint), &endpoint.sig.ident);
    let parts = endpoint.params.iter().map(bare);
    let call = quote!(#name(#(&*parts.config::<#parts>()?),*));
    let described = if endpoint.fallible { quote!(#Described(#call)) } else { quote!(#VariantOk(#call)) };
    quote!(fn describe(parts: &#Parts) -> #Result<#connector> { #described })
}

/// Everything that stands beside the function.
pub fn endpoint(endpoint: &Endpoint) -> TokenStream {
    let row = empty_struct(&endpoint.cfgs, &endpoint.vis, &endpoint.type_name);
    let content = match endpoint.end {
        End::Source => source(endpoint),
        End::Sink => sink(endpoint),
    };
    let hidden = hidden(&endpoint.cfgs, &content);
    quote!(#row #hidden)
}

fn source(endpoint: &Endpoint) -> TokenStream {
    let (name, id, vis) = (&endpoint.type_name, &endpoint.id.text, &endpoint.vis);
    let (connector, describe) = (connector(endpoint), describe(endpoint));
    let stream = quote!(#Stream<<<#name as #SourceFn>::Source as #Source>::Record>);
    quote! {
        #[automatically_derived]
        impl #SourceFn for #name {
            const ID: &'static str = #id;
            type Source = #connector;
            #describe
        }
        impl #name {
            /// Opens the source: a stream of its records.
            #vis fn open<__C: #Send + #Sync + 'static>(flow: &#Flow<__C>) -> #stream {
                flow.source::<Self>(<Self as #SourceFn>::ID)
            }
            /// A use of the source under another id: call `.open(flow)` on it.
            #vis fn at(id: impl #Into<#String>) -> __At {
                __At(id.into())
            }
        }
        #[must_use = "nothing is wired before `.open(flow)`"]
        #vis struct __At(#String);
        impl __At {
            /// Opens the source: a stream of its records.
            #vis fn open<__C: #Send + #Sync + 'static>(self, flow: &#Flow<__C>) -> #stream {
                flow.source::<#name>(&self.0)
            }
        }
    }
}

fn sink(endpoint: &Endpoint) -> TokenStream {
    let (name, id, vis) = (&endpoint.type_name, &endpoint.id.text, &endpoint.vis);
    let (connector, describe) = (connector(endpoint), describe(endpoint));
    let record = quote!(<<#name as #SinkFn>::Sink as #Sink>::Record);
    let input = quote!(#UnkeyedInput<#record>);
    quote! {
        #[automatically_derived]
        impl #SinkFn for #name {
            const ID: &'static str = #id;
            type Sink = #connector;
            #describe
            fn show() -> #ShowFn<#record> {
                #ShowMacro!(#record)
            }
        }
        impl #name {
            /// Writes a stream to the sink.
            #vis fn write<__S: #input>(stream: __S) {
                <Self as #SinkFn>::wire(<Self as #SinkFn>::ID, stream);
            }
            /// A use of the sink under another id: call `.write(stream)` on it.
            #vis fn at(id: impl #Into<#String>) -> __At {
                __At(id.into())
            }
        }
        #[must_use = "nothing is wired before `.write(stream)`"]
        #vis struct __At(#String);
        impl __At {
            /// Writes a stream to the sink.
            #vis fn write<__S: #input>(self, stream: __S) {
                <#name as #SinkFn>::wire(&self.0, stream);
            }
        }
    }
}
