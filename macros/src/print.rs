//! Types as people write them, and expansions as text.

use proc_macro2::{Group, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use std::collections::VecDeque;
use syn::visit_mut::VisitMut;

/// `& mut Vec < u8 >` as one writes it: `&mut Vec<u8>`.
pub fn spell(tokens: &impl ToTokens) -> String {
    let Ok(file) = syn::parse2::<syn::File>(quote!(type X = #tokens;)) else {
        return tokens.to_token_stream().to_string();
    };
    let text = prettyplease::unparse(&file);
    text.trim().trim_start_matches("type X = ").trim_end_matches(';').to_owned()
}

/// The expansion as people read it: without the user's own item, which comes out as it went in, without
/// lint attributes, and with paths cut to their last name.
pub fn readable(expansion: &TokenStream) -> String {
    let Ok(mut file) = syn::parse2::<syn::File>(short_paths(expansion.clone())) else {
        return expansion.to_string();
    };
    file.items.retain(|item| !matches!(item, syn::Item::Fn(_)));
    Bare.visit_file_mut(&mut file);
    prettyplease::unparse(&file)
}

/// Cuts `::staunch::__private::` off.
fn short_paths(tokens: TokenStream) -> TokenStream {
    let mut rest: VecDeque<TokenTree> = tokens.into_iter().collect();
    let mut out = TokenStream::new();
    while let Some(token) = rest.pop_front() {
        if starts_private_path(&token, &rest) {
            // `:staunch::__private::`, after the first colon.
            rest.drain(..7);
            continue;
        }
        out.extend([match token {
            TokenTree::Group(group) => TokenTree::Group(Group::new(group.delimiter(), short_paths(group.stream()))),
            other => other,
        }]);
    }
    out
}

fn starts_private_path(first: &TokenTree, rest: &VecDeque<TokenTree>) -> bool {
    let is = |at: usize, text: &str| rest.get(at).is_some_and(|token| token.to_string() == text);
    first.to_string() == ":" && is(0, ":") && is(1, "staunch") && is(2, ":") && is(3, ":") && is(4, "__private")
}

/// Takes off attributes that are for the compiler and its lints.
struct Bare;

impl VisitMut for Bare {
    fn visit_attributes_mut(&mut self, attributes: &mut Vec<syn::Attribute>) {
        attributes.retain(|attribute| attribute.path().is_ident("doc") && attribute.meta.require_name_value().is_ok());
    }
}

/// Prints the expansion to stderr if the environment variable `STAUNCH_EXPAND` names it, or is `1`.
pub fn on_request(name: &str, expansion: &TokenStream) {
    if std::env::var("STAUNCH_EXPAND").is_ok_and(|wanted| wanted == "1" || wanted == name) {
        eprintln!("// {name}: paths begin with `::staunch::__private::`\n{}", readable(expansion));
    }
}
