//! Saves of host.toml and .env.

use host::value::Value;

use super::project::Project;

#[test]
fn settings_go_live_and_wrong_ones_do_not() {
    let project = Project::of(&[("playbooks/a.rhai", "let n = 0; for i in 0..5000 { n += 1; } n")]);
    assert_eq!(project.run("a").outcome.value, Value::Int(5000));
    project.save("host.toml", "[limits]\noperations = 2000\n");
    project.until("the limit is live", |project| {
        project.edition().app.config.file.limits.operations == 2000
    });
    assert!(project.run("a").outcome.error.is_some(), "the new limit holds");
    project.save("host.toml", "[limits]\noperatons = 1\n");
    project.until("it is told", |project| project.status().broken.is_some());
    let fault = &project.status().broken.unwrap().faults[0];
    assert_eq!(
        (fault.file.as_str(), fault.line, fault.code.as_str()),
        ("host.toml", 2, "CONFIG")
    );
    assert_eq!(project.edition().app.config.file.limits.operations, 2000);
    project.remove("host.toml");
    project.until("it is told", |project| {
        let broken = project.status().broken;
        broken.is_some_and(|version| version.faults[0].message.contains("not there any more"))
    });
    project.save("host.toml", "[limits]\noperations = 100000\n");
    project.until("it is live", |project| {
        project.edition().app.config.file.limits.operations == 100_000
    });
    assert_eq!(project.run("a").outcome.value, Value::Int(5000));
}

#[test]
fn what_cannot_change_while_the_host_serves_says_so() {
    for text in [
        "[store]\nfolder = \"elsewhere\"\n",
        "[collections.clips]\nindexes = [\"name\"]\n",
    ] {
        let project = Project::of(&[("playbooks/a.rhai", "1")]);
        project.save("host.toml", text);
        project.save("playbooks/a.rhai", "2");
        project.until("it is told", |project| project.status().broken.is_some());
        let fault = &project.status().broken.unwrap().faults[0];
        assert_eq!(fault.code, "CONFIG_NEEDS_RESTART", "{text}");
        assert_eq!(project.text("a").as_deref(), Some("1"));
    }
}

#[test]
fn switches_in_the_file_of_secrets_go_live_and_their_text_is_kept_nowhere() {
    let project = Project::of(&[("playbooks/a.rhai", "1")]);
    let process = project.edition().runner.gate.owner.clone();
    project.save(".env", "OPENAI_API_KEY=sk-very-secret\nCIRCUIT_FAILURE_THRESHOLD=9\n");
    project.until("it is live", |project| {
        project.edition().runner.gate.policies.circuit.threshold == 9
    });
    assert_eq!(
        format!("{:?}", project.edition().runner.gate.owner),
        format!("{process:?}"),
        "it is the same process"
    );
    let versions = format!("{:?}", project.versions());
    assert!(!versions.contains(".env"), "{versions}");
    let rows = project
        .ground
        .store
        .scan((std::ops::Bound::Unbounded, std::ops::Bound::Unbounded), 10_000, false);
    for (_, row) in rows.unwrap() {
        assert!(!String::from_utf8_lossy(&row.value).contains("sk-very-secret"));
    }
    project.save(".env", "not a line\n");
    project.until("it is told", |project| project.status().broken.is_some());
    assert_eq!(project.edition().runner.gate.policies.circuit.threshold, 9);
}
