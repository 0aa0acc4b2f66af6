//! Collects the errors of one annotated item, so that all of them are reported at once.
//!
//! An error names the user's own tokens and says what to write instead. This module knows nothing
//! of the rules themselves.

use proc_macro2::TokenStream;
use quote::ToTokens;
use std::fmt::Display;

/// The errors found so far. Must be [finished](Errors::finish): dropping it unread would lose errors.
#[derive(Default)]
pub struct Errors {
    found: Vec<syn::Error>,
    finished: bool,
}

impl Errors {
    /// An error at these tokens: what is wrong, then what to write instead.
    pub fn push(&mut self, at: &impl ToTokens, wrong: impl Display, help: impl Display) {
        self.found.push(syn::Error::new_spanned(at, format_args!("{wrong}\nhelp: {help}")));
    }

    /// An error of the parser, which has its own span.
    pub fn push_parse(&mut self, error: syn::Error) {
        self.found.push(error);
    }

    /// Nothing, or the errors as `compile_error!`s.
    pub fn finish(mut self) -> Result<(), TokenStream> {
        self.finished = true;
        let found = std::mem::take(&mut self.found);
        let all = found.into_iter().reduce(|mut all, next| {
            all.combine(next);
            all
        });
        all.map_or(Ok(()), |all| Err(all.into_compile_error()))
    }
}

impl Drop for Errors {
    fn drop(&mut self) {
        assert!(self.finished || std::thread::panicking(), "errors were collected and never reported");
    }
}
