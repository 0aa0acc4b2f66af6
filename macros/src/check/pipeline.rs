//! Rules for pipelines.

use super::{id, signature};
use crate::errors::Errors;
use crate::model::PipelineFn;
use syn::{FnArg, ReturnType};

/// All rules for `#[pipeline]` functions.
pub fn check(pipeline: &PipelineFn, errors: &mut Errors) {
    id::is_legal(&pipeline.name, errors);
    signature::is_plain_fn(&pipeline.sig, errors);
    signature::not_generic_at_all("pipeline", &pipeline.sig, errors);
    takes_flow(pipeline, errors);
    returns_nothing(pipeline, errors);
}

/// All else comes from the flow: its configuration and its sources.
fn takes_flow(pipeline: &PipelineFn, errors: &mut Errors) {
    let help = "a pipeline takes one parameter, `flow: &Flow<Config>`; what it needs beside comes from `flow.config()`";
    let inputs = &pipeline.sig.inputs;
    match inputs.first() {
        None => errors.push(&pipeline.sig.ident, "this pipeline takes no flow", help),
        Some(FnArg::Receiver(receiver)) => errors.push(receiver, "`#[pipeline]` above a method", help),
        Some(FnArg::Typed(param)) if pipeline.flow().is_none() => {
            errors.push(&param.ty, "this is not a shared reference to a `Flow`", help);
        }
        Some(FnArg::Typed(_)) => {}
    }
    for more in inputs.iter().skip(1) {
        errors.push(more, "a pipeline takes only the flow", help);
    }
}

/// A pipeline describes; what can fail, fails when the graph is checked or when it runs.
fn returns_nothing(pipeline: &PipelineFn, errors: &mut Errors) {
    if let ReturnType::Type(_, ty) = &pipeline.sig.output
        && !signature::is_unit(ty)
    {
        let help = "take off the return type; `main()` and `job(config).run()` return what goes wrong";
        errors.push(ty, "a pipeline returns nothing", help);
    }
}
