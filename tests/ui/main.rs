//! What must not compile, with the message that says what to write instead, and what must.
//!
//! After a change of a message run with `TRYBUILD=overwrite` and read the difference.

#[test]
fn messages_point_at_the_users_tokens() {
    let cases = trybuild::TestCases::new();
    cases.pass("pass/*.rs");
    cases.compile_fail("fail/*.rs");
}
