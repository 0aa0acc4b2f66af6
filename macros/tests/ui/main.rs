//! What must not compile, with the message that says what to write instead, and what must.
//!
//! After a change of a message: `TRYBUILD=overwrite cargo test -p staunch-macros --test ui`, then read
//! the difference.

#[test]
fn messages_point_at_the_users_tokens() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/ui/pass/*.rs");
    cases.compile_fail("tests/ui/fail/*.rs");
}
