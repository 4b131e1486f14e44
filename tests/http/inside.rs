//! A host in this process whose doorkeeper believes what it is told, for tests of who may do what.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use host::app::App;
use host::http::caller::Via;
use host::http::routes::Doors;
use host::http::{Caller, Refusal, Request, Role, Server};
use host::serve::Host;
use serde_json::Value;
use tempfile::TempDir;

use crate::client::{Response, ask};

/// A host at work, stopped when dropped.
pub struct Inside {
    pub address: SocketAddr,
    stop: Arc<AtomicBool>,
    serving: Option<JoinHandle<()>>,
    _folder: TempDir,
}

/// Whoever says `role` has it; `user` names them.
fn believes(_: &Server, request: &Request) -> Result<Caller, Refusal> {
    if request.header("role") == Some("unasked") {
        return Err(Refusal::new(500, "ASKED", "nobody was to ask who this is"));
    }
    let role = match request.header("role") {
        Some("viewer") => Some(Role::Viewer),
        Some("operator") => Some(Role::Operator),
        Some("admin") => Some(Role::Admin),
        _ => None,
    };
    Ok(Caller {
        user: request.header("user").unwrap_or_default().to_owned(),
        role,
        via: Via::Token,
        ..Caller::nobody(&request.corr)
    })
}

impl Inside {
    pub fn start(files: &[(&str, &str)]) -> Inside {
        Inside::with(files, None)
    }

    /// The same with routes of its own.
    pub fn with(files: &[(&str, &str)], doors: Option<Arc<dyn Doors>>) -> Inside {
        let folder = TempDir::new().expect("a folder");
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            std::fs::write(path, text).expect("a file");
        };
        write(
            "host.toml",
            "[server]\nlisten = \"127.0.0.1:0\"\nbody_bytes_max = 20000\nbody_timeout = \"400ms\"\nrequest_timeout = \"3s\"\n",
        );
        files.iter().for_each(|(path, text)| write(path, text));
        let app = App::new(folder.path()).expect("a project");
        let mut host = Host::open(app, host::triggers::all(), |_| ()).expect("a host");
        host.doorkeeper = Arc::new(believes);
        host.doors = doors.or(host.doors);
        let stop: Arc<AtomicBool> = Arc::default();
        let (sender, told) = std::sync::mpsc::channel();
        let serving = std::thread::spawn({
            let stop = stop.clone();
            move || {
                let says = move |text: &str| sender.send(text.to_owned()).unwrap_or_default();
                host.serve(&stop, &says).expect("it serves");
            }
        });
        let said = told.recv_timeout(Duration::from_secs(20)).expect("it says where");
        let address = said.rsplit("://").next().expect("a URL").parse().expect("an address");
        Inside {
            address,
            stop,
            serving: Some(serving),
            _folder: folder,
        }
    }

    /// As an operator.
    pub fn get(&self, path: &str) -> Response {
        ask(self.address, "GET", path, &[("role", "operator")], "")
    }

    pub fn post(&self, path: &str, body: &str) -> Response {
        let headers = [
            ("role", "operator"),
            ("user", "ada"),
            ("content-type", "application/json"),
        ];
        ask(self.address, "POST", path, &headers, body)
    }

    /// The run when it has come so far.
    pub fn run_when(&self, id: &str, statuses: &[&str]) -> Value {
        let give_up_at = Instant::now() + Duration::from_secs(20);
        loop {
            let run = self.get(&format!("/api/v1/runs/{id}")).data();
            if statuses.contains(&run["status"].as_str().expect("a status")) {
                return run;
            }
            assert!(Instant::now() < give_up_at, "{run}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let serving = self.serving.take().expect("it serves");
        if !std::thread::panicking() {
            serving.join().expect("it ends in order");
        }
    }
}
