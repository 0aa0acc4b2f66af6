//! Return types, recognised as they are spelled: a projection cannot tell them apart beside a blanket impl.

use crate::model::{Emits, ErrorType, Returns, peel};
use syn::{GenericArgument, PathArguments, ReturnType, Type};

/// The arguments of `…::Name<A, B>`.
pub fn arguments<'a>(ty: &'a Type, name: &str) -> Option<Vec<&'a Type>> {
    let Type::Path(path) = peel(ty) else { return None };
    let last = path.path.segments.last().filter(|last| last.ident == name && path.qself.is_none())?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    let types = arguments.args.iter().map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    });
    types.collect()
}

fn is_unit(ty: &Type) -> bool {
    matches!(peel(ty), Type::Tuple(tuple) if tuple.elems.is_empty())
}

fn emits(ty: &Type) -> Emits {
    match arguments(ty, "Option").as_deref() {
        Some([record]) => Emits::Optional((*record).clone()),
        _ if is_unit(ty) => Emits::Nothing,
        _ => Emits::One(ty.clone()),
    }
}

/// Nothing, `T`, `Option<T>`, or one of these in a `Result`.
pub fn returns(output: &ReturnType) -> Returns {
    let ReturnType::Type(_, ty) = output else {
        return Returns { spelled: None, emits: Emits::Nothing, error: None };
    };
    let spelled = Some((**ty).clone());
    match arguments(ty, "Result").as_deref() {
        Some([ok, error]) => Returns { spelled, emits: emits(ok), error: Some(ErrorType::Written((*error).clone())) },
        Some([ok]) => Returns { spelled, emits: emits(ok), error: Some(ErrorType::Of((**ty).clone())) },
        _ => Returns { spelled, emits: emits(ty), error: None },
    }
}
