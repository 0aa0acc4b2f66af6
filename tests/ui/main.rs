//! What must not compile, with the message that says what to write instead, and what must.
//!
//! Run with `cargo test -p staunch-tests --no-default-features --test ui`: the cases are built in a
//! directory of their own, where librdkafka would be built once more. After a change of a message, put
//! `TRYBUILD=overwrite` before it and read the difference.

#[test]
#[cfg_attr(feature = "kafka", ignore = "would build librdkafka once more: run with `--no-default-features`")]
fn messages_point_at_the_users_tokens() {
    let cases = trybuild::TestCases::new();
    cases.pass("ui/pass/*.rs");
    cases.compile_fail("ui/fail/*.rs");
}
