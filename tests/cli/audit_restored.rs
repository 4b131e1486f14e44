//! A restore: the log shows where it was cut, and nobody who was revoked is let in again unseen.

use host::identity::{Identity, Presented, Role};
use host::io::chance::SystemChance;
use host::store::engine::{Engine, EngineOptions};
use std::sync::Arc;

use serde_json::json;

use crate::project::Project;
use crate::users::{PASSWORD, typed};

fn project() -> Project {
    let project = Project::bare().env("HOST_USER", "ada");
    for name in ["ann", "bob"] {
        let added = typed(&project, &["user", "add", name, "--role", "operator"], PASSWORD);
        assert_eq!(added.code, 0, "{added:?}");
    }
    project
}

fn token(project: &Project, user: &str) -> (String, String) {
    let made = project.json(&["token", "add", user, "--scope", "run"]);
    let text = |name: &str| made[name].as_str().expect("text").to_owned();
    (text("id"), text("token"))
}

const NOW_MS: i64 = 1_800_000_000_000;

/// Works on the store while nobody has it.
fn inside<T>(project: &Project, work: impl FnOnce(&Engine, &Identity) -> T) -> T {
    let store = Engine::open(&project.store(), EngineOptions::default()).expect("a store");
    let done = work(&store, &Identity::new(None, Arc::new(SystemChance)));
    store.close().expect("it is on the disk");
    done
}

/// Why what is shown lets nobody in; its role when it does.
fn shown(project: &Project, presented: &str) -> String {
    inside(project, |store, identity| {
        let presented = match presented.starts_with("host_") {
            true => Presented::Bearer(presented),
            false => Presented::Cookie(presented),
        };
        let caller = identity.authenticate(store, NOW_MS, presented);
        caller.map_or_else(|denied| denied.code().to_owned(), |caller| caller.role.to_string())
    })
}

fn login(project: &Project, name: &str, password: &str) -> Result<String, String> {
    inside(project, |store, identity| {
        let opened = identity.login(store, NOW_MS, name, password, "192.0.2.1", "c");
        opened
            .map(|(_, secret)| secret)
            .map_err(|denied| denied.code().to_owned())
    })
}

