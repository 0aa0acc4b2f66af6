//! What must not compile, with the message that says what to write instead, and what must.
//!
//! After a change of a message: `TRYBUILD=overwrite cargo test -p staunch-tests --test ui`.

#[test]
fn messages_point_at_the_users_tokens() {
    let cases = trybuild::TestCases::new();
    cases.pass("ui/pass/*.rs");
    cases.compile_fail("ui/fail/*.rs");
}
