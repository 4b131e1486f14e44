//! A host that dies at its n-th commit, for every n: what it acknowledged is there, and nothing is there by half.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use host::id::{ContentHash, RunId};
use host::store::content::FileContent;
use host::store::documents::Indexes;
use host::store::engine::{Engine, EngineOptions};
use host::store::tx::Ground;
use host::store::{Batch, CommitNo, Durability, KeyRange, Row, Store, StoreError, StoreStats};
use host::testing::TestHost;
use tempfile::TempDir;

use crate::ledger::audit;

/// Runs of one process.
const RUNS: i64 = 3;

/// Every kind of local effect: changes, reads, a failure that is caught, and values too large for the journal as an
/// answer, as a stored pair and as the run's result.
const PLAYBOOK: &str = r#"
    let part = kv::increment("count");
    let large = "";
    large.pad(70000 + part, "x");
    kv::put("large", large);
    let back = kv::get("large");
    random::int(1, 6);
    store::put("clips", "latest", #{ part: part, at: time::now_ms() });
    try { kv::increment("large") } catch (error) { kv::put("caught", error.code) }
    store::put("clips", `clip-${kv::increment("count")}`, #{ text: back });
    if part > 1 { store::delete("clips", `clip-${part - 1}`); kv::remove("caught"); }
    back
"#;

/// What has become of the n-th commit when the host dies.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Moment {
    /// It never reached the engine, and every earlier one is on disk.
    Before,
    /// It is visible, whatever was asked of it, and the disk has not been waited for.
    Visible,
    /// It is on its way to the disk.
    UnderWay,
    /// It is on disk, but whoever asked for it was not told.
    Durable,
}

const MOMENTS: [Moment; 4] = [Moment::Before, Moment::Visible, Moment::UnderWay, Moment::Durable];

/// A store that takes its process down with it.
struct Dying {
    engine: Engine,
    commits: AtomicU64,
    dies_at: u64,
    moment: Moment,
}

impl Store for Dying {
    fn get(&self, key: &[u8]) -> Result<Option<Row>, StoreError> {
        self.engine.get(key)
    }

    fn scan(&self, range: KeyRange, limit: usize, reverse: bool) -> Result<Vec<(Vec<u8>, Row)>, StoreError> {
        self.engine.scan(range, limit, reverse)
    }

    fn commit(&self, batch: Batch, durability: Durability) -> Result<CommitNo, StoreError> {
        if self.commits.fetch_add(1, Ordering::SeqCst) + 1 != self.dies_at {
            return self.engine.commit(batch, durability);
        }
        match self.moment {
            Moment::Before => self.engine.wait_durable(self.engine.stats().last_commit)?,
            Moment::Visible => drop(self.engine.commit(batch, Durability::Soon)?),
            Moment::UnderWay => {
                // Somewhere in the writing: a little later for each commit.
                let delay = Duration::from_micros(self.dies_at * 97 % 1500);
                std::thread::spawn(move || {
                    std::thread::sleep(delay);
                    std::process::abort();
                });
                self.engine.commit(batch, Durability::Now)?;
            }
            Moment::Durable => {
                let commit = self.engine.commit(batch, Durability::Now)?;
                println!("\nDURABLE {}", commit.0);
            }
        }
        std::process::abort();
    }

    fn wait_durable(&self, commit: CommitNo) -> Result<(), StoreError> {
        self.engine.wait_durable(commit)
    }

    fn stats(&self) -> StoreStats {
        self.engine.stats()
    }
}

pub fn open(folder: &Path) -> Engine {
    Engine::open(&folder.join("store.redb"), EngineOptions::default()).expect("the store opens for writing")
}

pub fn host_on(folder: &Path, store: Arc<dyn Store>) -> TestHost {
    let mut host = TestHost::default();
    host.ground = Ground {
        store,
        content: Arc::new(FileContent::new(folder.join("content"))),
        indexes: Arc::new(Indexes::none()),
    };
    host
}

/// The process that dies. Without a parent it has nothing to do.
#[test]
fn child() {
    let (Ok(folder), Ok(dies_at), Ok(moment)) = (
        std::env::var("CRASH_FOLDER"),
        std::env::var("CRASH_AT"),
        std::env::var("CRASH_MOMENT"),
    ) else {
        return;
    };
    let moment = MOMENTS.into_iter().find(|known| format!("{known:?}") == moment);
    let store = Dying {
        engine: open(Path::new(&folder)),
        commits: AtomicU64::new(0),
        dies_at: dies_at.parse().expect("a number"),
        moment: moment.expect("a moment"),
    };
    let host = host_on(Path::new(&folder), Arc::new(store));
    for _ in 0..RUNS {
        let run = host.run(PLAYBOOK);
        run.value();
        println!("\nACK {}", run.id());
        host.clock.advance(Duration::from_secs(1));
    }
}

/// What a child said before its end.
struct Said {
    acknowledged: Vec<RunId>,
    durable: CommitNo,
    lived: bool,
}

/// Runs a child in `folder` to its end.
fn run_child(folder: &Path, dies_at: u64, moment: Moment) -> Said {
    let output = Command::new(std::env::current_exe().expect("this binary"))
        .args(["--exact", "kill::child", "--nocapture", "--test-threads=1"])
        .env("CRASH_FOLDER", folder)
        .env("CRASH_AT", dies_at.to_string())
        .env("CRASH_MOMENT", format!("{moment:?}"))
        .output()
        .expect("the child starts");
    let text = String::from_utf8(output.stdout).expect("text");
    let died = std::os::unix::process::ExitStatusExt::signal(&output.status).is_some();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(died || output.status.success(), "the child failed: {text}{errors}");
    let said = |word: &str| {
        let lines = text.lines().filter_map(move |line| line.strip_prefix(word));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    Said {
        acknowledged: said("ACK ").iter().map(|id| id.parse().expect("an id")).collect(),
        durable: CommitNo(said("DURABLE ").first().map_or(0, |no| no.parse().expect("a number"))),
        lived: !died,
    }
}

/// Kills a child at each of its commits in turn, until one lives.
fn kill_at_every_commit(moment: Moment) {
    let mut deaths = 0;
    for dies_at in 1.. {
        let folder = TempDir::new().expect("a temporary folder");
        let said = run_child(folder.path(), dies_at, moment);
        let engine: Arc<dyn Store> = Arc::new(open(folder.path()));
        let host = host_on(folder.path(), engine);
        let runs = audit(&host.ground);
        let at = format!("{moment:?} commit {dies_at}");
        if moment == Moment::Durable && !said.lived {
            assert!(said.durable > CommitNo(0), "{at}: it was made");
        }
        let last = host.ground.store.stats().last_commit;
        assert!(
            last >= said.durable,
            "{at}: {:?} was on disk, {last:?} is left",
            said.durable
        );
        let finished: Vec<RunId> = runs
            .iter()
            .filter(|run| run.ended.is_some())
            .map(|run| run.begun.run)
            .collect();
        for run in &said.acknowledged {
            assert!(finished.contains(run), "{at}: {run} was acknowledged");
        }
        assert!(
            finished.len() <= said.acknowledged.len() + 1,
            "{at}: only the last is not yet told of"
        );
        assert!(runs.len() <= finished.len() + 1, "{at}: only the last is not finished");
        for run in &finished {
            assert!(host.replay(*run).same, "{at}: {run} replays as it ran");
        }
        // Life goes on: a later run builds on what is there. It is newer than every other.
        host.clock.advance(Duration::from_secs(100));
        host.run(PLAYBOOK).value();
        assert_eq!(audit(&host.ground).len(), runs.len() + 1, "{at}");
        if said.lived {
            assert_eq!(said.acknowledged.len() as i64, RUNS, "{at}");
            break;
        }
        deaths += 1;
    }
    assert!(deaths > 7 * RUNS, "the child dies at each of its commits: {deaths}");
}

#[test]
fn a_host_killed_before_a_commit_keeps_whole_what_came_before_it() {
    kill_at_every_commit(Moment::Before);
}

#[test]
fn a_host_killed_while_a_commit_waits_for_the_disk_keeps_it_whole_or_not_at_all() {
    kill_at_every_commit(Moment::Visible);
}

#[test]
fn a_host_killed_while_the_disk_writes_keeps_a_commit_whole_or_not_at_all() {
    kill_at_every_commit(Moment::UnderWay);
}

#[test]
fn a_host_killed_before_it_could_tell_of_a_commit_has_it_on_disk() {
    kill_at_every_commit(Moment::Durable);
}

/// Every file below `folder` with the hash of what it holds.
fn files(folder: &Path) -> BTreeMap<String, ContentHash> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            let bytes = std::fs::read(&path).expect("a file");
            found.insert(path.display().to_string(), ContentHash::of(&bytes));
        }
    }
    found
}

