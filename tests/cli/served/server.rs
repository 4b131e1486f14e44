//! A server in a process of its own: a crew, its core and a desk, without triggers.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use host::app::App;
use host::runs::conductor::{Crew, Shift};
use host::serve::desk::{Desk, Driver, Followed, Hands, Opening, look};
use host::serve::{Core, Edition, Live};
use host::store::remote::{RemoteStore, Server as Named};

use crate::project::Project;

/// Of the child: whether it offers the playbooks that it finds, or leaves them to the disk.
const BARE: &str = "HOST_TEST_NO_EDITION";

/// A server at work, killed when dropped.
pub struct Server(Child);

impl Server {
    pub fn start(project: &Project) -> Server {
        Server::with(project, &[])
    }

    /// The same where the data lie elsewhere.
    pub fn at(project: &Project, data: &str) -> Server {
        Server::wait(project, &[], data)
    }

    /// The same in another environment.
    pub fn with(project: &Project, env: &[(&str, &str)]) -> Server {
        Server::wait(project, env, "data")
    }

    fn wait(project: &Project, env: &[(&str, &str)], data: &str) -> Server {
        let itself = std::env::current_exe().expect("this program");
        let mut command = Command::new(itself);
        command.args(["--ignored", "--exact", "served::server::serves"]);
        let child = project
            .through(&mut command, &[])
            .envs(env.iter().copied())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let server = Server(child);
        let give_up_at = Instant::now() + Duration::from_secs(30);
        let data = project.path(data);
        while !matches!(RemoteStore::connect(&data), Ok(Some(_))) {
            assert!(Instant::now() < give_up_at, "no server comes up");
            std::thread::sleep(Duration::from_millis(10));
        }
        server
    }

    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// SIGKILL: nothing of it is cleaned up.
    pub fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        // It may be gone already.
        self.0.kill().unwrap_or_default();
        self.0.wait().expect("it ends");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

#[test]
#[ignore = "what the tests beside start as a server"]
fn serves() {
    let folder = std::env::current_dir().expect("a folder");
    let app = Arc::new(App::new(&folder).expect("a project"));
    let ground = app.holder().expect("a store");
    let (mut edition, _) = Edition::load(app.clone(), &ground, None).expect("an edition");
    if std::env::var_os(BARE).is_some() {
        edition.playbooks = BTreeMap::new();
    }
    let gate = edition.runner.gate.clone();
    let live = Arc::new(Live::new(edition));
    let followed = Arc::new(Followed::new(app.clock.clone()));
    let shift = {
        let live = live.clone();
        move || Shift {
            runner: live.current().runner.clone(),
            library: live.current().app.library.clone(),
        }
    };
    let mut crew = Crew::new(32, gate.ready.clone(), shift);
    followed.attach(&mut crew);
    let crew = Arc::new(crew);
    let driver: Arc<dyn Driver> = Arc::new(Hands {
        live: live.clone(),
        crew: crew.clone(),
        followed,
    });
    let ready = gate.ready.clone();
    let server = Named {
        node: gate.owner.node.clone(),
        boot: gate.owner.boot.clone(),
        pid: std::process::id(),
        started_ms: app.clock.unix_ms(),
        edition: 0,
    };
    let mut core = Core::new(live, crew, Vec::new());
    core.recover().expect("runs");
    let _desk = Desk::open(Opening {
        folder: app.config.data(),
        store: ground.store.clone(),
        server,
        driver,
        on_commit: Box::new(move |written| {
            if look::look(written, &ready) {
                ready.stir();
            }
        }),
    })
    .expect("a socket");
    loop {
        let seen = gate.ready.stirs();
        let now_ms = app.clock.unix_ms();
        let moved = core.turn(now_ms);
        let wait_ms = moved.next_ms.map_or(1000, |next_ms| (next_ms - now_ms).clamp(1, 1000));
        gate.ready.wait(Duration::from_millis(wait_ms as u64), seen);
    }
}
