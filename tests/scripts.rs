//! Scripts that go wrong, and what is said about it.

use host::testing::TestHost;
use host::value::Value;

#[test]
fn a_script_gives_its_last_value() {
    let host = TestHost::default();
    assert_eq!(host.run("let a = 1; a + 1").value(), &Value::Int(2));
    assert_eq!(
        host.run("#{ a: [1, 2.5, \"x\"] }").value().to_string(),
        r#"{"a":[1,2.5,"x"]}"#
    );
}

#[test]
fn an_endless_loop_is_stopped_and_named() {
    let run = TestHost::default().run("loop { }");
    assert_eq!(run.failure().code, "LIMIT_OPERATIONS");
}

#[test]
fn a_value_that_swallows_itself_ends_its_run_and_nothing_else() {
    let host = TestHost::default();
    let run = host.run("let a = []; loop { a = [a]; }");
    assert!(run.failure().code.starts_with("LIMIT_"), "{}", run.failure());
    assert_eq!(host.run("1").value(), &Value::Int(1));
}
