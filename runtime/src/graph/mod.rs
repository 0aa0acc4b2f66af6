//! The logical graph, without types: what was wired, what must hold, how people see it.
//!
//! Pure. It must not know how records are moved or what an operator does.

pub(crate) mod check;
mod layout;
pub(crate) mod logical;
mod names;
pub(crate) mod show;
#[cfg(test)]
mod tests;
