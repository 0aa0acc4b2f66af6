//! A record's journey.

pub(crate) mod align;
