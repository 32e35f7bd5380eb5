//! Whole commands as people type them: what they print and how they end. `TRYCMD=overwrite` renews.

#[test]
fn commands_say_what_they_said() {
    trycmd::TestCases::new().case("tests/cmd/*.trycmd");
}
