//! Nothing: the tests are in `main.rs`, their cases in `fail/` and `pass/`.
