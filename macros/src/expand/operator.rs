//! An operator: its state row, and the implementations of `Operator`, `Handler` and `Timers`.

use super::call::{body, local};
use super::{KeyType, allow, harness, hidden, wiring, with_record_bounds};
use crate::model::{ErrorType, Function, Operator, RecordType, Role, Shape, Trigger};
use crate::paths::{
    Arc, Collectors, Context, Failed, FallibleType, Handler, Needs, Opener, Operator as OperatorTrait, OutputType,
    PhantomData, Result, RowMacro, Timers, Timestamp, VariantOk,
};
use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Generics, Type};

/// What all parts of an operator's expansion need.
pub struct Parts<'a> {
    pub operator: &'a Operator,
    /// The operator's type, with its arguments.
    pub this: TokenStream,
    pub generics: Generics,
    pub key: KeyType,
}

impl<'a> Parts<'a> {
    pub fn of(operator: &'a Operator) -> Self {
        let this = match &operator.shape {
            Shape::Function { type_name, .. } => {
                let (_, types, _) = operator.generics.split_for_impl();
                quote!(#type_name #types)
            }
            Shape::Methods { ty } => ty.to_token_stream(),
        };
        let (generics, key) = (with_record_bounds(&operator.generics), KeyType::of(&operator.keying()));
        Self { operator, this, generics, key }
    }

    /// The type of the records of an input.
    pub fn record(function: &Function) -> TokenStream {
        function.record().map_or_else(|| quote!(()), |param| param.target().to_token_stream())
    }

    /// What inputs are called, in the graph and as parameters of `on`.
    pub fn input_names(&self) -> Vec<String> {
        let name = |function: &Function| match &self.operator.shape {
            Shape::Function { .. } => function.record().map(|record| record.plain_name("input")).unwrap_or_default(),
            Shape::Methods { .. } => crate::model::plain_name(&function.sig.ident),
        };
        self.operator.inputs().map(name).collect()
    }
}

/// Everything that stands beside the user's item.
pub fn operator(operator: &Operator) -> TokenStream {
    let parts = Parts::of(operator);
    let row = row(operator);
    let implementation = implementation(&parts);
    let handlers = operator.inputs().enumerate().map(|(number, function)| handler(&parts, number, function));
    let (timers, wiring, harness) = (timers(&parts), wiring::wiring(&parts), harness::harness(&parts));
    let row_impls = row_impls(&parts);
    let hidden = hidden(&operator.cfgs, &quote!(#row_impls #implementation #(#handlers)* #timers #wiring #harness));
    quote!(#row #hidden)
}

/// The field that makes use of type parameters that no state mentions.
fn marker(generics: &Generics) -> Option<Type> {
    let types = generics.type_params().map(|param| &param.ident);
    generics.type_params().next()?;
    Some(syn::parse_quote!(#PhantomData<fn() -> (#(#types,)*)>))
}

/// The struct whose fields are the `#[state]` parameters.
pub fn row(operator: &Operator) -> TokenStream {
    let Shape::Function { vis, type_name } = &operator.shape else { return TokenStream::new() };
    let fields = operator.states().map(|state| {
        let (name, ty) = (&state.name, state.target());
        quote!(#name: #ty,)
    });
    let marker = marker(&operator.generics).map(|ty| quote!(__types: #ty,));
    let (cfgs, allow, generics) = (&operator.cfgs, allow(), &operator.generics);
    let bounds = &generics.where_clause;
    quote! {
        #(#cfgs)* #[doc(hidden)] #allow
        #vis struct #type_name #generics #bounds { #(#fields)* #marker }
    }
}

fn row_impls(parts: &Parts<'_>) -> TokenStream {
    let Shape::Function { type_name, .. } = &parts.operator.shape else { return TokenStream::new() };
    let fields = parts.operator.states().map(|state| {
        let (name, ty) = (&state.name, state.target());
        let kind = if matches!(state.role, Role::State { opaque: true }) { quote!(opaque) } else { quote!(plain) };
        quote!(#kind #name: #ty,)
    });
    let marker = marker(&parts.operator.generics).map(|ty| quote!(marker __types: #ty,));
    let (generics, _, bounds) = parts.generics.split_for_impl();
    let (this, name) = (&parts.this, crate::model::plain_name(type_name));
    quote!(#RowMacro! { [#generics] [#bounds] #this, #name { #(#fields)* #marker } })
}

/// The type of an output's records.
pub fn record_type(record: &RecordType) -> TokenStream {
    match record {
        RecordType::Written(ty) => ty.to_token_stream(),
        RecordType::OfOutput(ty) => {
            let output = OutputType.at(ty.span());
            quote_spanned!(ty.span()=> <#ty as #output>::Record)
        }
        RecordType::Failed(ErrorType::Written(ty)) => quote!(#Failed<#ty>),
        RecordType::Failed(ErrorType::Of(ty)) => {
            let fallible = FallibleType.at(ty.span());
            quote_spanned!(ty.span()=> #Failed<<#ty as #fallible>::Error>)
        }
    }
}

fn implementation(parts: &Parts<'_>) -> TokenStream {
    let (operator, this) = (parts.operator, &parts.this);
    let (id, inputs, ports) = (&operator.id.text, parts.input_names(), operator.ports());
    let names = ports.iter().map(|port| &port.name);
    let records = ports.iter().map(|port| record_type(&port.record));
    let (configs, resources) = operator.env();
    let arc = Arc;
    let fallible = operator.functions.iter().any(|function| function.returns.error.is_some());
    let origin = fallible.then(|| quote!(needs.origin();));
    let metadata = operator.params(Role::Metadata).next().map(|_| quote!(needs.metadata();));
    let (generics, _, bounds) = parts.generics.split_for_impl();
    quote! {
        #[automatically_derived]
        impl #generics #OperatorTrait for #this #bounds {
            const ID: &'static str = #id;
            const INPUTS: &'static [&'static str] = &[#(#inputs),*];
            const OUTPUTS: &'static [&'static str] = &[#(#names),*];
            type Outputs = (#(#records,)*);
            type Env = (#(#arc<#configs>,)* #(#resources,)*);
            fn needs(needs: &mut #Needs) {
                #(needs.config::<#configs>();)* #(needs.resource::<#resources>();)* #origin #metadata
            }
            fn open(opener: &mut #Opener<'_>) -> #Result<Self::Env> {
                #VariantOk((#(opener.config::<#configs>()?,)* #(opener.resource::<#resources>()?,)*))
            }
        }
    }
}

fn handler(parts: &Parts<'_>, number: usize, function: &Function) -> TokenStream {
    let (this, key, record) = (&parts.this, &parts.key.ty, Parts::record(function));
    let with_key = parts.key.add_to(&parts.generics);
    let (generics, _, bounds) = with_key.split_for_impl();
    let body = body(parts.operator, function);
    quote_spanned! {local()=>
        #[automatically_derived]
        impl #generics #Handler<#number, #key> for #this #bounds {
            type Record = #record;
            #[inline]
            fn handle(
                &mut self,
                record: Self::Record,
                key: &#key,
                env: &mut Self::Env,
                context: &mut #Context<'_>,
                out: &mut #Collectors<Self>,
            ) {
                #body
            }
        }
    }
}

fn timers(parts: &Parts<'_>) -> TokenStream {
    let (this, key) = (&parts.this, &parts.key.ty);
    let with_key = parts.key.add_to(&parts.generics);
    let (generics, _, bounds) = with_key.split_for_impl();
    let methods = [Trigger::EventTimer, Trigger::ProcessingTimer].map(|trigger| {
        let function = parts.operator.timer(trigger)?;
        let (flag, name) = match trigger {
            Trigger::EventTimer => (quote!(EVENT), quote!(on_event_timer)),
            _ => (quote!(PROCESSING), quote!(on_processing_timer)),
        };
        let body = body(parts.operator, function);
        Some(quote_spanned! {local()=>
            const #flag: bool = true;
            fn #name(
                &mut self,
                at: #Timestamp,
                key: &#key,
                env: &mut Self::Env,
                context: &mut #Context<'_>,
                out: &mut #Collectors<Self>,
            ) {
                #body
            }
        })
    });
    let methods = methods.into_iter().flatten();
    quote!(#[automatically_derived] impl #generics #Timers<#key> for #this #bounds { #(#methods)* })
}
