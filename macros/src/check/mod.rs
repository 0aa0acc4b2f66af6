//! The rules, one function each, with the reason for each.
//!
//! Only what tokens can tell is checked here. What types tell is left to rustc and to the messages
//! on the runtime's traits.

mod endpoint;
mod id;
mod methods;
mod outputs;
mod params;
mod pipeline;
mod signature;

pub use endpoint::check as endpoint;
pub use pipeline::check as pipeline;

use crate::errors::Errors;
use crate::model::{Operator, Shape};
use syn::ItemImpl;

/// All rules for an operator, of either shape.
pub fn operator(operator: &Operator, block: Option<&ItemImpl>, errors: &mut Errors) {
    id::is_legal(&operator.id, errors);
    signature::no_lifetimes(&operator.generics, errors);
    for function in &operator.functions {
        signature::is_plain_fn(&function.sig, errors);
        signature::names_its_types(&function.sig, errors);
        params::all(function, errors);
        outputs::returns_or_emits(function, errors);
    }
    outputs::at_most_four(operator, errors);
    outputs::names_are_free(operator, errors);
    outputs::one_type_per_name(operator, errors);
    params::states_differ_in_name(operator, errors);
    match (&operator.shape, block) {
        (Shape::Function { .. }, _) => {
            operator.functions.iter().for_each(|function| signature::no_receiver(&function.sig, errors));
        }
        (Shape::Methods { .. }, Some(block)) => methods::all(operator, block, errors),
        (Shape::Methods { .. }, None) => {}
    }
}
