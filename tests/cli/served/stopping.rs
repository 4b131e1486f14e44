//! What the service manager hears of a server, and what becomes of runs when it tells the server to stop.

use std::os::unix::net::UnixDatagram;
use std::process::Stdio;
use std::time::{Duration, Instant};

use host::testing::HttpStub;
use serde_json::json;

use super::ended;
use super::server::Server;
use crate::incident::live;
use crate::project::Project;

const USES: &str = "const PLAYBOOK = #{ uses: [\"acme\"] };\n";

/// Where systemd would listen.
struct Manager(UnixDatagram);

impl Manager {
    fn of(project: &Project) -> (Manager, String) {
        let path = project.path("notify.sock");
        let socket = UnixDatagram::bind(&path).expect("a socket");
        socket
            .set_read_timeout(Some(Duration::from_millis(50)))
            .expect("a timeout");
        (Manager(socket), path.display().to_string())
    }

    /// What is said until `enough` of it was, with when.
    #[track_caller]
    fn hear(&self, enough: impl Fn(&[(Instant, String)]) -> bool) -> Vec<(Instant, String)> {
        let mut heard = Vec::new();
        let give_up_at = Instant::now() + Duration::from_secs(30);
        while !enough(&heard) {
            assert!(Instant::now() < give_up_at, "not heard: {heard:?}");
            let mut said = [0; 1024];
            if let Ok(bytes) = self.0.recv(&mut said) {
                let text = String::from_utf8_lossy(&said[..bytes]).into_owned();
                heard.extend(text.lines().map(|line| (Instant::now(), line.to_owned())));
            }
        }
        heard
    }
}

fn count(heard: &[(Instant, String)], line: &str) -> usize {
    heard.iter().filter(|(_, said)| said.starts_with(line)).count()
}

