//! Backups of a store that is written to, and what a kill, a full disk or a wrong file does to them.

use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use host::store::keys::{Realm, kv};
use host::store::remote::RemoteStore;
use host::store::{Batch, Durability, Store};
use host::testing::HttpStub;
use serde_json::json;

use super::server::Server;
use crate::incident::{live, run};
use crate::project::{Project, answer};

/// Writes about `mib` to the store of `project`, in the live realm, as whoever holds it would.
fn fill(project: &Project, mib: usize) {
    let server = Server::start(project);
    let store = RemoteStore::connect(&project.path("data"))
        .expect("it answers")
        .expect("it serves");
    for number in 0..mib * 16 {
        let mut batch = Batch::new();
        let value = noise(number as u64, 64 << 10);
        batch.put(kv(Realm::Live, &format!("fill-{number:05}")), pair(&value));
        store.commit(batch, Durability::Soon).expect("it is committed");
    }
    assert_eq!(server.stop(), 0);
}

/// What the row of a pair holds: its form, that it never expires, and a value in the row itself.
fn pair(value: &[u8]) -> Vec<u8> {
    [&[1], [0x7F; 8].as_slice(), &[0], value].concat()
}

/// Bytes that cannot be pressed.
fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut noise = Vec::with_capacity(bytes);
    while noise.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        noise.extend(state.to_le_bytes());
    }
    noise.truncate(bytes);
    noise
}

/// One writer's commits that were acknowledged as durable: key and number.
type Acknowledged = Vec<(String, u64)>;

#[test]
fn a_backup_under_load_restores_everything_that_was_acknowledged_before_it_began() {
    let project = Project::bare().file("playbooks/counts.rhai", "kv::increment(\"n\"); run::sleep(\"1h\");");
    fill(&project, 16);
    let waits = run(&project, "counts");
    let server = Server::start(&project);
    let data = project.path("data");
    let stop = AtomicBool::new(false);
    let acknowledged: Vec<Mutex<Acknowledged>> = (0..3).map(|_| Mutex::default()).collect();
    let longest = Mutex::new(Duration::ZERO);
    let before = std::thread::scope(|scope| {
        for (writer, own) in acknowledged.iter().enumerate() {
            let (data, stop, longest) = (&data, &stop, &longest);
            scope.spawn(move || {
                let store = RemoteStore::connect(data).expect("it answers").expect("it serves");
                let mut number = 0_u64;
                while !stop.load(Ordering::Relaxed) {
                    let key = format!("w{writer}-{number:06}");
                    let mut batch = Batch::new();
                    batch.put(kv(Realm::Dry, &key), pair(&number.to_be_bytes()));
                    let begun = Instant::now();
                    store.commit(batch, Durability::Now).expect("it is committed");
                    let took = begun.elapsed();
                    let mut longest = longest.lock().expect("nobody panics");
                    *longest = took.max(*longest);
                    drop(longest);
                    own.lock().expect("nobody panics").push((key, number));
                    number += 1;
                }
            });
        }
        let is_under_load = || {
            let written = |own: &Mutex<Acknowledged>| own.lock().expect("nobody panics").len();
            acknowledged.iter().all(|own| written(own) > 3)
        };
        let begun = Instant::now();
        while !is_under_load() && begun.elapsed() < Duration::from_secs(30) {
            std::thread::sleep(Duration::from_millis(50));
        }
        let before: Vec<Acknowledged> = acknowledged
            .iter()
            .map(|own| own.lock().expect("nobody panics").clone())
            .collect();
        let made = project.ok(&["backup", "a.backup"]);
        assert!(made.contains("rows"), "{made}");
        stop.store(true, Ordering::Relaxed);
        before
    });
    eprintln!(
        "the longest commit meanwhile took {:?}",
        longest.into_inner().expect("nobody panics")
    );
    server.kill();
    assert!(before.iter().all(|own| own.len() > 3), "there was load");

    project.ok(&["backup", "verify", "a.backup"]);
    let other = Project::bare().file("playbooks/counts.rhai", "0");
    let restored = other.json(&["restore", project.path("a.backup").to_str().expect("a name")]);
    assert_eq!(restored["restored"]["epoch"], 2);
    let _server = Server::start(&other);
    let store = RemoteStore::connect(&other.path("data"))
        .expect("it answers")
        .expect("it serves");
    for (key, number) in before.into_iter().flatten() {
        let row = store
            .get(&kv(Realm::Dry, &key))
            .expect("it answers")
            .unwrap_or_else(|| panic!("{key} is lost"));
        assert_eq!(row.value, pair(&number.to_be_bytes()));
    }
    assert_eq!(other.json(&["runs"])[0]["held"], true);
    let held = other.host(&["resume", &waits, "--json"]);
    assert_eq!(held.error_code(), "RUN_HELD", "{held:?}");
    for command in ["status", "today", "runs", "restore"] {
        assert!(other.host(&[command]).stdout.contains("held"), "{command}");
    }
}

