//! Rules for signatures.

use crate::errors::Errors;
use crate::model::peel;
use quote::ToTokens;
use syn::visit_mut::{VisitMut, visit_type_mut};
use syn::{FnArg, GenericParam, Generics, ReturnType, Safety, Signature, Type, TypeImplTrait};

/// Functions are called by the runtime, once per record, on the worker's thread.
pub fn is_plain_fn(sig: &Signature, errors: &mut Errors) {
    if let Some(token) = &sig.asyncness {
        let help = "take off `async`: the runtime calls it once per record, on the worker's thread, and never waits";
        errors.push(token, "this function cannot be async", help);
    }
    if let Some(token) = &sig.constness {
        errors.push(token, "this function cannot be const", "take off `const`");
    }
    if let Safety::Unsafe(token) = &sig.safety {
        errors.push(
            token,
            "this function cannot be unsafe",
            "take off `unsafe`; use an `unsafe` block inside, with its reason",
        );
    }
    if let Safety::Safe(token) = &sig.safety {
        errors.push(token, "this function cannot be marked safe", "take off `safe`");
    }
    if let Some(abi) = &sig.abi {
        errors.push(abi, "this function cannot have an ABI", "take off `extern`");
    }
    if let Some(variadic) = &sig.variadic {
        errors.push(variadic, "this function cannot take a variable number of arguments", "name each parameter");
    }
}

/// A record outlives the call that emits it, so nothing in a signature can borrow from elsewhere.
pub fn no_lifetimes(generics: &Generics, errors: &mut Errors) {
    for lifetime in generics.lifetimes() {
        let name = &lifetime.lifetime;
        let help =
            format!("leave `{name}` out: records are owned, and references to them live for one call (`line: &Line`)");
        errors.push(lifetime, "an operator has no lifetime parameters", help);
    }
}

/// Finds the first `impl Trait`.
struct FindImpl(Option<TypeImplTrait>);

impl VisitMut for FindImpl {
    fn visit_type_mut(&mut self, ty: &mut Type) {
        match ty {
            Type::ImplTrait(found) if self.0.is_none() => self.0 = Some(found.clone()),
            // `impl Fn(A) -> B` within a function pointer's arguments cannot occur.
            _ => visit_type_mut(self, ty),
        }
    }
}

pub(super) fn impl_trait(ty: &Type) -> Option<TypeImplTrait> {
    let mut find = FindImpl(None);
    find.visit_type_mut(&mut ty.clone());
    find.0
}

/// Records and states are named in the graph and in checkpoints, so their types need names.
pub fn names_its_types(sig: &Signature, errors: &mut Errors) {
    for arg in &sig.inputs {
        if let FnArg::Typed(param) = arg
            && let Some(found) = impl_trait(&param.ty)
        {
            let help = "name the type, or write a type parameter: `fn name<T: Trait>(record: T)`";
            errors.push(&found, "a parameter of an operator has a named type", help);
        }
    }
    if let ReturnType::Type(_, ty) = &sig.output
        && let Some(found) = impl_trait(ty)
    {
        let help = "name the type; for several records take `#[output] records: &mut Output<T>` and emit each";
        errors.push(&found, "an operator returns a named type", help);
    }
}

/// A function has no `self` to keep its state in.
pub fn no_receiver(sig: &Signature, errors: &mut Errors) {
    if let Some(receiver) = sig.receiver() {
        let help = "put `#[operator]` above the `impl` block and `#[input]` above this method";
        errors.push(receiver, "`#[operator]` above a method", help);
    }
}

/// Type parameters of a method would have to be chosen for each record.
pub fn no_generics(sig: &Signature, errors: &mut Errors) {
    let params = sig.generics.params.iter().filter(|param| !matches!(param, GenericParam::Lifetime(_)));
    for param in params {
        errors.push(param, "a handler method is not generic", "put the parameter on the `impl` block");
    }
    no_lifetimes(&sig.generics, errors);
}

/// Sources, sinks and pipelines are one thing each.
pub fn not_generic_at_all(what: &str, sig: &Signature, errors: &mut Errors) {
    if !sig.generics.params.is_empty() {
        let params = sig.generics.params.to_token_stream();
        let help = "write out the types; a second function with other types gets an id of its own";
        errors.push(&params, format_args!("a {what} function is not generic"), help);
    }
}

/// Whether this is `()`.
pub fn is_unit(ty: &Type) -> bool {
    matches!(peel(ty), Type::Tuple(tuple) if tuple.elems.is_empty())
}
