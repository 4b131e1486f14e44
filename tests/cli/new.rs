//! `host new`

use crate::project::Project;

const TEMPLATES: [&str; 8] = [
    "empty", "schedule", "publish", "ingest", "video", "http", "webhook", "report",
];

#[test]
fn every_template_checks_clean_and_plans_dry() {
    let project = Project::made();
    for template in TEMPLATES {
        let name = format!("daily/my-{template}");
        let said = project.ok(&["new", &name, "--template", template]);
        assert!(said.contains(&format!("+ playbooks/{name}.rhai")), "{said}");
        assert!(said.contains(&format!("host dev {name}")), "{said}");
        let checked = project.json(&["check", &name]);
        assert_eq!(checked["problems"], serde_json::json!([]), "{template}");
        assert_eq!(project.host(&["fmt", "--check", &name]).code, 0, "{template}");
        let plan = project.json(&["plan", &name]);
        assert!(
            plan["status"] == "succeeded" || !plan["waits"].is_null(),
            "{template}: {plan}"
        );
        assert!(plan["error"].is_null(), "{template}: {plan}");
        assert!(
            !plan["effects"].as_array().expect("effects").is_empty(),
            "{template}: {plan}"
        );
        let tested = project.host(&["test", &name]);
        assert_eq!(tested.code, 0, "{template}: {tested:?}");
        assert!(said.contains(&format!("host test {name}")), "{said}");
    }
    let listed = project.json(&["new", "--list"]);
    let names: Vec<&str> = listed
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|row| row["template"].as_str())
        .collect();
    assert_eq!(names, TEMPLATES);
}

#[test]
fn the_publish_loop_posts_only_what_a_person_allows() {
    let project = Project::made();
    project.ok(&["new", "loop", "--template", "publish"]);
    let posts = |answer: &str| {
        let plan = project.json(&["plan", "loop", "--answer", answer]);
        assert_eq!(plan["status"], "succeeded", "{plan}");
        let effects = plan["effects"].as_array().expect("effects").clone();
        effects.iter().filter(|effect| effect["name"] == "slack.post").count()
    };
    assert_eq!((posts("yes"), posts("no")), (1, 0));
}

#[test]
fn the_webhook_does_what_is_sent_twice_once() {
    let project = Project::made();
    project.ok(&["new", "hook", "--template", "webhook"]);
    let first = project.json(&["run", "hook"]);
    let second = project.json(&["run", "hook"]);
    assert_eq!(
        (&first["outcome"]["done"], &second["outcome"]["done"]),
        (&"now".into(), &"before".into())
    );
}

#[test]
fn nothing_is_overwritten() {
    let project = Project::made();
    project.ok(&["new", "clips", "--template", "video"]);
    project.write("playbooks/clips.rhai", "// mine");
    let before = project.files();
    let again = project.host(&["new", "clips", "--json"]);
    assert_eq!((again.code, again.error_code().as_str()), (2, "PLAYBOOK_EXISTS"));
    assert_eq!(project.files(), before);
    // A prompt that would be overwritten, too.
    std::fs::remove_file(project.path("playbooks/clips.rhai")).expect("it is there");
    let before = project.files();
    let again = project.host(&["new", "clips", "--template", "video", "--json"]);
    assert_eq!(again.error_code(), "PLAYBOOK_EXISTS");
    assert_eq!(project.files(), before);
}

#[test]
fn names_and_templates_that_cannot_be_are_refused() {
    let project = Project::made();
    let before = project.files();
    for name in ["../out", "Weekly", "a b", "a_test", "/tmp/x", "\u{1b}[2J"] {
        let answer = project.host(&["new", name, "--json"]);
        assert_eq!(answer.error_code(), "PLAYBOOK_NAME", "{name:?}");
    }
    let answer = project.host(&["new", "a", "--template", "publsh"]);
    assert!(answer.stderr.contains("did you mean `publish`?"), "{answer:?}");
    assert_eq!(project.files(), before);
    assert_eq!(Project::none().host(&["new", "a", "--json"]).error_code(), "NO_PROJECT");
}
