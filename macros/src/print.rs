//! Types as people write them, and expansions as text.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};

/// `& mut Vec < u8 >` as one writes it: `&mut Vec<u8>`.
pub fn spell(tokens: &impl ToTokens) -> String {
    let Ok(file) = syn::parse2::<syn::File>(quote!(type X = #tokens;)) else {
        return tokens.to_token_stream().to_string();
    };
    let text = prettyplease::unparse(&file);
    text.trim().trim_start_matches("type X = ").trim_end_matches(';').to_owned()
}

/// The expansion, formatted; as it is if it does not parse.
pub fn formatted(expansion: &TokenStream) -> String {
    syn::parse2(expansion.clone()).map_or_else(|_| expansion.to_string(), |file| prettyplease::unparse(&file))
}

/// Prints the expansion to stderr if the environment variable `STAUNCH_EXPAND` names it, or is `1`.
pub fn on_request(name: &str, expansion: &TokenStream) {
    if std::env::var("STAUNCH_EXPAND").is_ok_and(|wanted| wanted == "1" || wanted == name) {
        eprintln!("// {name}\n{}", formatted(expansion));
    }
}
