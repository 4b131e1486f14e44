//! What must not harm a server or those who use it: garbage, silence, crowds, kills, other people.

use std::io::{Read, Write};
use std::ops::Bound;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::{Duration, Instant};

use host::io::socket::Line;
use host::serve::desk::CALLERS_MAX;
use host::store::remote::wire::{Ask, encode};
use host::store::remote::{Hello, Purpose, RemoteStore};
use host::store::{Batch, Durability, Store};

use super::server::Server;
use crate::project::{Answer, Project};

fn place() -> (Project, Server) {
    let project = Project::bare().file("playbooks/one.rhai", "kv::put(\"n\", 1); 1");
    let server = Server::start(&project);
    (project, server)
}

fn socket(project: &Project) -> UnixStream {
    UnixStream::connect(project.path("data/host.sock")).expect("somebody serves")
}

#[test]
fn the_socket_is_closed_to_others() {
    let (project, _server) = place();
    let socket = std::fs::symlink_metadata(project.path("data/host.sock")).expect("a socket");
    assert_eq!(socket.mode() & 0o777, 0o600);
    std::fs::set_permissions(project.path("data"), std::fs::Permissions::from_mode(0o755)).expect("mine");
    assert_eq!(project.json(&["run", "one"])["outcome"], 1);
}

/// A command as another user, where this one is root and can be anybody.
fn by_another_user(project: &Project, command: &[&str]) -> Answer {
    let mut other = Command::new("setpriv");
    other.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]);
    let said = other.args(command).current_dir(project.folder()).output();
    let said = said.expect("setpriv is there");
    Answer {
        code: said.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&said.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&said.stderr).into_owned(),
    }
}

#[test]
fn another_user_changes_nothing_though_the_files_are_open_to_all() {
    let (project, _server) = place();
    if std::fs::metadata(project.folder()).expect("mine").uid() != 0 {
        eprintln!("not tried: only root can be another user for a moment");
        return;
    }
    for (path, mode) in [("", 0o755), ("data", 0o777), ("data/host.sock", 0o777)] {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(project.path(path), mode).expect("mine");
    }
    let binary = project.path("host");
    std::fs::copy(env!("CARGO_BIN_EXE_host"), &binary).expect("there is room");
    let binary = binary.to_str().expect("a name");
    for command in [&["pause", "one"][..], &["run", "one"], &["status"], &["kv", "get", "n"]] {
        let refused = by_another_user(&project, &[&[binary], command].concat());
        assert_ne!(refused.code, 0, "{command:?}: {refused:?}");
        assert!(
            refused.stderr.contains("run this as that user"),
            "{command:?}: {refused:?}"
        );
    }
    // Who does not ask first whose it is is turned away by the server: it says nothing to him, not even its name.
    let knocks = "use IO::Socket::UNIX; $s = IO::Socket::UNIX->new(Peer => \"data/host.sock\") or die; print <$s>";
    let knocked = by_another_user(&project, &["perl", "-e", knocks]);
    assert_eq!((knocked.code, knocked.stdout.as_str()), (0, ""), "{knocked:?}");
    assert_eq!(project.json(&["run", "one"])["outcome"], 1);
    assert_eq!(project.json(&["runs"]).as_array().expect("a list").len(), 1);
}

#[test]
fn garbage_silence_and_haste_harm_nobody() {
    let (project, _server) = place();
    let silent = socket(&project);
    for garbage in [
        vec![0xff; 4096],
        vec![0; 4096],
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        vec![5, 0, 0, 0, 1],
        [vec![4, 0, 0, 0], vec![0xc1; 4]].concat(),
        Vec::new(),
    ] {
        let mut caller = socket(&project);
        // It may be let go before all of it is sent.
        caller.write_all(&garbage).unwrap_or_default();
        drop(caller);
    }
    let hasty: Vec<UnixStream> = (0..20).map(|_| socket(&project)).collect();
    drop(hasty);
    assert_eq!(project.json(&["run", "one"])["outcome"], 1);
    let begun = Instant::now();
    silent
        .set_read_timeout(Some(Duration::from_secs(20)))
        .expect("a socket");
    let mut byte = [0];
    assert_eq!(
        (&silent).read(&mut byte).unwrap_or_default(),
        0,
        "who says nothing is let go"
    );
    assert!(begun.elapsed() < Duration::from_secs(15));
}

