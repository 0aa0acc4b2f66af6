//! `name = value` options of an attribute, each at most once.

use crate::errors::Errors;
use crate::model::Id;
use crate::suggest;
use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::punctuated::Punctuated;
use syn::{Expr, ExprLit, Ident, Lit, Meta, Token};

/// The options that were given and are known.
pub struct Options {
    given: Vec<(String, Meta)>,
}

impl Options {
    /// Parses an attribute's arguments; unknown and repeated options are errors.
    pub fn parse(args: TokenStream, known: &[&str], errors: &mut Errors) -> Self {
        let parser = Punctuated::<Meta, Token![,]>::parse_terminated;
        let metas = syn::parse::Parser::parse2(parser, args.clone()).unwrap_or_else(|_| {
            let known = known.iter().map(|known| format!("`{}`", example(known))).collect::<Vec<_>>().join(", ");
            errors.push(&args, "this is not an option", format_args!("the options are {known}"));
            Punctuated::new()
        });
        let mut given: Vec<(String, Meta)> = Vec::new();
        for meta in metas {
            let name = crate::print::spell(&meta.path());
            let canonical = if name == "name" && known.contains(&"id") { "id".to_owned() } else { name.clone() };
            if !known.contains(&name.as_str()) && canonical != "id" || (canonical == "id" && !known.contains(&"id")) {
                let help = suggest::help(&name, known, |known| format!("`{}`", example(known)));
                errors.push(&meta, format_args!("unknown option `{name}`"), help);
            } else if given.iter().any(|(other, _)| *other == canonical) {
                errors.push(&meta, format_args!("`{name}` is given twice"), "keep one of them");
            } else {
                given.push((canonical, meta));
            }
        }
        Self { given }
    }

    fn find(&self, name: &str) -> Option<&Meta> {
        self.given.iter().find(|(given, _)| given == name).map(|(_, meta)| meta)
    }

    fn value(&self, name: &str, errors: &mut Errors) -> Option<&Expr> {
        match self.find(name)? {
            Meta::NameValue(pair) => Some(&pair.value),
            other => {
                errors.push(other, format_args!("`{name}` needs a value"), format_args!("write `{}`", example(name)));
                None
            }
        }
    }

    /// `name = "text"`, or what `default` makes at the span of the item's name.
    pub fn id(&self, name: &str, item: &Ident, default: String, errors: &mut Errors) -> Id {
        match self.value(name, errors) {
            Some(Expr::Lit(ExprLit { lit: Lit::Str(text), .. })) => Id { text: text.value(), span: text.span() },
            Some(other) => {
                errors.push(other, format_args!("`{name}` is a string"), format_args!("write `{}`", example(name)));
                Id { text: default, span: item.span() }
            }
            None => Id { text: default, span: item.span() },
        }
    }

    /// `type_name = Ident`.
    pub fn ident(&self, name: &str, errors: &mut Errors) -> Option<Ident> {
        let value = self.value(name, errors)?;
        syn::parse2(value.to_token_stream())
            .map_err(|_| {
                errors.push(value, format_args!("`{name}` is an identifier"), format_args!("write `{}`", example(name)))
            })
            .ok()
    }

    /// `no_main`.
    pub fn flag(&self, name: &str, errors: &mut Errors) -> bool {
        match self.find(name) {
            Some(Meta::Path(_)) => true,
            Some(other) => {
                errors.push(other, format_args!("`{name}` takes no value"), format_args!("write `{name}`"));
                true
            }
            None => false,
        }
    }
}

fn example(name: &str) -> String {
    match name {
        "id" | "name" => format!("{name} = \"…\""),
        "type_name" => "type_name = Name".to_owned(),
        flag => flag.to_owned(),
    }
}
