//! `host init`

use crate::project::{Project, keys};

#[test]
fn a_new_project_has_no_mistakes_and_its_lessons_run_as_it_is() {
    let project = Project::made();
    project.ok(&["check"]);
    for playbook in ["learn/store", "learn/errors", "learn/incident"] {
        assert_eq!(project.json(&["run", playbook])["status"], "succeeded", "{playbook}");
    }
    let careless = project.host(&["run", "learn/errors", "--careless"]);
    assert_eq!(careless.code, 1);
    assert!(careless.shown().contains("TOO_CARELESS"), "{careless:?}");
}

#[test]
fn what_is_there_is_left_as_it_is() {
    let project = Project::none().file("playbooks/demo.rhai", "\"mine\"");
    let first = project.ok(&["init"]);
    assert!(first.contains("= playbooks/demo.rhai"), "{first}");
    assert!(first.contains("+ host.toml"), "{first}");
    let before = project.files();
    let second = project.ok(&["init"]);
    assert!(second.contains("nothing was changed"), "{second}");
    assert_eq!(project.files(), before);
    assert_eq!(project.json(&["run", "demo"])["outcome"], "mine");
}

#[test]
fn a_link_does_not_lead_it_to_other_folders() {
    let project = Project::none();
    let elsewhere = Project::none();
    std::os::unix::fs::symlink(elsewhere.path("target"), project.path("host.toml")).expect("a link");
    project.ok(&["init"]);
    assert!(elsewhere.files().is_empty());
}

#[test]
fn json_names_what_was_made_and_what_was_kept() {
    let project = Project::none().file("new/.gitignore", "");
    let made = project.json(&["init", "new"]);
    assert_eq!(keys(&made), ["folder", "kept", "made"]);
    assert_eq!(made["kept"], serde_json::json!([".gitignore"]));
    assert_eq!(made["made"].as_array().map(Vec::len), Some(17));
    assert!(project.path("new/inbox/clip.mp4").is_file());
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let project = Project::none().file("taken", "");
    let refused = project.host(&["init", "taken"]);
    assert_eq!(refused.code, 6, "{refused:?}");
    assert!(
        refused.stderr.contains("taken/playbooks/demo.rhai") && refused.stderr.contains("nothing was made"),
        "{refused:?}"
    );
}

#[test]
fn every_switch_of_the_requirements_is_in_the_example_and_off() {
    let project = Project::made();
    let example = std::fs::read_to_string(project.path(".env.example")).expect("it is there");
    for name in [
        "HEYGEN_LIVE",
        "TIKTOK_LIVE",
        "OPENAI_ENABLED",
        "SLEEPER_ENABLED",
        "INSTAGRAM_LIVE",
        "YOUTUBE_LIVE",
        "TWITCH_ENABLED",
        "SHEETS_ENABLED",
        "SLACK_ENABLED",
        "HTTP_WRITES_ENABLED",
        "ALLOW_AUTONOMOUS_PUBLISH",
        "PUBLISH_APPROVAL_GRANTED",
        "GOVERNANCE_APPROVED",
    ] {
        assert!(
            example.lines().any(|line| line == format!("{name}=false")),
            "S0-02, S2-01: {name}"
        );
    }
    assert!(example.lines().any(|line| line == "DRY_RUN=true"));
    // Copied as it is, it is understood and changes nothing.
    project.write(".env", &example);
    let settings = project.json(&["config"]);
    let dry = settings["settings"]
        .as_array()
        .and_then(|all| all.iter().find(|one| one["name"] == "DRY_RUN").cloned());
    assert_eq!(
        dry.map(|dry| (dry["value"].clone(), dry["origin"].clone())),
        Some(("true".into(), ".env".into()))
    );
}
