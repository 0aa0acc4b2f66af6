//! The macros of the stream processor `staunch`. Use them through that crate; the two versions are
//! pinned to each other.
//!
//! Every macro leaves the function or `impl` block as it was written, without its helper attributes,
//! and puts a type beside it. A function and a *braced* struct of one name live in different
//! namespaces, so `count(…)` calls the function and `count::on(stream)` wires it. Only a module of the
//! same name clashes: `type_name = Counting` gives the type another one.
//!
//! With the environment variable `STAUNCH_EXPAND` set to a name, or to `1` for all, the compiler prints
//! what was generated, formatted.

mod check;
mod entry;
mod errors;
mod expand;
mod model;
mod parse;
mod paths;
mod print;
mod suggest;
#[cfg(test)]
mod tests;

use model::End;
use proc_macro::TokenStream;

/// Makes an operator of a function, or of the methods of its state.
///
/// ```text
/// #[operator]
/// pub fn count(#[key] word: &str, _occurrence: String, #[state] seen: &mut u64) -> Total {
///     *seen += 1;
///     Total { word: word.to_owned(), count: *seen }
/// }
/// ```
///
/// It is wired with `count::on(stream)`, or `count::at("another_id").on(stream)` where it is used more
/// than once, and tested with `count::harness(|word: &String| word.as_str())`.
///
/// # Parameters
/// | written | receives |
/// |---|---|
/// | `line: Line`, `line: &Line` | the record; the one parameter without attribute |
/// | `#[key] word: &str` | the record's key; without it, any key will do |
/// | `#[state] n: &mut T`, `&T` | this key's state, which starts from `Default`; several have different names |
/// | `#[state(opaque)] x: &mut T` | the same for a serde type of another crate |
/// | `#[output] words: &mut Output<T>` | a stream of its own, named like the parameter |
/// | `#[config] limits: &Limits` | the pipeline's configuration, or what `flow.provide` made of it |
/// | `#[resource] client: &mut Client`, `&Client` | what `flow.resource` makes once per worker |
/// | `#[context] cx: &mut Context<'_>` | times, timers, the record's origin |
/// | `#[event_time] t: Timestamp`, `#[processing_time] t: Timestamp` | the record's time, the clock's |
/// | `#[metadata] m: &Metadata` | where the record came from, its key bytes and headers |
///
/// An operator with a key, a state or a timer takes keyed streams only.
///
/// # Return values
/// Recognised as they are spelled; an alias is the record type itself.
/// Nothing; `T`: exactly one record; `Option<T>`: at most one; `Result<T, E>` and
/// `Result<Option<T>, E>`: errors become a second stream, of `Failed<E>`. A function with `#[output]`s
/// returns nothing or `Result<(), E>`. Several outputs are a tuple of streams, failures last; there are
/// four at most.
///
/// # Several inputs, and timers
/// ```text
/// #[derive(State, Default, Clone)]
/// pub struct Fraud { probed_at: Option<Timestamp> }
///
/// #[operator]
/// impl Fraud {
///     #[input]
///     fn txn(&mut self, txn: &Txn, #[context] cx: &mut Context<'_>, #[output] alerts: &mut Output<Alert>) { … }
///     #[timer]
///     fn forget(&mut self, at: Timestamp) { … }
///     #[timer(processing_time)]
///     fn remind(&mut self, at: Timestamp) { … }
/// }
/// ```
/// The type is the state of one key. `Fraud::on(…)` takes the inputs in the order of the methods, all
/// keyed by one type. Outputs of one name are one stream; returned records go to `out`. If no method
/// takes `self`, a key or a time, the operator is not keyed. Methods without attribute are left alone.
///
/// # Options
/// `id = "…"` (or `name`): the id in the graph and in checkpoints; else the function's name, or the
/// type's in snake case. `type_name = Ident`: the name of the type beside a function.
#[proc_macro_attribute]
pub fn operator(args: TokenStream, item: TokenStream) -> TokenStream {
    entry::operator(args.into(), item.into()).into()
}

/// Makes a source of a function that describes it.
///
/// ```text
/// #[source]
/// pub fn lines(config: &Config) -> KafkaSource<Text> {
///     KafkaSource::topic(&config.brokers, &config.input)
/// }
/// ```
///
/// Each parameter is a part of the configuration, by type. The function returns a `Source`, or a
/// `Result` of one. `lines::open(flow)` returns its stream; `lines::at("another_id").open(flow)` opens it
/// once more. Options: `id = "…"` and `type_name = Ident`, as for `#[operator]`.
#[proc_macro_attribute]
pub fn source(args: TokenStream, item: TokenStream) -> TokenStream {
    entry::endpoint(End::Source, args.into(), &item.into()).into()
}

/// Makes a sink of a function that describes it.
///
/// ```text
/// #[sink]
/// pub fn totals(config: &Config) -> KafkaSink<Json<Total>> {
///     KafkaSink::topic(&config.brokers, &config.output).exactly_once()
/// }
/// ```
///
/// Parameters, results and options are those of `#[source]`. `totals::write(stream)` writes a stream to it.
#[proc_macro_attribute]
pub fn sink(args: TokenStream, item: TokenStream) -> TokenStream {
    entry::endpoint(End::Sink, args.into(), &item.into()).into()
}

/// Makes a pipeline of a function that wires it.
///
/// ```text
/// #[pipeline]
/// pub fn word_count(flow: &Flow<Config>) {
///     let words = split::on(lines::open(flow));
///     totals::write(count::on(words.key_by(|word| word.as_str())));
/// }
///
/// fn main() -> staunch::Result<()> { word_count::main() }
/// ```
///
/// `word_count::main()` is the whole command line; its configuration implements `serde::Deserialize`.
/// `word_count::job(config)` is the pipeline as a job of this process, `word_count::harness(config)` the whole
/// pipeline in a test, step by step, and `word_count::crash_test(inputs)` the test that crashes it at every step
/// and compares what it has committed; `staunch::testing` tells how. Options: `no_main` leaves out
/// `main`, so that the configuration can be anything; `name = "…"` and `type_name = Ident`.
#[proc_macro_attribute]
pub fn pipeline(args: TokenStream, item: TokenStream) -> TokenStream {
    entry::pipeline(args.into(), &item.into()).into()
}

/// Implements `State` for a struct or an enum: its encoding, and a schema with the names and types of
/// its fields and variants, which is recorded in checkpoints.
///
/// ```text
/// #[derive(State, Default, Clone)]
/// struct Session { started: Timestamp, #[state(opaque)] address: std::net::IpAddr }
/// ```
///
/// Each field implements `State`, or is `#[state(opaque)]`: kept through serde and recorded by name only.
/// Type parameters get the bound `State`. Types may contain themselves.
#[proc_macro_derive(State, attributes(state))]
pub fn derive_state(item: TokenStream) -> TokenStream {
    entry::state(item.into()).into()
}