#[test]
fn what_was_revoked_after_a_backup_lets_nobody_in_when_it_is_restored() {
    let project = project();
    let (leaked, leaked_text) = token(&project, "ann");
    let (_, good_text) = token(&project, "ann");
    let session = login(&project, "ann", PASSWORD).expect("the password is right");
    project.ok(&["backup", "a.backup"]);
    project.ok(&["token", "revoke", &leaked]);
    project.ok(&["user", "revoke", "bob"]);
    assert_eq!(
        typed(&project, &["user", "password", "ann"], "another horse battery").code,
        0
    );
    let head = project.json(&["audit", "verify"])["head"]
        .as_str()
        .expect("a head")
        .to_owned();

    let restored = project.ok(&["restore", "a.backup", "--replace"]);
    assert!(
        restored.contains("2 passwords and 2 tokens") && restored.contains(&head),
        "{restored}"
    );
    assert_eq!(project.json(&["audit", "verify"])["sound"], true);
    let act = &project.json(&["audit", "tail", "--what", "store.restore"])[0];
    assert_eq!((&act["who"], &act["target"]), (&json!("ada"), &json!("a.backup")));
    assert_eq!(act["details"]["replaced_head"].as_str(), Some(head.as_str()), "{act}");
    let kept_to = act["details"]["kept_to"].as_u64().expect("a number");
    assert_eq!(
        Some(kept_to + 1),
        act["number"].as_u64(),
        "it follows what the backup holds"
    );

    assert_eq!(shown(&project, &session), "UNAUTHENTICATED", "all sessions have ended");
    for text in [&leaked_text, &good_text] {
        assert_eq!(shown(&project, text), "ACCESS_HELD");
    }
    assert_eq!(
        login(&project, "ann", PASSWORD),
        Err("ACCESS_HELD".to_owned()),
        "it was changed since"
    );
    assert_eq!(
        login(&project, "bob", PASSWORD),
        Err("ACCESS_HELD".to_owned()),
        "he was revoked since"
    );
    assert_eq!(
        login(&project, "bob", "wrong"),
        Err("LOGIN_FAILED".to_owned()),
        "a stranger learns nothing"
    );

    let listed = project.ok(&["restore"]);
    assert!(listed.contains(&leaked) && listed.contains("bob"), "{listed}");
    let unsaid = project.host(&["restore", "--release", "--all", "--json"]);
    assert_eq!(unsaid.error_code(), "RESTORE_UNCONFIRMED", "{unsaid:?}");
    // What is made after the restore counts at once.
    let (_, new_text) = token(&project, "ann");
    assert_eq!(shown(&project, &new_text), "operator");
    assert_eq!(
        typed(&project, &["user", "password", "ann"], "a third horse battery").code,
        0
    );
    login(&project, "ann", "a third horse battery").expect("it is hers");

    project.ok(&["token", "revoke", &leaked]);
    project.ok(&["user", "revoke", "bob"]);
    project.ok(&["restore", "--release", "--access", "keep"]);
    assert_eq!(shown(&project, &good_text), "operator");
    assert_eq!(shown(&project, &leaked_text), "TOKEN_REVOKED");
    assert_eq!(login(&project, "bob", PASSWORD), Err("LOGIN_FAILED".to_owned()));
    let nothing = project.host(&["restore", "--release", "--access", "keep", "--json"]);
    assert_eq!(nothing.error_code(), "RESTORE_NOTHING_HELD");
    project.ok(&["restore", "--release", "--all"]);
    let acts = project.json(&["audit", "tail"]);
    let acts: Vec<&str> = acts
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|act| act["what"].as_str())
        .collect();
    let last = [
        "store.restore",
        "token.add",
        "user.password",
        "session.open",
        "token.revoke",
        "user.revoke",
        "access.keep",
        "restore.release",
    ];
    assert_eq!(acts[acts.len() - last.len()..], last);
}

#[test]
fn what_the_backup_knew_can_be_revoked_as_a_whole() {
    let project = project();
    let (_, text) = token(&project, "ann");
    project.ok(&["backup", "a.backup"]);
    project.ok(&["restore", "a.backup", "--replace"]);
    project.ok(&["restore", "--release", "--all", "--access", "revoke"]);
    assert_eq!(shown(&project, &text), "TOKEN_REVOKED");
    assert_eq!(login(&project, "ann", PASSWORD), Err("LOGIN_FAILED".to_owned()));
    assert_eq!(
        typed(&project, &["user", "password", "ann"], "another horse battery").code,
        0
    );
    login(&project, "ann", "another horse battery").expect("it was given anew");
    let user = project.json(&["user", "list"])[0].clone();
    assert_eq!(user["role"], json!(Role::Operator.code()), "roles stay");
}

#[test]
fn a_head_that_a_restore_has_cut_off_is_explained_and_one_that_it_has_not_is_a_fault() {
    let project = project();
    project.write("host.toml", "[audit]\nhead_file = \"heads\"\n");
    project.ok(&["backup", "a.backup"]);
    project.ok(&["kv", "set", "lost", "1"]);
    let head = project.json(&["audit", "verify"])["head"]
        .as_str()
        .expect("a head")
        .to_owned();
    project.write("heads", &format!("2026-01-01T00:00:00.000Z {head}\n"));
    project.ok(&["restore", "a.backup", "--replace"]);
    project.ok(&["kv", "set", "other", "1"]);
    let verified = project.host(&["audit", "verify"]);
    assert!(
        verified.code == 0 && verified.stdout.contains("was cut off by the restore of act"),
        "{verified:?}"
    );
    project.write("heads", &format!("2999-01-01T00:00:00.000Z {head}\n"));
    assert_eq!(
        project.host(&["audit", "verify"]).code,
        1,
        "it was noted after the restore"
    );
}
