//! What is told of runs is on disk before.

use std::time::{Duration, Instant};

use crate::binary::Binary;
use crate::client::ask;

const BEGINS: &[(&str, &str)] = &[(
    "playbooks/begins.rhai",
    // What it has put is seen by others long before it ends.
    "const PLAYBOOK = #{ http: #{ path: \"/begin\", role: \"anybody\", mode: \"async\" } };\n\
     kv::put(\"begun\", 1);\nlet n = 0; while n < 1_000_000 { n += 1; }",
)];

#[test]
fn what_the_server_and_commands_beside_it_tell_of_a_run_is_there_after_a_kill() {
    let has_put = |journal: &str| journal.contains("kv.put");
    for round in 0..8 {
        let server = Binary::with("", BEGINS);
        let begun = ask(server.address, "POST", "/begin", &[], "").data();
        let run = begun["run_id"].as_str().expect("an id").to_owned();
        let told = || match round % 2 {
            0 => String::from_utf8(server.get(&format!("/api/v1/runs/{run}/journal")).body).expect("text"),
            _ => server.host(&["show", &run, "--json"]),
        };
        let give_up_at = Instant::now() + Duration::from_secs(20);
        while !has_put(&told()) {
            assert!(Instant::now() < give_up_at, "it puts nothing");
        }
        let folder = server.killed();
        let repaired = crate::binary::command(&folder, &["store", "repair"]).output();
        assert!(repaired.expect("it runs").status.success());
        let left = crate::binary::command(&folder, &["show", &run, "--json"])
            .output()
            .expect("it runs");
        let left = String::from_utf8(left.stdout).expect("text");
        assert!(has_put(&left), "round {round}: {left}");
    }
}
