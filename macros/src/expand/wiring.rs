//! `on` and `at`: how an operator gets into a graph.

use super::operator::Parts;
use super::{KeyType, ident};
use crate::model::{Operator, Shape};
use crate::paths::{
    Into, KeyedInput, Operator as OperatorTrait, OperatorWiring, PhantomData, String, UnkeyedInput, Wired,
};
use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{GenericParam, Ident, Visibility};

/// The visibility of what is generated.
pub fn visibility(operator: &Operator) -> Visibility {
    match &operator.shape {
        Shape::Function { vis, .. } => vis.clone(),
        // It is as visible as its type.
        Shape::Methods { .. } => syn::parse_quote!(pub),
    }
}

/// The inputs as parameters: their names, type parameters and bounds.
struct Inputs {
    names: Vec<Ident>,
    types: Vec<Ident>,
    bounds: Vec<TokenStream>,
}

impl Inputs {
    fn of(parts: &Parts<'_>) -> Self {
        let names = parts.input_names().iter().map(|name| ident(name, "input")).collect();
        let types = (0..parts.operator.inputs().count()).map(|number| format_ident!("__S{number}")).collect();
        let key = &parts.key;
        let bound = |function| {
            let record = Parts::record(function);
            // What an error says is required, it shows where the record's type was written.
            let span = record.span();
            let (keyed, unkeyed, ty) = (KeyedInput.at(span), UnkeyedInput.at(span), &key.ty);
            if key.keyed {
                quote_spanned!(span=> #keyed<#record, #ty>)
            } else {
                quote_spanned!(span=> #unkeyed<#record>)
            }
        };
        Self { names, types, bounds: parts.operator.inputs().map(bound).collect() }
    }

    /// `<__K: Key + ?Sized, __S0: …>`
    fn generics(&self, key: &KeyType) -> TokenStream {
        let key: Option<&GenericParam> = key.param.as_ref();
        let (types, bounds) = (&self.types, &self.bounds);
        let params = key.map(|key| key.to_token_stream()).into_iter();
        let params = params.chain(types.iter().zip(bounds).map(|(ty, bound)| quote!(#ty: #bound)));
        quote!(<#(#params),*>)
    }
}

/// `on` and `at`, and what `at` returns.
pub fn wiring(parts: &Parts<'_>) -> TokenStream {
    let (this, key) = (&parts.this, &parts.key.ty);
    let inputs = Inputs::of(parts);
    let (names, types, params) = (&inputs.names, &inputs.types, inputs.generics(&parts.key));
    let connect = if parts.key.keyed { quote!(keyed) } else { quote!(unkeyed) };
    let numbers = 0..names.len();
    let vis = visibility(parts.operator);
    let (generics, at_types, bounds) = parts.generics.split_for_impl();
    let declared = &parts.generics;
    let (on_doc, at_doc) = docs(parts);
    quote! {
        impl #generics #this #bounds {
            #[doc = #on_doc]
            #vis fn on #params (#(#names: #types),*) -> <<Self as #OperatorTrait>::Outputs as #Wired>::Streams {
                Self::at(<Self as #OperatorTrait>::ID).on(#(#names),*)
            }
            #[doc = #at_doc]
            #vis fn at(id: impl #Into<#String>) -> __At #at_types {
                __At(id.into(), #PhantomData)
            }
        }
        #[must_use = "nothing is wired before `.on(…)`"]
        #vis struct __At #declared (#String, #PhantomData<fn() -> #this>) #bounds;
        impl #generics __At #at_types #bounds {
            #[doc = #on_doc]
            #vis fn on #params (self, #(#names: #types),*) -> <<#this as #OperatorTrait>::Outputs as #Wired>::Streams {
                #OperatorWiring::<#this, #key>::new(&self.0)#(.#connect::<#numbers, _>(#names))*.finish()
            }
        }
    }
}

fn docs(parts: &Parts<'_>) -> (std::string::String, std::string::String) {
    let (id, ports) = (&parts.operator.id.text, parts.operator.ports());
    let outputs = match ports.iter().map(|port| format!("`{}`", port.name)).collect::<Vec<_>>() {
        none if none.is_empty() => "It has no output.".to_owned(),
        one if one.len() == 1 => format!("Returns the stream {}.", one[0]),
        several => format!("Returns the streams ({}).", several.join(", ")),
    };
    let on = format!("Connects the operator `{id}` to its input. {outputs}");
    (on, format!("A use of the operator under another id than `{id}`: call `.on(…)` on it."))
}
