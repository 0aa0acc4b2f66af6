//! Nothing: the model and its checks are in `main.rs` and beside it.
