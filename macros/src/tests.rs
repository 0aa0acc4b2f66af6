//! What is generated, as text.

use crate::entry;
use quote::quote;

/// The expansion, formatted; as it is if it does not parse.
fn formatted(expansion: &proc_macro2::TokenStream) -> String {
    syn::parse2(expansion.clone()).map_or_else(|_| expansion.to_string(), |file| prettyplease::unparse(&file))
}

fn expansion() -> proc_macro2::TokenStream {
    entry::operator(
        quote!(),
        quote! {
            pub fn count(#[key] word: &str, _occurrence: String, #[state] seen: &mut u64) -> Total {
                *seen += 1;
                Total { word: word.to_owned(), count: *seen }
            }
        },
    )
}

fn count() -> String {
    formatted(&expansion())
}

#[test]
fn the_function_comes_first_and_keeps_its_body() {
    let text = count();
    assert!(
        text.starts_with("pub fn count(word: &str, _occurrence: String, seen: &mut u64) -> Total {\n    *seen += 1;")
    );
}

#[test]
fn what_is_generated_derives_nothing_and_names_only_the_crate() {
    let text = count();
    assert!(!text.contains("#[derive"));
    for path in ["std::", "core::", "alloc::"] {
        assert!(!text.contains(&format!(" {path}")) && !text.contains(&format!("::{path}")), "{text}");
    }
}

#[test]
fn an_operator_fits_on_a_screen() {
    let text = crate::print::readable(&expansion());
    assert!(!text.contains("__private"), "{text}");
    let lines = text.lines().count();
    assert!(lines <= 75, "{lines} lines:\n{text}");
}

#[test]
fn an_item_with_errors_keeps_its_function() {
    let text = formatted(&entry::operator(
        quote!(),
        quote!(
            async fn count(#[stat] n: &mut u64, line: String) -> u64 {
                *n
            }
        ),
    ));
    assert!(text.starts_with("async fn count(n: &mut u64, line: String) -> u64 {"), "{text}");
    assert_eq!(text.matches("compile_error").count(), 2, "{text}");
    assert!(text.contains("pub fn on") || text.contains("fn on"), "{text}");
}
