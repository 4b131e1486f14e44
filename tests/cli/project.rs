//! A folder in which the binary is run, and what it answers.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use host::id::ContentHash;
use tempfile::TempDir;

/// A folder, gone when dropped.
pub struct Project {
    folder: TempDir,
    env: Vec<(String, String)>,
}

/// What a command printed, and its exit code.
#[derive(Debug)]
pub struct Answer {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Project {
    /// A folder with nothing in it.
    pub fn none() -> Project {
        Project {
            folder: TempDir::new().expect("a temporary folder"),
            env: Vec::new(),
        }
    }

    /// A project with nothing in it.
    pub fn bare() -> Project {
        Project::none().file("host.toml", "")
    }

    /// What `host init` makes.
    pub fn made() -> Project {
        let project = Project::none();
        project.ok(&["init"]);
        project
    }

    pub fn file(self, path: &str, text: &str) -> Project {
        self.write(path, text);
        self
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a new folder");
        std::fs::write(path, text).expect("a new file");
    }

    pub fn env(mut self, name: &str, value: &str) -> Project {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.folder().join(path)
    }

    pub fn store(&self) -> PathBuf {
        self.path("data/store.redb")
    }

    /// The binary, with nothing of this process's environment but where programs lie.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_host"));
        command
            .args(arguments)
            .current_dir(self.folder())
            .env_clear()
            .stdin(Stdio::null());
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    /// The same through `wrapper`, a program that runs another: its words first, then the binary's.
    pub fn through<'c>(&self, wrapper: &'c mut Command, arguments: &[&str]) -> &'c mut Command {
        let like = self.command(arguments);
        wrapper
            .arg(like.get_program())
            .args(like.get_args())
            .current_dir(self.folder())
            .env_clear()
            .stdin(Stdio::null());
        wrapper.envs(like.get_envs().filter_map(|(name, value)| Some((name, value?))))
    }

    pub fn host(&self, arguments: &[&str]) -> Answer {
        answer(&mut self.command(arguments))
    }

    /// As [`host`](Project::host), where it must succeed; what it printed.
    #[track_caller]
    pub fn ok(&self, arguments: &[&str]) -> String {
        let answer = self.host(arguments);
        assert_eq!(answer.code, 0, "{arguments:?}: {answer:?}");
        answer.stdout
    }

    /// As [`host`](Project::host) with `--json`, where it must succeed.
    #[track_caller]
    pub fn json(&self, arguments: &[&str]) -> serde_json::Value {
        let text = self.ok(&[arguments, &["--json"]].concat());
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// Runs what follows `undo` in `printed` as a shell does.
    #[track_caller]
    pub fn undo(&self, printed: &str) -> String {
        let line = printed
            .lines()
            .find_map(|line| line.strip_prefix("undo    host "))
            .expect("a way back is printed");
        // The words of the line become those of the binary, which stands behind them.
        let script = format!("\"$0\" {line}");
        let answer = answer(self.through(Command::new("bash").args(["-c", &script]), &[]));
        assert_eq!(answer.code, 0, "{line}: {answer:?}");
        answer.stdout
    }

    /// The names of every file with the hashes of what they hold, to be compared.
    pub fn files(&self) -> Vec<(PathBuf, ContentHash)> {
        fn collect(folder: &Path, found: &mut Vec<(PathBuf, ContentHash)>) {
            for entry in std::fs::read_dir(folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    collect(&path, found);
                } else {
                    let bytes = std::fs::read(&path).expect("a file");
                    found.push((path, ContentHash::of(&bytes)));
                }
            }
        }
        let mut found = Vec::new();
        collect(self.folder(), &mut found);
        found.sort();
        found
    }
}

pub fn answer(command: &mut Command) -> Answer {
    let output = command.output().expect("the command starts");
    Answer {
        code: output.status.code().expect("it ends by itself"),
        stdout: String::from_utf8(output.stdout).expect("it prints text"),
        stderr: String::from_utf8(output.stderr).expect("it prints text"),
    }
}

impl Answer {
    /// Both streams: what a person at a terminal sees.
    pub fn shown(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// The code of the error that `--json` printed.
    pub fn error_code(&self) -> String {
        let json: serde_json::Value =
            serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"));
        json["error"]["code"]
            .as_str()
            .unwrap_or_else(|| panic!("no code: {self:?}"))
            .to_owned()
    }
}

/// The field names of an object, sorted.
pub fn keys(json: &serde_json::Value) -> Vec<&str> {
    let mut keys: Vec<&str> = json
        .as_object()
        .unwrap_or_else(|| panic!("no object: {json}"))
        .keys()
        .map(String::as_str)
        .collect();
    keys.sort();
    keys
}