/// The binary in `folder`: exit code and everything it prints.
fn host(folder: &Path, arguments: &[&str]) -> (i32, String) {
    let output = command(folder, arguments).output().expect("it starts");
    let text = [output.stdout, output.stderr].concat();
    let code = output.status.code().expect("it ends by itself");
    (code, String::from_utf8(text).expect("text"))
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_host"));
    command.args(arguments).current_dir(folder).env_clear();
    command.stdin(Stdio::null());
    command
}

#[test]
fn a_killed_binary_leaves_a_store_that_only_the_repair_touches_and_that_agrees_with_its_journals() {
    const BUSY: &str = r#"
        let large = "";
        large.pad(70000, "y");
        loop {
            let n = kv::increment("count");
            store::put("clips", `clip-${n % 7}`, #{ n: n });
            if n % 16 == 0 { kv::put("large", large + n); kv::get("large"); }
            if n % 4 == 0 { log::info(`mark ${n}`); }
        }
    "#;
    for marks in [0, 10, 100, 400] {
        let folder = TempDir::new().expect("a temporary folder");
        let root = folder.path();
        std::fs::create_dir(root.join("playbooks")).expect("a folder");
        std::fs::write(root.join("host.toml"), "").expect("a file");
        std::fs::write(root.join("playbooks/busy.rhai"), BUSY).expect("a file");
        std::fs::write(root.join("playbooks/calm.rhai"), "kv::put(\"calm\", 1)").expect("a file");
        assert_eq!(host(root, &["run", "calm"]).0, 0);

        let mut busy = command(root, &["run", "busy"]);
        let mut busy = busy
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let lines = BufReader::new(busy.stdout.take().expect("a pipe")).lines();
        let seen = lines
            .map(|line| line.expect("text"))
            .filter(|line| line.contains("mark"))
            .take(marks + 1)
            .count();
        busy.kill().expect("it is killed");
        busy.wait().expect("it is gone");
        assert_eq!(seen, marks + 1, "it was under way");

        let before = files(&root.join("data"));
        let (code, text) = host(root, &["plan", "calm"]);
        assert_eq!(code, 4, "{text}");
        assert!(text.contains("host store repair"), "{text}");
        assert_eq!(files(&root.join("data")), before, "a plan changes nothing");

        let (code, text) = host(root, &["store", "repair"]);
        assert_eq!(code, 0, "{text}");
        let (code, text) = host(root, &["runs"]);
        assert_eq!(code, 0, "{text}");
        assert!(text.contains("calm"), "{text}");

        let ground = host_on(&root.join("data"), Arc::new(open(&root.join("data"))))
            .ground
            .clone();
        let runs = audit(&ground);
        assert!(runs[0].ended.is_some(), "the run that was over is over");
        let reached = runs.get(1).map_or(0, |busy| busy.steps.len());
        assert!(
            runs.len() <= 2 && (marks < 400 || reached > 0),
            "{marks} marks: {reached} steps reached the disk"
        );
        drop(ground);
        let (code, text) = host(root, &["run", "calm"]);
        assert_eq!(code, 0, "life goes on: {text}");
        let ground = host_on(&root.join("data"), Arc::new(open(&root.join("data"))))
            .ground
            .clone();
        assert_eq!(audit(&ground).len(), runs.len() + 1);
    }
}
