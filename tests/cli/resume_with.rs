//! `host resume --with FILE`: a run goes on with an edited script, and no landed write is passed over.

use host::testing::HttpStub;
use serde_json::json;

use crate::incident::{live, run};
use crate::project::Project;

const FAILS: &str = r#"const PLAYBOOK = #{ uses: ["acme"] };
let up = acme::post("/uploads", #{ clip: "c" }).json;
acme::post("/bad", #{ upload: up.id }).status
"#;

fn failed(stub: &HttpStub) -> (Project, String) {
    stub.on("POST", "/uploads").json(201, json!({ "id": "u1" }));
    stub.on("POST", "/bad").status(422);
    stub.on("POST", "/good").json(201, json!({}));
    let fixed = FAILS.replace("/bad", "/good");
    let project = live(stub)
        .file("playbooks/fails.rhai", FAILS)
        .file("fixed.rhai", &fixed)
        .file("changed.rhai", &fixed.replace("\"c\"", "\"d\""))
        .file("broken.rhai", "let x = ;")
        .file("loops.rhai", "loop { }");
    let id = run(&project, "fails");
    (project, id)
}

#[test]
fn a_mended_script_goes_on_and_what_landed_is_not_done_again() {
    let stub = HttpStub::start();
    let (project, id) = failed(&stub);
    let shown = project.ok(&["resume", &id, "--with", "fixed.rhai"]);
    for part in ["doors shut", "kept", "goes on with fixed.rhai", "succeeded in"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert_eq!((stub.count("POST", "/uploads"), stub.count("POST", "/good")), (1, 1));
    assert_eq!(project.json(&["replay", &id])["same"], true);
    let over = project.host(&["resume", &id, "--with", "fixed.rhai"]);
    assert_eq!((over.code, &*over.stdout), (2, ""), "{over:?}");
}

#[test]
fn a_landed_write_that_would_change_needs_a_word_of_its_own() {
    let stub = HttpStub::start();
    let (project, id) = failed(&stub);
    let arguments = ["resume", &*id, "--with", "changed.rhai"];
    let refused = project.host(&arguments);
    assert_eq!(refused.code, 3, "{refused:?}");
    assert!(refused.stdout.contains("step 1 has landed"), "{refused:?}");
    assert!(
        refused.stderr.contains("LANDED_WRITE_CHANGED") && refused.stderr.contains("`--keep STEP`"),
        "{refused:?}"
    );
    let told = project.host(&[&arguments[..], &["--json"]].concat());
    assert_eq!(told.error_code(), "LANDED_WRITE_CHANGED");
    assert_eq!(project.host(&[&arguments[..], &["--keep", "9"]].concat()).code, 3);
    let both = project.host(&[&arguments[..], &["--keep", "1", "--again", "1", "--json"]].concat());
    assert_eq!((both.code, both.error_code()), (2, "NO_SUCH_STEP".to_owned()));
    assert_eq!((stub.count("POST", "/uploads"), stub.count("POST", "/good")), (1, 0));

    let kept = project.ok(&[&arguments[..], &["--keep", "1"]].concat());
    assert!(kept.contains("succeeded in"), "{kept}");
    assert_eq!(stub.count("POST", "/uploads"), 1);
    let shown = project.ok(&["show", &id]);
    assert!(
        shown.contains("the answer of step 1, from before the script was edited"),
        "{shown}"
    );
}

#[test]
fn a_landed_write_is_done_again_where_that_is_said() {
    let stub = HttpStub::start();
    let (project, id) = failed(&stub);
    project.ok(&["resume", &id, "--with", "changed.rhai", "--again", "1"]);
    let sent: Vec<_> = stub
        .requests()
        .iter()
        .filter(|sent| sent.path == "/uploads")
        .map(|sent| sent.json())
        .collect();
    assert_eq!(sent, [json!({ "clip": "c" }), json!({ "clip": "d" })]);
}

#[test]
fn a_file_that_is_no_good_script_leaves_the_run_as_it_was() {
    let stub = HttpStub::start();
    let (project, id) = failed(&stub);
    let before = project.json(&["show", &id]);
    let broken = project.host(&["resume", &id, "--with", "broken.rhai"]);
    assert_eq!((broken.code, &*broken.stdout), (2, ""), "{broken:?}");
    assert!(
        broken.stderr.contains("broken.rhai:1:8") && broken.stderr.contains("let x = ;"),
        "{broken:?}"
    );
    let none = project.host(&["resume", &id, "--with", "none.rhai", "--json"]);
    assert_eq!((none.code, none.error_code()), (2, "PLAYBOOK_NOT_FOUND".to_owned()));
    let loops = project.host(&["resume", &id, "--with", "loops.rhai"]);
    assert_eq!(loops.code, 3, "it leaves out a write that landed: {loops:?}");
    assert!(loops.stdout.contains("LIMIT_"), "{loops:?}");
    assert_eq!(project.json(&["show", &id]), before);
    assert_eq!(
        project.host(&["resume", &id, "--keep", "1"]).code,
        2,
        "--keep is for --with"
    );
}

/// Once a start was a local effect like any other, and what its run had published was published again.
#[test]
fn what_a_run_below_has_written_is_not_passed_over() {
    let stub = HttpStub::start();
    stub.on("POST", "/posts").json(201, json!({}));
    let header = "const PLAYBOOK = #{ uses: [\"acme\"]";
    let parent = format!("{header} }};\nplaybook::run(\"child\", #{{ n: 1 }});\nthrow \"no\";");
    let project = live(&stub)
        .file(
            "playbooks/child.rhai",
            &format!(
                "{header}, inputs: #{{ n: #{{ type: \"int\" }} }} }};\nacme::post(\"/posts\", #{{ n: input.n }});"
            ),
        )
        .file("playbooks/parent.rhai", &parent)
        .file("same.rhai", &parent.replace("throw \"no\";", "1"))
        .file(
            "other.rhai",
            &parent.replace("throw \"no\";", "1").replace("n: 1", "n: 2"),
        );
    let id = run(&project, "parent");
    let refused = project.host(&["resume", &id, "--with", "other.rhai"]);
    assert_eq!(refused.code, 3, "{refused:?}");
    assert!(refused.stderr.contains("step 1 (playbook.start)"), "{refused:?}");
    assert_eq!(stub.count("POST", "/posts"), 1);
    project.ok(&["resume", &id, "--with", "same.rhai"]);
    assert_eq!(stub.count("POST", "/posts"), 1);
}
