//! `host providers`

use crate::project::{Project, keys};

fn state(project: &Project, name: &str) -> (String, String) {
    let providers = project.json(&["providers"]);
    let found = providers["providers"]
        .as_array()
        .expect("a list")
        .iter()
        .find(|provider| provider["provider"] == name)
        .cloned();
    let found = found.unwrap_or_else(|| panic!("no {name}: {providers}"));
    let text = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
    (text("state"), text("why"))
}

/// S0-03: live only with `DRY_RUN=false`, the switch on and the secrets present.
#[test]
fn each_provider_has_one_state_with_its_reason() {
    let dry = Project::bare()
        .env("SLACK_ENABLED", "true")
        .env("SLACK_WEBHOOK_URL", "https://hooks.slack.com/services/a/b/c");
    assert_eq!(state(&dry, "slack"), ("sim".to_owned(), "DRY_RUN is on".to_owned()));
    let off = Project::bare().env("DRY_RUN", "false");
    assert_eq!(
        state(&off, "slack"),
        ("sim".to_owned(), "SLACK_ENABLED is off".to_owned())
    );
    let missing = Project::bare().env("DRY_RUN", "false").env("SLACK_ENABLED", "true");
    assert_eq!(
        state(&missing, "slack"),
        ("sim".to_owned(), "missing SLACK_WEBHOOK_URL".to_owned())
    );
    let live = dry.env("DRY_RUN", "false");
    assert_eq!(state(&live, "slack"), ("live".to_owned(), String::new()));
}

#[test]
fn the_json_has_its_stable_fields() {
    let json = Project::bare().json(&["providers"]);
    assert_eq!(keys(&json), ["dry_run", "providers", "publish_signals"]);
    assert_eq!(
        keys(&json["providers"][0]),
        [
            "circuit",
            "needs",
            "provider",
            "secrets",
            "state",
            "switch",
            "switch_on",
            "why"
        ]
    );
    assert_eq!(json["publish_signals"]["GOVERNANCE_APPROVED"], false);
}

#[test]
fn what_it_takes_to_go_live_and_to_publish_is_said() {
    let shown = Project::bare().env("GOVERNANCE_APPROVED", "true").ok(&["providers"]);
    assert!(shown.contains("DRY_RUN=false"), "{shown}");
    assert!(
        shown.contains("  ALLOW_AUTONOMOUS_PUBLISH, PUBLISH_APPROVAL_GRANTED\n"),
        "{shown}"
    );
}
