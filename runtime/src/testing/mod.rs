//! What the project's own tests need and users never do.

pub mod permit;
