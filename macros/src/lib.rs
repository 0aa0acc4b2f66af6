//! The macros of the stream processor `staunch`.

mod check;
mod entry;
mod errors;
mod expand;
mod model;
mod parse;
mod paths;
mod print;
mod suggest;

use model::End;
use proc_macro::TokenStream;

#[proc_macro_attribute]
pub fn operator(args: TokenStream, item: TokenStream) -> TokenStream {
    entry::operator(args.into(), item.into()).into()
}

#[proc_macro_attribute]
pub fn source(args: TokenStream, item: TokenStream) -> TokenStream {
    entry::endpoint(End::Source, args.into(), &item.into()).into()
}

#[proc_macro_attribute]
pub fn sink(args: TokenStream, item: TokenStream) -> TokenStream {
    entry::endpoint(End::Sink, args.into(), &item.into()).into()
}

#[proc_macro_attribute]
pub fn pipeline(args: TokenStream, item: TokenStream) -> TokenStream {
    entry::pipeline(args.into(), &item.into()).into()
}

#[proc_macro_derive(State, attributes(state))]
pub fn derive_state(item: TokenStream) -> TokenStream {
    entry::state(item.into()).into()
}
