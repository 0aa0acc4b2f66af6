//! A function's parameters and their roles.

use super::attributes;
use crate::errors::Errors;
use crate::model::{Param, Role, Trigger};
use syn::{FnArg, Pat, Signature};

/// The parameters without the receiver. One without attribute is the record, or a timer's time.
pub fn params(sig: &Signature, trigger: Trigger, errors: &mut Errors) -> Vec<Param> {
    let typed = sig.inputs.iter().filter_map(|arg| match arg {
        FnArg::Typed(typed) => Some(typed),
        FnArg::Receiver(_) => None,
    });
    let unmarked = if trigger == Trigger::Record { Role::Record } else { Role::At };
    typed
        .map(|typed| {
            let name = match &*typed.pat {
                Pat::Ident(ident) if ident.subpat.is_none() => Some(ident.ident.clone()),
                _ => None,
            };
            let role = attributes::role(&typed.attrs, errors).unwrap_or(unmarked);
            Param { role, pat: (*typed.pat).clone(), name, ty: (*typed.ty).clone() }
        })
        .collect()
}
