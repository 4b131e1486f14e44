//! A server in a folder of its own, and somebody who asks it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use host::identity::{Identity, Role, Scope, role::Grant, token, user};
use host::io::chance::{Chance, SystemChance};
use host::store::Store;
use host::store::engine::{Engine, EngineOptions};
use serde_json::Value;
use tempfile::TempDir;

pub const PASSWORD: &str = "correct horse battery";

/// A project that nobody serves yet.
pub struct Project(TempDir);

impl Project {
    pub fn new() -> Project {
        let folder = TempDir::new().expect("a temporary folder");
        let project = Project(folder);
        project.write("host.toml", "[server]\nlisten = \"127.0.0.1:0\"\n");
        for playbook in ["one", "two"] {
            project.write(&format!("playbooks/{playbook}.rhai"), "kv::put(\"n\", 7); 7");
        }
        project
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.0.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a new folder");
        std::fs::write(path, text).expect("a new file");
    }

    pub fn path(&self) -> &std::path::Path {
        self.0.path()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_host"));
        command
            .args(arguments)
            .current_dir(self.0.path())
            .env_clear()
            .stdin(Stdio::null());
        command
    }

    /// What the command answers in JSON.
    pub fn host(&self, arguments: &[&str]) -> Value {
        let output = self.command(arguments).arg("--json").output().expect("it starts");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {text}"))
    }

    /// Changes the store while nobody serves.
    pub fn change<T>(&self, change: impl FnOnce(&dyn Store, &Identity) -> T) -> T {
        let path = self.0.path().join("data/store.redb");
        let store = Engine::open(&path, EngineOptions::default()).expect("a store");
        let changed = change(&store, &Identity::new(None, Arc::new(SystemChance)));
        store.close().expect("it is on the disk");
        changed
    }

    pub fn user(&self, name: &str, role: Role) {
        self.change(|store, identity| {
            let password = identity.passwords.hash(name, PASSWORD).expect("a good one");
            let new = user::New {
                name,
                role,
                org: None,
                password: Some(&password),
            };
            user::add(store, &new, 0).expect("a new user");
        });
    }

    /// A token that was made at `now_ms`.
    pub fn token(&self, user: &str, scope: Scope, expires_ms: Option<i64>) -> String {
        self.change(|store, _| {
            let id = token::new_id(&SystemChance);
            let new = token::New {
                id: &id,
                user,
                label: "",
                scope,
                expires_ms,
            };
            token::add(store, &SystemChance, &new, 0).expect("a new token").1
        })
    }

    pub fn serve(self) -> Server {
        let child = self
            .command(&["serve"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let mut server = Server {
            child,
            project: self,
            address: String::new(),
        };
        let give_up_at = Instant::now() + Duration::from_secs(30);
        while server.address.is_empty() {
            assert!(Instant::now() < give_up_at, "no server comes up");
            std::thread::sleep(Duration::from_millis(50));
            let status = server.project.host(&["status"]);
            let url = status["http"].as_str().or_else(|| status["server"]["http"].as_str());
            server.address = url.unwrap_or_default().trim_start_matches("http://").to_owned();
        }
        server
    }
}

pub fn scope(grant: Grant) -> Scope {
    Scope {
        grant,
        ..Scope::whole()
    }
}

pub fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970")
        .as_millis() as i64
}

pub fn chance() -> u64 {
    SystemChance.bits()
}

/// A server at work, killed when dropped.
pub struct Server {
    child: Child,
    pub project: Project,
    pub address: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap_or_default();
        self.child.wait().expect("it ends");
    }
}

/// What was answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Value,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    pub fn code(&self) -> &str {
        self.body["error_code"].as_str().unwrap_or_default()
    }
}

impl Server {
    /// Asks with these headers; of an answer without a length only the head is read.
    pub fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&Value>) -> Answer {
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .expect("a timeout");
        let mut request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n",
            self.address
        );
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        let body = body.map(Value::to_string);
        if let Some(body) = &body {
            request.push_str(&format!(
                "content-type: application/json\r\ncontent-length: {}\r\n",
                body.len()
            ));
        }
        request.push_str("\r\n");
        request.push_str(body.as_deref().unwrap_or_default());
        stream.write_all(request.as_bytes()).expect("it takes the request");
        let mut bytes = Vec::new();
        let mut piece = [0; 4096];
        let head = loop {
            if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            let read = stream.read(&mut piece).expect("it answers in time");
            assert!(
                read > 0,
                "{method} {path}: no answer: {}",
                String::from_utf8_lossy(&bytes)
            );
            bytes.extend_from_slice(&piece[..read]);
        };
        let text = String::from_utf8_lossy(&bytes[..head]).into_owned();
        let mut lines = text.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).expect("a status");
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let length = headers.iter().find(|(name, _)| name == "content-length");
        let length: usize = length.and_then(|(_, value)| value.parse().ok()).unwrap_or(0);
        while bytes.len() < head + length {
            let read = stream.read(&mut piece).expect("it answers in time");
            assert!(read > 0, "the answer is cut");
            bytes.extend_from_slice(&piece[..read]);
        }
        Answer {
            status: status.parse().expect("a number"),
            headers,
            body: serde_json::from_slice(&bytes[head..]).unwrap_or_default(),
        }
    }

    /// Logs in; gives the cookie as it is sent, and the token against forged requests.
    pub fn login(&self, name: &str) -> (String, String) {
        let body = serde_json::json!({ "name": name, "password": PASSWORD });
        let answer = self.ask("POST", "/api/v1/session", &[], Some(&body));
        assert_eq!(answer.status, 201, "{answer:?}");
        let cookie = answer.header("set-cookie").expect("a cookie");
        let cookie = cookie.split(';').next().expect("name and value").to_owned();
        let csrf = answer.body["data"]["csrf"].as_str().expect("a token").to_owned();
        (cookie, csrf)
    }
}
