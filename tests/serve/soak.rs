//! The real thing: `host serve` under load, killed, stopped and saved over at random, against a server that counts what
//! landed. `HOST_SOAK_MINUTES` says for how long, `HOST_SOAK_SEED` with which chance.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use host::app::App;
use host::journal::{Cause, Recorded, RunRecord, Status};
use host::store::Realm;
use host::store::ticks::Fate;
use host::store::ticks::tick::{latest, with_ticks};
use host::triggers::events::cursor;
use tempfile::TempDir;

use crate::chance::Chance;
use crate::counting::Counting;

/// How long it is by default.
const SHORT: Duration = Duration::from_secs(10);

/// How long what is left may take to come to rest.
const PATIENCE: Duration = Duration::from_secs(120);

const TICKING: &str = r#"
const PLAYBOOK = #{ schedule: "* * * * * *", timezone: "UTC", missed: "all", overlap: "allow", uses: ["keyed"] };
kv::increment("ticks");
queue::push("work", #{ name: run::id() });
event::emit("ticked", #{ name: run::id() });
keyed::post("/posts", #{ text: `${run::id()}-tick` });
playbook::run("child", #{ name: run::id() })
"#;

const CHILD: &str = r#"
const PLAYBOOK = #{ uses: ["keyed"], inputs: #{ name: #{ type: "string", required: true } } };
kv::increment("children");
keyed::post("/posts", #{ text: `${input.name}-child` }).status
"#;

const WORKER: &str = r#"
const PLAYBOOK = #{
    queue: #{ name: "work", concurrency: 4 }, uses: ["keyed"],
    inputs: #{ name: #{ type: "string", required: true } },
};
kv::increment("jobs");
keyed::post("/posts", #{ text: `${input.name}-job` }).status
"#;

/// Started by what each run of a tick says.
const HEARER: &str = r#"
const PLAYBOOK = #{ event: "ticked", uses: ["keyed"], inputs: #{ name: #{ type: "string", required: true } } };
kv::increment("heard");
keyed::post("/posts", #{ text: `${input.name}-heard` }).status
"#;

/// Started by the end of each run that did a job, one after the other.
const FOLLOWER: &str = r#"
const PLAYBOOK = #{
    after: "worker", overlap: "queue", uses: ["keyed"], inputs: #{ run: #{ type: "string", required: true } },
};
kv::increment("followed");
keyed::post("/posts", #{ text: `${input.run}-followed` }).status
"#;

fn project(server: &Counting) -> TempDir {
    let folder = TempDir::new().expect("a temporary folder");
    let root = folder.path();
    std::fs::create_dir(root.join("playbooks")).expect("a folder");
    let playbooks = [
        ("ticking", TICKING),
        ("child", CHILD),
        ("worker", WORKER),
        ("hearer", HEARER),
        ("follower", FOLLOWER),
    ];
    for (name, text) in playbooks {
        std::fs::write(root.join(format!("playbooks/{name}.rhai")), text).expect("a file");
    }
    let address = server.address;
    let toml = format!(
        r#"
        [gate]
        backoff_base = "10ms"
        circuit_failures = 1000

        [serve]
        grace = "300ms"

        [providers.keyed]
        base_url = "http://{address}/keyed"
        idempotency = {{ header = "Idempotency-Key", lifetime = "24h" }}
        lookup = {{ path = "/posts?key={{key}}", found = "items.0" }}
        attempts = 10
        settle = "1s"
        timeout = "2s"
        "#
    );
    std::fs::write(root.join("host.toml"), toml).expect("a file");
    folder
}

fn command(root: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_host"));
    command
        .args(arguments)
        .current_dir(root)
        .env_clear()
        .stdin(Stdio::null());
    command
        .env("DRY_RUN", "0")
        .env("KEYED_ENABLED", "1")
        .env("LOG_LEVEL", "error");
    command
}

fn serve(root: &Path) -> Child {
    let mut command = command(root, &["serve"]);
    command.stdout(Stdio::null());
    command.spawn().expect("it starts")
}

fn terminate(child: &Child) {
    let status = Command::new("kill").arg(child.id().to_string()).status();
    assert!(status.expect("kill is there").success());
}

/// Waits for the end of a server that was told to stop.
fn ended(child: &mut Child) -> Option<i32> {
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        if let Some(status) = child.try_wait().expect("it is ours") {
            return status.code();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("a server that was told to stop does not end");
}

#[test]
fn a_server_that_is_killed_at_random_loses_nothing_and_does_nothing_twice() {
    let minutes = std::env::var("HOST_SOAK_MINUTES")
        .ok()
        .and_then(|text| text.parse::<u64>().ok());
    let long = minutes.map_or(SHORT, |minutes| Duration::from_secs(60 * minutes));
    let seed = std::env::var("HOST_SOAK_SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(5);
    println!("HOST_SOAK_SEED={seed}");
    let mut chance = Chance::new(seed);
    let server = Counting::start(seed);
    let folder = project(&server);
    let root = folder.path();
    let begun = Instant::now();
    let (mut kills, mut stops, mut saves) = (0, 0, 0);
    let mut child = serve(root);
    while begun.elapsed() < long {
        std::thread::sleep(Duration::from_millis(500 + chance.below(2500)));
        if chance.below(3) == 0 {
            saves += 1;
            let text = format!("{TICKING} // save {saves}");
            std::fs::write(root.join("playbooks/ticking.rhai"), text).expect("a file");
            std::thread::sleep(Duration::from_millis(chance.below(300)));
        }
        if chance.below(2) == 0 {
            kills += 1;
            child.kill().expect("it is ours");
            child.wait().expect("it is ours");
        } else {
            stops += 1;
            terminate(&child);
            assert_eq!(ended(&mut child), Some(0), "it ends in order");
        }
        child = serve(root);
    }
    // Nothing new is begun, and what is left comes to rest.
    let quiet = TICKING.replace(
        "schedule: \"* * * * * *\", timezone: \"UTC\", missed: \"all\", overlap: \"allow\", ",
        "",
    );
    std::fs::write(root.join("playbooks/ticking.rhai"), quiet).expect("a file");
    let until = Instant::now() + PATIENCE;
    let mut rested = 0;
    // Twice, so that what an end or an event starts has begun.
    while rested < 2 {
        std::thread::sleep(Duration::from_millis(500));
        let output = command(root, &["status", "--json"]).output().expect("it starts");
        let status: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let runs = &status["runs"];
        let left = ["running", "queued", "waiting", "jobs"].map(|what| runs[what].as_u64().unwrap_or(1));
        let is_at_rest = status["running"] == true && status["next_due_ms"].is_null() && left == [0; 4];
        rested = if is_at_rest { rested + 1 } else { 0 };
        assert!(Instant::now() < until, "it does not come to rest: {status:#}");
    }
    terminate(&child);
    assert_eq!(ended(&mut child), Some(0));
    let (ticks, jobs) = check(root, &server);
    println!(
        "{ticks} ticks and events, {jobs} jobs and ends that were followed; {kills} kills, {stops} stops, {saves} saves in {:?}",
        begun.elapsed()
    );
}

/// Every tick has one fate and every run of it an end; every job, event and end one run; every write landed once.
fn check(root: &Path, server: &Counting) -> (usize, usize) {
    let app = App::new(root).expect("a host");
    let ground = app.reader().expect("readable").expect("a store");
    let store = &*ground.store;
    let id = with_ticks(store, Some("ticking")).expect("readable").remove(0);
    let mut ticks = latest(store, &id, i64::MAX, 1_000_000).expect("readable");
    ticks.reverse();
    for pair in ticks.windows(2) {
        assert_eq!(pair[1].0 - pair[0].0, 1000, "no second is left out: {pair:?}");
    }
    let last = ticks.len() - 1;
    let mut of_runs = BTreeMap::new();
    for (place, (planned_ms, tick)) in ticks.iter().enumerate() {
        match tick.run {
            Some(run) => assert_eq!(of_runs.insert(run, planned_ms), None, "a run of two ticks"),
            None => assert!(tick.fate == Fate::Superseded && place == last, "{planned_ms}: {tick:?}"),
        }
    }
    let newest = host::id::RunId::from_bytes([0xFF; 16]);
    let runs = RunRecord::latest(store, newest, 1_000_000).expect("readable");
    let (mut of_ticks, mut of_jobs, mut did_jobs) = (0, BTreeMap::new(), BTreeSet::new());
    let (mut of_events, mut emitted, mut of_ends) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for run in &runs {
        assert_eq!(run.status, Status::Succeeded, "{run:?}");
        let recorded = Recorded::load(&ground, run.run).expect("readable");
        match recorded.begun.cause {
            Some(Cause::Tick { .. }) => of_ticks += 1,
            Some(Cause::Job { job, .. }) => {
                did_jobs.insert(run.run);
                *of_jobs.entry(job).or_insert(0) += 1;
            }
            Some(Cause::Event { number, by, .. }) => {
                assert!(of_events.insert(number), "two runs of event {number}");
                assert!(
                    emitted.insert(by.expect("a run said so")),
                    "a run said so twice: {by:?}"
                );
            }
            Some(Cause::After { run: before }) => assert!(of_ends.insert(before), "followed twice: {before}"),
            _ => assert!(recorded.begun.parent.is_some(), "{:?}", recorded.begun),
        }
    }
    assert_eq!(of_ticks, of_runs.len(), "a run for each tick, and no other");
    assert!(of_jobs.values().all(|count| *count == 1), "{of_jobs:?}");
    assert_eq!(of_jobs.len(), of_ticks, "each run of a tick pushed one job");
    let said: BTreeSet<_> = of_runs.keys().copied().collect();
    assert_eq!(emitted, said, "each run of a tick was heard once");
    assert!(of_events.iter().copied().eq(0..of_ticks as u64), "{of_events:?}");
    let heard = cursor(store, "hearer", Realm::Live, "ticked")
        .expect("readable")
        .expect("it heard");
    assert_eq!((heard.next, heard.lost), (of_ticks as u64, 0));
    assert_eq!(of_ends, did_jobs, "each end of a job's run was followed once");
    let landed = server.landed();
    let twice: Vec<_> = landed.iter().filter(|(_, count)| **count != 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
    assert_eq!(
        landed.len(),
        5 * of_ticks,
        "a post of each tick, child, job, event and end"
    );
    (of_ticks, of_jobs.len())
}

#[test]
fn a_second_server_is_refused_with_the_first_one_named() {
    let server = Counting::start(1);
    let folder = project(&server);
    let mut first = serve(folder.path());
    let until = Instant::now() + PATIENCE;
    let refused = loop {
        std::thread::sleep(Duration::from_millis(200));
        let up = command(folder.path(), &["status", "--json"])
            .output()
            .expect("it starts");
        let status: serde_json::Value = serde_json::from_slice(&up.stdout).unwrap_or_default();
        if status["running"] == true {
            break command(folder.path(), &["serve", "--json"])
                .output()
                .expect("it starts");
        }
        assert!(
            Instant::now() < until,
            "it does not come up: {}",
            String::from_utf8_lossy(&up.stdout)
        );
    };
    let said: serde_json::Value = serde_json::from_slice(&refused.stdout).expect("JSON");
    assert_eq!(
        (refused.status.code(), &said["error"]["code"]),
        (Some(4), &"SERVE_RUNNING".into())
    );
    let message = said["error"]["message"].as_str().expect("words");
    assert!(message.contains(&format!("process {}", first.id())), "{message}");
    terminate(&first);
    assert_eq!(ended(&mut first), Some(0));
}