#[test]
fn one_caller_more_than_there_are_places_is_told_so_and_served_when_one_has_gone() {
    let (project, _server) = place();
    let data = project.path("data");
    let connect = || {
        RemoteStore::connect(&data)
            .expect("there is a place")
            .expect("somebody serves")
    };
    let mut callers: Vec<RemoteStore> = (0..CALLERS_MAX).map(|_| connect()).collect();
    for caller in &callers {
        assert_eq!(caller.get(b"\x01nothing").expect("an answer"), None);
    }
    let refused = project.host(&["runs"]);
    assert_eq!(refused.code, 4, "{refused:?}");
    assert!(
        refused.stderr.contains("STORE_SERVER_REFUSED") && refused.stderr.contains("64"),
        "{refused:?}"
    );
    callers.truncate(CALLERS_MAX - 3);
    std::thread::sleep(Duration::from_millis(200));
    project.ok(&["runs"]);
}

#[test]
fn a_caller_who_takes_no_answers_keeps_nobody_else_waiting() {
    let (project, _server) = place();
    let data = project.path("data");
    let mut batch = Batch::new();
    batch.put(b"\x20large".to_vec(), vec![1; 8 << 20]);
    let filler = RemoteStore::connect(&data).expect("a place").expect("somebody serves");
    filler.commit(batch, Durability::Soon).expect("room");
    let deaf = Line::to(&data).expect("a socket").expect("somebody serves");
    deaf.send(&encode(&Hello::of(Purpose::Store))).expect("it is heard");
    let all = (Bound::Unbounded, Bound::Unbounded);
    for _ in 0..10 {
        deaf.send(&encode(&Ask::scan(all.clone(), usize::MAX, false)))
            .expect("it is heard");
    }
    let begun = Instant::now();
    for _ in 0..3 {
        assert_eq!(project.json(&["run", "one"])["outcome"], 1);
    }
    assert!(begun.elapsed() < Duration::from_secs(15));
}

#[test]
fn what_a_killed_server_said_was_done_is_done_and_the_next_one_serves() {
    let (project, server) = place();
    let data = project.path("data");
    let store = RemoteStore::connect(&data).expect("a place").expect("somebody serves");
    let writer = std::thread::spawn(move || {
        let mut done = Vec::new();
        for number in 0_u32.. {
            let key = [b"\x01kill".as_slice(), &number.to_be_bytes()].concat();
            let mut batch = Batch::new();
            batch.put(key.clone(), vec![7]);
            match store.commit(batch, Durability::Now) {
                Ok(_) => done.push(key),
                Err(error) => {
                    let code = error.code();
                    assert!(["STORE_COMMIT_UNKNOWN", "STORE_SERVER_LOST"].contains(&code), "{code}");
                    return (done, code);
                }
            }
        }
        unreachable!("the server is killed")
    });
    std::thread::sleep(Duration::from_millis(500));
    server.kill();
    let (done, _) = writer.join().expect("it ends");
    assert!(!done.is_empty());
    assert!(data.join("host.sock").exists(), "it could not clean up");
    let _next = Server::start(&project);
    let store = RemoteStore::connect(&data).expect("a place").expect("somebody serves");
    for key in &done {
        assert!(store.get(key).expect("an answer").is_some());
    }
    assert_eq!(project.json(&["run", "one"])["outcome"], 1);
}

#[test]
fn a_socket_that_a_killed_server_left_keeps_no_command_from_the_file() {
    let (project, server) = place();
    project.ok(&["run", "one"]);
    server.kill();
    let resumed = project.host(&["resume", "--all"]);
    assert_eq!(resumed.code, 0, "{resumed:?}");
    assert_eq!(project.json(&["runs"]).as_array().expect("runs").len(), 1);
}

#[test]
fn a_project_whose_path_is_long_is_served_all_the_same() {
    let project = Project::bare();
    let deep = "d".repeat(60);
    let data = format!("{deep}/{deep}/data");
    project.write("host.toml", &format!("[store]\nfolder = \"{data}\"\n"));
    let _server = Server::at(&project, &data);
    project.ok(&["kv", "set", "a", "1"]);
    assert!(project.path(&data).join("host.sock").exists());
}