#[test]
fn a_restored_server_starts_nothing_until_it_is_released_and_sends_nothing_twice() {
    let stub = HttpStub::start();
    stub.on("POST", "/posts").json(201, json!({}));
    let script = "const PLAYBOOK = #{ uses: [\"acme\"] };\nrun::wait_event(\"go\"); acme::post(\"/posts\", #{}).status";
    let often = "const PLAYBOOK = #{ schedule: \"* * * * * *\" };\nkv::increment(\"ticks\")";
    let project = live(&stub)
        .file("playbooks/posts.rhai", script)
        .file("playbooks/often.rhai", often);
    let waits = run(&project, "posts");
    project.ok(&["backup", "a.backup"]);
    {
        // After the backup it posts.
        let server = Server::start(&project);
        project.ok(&["emit", "go"]);
        super::ended(&project, &waits);
        assert_eq!(stub.count("POST", "/posts"), 1);
        server.stop();
    }
    let restored = project.ok(&["restore", "a.backup", "--replace"]);
    assert!(restored.contains("1 run is held"), "{restored}");
    let ticks_before = project.host(&["kv", "get", "ticks"]).stdout;
    let _server = Server::start(&project);
    std::thread::sleep(Duration::from_millis(2500));
    assert_eq!(stub.count("POST", "/posts"), 1, "nothing goes on");
    assert_eq!(
        project.host(&["kv", "get", "ticks"]).stdout,
        ticks_before,
        "nothing starts"
    );
    let refused = project.host(&["resume", "--all-paused", "--json"]);
    assert_eq!(refused.error_code(), "RESTORE_HELD", "{refused:?}");

    project.ok(&["emit", "go"]);
    let released = project.ok(&["restore", "--release", &waits]);
    assert!(released.contains("goes on"), "{released}");
    let shown = super::ended(&project, &waits);
    assert_eq!(
        shown["run"]["status"], "needs_attention",
        "nobody can look it up: {shown}"
    );
    assert_eq!(stub.count("POST", "/posts"), 1, "it is not sent again");
    project.ok(&["resolve", &waits, "2", "--landed", "--reason", "seen on the page"]);

    let all = project.host(&["restore", "--release", "--all", "--ticks", "none", "--jobs", "run"]);
    assert_eq!(all.code, 0, "{all:?}");
    let give_up_at = Instant::now() + Duration::from_secs(20);
    while project.host(&["kv", "get", "ticks"]).stdout == ticks_before {
        assert!(Instant::now() < give_up_at, "triggers start runs again");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_server_that_the_backup_knew_is_not_said_to_have_been_killed() {
    let project = Project::bare();
    let other = Project::bare();
    let server = Server::start(&project);
    project.ok(&["kv", "set", "a", "1"]);
    let file = other.path("a.backup").display().to_string();
    project.ok(&["backup", &file]);
    other.ok(&["restore", "a.backup"]);
    let shown = other.ok(&["status"]);
    assert!(shown.contains("nor since the store was restored"), "{shown}");
    assert!(!shown.contains("killed"), "{shown}");
    assert!(
        other.json(&["status"])["server"].is_null(),
        "nor is it told of by programs"
    );
    let its = Server::start(&other);
    assert_eq!(other.json(&["status"])["running"], true);
    its.kill();
    server.kill();
    for known in [&project, &other] {
        known.ok(&["store", "repair"]);
        assert!(known.ok(&["status"]).contains("the last server was killed"));
    }
}

/// Starts the command and kills it after so long.
fn killed(project: &Project, arguments: &[&str], after: Duration) {
    let mut child = project
        .command(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    std::thread::sleep(after);
    // It may have ended already.
    child.kill().unwrap_or_default();
    child.wait().expect("it ends");
}

#[test]
fn a_kill_during_a_backup_or_a_restore_leaves_what_was_there() {
    let project = Project::bare();
    fill(&project, 24);
    project.ok(&["kv", "set", "mine", "1"]);
    project.ok(&["backup", "good.backup"]);
    let (mut left, mut right) = (0, 0);
    for round in 0..12_u64 {
        let name = format!("round-{round}.backup");
        killed(&project, &["backup", &name], Duration::from_millis(20 + round * 45));
        match project.path(&name).exists() {
            true => drop(project.ok(&["backup", "verify", &name])),
            false => left += 1,
        }
    }
    project.ok(&["kv", "set", "mine", "2"]);
    let before = std::fs::read(project.store()).expect("a store");
    for round in 0..12_u64 {
        killed(
            &project,
            &["restore", "good.backup", "--replace"],
            Duration::from_millis(20 + round * 90),
        );
        if std::fs::read(project.store()).expect("there is always a store") == before {
            continue;
        }
        right += 1;
        assert_eq!(project.json(&["kv", "get", "mine"])["value"], 1, "all of the backup");
        break;
    }
    if right == 0 {
        project.ok(&["store", "check"]);
        assert_eq!(project.json(&["kv", "get", "mine"])["value"], 2, "all of the old store");
    }
    project.ok(&["restore", "good.backup", "--replace"]);
    project.ok(&["store", "check"]);
    assert!(left > 0, "at least one backup was cut off");
    let aside = std::fs::read_dir(project.path("data")).expect("a folder");
    let aside = aside.filter(|entry| {
        let name = entry.as_ref().expect("an entry").file_name();
        name.to_string_lossy().contains("before-restore")
    });
    assert!(aside.count() >= 1, "the old store is there");
}

#[test]
fn a_full_disk_fails_the_backup_and_nothing_else() {
    let project = Project::bare();
    fill(&project, 6);
    let mut shell = Command::new("bash");
    shell.args(["-c", "ulimit -f 2048; exec \"$@\"", "bash"]);
    let full = answer(project.through(&mut shell, &["backup", "a.backup"]));
    assert_eq!(full.code, 4, "{full:?}");
    assert!(full.stderr.contains("STORE_FULL"), "{full:?}");
    let left: Vec<_> = std::fs::read_dir(project.folder())
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name())
        .filter(|name| name.to_string_lossy().contains("backup"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    project.ok(&["store", "check"]);
    project.ok(&["backup", "a.backup"]);
}

/// Waits until `done`.
fn wait(what: &str, done: &dyn Fn() -> bool) {
    let give_up_at = Instant::now() + Duration::from_secs(30);
    while !done() {
        assert!(Instant::now() < give_up_at, "{what}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn a_server_makes_backups_by_itself_and_reads_them_back() {
    let project = Project::none().file("host.toml", "[backup]\nfolder = \"kept\"\nevery = \"1m\"\nlatest = 2\n");
    project.ok(&["kv", "set", "a", "1"]);
    let _server = Server::start(&project);
    wait("one is made at once", &|| {
        project.json(&["status"])["backup"]["made_ms"].is_i64()
    });
    let shown = project.json(&["backup"]);
    let file = shown["state"]["file"].as_str().expect("a path").to_owned();
    project.ok(&["backup", "verify", &file]);
    assert!(
        shown["next_ms"].as_i64() > shown["state"]["made_ms"].as_i64(),
        "{shown}"
    );
}

#[test]
fn a_backup_that_cannot_be_made_is_told_by_status_and_today_and_opens_an_incident() {
    let project = Project::none().file("host.toml", "[backup]\nfolder = \"kept/deeper\"\nevery = \"1m\"\n");
    project.ok(&["kv", "set", "a", "1"]);
    project.write("kept", "a file where the folder should be");
    let _server = Server::start(&project);
    wait("somebody says that it failed", &|| {
        !project.json(&["status"])["backup"]["failed"].is_null()
    });
    let today = project.host(&["today", "--json"]);
    assert_eq!(today.code, 1);
    assert!(today.stdout.contains("\"backup\""), "{today:?}");
    wait("an incident", &|| {
        project.json(&["incident", "list"])[0]["title"] == "backups are not made"
    });
    assert_eq!(project.host(&["backup"]).code, 1);
}

#[test]
fn a_store_is_compacted_while_a_server_uses_it() {
    let project = Project::bare();
    fill(&project, 12);
    let server = Server::start(&project);
    let store = RemoteStore::connect(&project.path("data"))
        .expect("it answers")
        .expect("it serves");
    let mut batch = Batch::new();
    batch.deletes = (0..12 * 16)
        .map(|number| kv(Realm::Live, &format!("fill-{number:05}")))
        .collect();
    store.commit(batch, Durability::Now).expect("it is committed");
    let before = std::fs::metadata(project.store()).expect("a file").len();
    project.ok(&["kv", "set", "a", "1"]);
    let compacted = project.json(&["store", "compact"]);
    let after = std::fs::metadata(project.store()).expect("a file").len();
    assert!(after < before / 4, "{before} became {after}");
    assert_eq!(compacted["after"], after);
    project.ok(&["kv", "set", "b", "2"]);
    server.kill();
    project.ok(&["store", "repair"]);
    for (key, value) in [("a", 1), ("b", 2)] {
        assert_eq!(project.json(&["kv", "get", key])["value"], value);
    }
    project.ok(&["store", "check"]);
}

#[test]
fn a_sealed_backup_needs_its_key_and_says_so() {
    let project = Project::bare().env("BACKUP_SECRET", "0123456789abcdef0123456789abcdef");
    project.ok(&["kv", "set", "a", "1"]);
    let made = project.ok(&["backup", "a.backup", "--key", "BACKUP_SECRET"]);
    assert!(made.contains("sealed"), "{made}");
    for (arguments, code) in [
        (vec!["backup", "verify", "a.backup"], "BACKUP_KEY_MISSING"),
        (
            vec!["backup", "verify", "a.backup", "--key", "OTHER"],
            "BACKUP_KEY_MISSING",
        ),
        (vec!["backup", "verify", "host.toml"], "BACKUP_UNKNOWN"),
        (vec!["backup", "a.backup"], "BACKUP_EXISTS"),
    ] {
        let refused = project.host(&[arguments.as_slice(), &["--json"]].concat());
        assert_eq!(refused.error_code(), code, "{arguments:?} {refused:?}");
    }
    let wrong = Project::bare().env("BACKUP_SECRET", "another secret of 32 letters or more");
    let file = project.path("a.backup");
    let file = file.to_str().expect("a name");
    let refused = wrong.host(&["restore", file, "--key", "BACKUP_SECRET", "--json"]);
    assert_eq!(refused.error_code(), "BACKUP_KEY_WRONG", "{refused:?}");
    project.ok(&["backup", "verify", file, "--key", "BACKUP_SECRET"]);
}

/// A project with three providers at `stub`: two can be asked whether something landed, one cannot.
fn three_providers(stub: &HttpStub) -> Project {
    let host = stub.host();
    let provider = |name: &str, lookup: &str| {
        format!(
            "[providers.{name}]\nbase_url = \"http://{host}/{name}\"\nsettle = \"0s\"\ntimeout = \"1s\"\non_unknown = \"ask\"\n{lookup}\
             auth = {{ header = \"X-Key\", secret = \"ACME_TOKEN\" }}\n"
        )
    };
    let lookup = "idempotency = { header = \"Idempotency-Key\" }\nlookup = { path = \"/posts?key={key}\", found = \"items.0\" }\n";
    let toml = format!(
        "[http]\nhosts = [\"{host}\"]\n[gate]\nbackoff_base = \"1ms\"\n{}{}{}",
        provider("landed", lookup),
        provider("lost", lookup),
        provider("silent", "")
    );
    let mut project = Project::none().file("host.toml", &toml).env("DRY_RUN", "false");
    for name in ["LANDED", "LOST", "SILENT"] {
        project = project.env(&format!("{name}_ENABLED"), "true");
    }
    for name in ["landed", "lost", "silent"] {
        let script = format!(
            "const PLAYBOOK = #{{ uses: [\"{name}\"] }};\nrun::wait_event(\"go\"); {name}::post(\"/posts\", #{{}}).json"
        );
        project = project.file(&format!("playbooks/{name}.rhai"), &script);
    }
    project.env("ACME_TOKEN", crate::incident::SECRET)
}

#[test]
fn each_write_after_a_backup_is_looked_up_before_it_is_sent_again() {
    let stub = HttpStub::start();
    for name in ["landed", "lost", "silent"] {
        stub.on("POST", &format!("/{name}/posts"))
            .json(201, json!({ "id": name }));
    }
    stub.on("GET", "/landed/posts")
        .json(200, json!({ "items": [{ "id": "seen" }] }));
    stub.on("GET", "/lost/posts").json(200, json!({ "items": [] }));
    let project = three_providers(&stub);
    let runs: Vec<(&str, String)> = ["landed", "lost", "silent"]
        .map(|name| (name, run(&project, name)))
        .to_vec();
    project.ok(&["backup", "a.backup"]);
    {
        // After the backup each posts; what `lost` had posted is deleted there by hand.
        let server = Server::start(&project);
        project.ok(&["emit", "go"]);
        for (_, id) in &runs {
            super::ended(&project, id);
        }
        server.stop();
    }
    let posts = |name: &str| stub.count("POST", &format!("/{name}/posts"));
    let asked = |name: &str| stub.count("GET", &format!("/{name}/posts"));
    for name in ["landed", "lost", "silent"] {
        assert_eq!((posts(name), asked(name)), (1, 0), "{name}");
    }
    project.ok(&["restore", "a.backup", "--replace"]);
    let _server = Server::start(&project);
    project.ok(&["emit", "go"]);
    let both = project.host(&["restore", "--release", &runs[0].1, "--all", "--json"]);
    assert_eq!(both.error_code(), "USAGE", "{both:?}");
    for (name, id) in &runs {
        assert_eq!(asked(name), 0, "{name}: nobody is asked before the release");
        project.ok(&["restore", "--release", id]);
        // "Not there" counts when the request can no longer be on its way.
        let status = match *name {
            "silent" => "needs_attention",
            _ => "succeeded",
        };
        wait(&format!("{name} is {status}"), &|| {
            project.json(&["show", id])["run"]["status"] == status
        });
    }
    assert_eq!(
        (posts("landed"), asked("landed")),
        (1, 1),
        "it is there, and not sent again"
    );
    assert_eq!(posts("lost"), 2, "it is not there, and sent again");
    assert!(asked("lost") >= 1, "after the provider was asked");
    assert_eq!((posts("silent"), asked("silent")), (1, 0), "a person must say");
}

#[test]
fn a_store_with_files_children_and_runs_that_have_not_begun_comes_back_whole() {
    let large = "let text = \"x\"; for i in 0..17 { text += text; } kv::put(\"large\", text); text";
    let project = Project::bare()
        .file("playbooks/large.rhai", large)
        .file("playbooks/child.rhai", "run::sleep(\"1h\"); 1")
        .file(
            "playbooks/family.rhai",
            "for number in 0..3 { playbook::start(\"child\", #{}); } run::sleep(\"1h\");",
        );
    run(&project, "large");
    run(&project, "family");
    project.ok(&["backup", "a.backup"]);
    project.ok(&["backup", "verify", "a.backup"]);
    let other = Project::bare();
    let restored = other.json(&["restore", project.path("a.backup").to_str().expect("a name")]);
    assert_eq!(
        restored["restored"]["held"].as_array().map(Vec::len),
        Some(4),
        "{restored}"
    );
    other.ok(&["store", "check"]);
    assert_eq!(
        other.json(&["kv", "get", "large"])["value"].as_str().map(str::len),
        Some(1 << 17)
    );
}

#[test]
fn a_folder_that_is_read_only_and_a_folder_that_is_not_there_get_no_backup() {
    let project = Project::bare();
    project.ok(&["kv", "set", "a", "1"]);
    let missing = project.host(&["backup", "none/a.backup", "--json"]);
    assert_ne!(missing.code, 0, "{missing:?}");
    assert!(missing.shown().contains("none/a.backup"), "{missing:?}");
    assert!(!project.path("none").exists(), "it is not made by a misspelt name");
    for target in [".", "data", "host.toml"] {
        let refused = project.host(&["backup", target, "--json"]);
        assert_ne!(refused.code, 0, "{target}: {refused:?}");
    }
    project.ok(&["store", "check"]);
}
