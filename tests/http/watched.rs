//! A server whose log is read, in an environment of its own.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// A server at work, killed when dropped.
pub struct Watched {
    pub folder: TempDir,
    pub address: SocketAddr,
    child: Child,
    env: BTreeMap<String, String>,
    log: Arc<Mutex<String>>,
    reader: Option<std::thread::JoinHandle<()>>,
}

impl Watched {
    /// One that everybody may read, with these lines more in host.toml.
    pub fn start(settings: &str, files: &[(&str, &str)], env: &[(&str, &str)]) -> Watched {
        let folder = TempDir::new().expect("a folder");
        let text = format!("[server]\nlisten = \"127.0.0.1:0\"\nopen_reads = true\n{settings}\n");
        std::fs::write(folder.path().join("host.toml"), text).expect("a file");
        for (path, text) in files {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            std::fs::write(path, text).expect("a file");
        }
        let env = env
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Watched::again(folder, env.collect())
    }

    fn again(folder: TempDir, env: BTreeMap<String, String>) -> Watched {
        let mut child = command(&folder, &env, &["serve"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut told = BufReader::new(child.stderr.take().expect("a pipe"));
        let log: Arc<Mutex<String>> = Arc::default();
        let address = loop {
            let mut line = String::new();
            assert!(
                told.read_line(&mut line).expect("text") > 0,
                "it does not serve: {log:?}"
            );
            log.lock().expect("no panic").push_str(&line);
            if let Some((_, url)) = line.split_once("answering on http://") {
                let url = url.split(|letter: char| letter == '"' || letter.is_whitespace()).next();
                break url.expect("an address").parse().expect("an address");
            }
        };
        let to = log.clone();
        let reader = std::thread::spawn(move || {
            let mut line = String::new();
            while told.read_line(&mut line).is_ok_and(|length| length > 0) {
                to.lock().expect("no panic").push_str(&line);
                line.clear();
            }
        });
        Watched {
            folder,
            address,
            child,
            env,
            log,
            reader: Some(reader),
        }
    }

    /// Ends it in order and starts another on what it leaves.
    pub fn restart(mut self) -> Watched {
        self.stop();
        let folder = std::mem::replace(&mut self.folder, TempDir::new().expect("a folder"));
        Watched::again(folder, self.env.clone())
    }

    /// A command beside it, whatever becomes of it: both streams.
    pub fn host(&self, arguments: &[&str]) -> String {
        let output = command(&self.folder, &self.env, arguments).output().expect("it runs");
        format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )
    }

    /// The same with something to read.
    pub fn host_with(&self, arguments: &[&str], input: &str) -> String {
        let mut command = command(&self.folder, &self.env, arguments);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        let mut pipe = child.stdin.take().expect("a pipe");
        pipe.write_all(input.as_bytes()).expect("it reads");
        drop(pipe);
        let output = child.wait_with_output().expect("it ends");
        format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )
    }

    /// From the next start on.
    pub fn set(&mut self, name: &str, value: &str) {
        self.env.insert(name.to_owned(), value.to_owned());
    }

    /// All that it has logged.
    pub fn log(&self) -> String {
        self.log.lock().expect("no panic").clone()
    }

    /// The lines of a log in JSON.
    pub fn lines(&self) -> Vec<Value> {
        let log = self.log();
        log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Waits until `is_so`.
    #[track_caller]
    pub fn wait(&self, what: &str, is_so: impl Fn() -> bool) {
        let until = Instant::now() + Duration::from_secs(40);
        while !is_so() {
            assert!(Instant::now() < until, "{what} does not come: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Tells it to stop, as systemd does, and waits for its end.
    pub fn stop(&mut self) {
        if self.reader.is_none() {
            return;
        }
        let sent = Command::new("kill").arg(self.child.id().to_string()).status();
        assert!(sent.expect("kill is there").success());
        assert!(self.child.wait().expect("it ends").success());
        if let Some(reader) = self.reader.take() {
            reader.join().expect("no panic");
        }
    }
}

fn command(folder: &TempDir, env: &BTreeMap<String, String>, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_host"));
    command
        .args(arguments)
        .current_dir(folder.path())
        .env_clear()
        .env("USER", "ada")
        .envs(env)
        .stdin(Stdio::null());
    command
}

impl Drop for Watched {
    fn drop(&mut self) {
        // It may be gone already.
        self.child.kill().unwrap_or_default();
        drop(self.child.wait());
    }
}