#[test]
fn the_service_manager_hears_that_it_serves_that_it_is_alive_and_that_it_stops() {
    let stub = HttpStub::start();
    stub.on("GET", "/beat").status(200);
    let project = live(&stub).file(
        "playbooks/works.rhai",
        "kv::put(\"begun\", 1); let n = 0; while kv::get(\"go\") == () { for i in 0..100000 { n += 1; } } 7",
    );
    let toml = std::fs::read_to_string(project.path("host.toml")).expect("a file");
    let serve = format!(
        "[serve]\ngrace = \"3s\"\nheartbeat_url = \"{}\"\nheartbeat_every = \"1s\"\n",
        stub.url("/beat")
    );
    project.write("host.toml", &format!("{toml}{serve}"));
    let (manager, path) = Manager::of(&project);
    // Shorter than the loop sleeps when nothing happens.
    let server = Server::with(&project, &[("NOTIFY_SOCKET", &path), ("WATCHDOG_USEC", "600000")]);
    let heard = manager.hear(|heard| count(heard, "WATCHDOG=1") >= 6);
    assert_eq!(heard[0].1, "READY=1", "{heard:?}");
    assert_eq!(count(&heard, "READY=1"), 1);
    let alive: Vec<Instant> = heard
        .iter()
        .filter(|(_, said)| said == "WATCHDOG=1")
        .map(|(at, _)| *at)
        .collect();
    let slowest = alive.windows(2).map(|two| two[1] - two[0]).max().expect("six");
    assert!(slowest < Duration::from_millis(600), "{slowest:?}");

    let mut child = project
        .command(&["run", "works"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    while project.host(&["kv", "get", "begun", "--live"]).code != 0 {
        std::thread::sleep(Duration::from_millis(50));
    }
    let stopping = std::thread::spawn(move || server.stop());
    manager.hear(|heard| count(heard, "STOPPING=1") == 1);
    let beats = stub.count("GET", "/beat");
    assert!(beats >= 1, "it was heard as long as all was well");
    let heard = manager.hear(|heard| count(heard, "EXTEND_TIMEOUT_USEC=") >= 3);
    assert_eq!(count(&heard, "WATCHDOG=1"), 0, "{heard:?}");
    assert_eq!(stopping.join().expect("no panic"), 0);
    assert!(stub.count("GET", "/beat") <= beats + 1, "who stops is not well");
    child.wait().expect("it ends");
}

/// A write is under way when the host is told to stop: its answer is waited for, however short the grace, and it is not
/// sent again.
#[test]
fn a_write_under_way_when_the_host_stops_lands_once_and_the_run_goes_on_at_the_next_start() {
    let stub = HttpStub::start();
    stub.on("POST", "/posts")
        .after(Duration::from_secs(2))
        .json(201, json!({ "id": "p1" }));
    stub.on("POST", "/after").json(201, json!({}));
    let project = live(&stub).file(
        "playbooks/posts.rhai",
        &format!("{USES}fn cleanup(end) {{ kv::put(\"cleaned\", 1); }}\nlet post = acme::post(\"/posts\", #{{}}).json;\nacme::post(\"/after\", #{{ id: post.id }}).status"),
    );
    let toml = std::fs::read_to_string(project.path("host.toml")).expect("a file");
    let toml = toml.replace("timeout = \"1s\"", "timeout = \"30s\"");
    project.write("host.toml", &format!("{toml}[serve]\ngrace = \"100ms\"\n"));
    let server = Server::start(&project);
    let child = project
        .command(&["run", "posts", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    assert!(stub.wait_for_requests(1, Duration::from_secs(30)));
    let told = Instant::now();
    assert_eq!(server.stop(), 0);
    assert!(
        told.elapsed() > Duration::from_millis(1000),
        "it was waited for: {:?}",
        told.elapsed()
    );
    let told = child.wait_with_output().expect("it ends");
    assert_eq!(told.status.code(), Some(7), "{told:?}");
    assert_eq!(
        (stub.count("POST", "/posts"), stub.count("POST", "/after")),
        (1, 0),
        "it stopped behind the write"
    );
    let parked = &project.json(&["runs"])[0];
    assert_eq!(parked["status"], "running", "{parked}");
    let id = parked["run_id"].as_str().expect("an id").to_owned();

    let _server = Server::start(&project);
    let shown = ended(&project, &id);
    assert_eq!(
        (&shown["run"]["status"], &shown["run"]["outcome"]),
        (&json!("succeeded"), &json!(201))
    );
    assert_eq!((stub.count("POST", "/posts"), stub.count("POST", "/after")), (1, 1));
    assert_eq!(
        project.host(&["kv", "get", "cleaned", "--live"]).code,
        2,
        "its clean-up was not for a stop"
    );
    assert_eq!(project.json(&["replay", &id])["same"], true);
}

/// Once the runs that the last server left were at work before the socket was there, and cut off when it could not be made.
#[test]
fn a_server_that_cannot_begin_takes_no_run_up() {
    let stub = HttpStub::start();
    stub.on("GET", "/slow")
        .after(Duration::from_secs(20))
        .json(200, json!({}));
    let project = live(&stub).file(
        "playbooks/works.rhai",
        &format!("{USES}kv::put(\"a\", 1); acme::get(\"/slow\").json.n"),
    );
    let toml = std::fs::read_to_string(project.path("host.toml")).expect("a file");
    project.write("host.toml", &toml.replace("timeout = \"1s\"", "timeout = \"30s\""));
    let server = Server::start(&project);
    let mut child = project
        .command(&["run", "works"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    assert!(stub.wait_for_requests(1, Duration::from_secs(30)));
    std::thread::sleep(Duration::from_millis(200));
    server.kill();
    child.wait().expect("it ends");
    project.write("data/.host.sock.new", "in the way");
    let refused = project.host(&["serve"]);
    assert_eq!(refused.code, 6, "{refused:?}");
    assert!(refused.stderr.contains("SERVE_SOCKET"), "{refused:?}");
    assert_eq!(stub.count("GET", "/slow"), 1, "{refused:?}");
}

/// Once the limit of a playbook held only from the first turn on.
#[test]
fn runs_of_one_playbook_are_no_more_at_once_after_a_restart_than_it_says() {
    let stub = HttpStub::start();
    stub.on("GET", "/slow")
        .after(Duration::from_secs(20))
        .json(200, json!({}));
    let header = "const PLAYBOOK = #{ uses: [\"acme\"], event: \"go\", concurrency: 1 };\n";
    let project = live(&stub).file("playbooks/works.rhai", &format!("{header}acme::get(\"/slow\").json.n"));
    let toml = std::fs::read_to_string(project.path("host.toml")).expect("a file");
    project.write("host.toml", &toml.replace("timeout = \"1s\"", "timeout = \"30s\""));
    let server = Server::start(&project);
    for _ in 0..4 {
        project.ok(&["emit", "go"]);
    }
    assert!(stub.wait_for_requests(1, Duration::from_secs(30)));
    for _ in 0..200 {
        if project.json(&["runs"]).as_array().expect("a list").len() == 4 {
            break;
        }
        std::thread::sleep(Duration::from_millis(25));
    }
    assert_eq!(
        project.json(&["runs"]).as_array().expect("a list").len(),
        4,
        "one at work, three queued"
    );
    server.kill();
    let before = stub.count("GET", "/slow");
    let _server = Server::start(&project);
    assert!(stub.wait_for_requests(before + 1, Duration::from_secs(30)));
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(stub.count("GET", "/slow"), before + 1);
}

#[test]
fn the_check_of_the_status_is_an_exit_code_and_a_hangup_without_a_terminal_ends_nothing() {
    let project = Project::bare();
    assert_eq!(project.host(&["status", "--check"]).code, 1, "nothing has run yet");
    let server = Server::start(&project);
    assert_eq!(project.host(&["status", "--check"]).code, 0);
    assert_eq!(project.host(&["status", "--check", "--json"]).code, 0);
    let sent = std::process::Command::new("kill")
        .args(["-HUP", &server.pid().to_string()])
        .status();
    assert!(sent.expect("kill is there").success());
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(project.host(&["status", "--check"]).code, 0);
    assert_eq!(server.stop(), 0);
    assert_eq!(project.host(&["status", "--check"]).code, 1);
    assert_eq!(project.host(&["status"]).code, 0, "to look is no failure");
}
