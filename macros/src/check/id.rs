//! Ids: part of every checkpoint, of file names and of transaction names.

use crate::errors::Errors;
use crate::model::Id;
use proc_macro2::Ident;

/// No id is longer; transaction names are made of several parts and have a limit.
const ID_LENGTH_MAX: usize = 100;

/// An id names files and Kafka transactions, so it is limited to what is legal in all of them.
pub fn is_legal(id: &Id, errors: &mut Errors) {
    let at = Ident::new("id", id.span);
    let help = "write `id = \"…\"` with ASCII letters, digits, `_` and `-`, beginning with a letter";
    let legal = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
    if id.text.is_empty() {
        errors.push(&at, "an id cannot be empty", help);
    } else if let Some(letter) = id.text.chars().find(|letter| !legal(*letter)) {
        errors.push(&at, format_args!("`{letter}` cannot be part of an id"), help);
    } else if id.text.starts_with(|first: char| first.is_ascii_digit() || first == '-') {
        errors.push(&at, "an id begins with a letter", help);
    } else if id.text.len() > ID_LENGTH_MAX {
        errors.push(&at, format_args!("an id has at most {ID_LENGTH_MAX} letters"), help);
    }
}
