//! `#[operator]` on a function and on an `impl` block.

use super::attributes;
use super::item::{FnItem, cfgs};
use super::options::Options;
use super::params::params;
use super::returns::returns;
use crate::errors::Errors;
use crate::model::{Function, Operator, Shape, Trigger, peel, plain_name};
use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::parse::{Parse, ParseStream};
use syn::visit_mut::{VisitMut, visit_type_mut};
use syn::{Attribute, Generics, Ident, ImplItem, ItemImpl, Signature, Token, Type, Visibility};

/// What an operator can be made of.
pub enum OperatorItem {
    Function(Box<FnItem>),
    Methods(Box<ItemImpl>),
}

impl Parse for OperatorItem {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let ahead = input.fork();
        ahead.call(Attribute::parse_outer)?;
        if ahead.peek(Token![impl]) || ahead.peek(Token![unsafe]) && ahead.peek2(Token![impl]) {
            return input.parse().map(|item| Self::Methods(Box::new(item)));
        }
        ahead.parse::<Visibility>()?;
        for (keyword, found) in [
            ("struct", ahead.peek(Token![struct])),
            ("enum", ahead.peek(Token![enum])),
            ("trait", ahead.peek(Token![trait])),
            ("mod", ahead.peek(Token![mod])),
            ("type", ahead.peek(Token![type])),
            ("use", ahead.peek(Token![use])),
        ] {
            if found {
                let help = "put it above a function, or above an `impl` block with `#[input]` methods";
                return Err(ahead.error(format_args!("`#[operator]` does not go on a `{keyword}`\nhelp: {help}")));
            }
        }
        input.parse().map(|item| Self::Function(Box::new(item)))
    }
}

impl ToTokens for OperatorItem {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        match self {
            Self::Function(item) => item.to_tokens(tokens),
            Self::Methods(item) => item.to_tokens(tokens),
        }
    }
}

const OPTIONS: &[&str] = &["id", "type_name"];

fn of_signature(trigger: Trigger, sig: &Signature, errors: &mut Errors) -> Function {
    let params = params(sig, trigger, errors);
    Function { trigger, sig: sig.clone(), params, returns: returns(&sig.output) }
}

/// A function as an operator. Takes the helper attributes off it.
pub fn function(args: TokenStream, item: &mut FnItem, errors: &mut Errors) -> Operator {
    let options = Options::parse(args, OPTIONS, errors);
    attributes::refuse_triggers(&item.attrs, errors);
    let function = of_signature(Trigger::Record, &item.sig, errors);
    attributes::clean_triggers(&mut item.attrs);
    attributes::clean_params(&mut item.sig);
    attributes::allow_owned_references(&function.params, &mut item.attrs);
    let name = &item.sig.ident;
    let type_name = options.ident("type_name", errors).unwrap_or_else(|| name.clone());
    Operator {
        shape: Shape::Function { vis: item.vis.clone(), type_name },
        id: options.id("id", name, unraw(name), errors),
        cfgs: item.cfgs(),
        generics: item.sig.generics.clone(),
        functions: vec![function],
    }
}

/// An identifier as text, without `r#`.
pub fn unraw(ident: &Ident) -> String {
    let text = ident.to_string();
    text.strip_prefix("r#").map(ToOwned::to_owned).unwrap_or(text)
}

/// Writes out `Self`, so that the types can stand outside the `impl` block.
struct WriteOutSelf(Type);

impl VisitMut for WriteOutSelf {
    fn visit_type_mut(&mut self, ty: &mut Type) {
        match ty {
            Type::Path(path) if path.path.is_ident("Self") => *ty = self.0.clone(),
            _ => visit_type_mut(self, ty),
        }
    }
}

/// `AccountBook` as an id: `account_book`.
fn snake_case(name: &str) -> String {
    let mut out = String::new();
    let mut before = '_';
    for letter in name.chars() {
        if letter.is_uppercase() && before != '_' && !before.is_uppercase() {
            out.push('_');
        }
        out.extend(letter.to_lowercase());
        before = letter;
    }
    out
}

/// The methods of an `impl` block as an operator. Takes the helper attributes off them.
pub fn methods(args: TokenStream, item: &mut ItemImpl, errors: &mut Errors) -> Operator {
    let options = Options::parse(args, &["id"], errors);
    let mut functions = Vec::new();
    for method in &mut item.items {
        if let ImplItem::Fn(method) = method
            && let Some(trigger) = attributes::trigger(&method.attrs, errors)
        {
            let mut function = of_signature(trigger, &method.sig, errors);
            let mut write_out = WriteOutSelf((*item.self_ty).clone());
            function.params.iter_mut().for_each(|param| write_out.visit_type_mut(&mut param.ty));
            write_out.visit_return_type_mut(&mut function.sig.output);
            function.returns = returns(&function.sig.output);
            attributes::allow_owned_references(&function.params, &mut method.attrs);
            functions.push(function);
        }
    }
    attributes::clean_methods(item);
    let name = match peel(&item.self_ty) {
        Type::Path(path) => path.path.segments.last().map(|segment| segment.ident.clone()),
        _ => None,
    };
    let name = name.unwrap_or_else(|| Ident::new("operator", item.impl_token.span));
    Operator {
        shape: Shape::Methods { ty: item.self_ty.clone() },
        id: options.id("id", &name, snake_case(&plain_name(&name)), errors),
        cfgs: cfgs(&item.attrs),
        generics: Generics::clone(&item.generics),
        functions,
    }
}
