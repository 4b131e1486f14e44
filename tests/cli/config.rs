//! `host config`

use crate::project::Project;

fn setting(project: &Project, name: &str) -> (String, String) {
    let config = project.json(&["config"]);
    let settings = config["settings"].as_array().expect("a list");
    let found = settings
        .iter()
        .find(|setting| setting["name"] == name)
        .unwrap_or_else(|| panic!("no {name}: {config}"));
    let text = |field: &str| found[field].as_str().expect("a text").to_owned();
    (text("value"), text("origin"))
}

#[test]
fn every_value_has_its_origin() {
    let project = Project::none()
        .file("host.toml", "[gate]\nattempts_max = 3\n")
        .file(".env", "SLACK_ENABLED=yes\nOPENAI_ENABLED=on\n")
        .env("OPENAI_ENABLED", "0");
    let is = |name: &str, value: &str, origin: &str| {
        assert_eq!(setting(&project, name), (value.to_owned(), origin.to_owned()), "{name}")
    };
    is("DRY_RUN", "true", "preset");
    is("SLACK_ENABLED", "true", ".env");
    is("OPENAI_ENABLED", "false", "environment");
    is("gate.attempts_max", "3", "host.toml");
    is("gate.circuit_failures", "5", "preset");
}

#[test]
fn of_a_secret_only_its_length_is_shown() {
    let secret = "sk-Zq8W2pLx91TtVb";
    let project = Project::none()
        .file("host.toml", &format!("[providers.openai]\napi_key = \"{secret}\"\n"))
        .env("OPENAI_API_KEY", secret)
        .env(
            "SLACK_WEBHOOK_URL",
            &format!("https://hooks.slack.com/services/{secret}"),
        );
    for arguments in [
        vec!["config"],
        vec!["config", "--json"],
        vec!["providers"],
        vec!["providers", "--json"],
    ] {
        let shown = project.host(&arguments).shown();
        for part in secret.as_bytes().windows(4) {
            let part = std::str::from_utf8(part).expect("letters");
            assert!(!shown.contains(part), "{arguments:?} shows {part}: {shown}");
        }
    }
    assert_eq!(
        setting(&project, "OPENAI_API_KEY"),
        (format!("set ({} characters)", secret.len()), "environment".to_owned())
    );
    assert!(project.ok(&["config"]).contains("secrets belong in .env"));
}

#[test]
fn a_secret_too_short_to_be_masked_is_warned_of() {
    let project = Project::bare().env("OPENAI_API_KEY", "abc");
    let config = project.json(&["config"]);
    assert!(
        config["warnings"][0]
            .as_str()
            .is_some_and(|warning| warning.contains("OPENAI_API_KEY has 3 characters")),
        "{config}"
    );
}

#[test]
fn databases_of_other_systems_are_recognised_and_not_needed() {
    let project = Project::bare()
        .env("MONGODB_URI", "mongodb://user:hunter22@db/x")
        .env("REDIS_URL", "redis://db");
    let shown = project.ok(&["config"]);
    assert!(
        shown.contains("MONGODB_URI") && shown.contains("REDIS_URL") && shown.contains("not needed"),
        "S3-14: {shown}"
    );
    assert!(!shown.contains("hunter22"), "{shown}");
}

#[test]
fn what_cannot_be_understood_is_named_with_its_place() {
    let unknown = Project::none()
        .file("host.toml", "[gate]\nattempts_mx = 3\n")
        .host(&["config"]);
    assert_eq!(unknown.code, 5, "{unknown:?}");
    assert!(
        unknown.stderr.contains("attempts_mx") && unknown.stderr.contains("host.toml:2:1"),
        "{unknown:?}"
    );
    let switch = Project::bare().env("DRY_RUN", "perhaps").host(&["config"]);
    assert_eq!(switch.code, 5);
    assert!(switch.stderr.contains("DRY_RUN is \"perhaps\""), "{switch:?}");
}

#[test]
fn credentials_are_read_from_their_folder_below_the_environment_and_above_the_file() {
    let secrets = Project::none()
        .file(
            "secrets.env",
            "# all of them\nSLACK_WEBHOOK_URL=https://hooks.slack.com/from-lines\nOPENAI_API_KEY=short\n",
        )
        .file("OPENAI_API_KEY", "a key of its own\n")
        .file("tls-key.pem", "\u{0}not for us");
    let folder = secrets.folder().to_str().expect("a text").to_owned();
    let project = Project::none()
        .file("host.toml", "")
        .file(".env", "SLACK_WEBHOOK_URL=x\nDRY_RUN=true\n")
        .env("CREDENTIALS_DIRECTORY", &folder);
    let nearer = Project::none()
        .file("host.toml", "")
        .env("OPENAI_API_KEY", "0123")
        .env("CREDENTIALS_DIRECTORY", &folder);
    let is_of = |project: &Project, name: &str, length: u32, origin: &str| {
        assert_eq!(
            setting(project, name),
            (format!("set ({length} characters)"), origin.to_owned()),
            "{name}"
        );
    };
    is_of(&project, "SLACK_WEBHOOK_URL", 34, "credential");
    is_of(&project, "OPENAI_API_KEY", 16, "credential");
    is_of(&nearer, "OPENAI_API_KEY", 4, "environment");
    assert_eq!(setting(&project, "DRY_RUN").1, ".env");
    secrets.write("LONG", &"x".repeat(65 << 10));
    let refused = project.host(&["config", "--json"]);
    assert_eq!((refused.code, refused.error_code()), (5, "CONFIG".to_owned()));
    assert!(refused.shown().contains("LONG"), "{refused:?}");
}

#[test]
fn a_project_is_found_from_anywhere_by_its_name_in_the_environment() {
    let project = Project::none().file("host.toml", "[gate]\nattempts_max = 3\n");
    let (inner, outside) = (Project::none().file("host.toml", ""), Project::none());
    let there = project.folder().to_str().expect("a text").to_owned();
    let attempts = |from: Project| setting(&from.env("HOST_PROJECT", &there), "gate.attempts_max").0;
    assert_eq!(attempts(outside), "3");
    assert_eq!(attempts(inner), "10", "who stands in a project speaks of that one");
    let lost = Project::none()
        .env("HOST_PROJECT", "/nowhere")
        .host(&["status", "--json"]);
    assert_eq!((lost.code, lost.error_code()), (2, "NO_PROJECT".to_owned()));
}
