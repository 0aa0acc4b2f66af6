//! `harness`: the operator alone, in a test.
//!
//! The type that is generated adds a typed `push` for each input and an `out` for each output to the
//! runtime's harness; the runtime's macro of the same name writes its methods.

use super::operator::{Parts, record_type};
use super::wiring::visibility;
use super::{KeyType, ident};
use crate::model::{OUT, Port};
use crate::paths::{
    BorrowedKey, Clone, ComputedKey, Fn, HarnessMacro, Key, NoKey, Operator, OperatorHarness, Send, Sync, Wired,
};
use proc_macro2::{Literal, TokenStream};
use quote::{format_ident, quote};
use syn::Ident;

/// `harness` and, where keys can be computed, `harness_with`, and the type that they return.
pub fn harness(parts: &Parts<'_>) -> TokenStream {
    let (this, key, vis) = (&parts.this, &parts.key, visibility(parts.operator));
    let key_type = &key.ty;
    let with_key = key.add_to(&parts.generics);
    let (all_generics, _, bounds) = with_key.split_for_impl();
    let harness = quote!(__Harness<#this, #key_type>);
    let (generics, ..) = parts.generics.split_for_impl();
    let (pushes, outs) = (pushes(parts), outs(parts));
    let made_by = if key.keyed { keyed(parts, &harness) } else { unkeyed(parts, &harness) };
    quote! {
        impl #generics #this #bounds { #made_by }
        // Over the operator's type, so that it is as private as that.
        #vis struct __Harness<__O: #Operator<Outputs: #Wired>, __K: #Key + ?Sized>(#OperatorHarness<__O, __K>);
        #HarnessMacro! { [#all_generics] [#bounds] __Harness, #this, #key_type; #pushes #outs }
    }
}

fn names(parts: &Parts<'_>) -> Vec<Ident> {
    parts.input_names().iter().map(|name| ident(name, "input")).collect()
}

/// `0: String => push push_at push_all;`, of several inputs with the names of methods for each one's watermark.
fn pushes(parts: &Parts<'_>) -> TokenStream {
    let single = parts.operator.inputs().count() == 1;
    let one = |(number, (function, name)): (usize, (_, String))| {
        let record = Parts::record(function);
        if single {
            return quote!(#number: #record => push push_at push_all;);
        }
        let [push, push_at, push_all] = ["", "_at", "_all"].map(|form| format_ident!("push_{name}{form}"));
        let [watermark, idle] = ["watermark", "idle"].map(|what| format_ident!("{what}_{name}"));
        quote!(#number: #record => #push #push_at #push_all #watermark #idle;)
    };
    parts.operator.inputs().zip(parts.input_names()).enumerate().map(one).collect()
}

/// `out 0: Total => out;`, the method for the output of returned records, or the only one; else named like it.
fn outs(parts: &Parts<'_>) -> TokenStream {
    let ports = parts.operator.ports();
    let single = ports.len() == 1;
    let one = |(number, port): (usize, &Port)| {
        let (number, record) = (Literal::usize_unsuffixed(number), record_type(&port.record));
        let name = if single || port.name == OUT { format_ident!("out") } else { format_ident!("out_{}", port.name) };
        quote!(out #number: #record => #name;)
    };
    ports.iter().enumerate().map(one).collect()
}

fn unkeyed(parts: &Parts<'_>, harness: &TokenStream) -> TokenStream {
    let numbers = 0..parts.operator.inputs().count();
    let vis = visibility(parts.operator);
    let no_key = NoKey;
    quote! {
        /// Runs the operator alone, in a test.
        #[must_use]
        #vis fn harness() -> #harness {
            __Harness(#OperatorHarness::new()#(.input::<#numbers, _>(#no_key()))*)
        }
    }
}

fn keyed(parts: &Parts<'_>, harness: &TokenStream) -> TokenStream {
    let vis = visibility(parts.operator);
    let (names, numbers) = (names(parts), 0..parts.operator.inputs().count());
    let numbers: Vec<usize> = numbers.collect();
    let types: Vec<_> = numbers.iter().map(|number| format_ident!("__F{number}")).collect();
    let records: Vec<_> = parts.operator.inputs().map(Parts::record).collect();
    let KeyType { ty: key, param, sized, .. } = &parts.key;
    let param = param.iter().collect::<Vec<_>>();
    let (function, borrowed_key, computed_key) = (Fn, BorrowedKey, ComputedKey);
    let bounds = quote!(#Clone + #Send + #Sync + 'static);
    let computed = sized.then(|| {
        // A computed key is a value, so its type has a size.
        let param = parts.key.param.iter().map(|_| quote!(__K: #Key));
        quote! {
            /// Runs the operator alone, in a test; the keys are computed from the records.
            #[must_use]
            #vis fn harness_with<#(#param,)* #(#types: #function(&#records) -> #key + #bounds),*>(#(#names: #types),*) -> #harness {
                __Harness(#OperatorHarness::new()#(.input::<#numbers, _>(#computed_key(#names)))*)
            }
        }
    });
    quote! {
        /// Runs the operator alone, in a test; the keys are borrowed from the records.
        #[must_use]
        #vis fn harness<#(#param,)* #(#types: #function(&#records) -> &#key + #bounds),*>(#(#names: #types),*) -> #harness {
            __Harness(#OperatorHarness::new()#(.input::<#numbers, _>(#borrowed_key(#names)))*)
        }
        #computed
    }
}
