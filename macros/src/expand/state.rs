//! `#[derive(State)]`: schema, encoding and decoding, field by field.

use super::hidden;
use crate::model::{StateBody, StateField, StateType, StateVariant};
use crate::parse::{member_name, unraw};
use crate::paths::{
    DecodeOpaque, DecodeVariant, EncodeOpaque, EncodeVariant, EnumSchema, OpaqueSchema, Result, Schema, State,
    StructSchema, UnknownVariant, VariantErr, VariantOk, VariantSchema,
};
use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;

/// The implementation of `State`.
pub fn state(state: &StateType) -> TokenStream {
    let mut generics = state.generics.clone();
    for param in generics.type_params_mut() {
        param.bounds.push(syn::parse_quote!(#State));
    }
    let (generics, types, bounds) = generics.split_for_impl();
    let (name, text) = (&state.name, unraw(&state.name));
    let (schema, encode, decode) = match &state.body {
        StateBody::Struct(body) => of_struct(&text, body),
        StateBody::Enum(variants) => of_enum(&text, variants),
    };
    let content = quote! {
        #[automatically_derived]
        impl #generics #State for #name #types #bounds {
            fn schema() -> #Schema {
                #schema
            }
            fn encode(&self, out: &mut ::staunch::__private::Vec<u8>) {
                #encode
            }
            fn decode(bytes: &mut &[u8]) -> #Result<Self> {
                #decode
            }
        }
    };
    hidden(&[], &content)
}

fn schemas(fields: &[StateField]) -> TokenStream {
    let schemas = fields.iter().map(|field| {
        let (name, ty) = (member_name(&field.member), &field.ty);
        let state = State.at(ty.span());
        let schema = if field.opaque { quote!(#OpaqueSchema::<#ty>()) } else { quote!(<#ty as #state>::schema()) };
        quote!((#name, #schema))
    });
    quote!([#(#schemas),*])
}

fn encode(field: &StateField, value: &TokenStream) -> TokenStream {
    let ty = &field.ty;
    let span = ty.span();
    let (state, opaque) = (State.at(span), EncodeOpaque.at(span));
    if field.opaque {
        quote_spanned!(span=> #opaque::<#ty>(#value, out);)
    } else {
        quote_spanned!(span=> <#ty as #state>::encode(#value, out);)
    }
}

/// `name: decoded`, in the order of the declaration.
fn decode(fields: &[StateField]) -> TokenStream {
    let decoded = fields.iter().map(|field| {
        let (member, ty) = (&field.member, &field.ty);
        let span = ty.span();
        let (state, opaque) = (State.at(span), DecodeOpaque.at(span));
        let decoded = if field.opaque {
            quote_spanned!(span=> #opaque::<#ty>(bytes)?)
        } else {
            quote_spanned!(span=> <#ty as #state>::decode(bytes)?)
        };
        quote!(#member: #decoded)
    });
    quote!(#(#decoded),*)
}

fn of_struct(name: &str, body: &StateVariant) -> (TokenStream, TokenStream, TokenStream) {
    let schemas = schemas(&body.fields);
    let encoded = body.fields.iter().map(|field| {
        let member = &field.member;
        encode(field, &quote!(&self.#member))
    });
    let decoded = decode(&body.fields);
    (quote!(#StructSchema::<Self, _>(#name, || #schemas)), quote!(#(#encoded)*), quote!(#VariantOk(Self { #decoded })))
}

fn of_enum(name: &str, variants: &[StateVariant]) -> (TokenStream, TokenStream, TokenStream) {
    let names = variants.iter().map(|variant| unraw(&variant.name));
    let schemas = variants.iter().map(|variant| schemas(&variant.fields));
    let numbers: Vec<u32> = (0u32..).take(variants.len()).collect();
    let encoded = variants.iter().zip(&numbers).map(|(variant, number)| {
        let bind = |at: usize| format_ident!("field_{at}", span = Span::mixed_site());
        let ident = &variant.name;
        let members = variant.fields.iter().map(|field| &field.member);
        let bound = (0..variant.fields.len()).map(bind);
        let encoded = variant.fields.iter().enumerate().map(|(at, field)| {
            let bound = bind(at);
            encode(field, &quote!(#bound))
        });
        quote!(Self::#ident { #(#members: #bound),* } => { #EncodeVariant(#number, out); #(#encoded)* })
    });
    // A reference to an empty enum would still need an arm.
    let subject = if variants.is_empty() { quote!(*self) } else { quote!(self) };
    let decoded = variants.iter().zip(&numbers).map(|(variant, number)| {
        let (ident, decoded) = (&variant.name, decode(&variant.fields));
        quote!(#number => #VariantOk(Self::#ident { #decoded }),)
    });
    let variant = VariantSchema;
    (
        quote!(#EnumSchema::<Self, _>(#name, || [#(#variant(#names, #schemas)),*])),
        quote!(match #subject { #(#encoded)* }),
        quote!(match #DecodeVariant(bytes)? { #(#decoded)* other => #VariantErr(#UnknownVariant(#name, other)) }),
    )
}
