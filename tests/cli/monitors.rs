//! `host monitors`

use host::testing::HttpStub;
use serde_json::Value as Json;

use crate::project::Project;
use crate::served::server::Server;

const RULES: &str = "\n[monitors.jobs]\nwhen = 'host_queue_ready_jobs{queue=\"work\"} > 0'\nnotify = [\"webhook:pager\"]\nhelp = \"look into the queue\"\n\
[monitors.quiet]\nwhen = \"host_alarms > 0\"\n";

fn project(stub: &HttpStub) -> Project {
    let channel = format!(
        "[notify.pager]\nwebhook = \"{}\"\nsecret = \"PAGER_SECRET\"\n",
        stub.url("/hook")
    );
    Project::bare()
        .file("host.toml", &format!("{RULES}{channel}"))
        .file(".env", "DRY_RUN=false\nPAGER_SECRET=hush-hush-12345\n")
}

#[test]
fn rules_are_listed_tried_out_and_silenced_without_a_server() {
    let stub = HttpStub::start();
    stub.on("POST", "/hook").once().status(204);
    stub.on("POST", "/hook").status(500);
    let project = project(&stub);
    let list = project.ok(&["monitors", "list"]);
    assert!(list.contains("jobs") && list.contains("not looked at"), "{list}");
    assert!(project.ok(&["monitors", "test", "jobs"]).contains("pager was told"));
    let body: Json = serde_json::from_slice(&stub.requests()[0].body).expect("JSON");
    assert_eq!((&body["what"], &body["monitor"]), (&"test".into(), &"jobs".into()));
    let failed = project.host(&["monitors", "test", "jobs"]);
    assert_eq!(failed.code, 1, "{failed:?}");
    assert!(failed.stdout.contains("it answered with status 500"), "{failed:?}");
    assert!(
        project
            .ok(&["monitors", "silence", "jobs", "--for", "1h"])
            .contains("is silent until")
    );
    assert!(project.json(&["monitors", "list"])[0]["silent_until_ms"].is_i64());
    project.ok(&["monitors", "silence", "jobs", "--off"]);
    assert!(project.json(&["monitors", "list"])[0]["silent_until_ms"].is_null());
    let unknown = project.host(&["monitors", "silence", "job", "--json"]);
    assert_eq!(unknown.error_code(), "MONITOR_NOT_FOUND");
}

#[test]
fn a_server_looks_at_its_rules_tells_people_and_opens_an_incident_once() {
    let stub = HttpStub::start();
    stub.on("POST", "/hook").status(204);
    let project = project(&stub);
    project.ok(&["queue", "push", "work", "1"]);
    for restart in 0..2 {
        let server = Server::start(&project);
        if restart == 0 {
            assert!(
                stub.wait_for_requests(1, std::time::Duration::from_secs(30)),
                "somebody is told"
            );
        }
        let firing = || project.json(&["monitors", "list"])[0]["state"] == "firing";
        assert!(firing());
        assert_eq!(server.stop(), 0);
    }
    assert_eq!(stub.requests().len(), 1, "a restart repeats nothing");
    let request = &stub.requests()[0];
    assert!(request.header("x-host-signature").is_some());
    let body: Json = serde_json::from_slice(&request.body).expect("JSON");
    assert_eq!(
        (&body["what"], &body["found"]),
        (&"fired".into(), &"1 (queue=\"work\")".into())
    );
    let incidents = project.json(&["incident", "list"]);
    assert_eq!(incidents.as_array().map(Vec::len), Some(1), "{incidents}");
    assert_eq!(incidents[0]["opened_by"], "monitor");
}

#[test]
fn a_rule_that_cannot_be_read_is_told_with_its_key() {
    let project = Project::bare().file("host.toml", "[monitors.x]\nwhen = \"host_alarms\"\n");
    let refused = project.host(&["monitors", "list"]);
    assert_eq!(refused.code, 5, "{refused:?}");
    assert!(refused.stderr.contains("[monitors.x] when"), "{refused:?}");
}
