//! Rules for outputs.

use super::signature::is_unit;
use crate::errors::Errors;
use crate::model::{Emits, FAILED, Function, OUT, Operator, Param, Role};
use crate::print::spell;
use quote::ToTokens;
use std::collections::HashMap;
use syn::Type;

/// The runtime's tuples of outputs go so far.
const OUTPUTS_MAX: usize = 4;

/// Returning a record means exactly one output.
pub fn returns_or_emits(function: &Function, errors: &mut Errors) {
    let returns_record = !matches!(function.returns.emits, Emits::Nothing);
    let takes_output = function.with_role(|role| role == Role::Output).next().is_some();
    if let (true, true, Some(ty)) = (returns_record, takes_output, &function.returns.spelled) {
        let help = "emit all records through `#[output]`s and return nothing (or `Result<(), E>`), or return the record and take no output";
        errors.push(ty, "this returns a record and takes an `#[output]` as well", help);
    }
    if let (Some(ty), Emits::One(record)) = (&function.returns.spelled, &function.returns.emits)
        && let Type::Reference(reference) = crate::model::peel(record)
    {
        let help = format!("return it by value: `{}`", spell(&reference.elem));
        errors.push(ty, "a reference cannot leave the operator", help);
    }
}

/// More streams than four out of one operator are several operators.
pub fn at_most_four(operator: &Operator, errors: &mut Errors) {
    let ports = operator.ports();
    let Some(first) = ports.get(OUTPUTS_MAX) else { return };
    let help = "split the operator in two, or let one output carry an enum; failures count as an output";
    let wrong = format!("an operator has at most {OUTPUTS_MAX} outputs, this one has {}", ports.len());
    match operator.params(Role::Output).find(|param| param.plain_name("output") == first.name) {
        Some(param) => errors.push(&param.ty, wrong, help),
        None => {
            if let Some(ty) = operator.functions.iter().find_map(|function| function.returns.spelled.as_ref()) {
                errors.push(ty, wrong, help);
            }
        }
    }
}

/// `failed` and, where records are returned, `out` are taken.
pub fn names_are_free(operator: &Operator, errors: &mut Errors) {
    let returns = operator.functions.iter().any(|function| !matches!(function.returns.emits, Emits::Nothing));
    for param in operator.params(Role::Output) {
        let Some(name) = &param.name else { continue };
        let taken = match param.plain_name("").as_str() {
            FAILED => "the stream of failures",
            OUT if returns => "the stream of returned records",
            _ => continue,
        };
        errors.push(name, format_args!("`{}` is the name of {taken}", param.plain_name("")), "choose another name");
    }
    for function in &operator.functions {
        let mut names = HashMap::new();
        for param in function.with_role(|role| role == Role::Output) {
            if let (Some(name), Some(_)) = (&param.name, names.insert(param.plain_name("output"), ())) {
                errors.push(name, "a second output with this name", "give each output a name of its own");
            }
        }
    }
}

/// Methods that name the same output emit into the same stream.
pub fn one_type_per_name(operator: &Operator, errors: &mut Errors) {
    let mut types: HashMap<String, String> = HashMap::new();
    let mut differs = |name: String, ty: &Type| {
        let spelled = spell(ty);
        let known = types.entry(name).or_insert_with(|| spelled.clone());
        (*known != spelled).then(|| known.clone())
    };
    let mut clash = |at: &dyn ToTokens, name: &str, known: String| {
        let help = format!("give it the type of the other, `{known}`, spelled alike, or another name");
        errors.push(&at.to_token_stream(), format_args!("the output `{name}` has two types"), help);
    };
    for function in &operator.functions {
        let outputs: Vec<&Param> = function.with_role(|role| role == Role::Output).collect();
        for param in outputs {
            let name = param.plain_name("output");
            if let Some(known) = differs(name.clone(), param.target()) {
                clash(&param.ty, &name, known);
            }
        }
        if let Emits::One(ty) | Emits::Optional(ty) = &function.returns.emits
            && let Some(known) = differs(OUT.to_owned(), ty)
        {
            clash(ty, OUT, known);
        }
        if let (Some(error), Some(spelled)) = (&function.returns.error, &function.returns.spelled) {
            let (crate::model::ErrorType::Written(ty) | crate::model::ErrorType::Of(ty)) = error;
            if let Some(known) = differs(FAILED.to_owned(), ty) {
                clash(spelled, FAILED, known);
            }
        }
    }
    let unit_options = operator.functions.iter().filter_map(|function| match &function.returns.emits {
        Emits::Optional(ty) if is_unit(ty) => function.returns.spelled.as_ref(),
        _ => None,
    });
    for ty in unit_options {
        errors.push(ty, "`()` is not a record", "return nothing, or `Option<T>` with the record's type");
    }
}
