//! `host serve` in a process of its own.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use host::store::remote::RemoteStore;

use crate::project::Project;

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
        let child = project
            .command(&["serve"])
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

    /// SIGTERM, as systemd sends it.
    pub fn stop(mut self) -> i32 {
        let sent = std::process::Command::new("kill").arg(self.pid().to_string()).status();
        assert!(sent.expect("kill is there").success());
        self.0.wait().expect("it ends").code().expect("it ends by itself")
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
