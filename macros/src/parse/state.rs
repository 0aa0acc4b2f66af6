//! `#[derive(State)]`.

use super::operator::unraw;
use crate::errors::Errors;
use crate::model::{StateBody, StateField, StateType, StateVariant};
use syn::{Attribute, Data, DeriveInput, Fields, Ident, Index, Member, Meta};

fn is_opaque(attr: &Attribute, errors: &mut Errors) -> bool {
    if let Meta::List(list) = &attr.meta
        && list.tokens.to_string() == "opaque"
    {
        return true;
    }
    let help = "a field can be `#[state(opaque)]`: a serde type of another crate, recorded by name only";
    errors.push(attr, "`#[state]` does not take this argument", help);
    false
}

fn refuse_attributes(attrs: &[Attribute], errors: &mut Errors) {
    for attr in attrs.iter().filter(|attr| attr.path().is_ident("state")) {
        errors.push(attr, "`#[state]` stands on fields here", "put `#[state(opaque)]` above the field that it is for");
    }
}

fn variant(name: &Ident, fields: &Fields, errors: &mut Errors) -> StateVariant {
    let field = |(at, field): (usize, &syn::Field)| {
        let attrs = field.attrs.iter().filter(|attr| attr.path().is_ident("state"));
        // All of them, so that each is checked.
        let opaque = attrs.filter(|attr| is_opaque(attr, errors)).count() > 0;
        let member = field.ident.clone().map_or_else(|| Member::Unnamed(Index::from(at)), Member::Named);
        StateField { member, ty: field.ty.clone(), opaque }
    };
    StateVariant { name: name.clone(), fields: fields.iter().enumerate().map(field).collect() }
}

/// A struct or an enum; a union is reported and taken for an empty struct.
pub fn state(item: &DeriveInput, errors: &mut Errors) -> StateType {
    refuse_attributes(&item.attrs, errors);
    let body = match &item.data {
        Data::Struct(data) => StateBody::Struct(variant(&item.ident, &data.fields, errors)),
        Data::Enum(data) => {
            let one = |it: &syn::Variant| {
                refuse_attributes(&it.attrs, errors);
                variant(&it.ident, &it.fields, errors)
            };
            StateBody::Enum(data.variants.iter().map(one).collect())
        }
        Data::Union(data) => {
            let help =
                "make it an enum: state is encoded field by field, and a union does not say which field it holds";
            errors.push(&data.union_token, "`State` cannot be derived for a union", help);
            StateBody::Struct(StateVariant { name: item.ident.clone(), fields: Vec::new() })
        }
    };
    StateType { name: item.ident.clone(), generics: item.generics.clone(), body }
}

/// A member's name in the schema.
pub fn member_name(member: &Member) -> String {
    match member {
        Member::Named(name) => unraw(name),
        Member::Unnamed(index) => index.index.to_string(),
    }
}
