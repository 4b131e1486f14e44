//! Runs that start runs.

use host::journal::{Recorded, RunRecord, Status};
use host::runs::recovery;
use host::testing::TestHost;
use host::value::Value;

const DOUBLE: &str = "const PLAYBOOK = #{ inputs: #{ n: #{ type: \"int\", required: true } } };\n\
    if input.n == 13 { throw #{ code: \"UNLUCKY\", message: \"13\" }; } kv::put(`n/${input.n}`, 1); input.n * 2";

fn host() -> TestHost {
    TestHost::default().file("playbooks/double.rhai", DOUBLE)
}

#[test]
fn a_child_has_a_journal_of_its_own_and_gives_its_result() {
    let host = host();
    let run = host.run(r#"playbook::run("double", #{ n: 4 }) + 1"#);
    assert_eq!(run.value(), &Value::Int(9));
    let children = recovery::children(&*host.ground.store, run.id()).expect("readable");
    let child = RunRecord::get(&*host.ground.store, children[0]).expect("it is there");
    assert_eq!((child.status, child.playbook.as_str()), (Status::Succeeded, "double"));
    assert_eq!(
        child.parent.map(|parent| (parent.run, parent.step)),
        Some((run.id(), 1))
    );
    assert_eq!(host.replay(child.run).outcome.value, Value::Int(8));
}

#[test]
fn children_run_beside_their_parent_and_answer_in_the_order_of_the_inputs() {
    let host = host();
    let run = host.run(
        r#"
        let inputs = []; for n in 1..9 { inputs.push(#{ n: n }); }
        let one = playbook::start("double", #{ n: 100 });
        let all = playbook::map("double", inputs, #{ concurrency: 3 });
        [all, playbook::wait(one)]
        "#,
    );
    assert_eq!(run.value().to_string(), "[[2,4,6,8,10,12,14,16],200]");
    assert_eq!(
        recovery::children(&*host.ground.store, run.id())
            .expect("readable")
            .len(),
        9
    );
}

#[test]
fn a_child_that_fails_is_an_error_to_catch_or_to_collect() {
    let host = host();
    let run =
        host.run(r#"try { playbook::run("double", #{ n: 13 }) } catch (e) { return [e.code, e.details.error.code]; }"#);
    assert_eq!(run.value().to_string(), r#"["CHILD_FAILED","UNLUCKY"]"#);
    let run = host.run(
        r#"playbook::map("double", [#{ n: 13 }, #{ n: 2 }], #{ on_error: "collect" }).map(|one| if one.ok { one.value } else { one.error.code })"#,
    );
    assert_eq!(run.value().to_string(), r#"["CHILD_FAILED",4]"#);
    let run = host.run(r#"playbook::map("double", [#{ n: 13 }, #{ n: 2 }], #{ concurrency: 1 })"#);
    assert_eq!(run.failure().code, "CHILD_FAILED");
    assert_eq!(
        recovery::children(&*host.ground.store, run.id())
            .expect("readable")
            .len(),
        1
    );
}

#[test]
fn what_cannot_be_started_is_said_at_its_place() {
    let host = host();
    assert_eq!(
        host.run(r#"playbook::start("dobule", #{})"#).failure().code,
        "PLAYBOOK_NOT_FOUND"
    );
    assert_eq!(
        host.run(r#"playbook::start("double", #{})"#).failure().code,
        "INPUT_MISSING"
    );
    assert_eq!(
        host.run(r#"playbook::wait("01K9XQ4T000000000000000000")"#)
            .failure()
            .code,
        "NOT_A_CHILD"
    );
    let host = TestHost::default().file("playbooks/again.rhai", r#"playbook::run("again", #{})"#);
    let run = host.run(r#"playbook::run("again", #{})"#);
    assert!(run.failure().message.contains("CHILD_FAILED"), "{}", run.failure());
}

/// A child that ends makes its parent ready. The parent had failed meanwhile, was reopened, and sent its refused write
/// again, with nobody asking for it.
#[test]
fn a_run_that_has_failed_is_not_reopened_by_the_end_of_a_child() {
    let host = TestHost::default().file("playbooks/slow.rhai", r#"run::sleep("1h"); kv::put("slow", "done")"#);
    let run = host.run(r#"kv::put("text", "x"); playbook::start("slow", #{}); kv::increment("text")"#);
    assert_eq!(run.failure().code, "STORE_NOT_A_NUMBER");
    let children = recovery::children(&*host.ground.store, run.id()).expect("readable");
    let child = RunRecord::get(&*host.ground.store, children[0]).expect("it is there");
    assert_eq!(child.status, Status::Succeeded, "the child ended later");
    let recorded = Recorded::load(&host.ground, run.id()).expect("readable");
    assert_eq!(recorded.epoch, 1, "it had one owner");
    assert!(recorded.past.is_empty(), "no step was asked again");
}
