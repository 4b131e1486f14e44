//! `host user`, `host org`, `host token`

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::project::{Answer, Project, keys};

pub const PASSWORD: &str = "correct horse battery";

/// The command with `input` on its standard input.
pub fn typed(project: &Project, arguments: &[&str], input: &str) -> Answer {
    let mut command = project.command(arguments);
    let child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.expect("it starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    // Whoever refuses the arguments reads nothing.
    stdin.write_all(input.as_bytes()).unwrap_or_default();
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    Answer {
        code: output.status.code().expect("it ends by itself"),
        stdout: String::from_utf8(output.stdout).expect("text"),
        stderr: String::from_utf8(output.stderr).expect("text"),
    }
}

#[test]
fn a_user_is_added_listed_changed_and_revoked() {
    let project = Project::bare().env("HOST_USER", "root-of-all");
    project.ok(&["org", "add", "acme", "--title", "Acme Inc"]);
    let added = typed(
        &project,
        &["user", "add", "Ann", "--role", "operator", "--org", "acme"],
        "correct horse battery\n",
    );
    assert_eq!(added.code, 0, "{added:?}");
    assert!(added.stdout.contains("undo    host user revoke ann"), "{added:?}");
    let user = project.json(&["user", "list"])[0].clone();
    assert_eq!(
        keys(&user),
        [
            "created_ms",
            "has_password",
            "name",
            "org",
            "revoked_ms",
            "role",
            "sessions",
            "tokens"
        ]
    );
    assert_eq!(
        (&user["name"], &user["role"], &user["org"]),
        (&json!("ann"), &json!("operator"), &json!("acme"))
    );
    assert_eq!(project.json(&["org", "list"])[0]["members"], json!(["ann"]));
    project.ok(&["user", "role", "ann", "viewer"]);
    project.ok(&["user", "org", "ann", "--none"]);
    assert_eq!(
        typed(&project, &["user", "password", "ann"], "another horse battery").code,
        0
    );
    project.ok(&["user", "unlock", "ann"]);
    let user = project.json(&["user", "list"])[0].clone();
    assert_eq!((&user["role"], &user["org"]), (&json!("viewer"), &json!(null)));
    project.ok(&["user", "revoke", "ann"]);
    assert_eq!(project.json(&["user", "list"]), json!([]));
    assert_eq!(
        project.json(&["user", "list", "--all"]).as_array().map(Vec::len),
        Some(1)
    );
    let again = project.host(&["user", "role", "ann", "admin", "--json"]);
    assert_eq!((again.code, again.error_code().as_str()), (2, "USER_REVOKED"));
    let taken = project.host(&["user", "add", "ann", "--no-password", "--json"]);
    assert_eq!((taken.code, taken.error_code().as_str()), (2, "NAME_TAKEN"));
}

#[test]
fn what_cannot_be_is_refused_with_its_code_and_changes_nothing() {
    let project = Project::bare();
    let cases: [(&[&str], &str, &str); 6] = [
        (&["user", "add", "ann"], "short\n", "PASSWORD_WEAK"),
        (&["user", "add", "ann"], "", "PASSWORD_WEAK"),
        (&["user", "add", "../ann"], "correct horse battery\n", "NAME_INVALID"),
        (
            &["user", "add", "ann", "--org", "acme"],
            "correct horse battery\n",
            "NAME_UNKNOWN",
        ),
        (&["user", "role", "ann", "admin"], "", "NAME_UNKNOWN"),
        (&["token", "add", "ann"], "", "NAME_UNKNOWN"),
    ];
    for (arguments, input, code) in cases {
        let refused = typed(&project, &[arguments, &["--json"]].concat(), input);
        assert_eq!(
            (refused.code, refused.error_code().as_str()),
            (2, code),
            "{arguments:?}"
        );
    }
    assert_eq!(project.json(&["user", "list", "--all"]), json!([]));
    assert_eq!(
        project.json(&["audit", "tail"]),
        json!([]),
        "what did not happen is on no record"
    );
}

#[test]
fn a_password_is_taken_from_no_argument_and_shown_nowhere() {
    let project = Project::bare();
    assert_eq!(project.host(&["user", "add", "ann", PASSWORD]).code, 2);
    assert_eq!(project.host(&["user", "add", "ann", "--password", PASSWORD]).code, 2);
    typed(&project, &["user", "add", "ann"], PASSWORD);
    let shown = [
        project.host(&["user", "list", "--json"]).shown(),
        project.host(&["audit", "export"]).shown(),
        String::from_utf8_lossy(&std::fs::read(project.store()).expect("the store")).into_owned(),
    ];
    assert!(shown.iter().all(|shown| !shown.contains(PASSWORD)));
}

#[test]
fn a_password_that_is_typed_at_a_terminal_is_not_seen() {
    if Command::new("script").arg("--version").output().is_err() {
        eprintln!("no `script` here: not tested");
        return;
    }
    let project = Project::bare();
    let on_terminal = |input: &str| {
        let host = env!("CARGO_BIN_EXE_host");
        let mut child = Command::new("script")
            .args(["-qec", &format!("sleep 0.5; {host} user add ann"), "/dev/null"])
            .current_dir(project.folder())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut stdin = child.stdin.take().expect("a pipe");
        for line in input.split_inclusive('\n') {
            // Once the terminal is quiet: the first is awaited longer, since the binary must start.
            std::thread::sleep(std::time::Duration::from_millis(2500));
            stdin.write_all(line.as_bytes()).expect("it is read");
        }
        let output = child.wait_with_output().expect("it ends");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let shown = on_terminal(&format!("{PASSWORD}\n{PASSWORD} \n"));
    assert!(shown.contains("the two passwords differ"), "{shown}");
    let shown = on_terminal(&format!("{PASSWORD}\n{PASSWORD}\n"));
    assert!(
        shown.contains("password for ann:") && shown.contains("the same once more:"),
        "{shown}"
    );
    assert!(!shown.contains(PASSWORD), "{shown}");
    assert_eq!(project.json(&["user", "list"])[0]["name"], "ann");
}

#[test]
fn a_token_is_shown_once_listed_without_its_secret_and_revoked() {
    let project = Project::bare();
    project.ok(&["user", "add", "bot", "--no-password", "--role", "operator"]);
    let made = project.json(&[
        "token",
        "add",
        "bot",
        "--scope",
        "run",
        "--playbook",
        "daily",
        "--label",
        "deploys",
    ]);
    let text = made["token"].as_str().expect("the token").to_owned();
    assert!(text.starts_with("host_") && text.len() == 65, "{text}");
    let listed = project.ok(&["token", "list"]);
    assert!(
        listed.contains("run of daily") && listed.contains("deploys") && listed.contains("never"),
        "{listed}"
    );
    let secret = &text[22..42];
    for shown in [
        listed,
        project.ok(&["audit", "export"]),
        project.ok(&["token", "list", "--json"]),
    ] {
        assert!(!shown.contains(secret), "{shown}");
    }
    project.ok(&["token", "revoke", &text]);
    assert_eq!(project.json(&["token", "list"]), json!([]));
    assert_eq!(project.json(&["token", "list", "--all"])[0]["state"], "revoked");
    let acts = project.ok(&["audit", "export"]);
    assert!(!acts.contains(secret), "also when the whole token was given: {acts}");
    let shown = project.ok(&["token", "add", "bot", "--forever"]);
    assert!(
        shown.contains("it is shown this once") && shown.contains("undo    host token revoke"),
        "{shown}"
    );
}

#[test]
fn admin_users_of_the_environment_are_admins_in_lists() {
    let project = Project::bare().env("ADMIN_USERS", "ops, ann");
    project.ok(&["user", "add", "ann", "--no-password"]);
    assert_eq!(project.json(&["user", "list"])[0]["role"], "admin");
    let told = project.ok(&["user", "role", "ann", "viewer"]);
    assert!(told.contains("stays admin as long as ADMIN_USERS says so"), "{told}");
}
