//! `host retry`: once more from the beginning, and never a second write unasked.

use host::testing::HttpStub;
use serde_json::json;

use crate::incident::{live, run};
use crate::project::Project;

fn place(stub: &HttpStub) -> Project {
    stub.on("POST", "/posts").json(201, json!({ "id": "p1" }));
    let uses = "const PLAYBOOK = #{ uses: [\"acme\"] };\n";
    live(stub)
        .file(
            "playbooks/posts.rhai",
            &format!("{uses}acme::post(\"/posts\", #{{}}); throw \"no\";"),
        )
        .file("playbooks/child.rhai", &format!("{uses}acme::post(\"/posts\", #{{}});"))
        .file(
            "playbooks/middle.rhai",
            &format!("{uses}playbook::run(\"child\", #{{}});"),
        )
        .file(
            "playbooks/parent.rhai",
            &format!("{uses}playbook::run(\"middle\", #{{}}); throw \"no\";"),
        )
}

#[test]
fn what_has_written_is_done_again_only_where_each_write_is_named() {
    let stub = HttpStub::start();
    let project = place(&stub);
    let posts = run(&project, "posts");
    let refused = project.host(&["retry", &posts, "--json"]);
    assert_eq!(
        (refused.code, refused.error_code()),
        (2, "WOULD_WRITE_TWICE".to_owned())
    );
    assert!(project.host(&["retry", &posts]).stderr.contains("step 1 (acme.post)"));
    assert_eq!(stub.count("POST", "/posts"), 1);

    let again = project.host(&["retry", &posts, "--again", "1", "--json"]);
    assert_eq!(again.code, 1, "{again:?}");
    assert_eq!(stub.count("POST", "/posts"), 2);
    let id = project.json(&["runs"])[0]["run_id"].as_str().expect("an id").to_owned();
    let shown = project.ok(&["show", &id]);
    assert!(shown.contains(&format!("once more after {}", &posts[..10])), "{shown}");
}

/// Once only the run's own writes counted, and what a run below it had published was published twice.
#[test]
fn what_a_run_below_has_written_counts_as_well() {
    let stub = HttpStub::start();
    let project = place(&stub);
    let parent = run(&project, "parent");
    let refused = project.host(&["retry", &parent]);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.stderr.contains("step 1 (playbook.start)"), "{refused:?}");
    assert_eq!(stub.count("POST", "/posts"), 1);
    project.host(&["retry", &parent, "--again", "1"]);
    assert_eq!(stub.count("POST", "/posts"), 2);
}
