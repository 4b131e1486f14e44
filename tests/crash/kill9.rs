//! The real thing: the binary killed with SIGKILL at random moments under load, against a server that counts what
//! landed. `HOST_SOAK=1` kills it 1,000 times; `HOST_KILLS` and `HOST_KILL_SEED` choose for themselves.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use host::journal::{Recorded, Status};
use tempfile::TempDir;

use crate::chance::Chance;
use crate::counting::Counting;
use crate::kill::{host_on, open};
use crate::ledger::load_all;

const KILLS: u64 = 25;
const KILLS_SOAK: u64 = 1_000;

/// Kills between two looks at everything.
const KILLS_BETWEEN_LOOKS: u64 = 50;

/// Runs that one host starts at once.
const RUNS_AT_ONCE: u64 = 4;

/// How long whatever is left may take to come to rest: some of it waits until "not there" can be believed.
const PATIENCE: Duration = Duration::from_secs(300);

/// Writes to all three providers among local steps.
const POSTS: &str = r#"
const PLAYBOOK = #{
    title: "Posts", uses: ["keyed", "plain", "tagged"],
    inputs: #{ name: #{ type: "string", required: true } },
};
let name = input.name;
for part in 0..3 {
    kv::increment(`${name}/${part}`);
    kv::increment("all");
    let sent = keyed::post("/posts", #{ text: `${name}-${part}-keyed` });
    store::put("posts", `${name}-${part}`, #{ id: sent.json });
    if part == 1 { tagged::post("/posts", #{ text: `${name}-${part}-tagged` }); }
    if part == 2 { plain::post("/posts", #{ text: `${name}-${part}-plain` }); }
}
`${name} is done`
"#;

const LOAD: &str = r#"
const PLAYBOOK = #{
    title: "Load", uses: ["keyed", "plain", "tagged"],
    inputs: #{ name: #{ type: "string", required: true }, runs: #{ type: "int", required: true } },
};
let inputs = [];
for number in 0..input.runs { inputs.push(#{ name: `${input.name}.${number}` }); }
playbook::map("posts", inputs, #{ on_error: "collect" });
`${input.name} is done`
"#;

/// A project whose providers are at `server`.
fn project(server: &Counting) -> TempDir {
    let folder = TempDir::new().expect("a temporary folder");
    let root = folder.path();
    std::fs::create_dir(root.join("playbooks")).expect("a folder");
    std::fs::write(root.join("playbooks/posts.rhai"), POSTS).expect("a file");
    std::fs::write(root.join("playbooks/load.rhai"), LOAD).expect("a file");
    let address = server.address;
    let toml = format!(
        r#"
        [gate]
        backoff_base = "10ms"
        circuit_failures = 1000

        [providers.keyed]
        base_url = "http://{address}/keyed"
        idempotency = {{ header = "Idempotency-Key", lifetime = "24h" }}
        lookup = {{ path = "/posts?key={{key}}", found = "items.0" }}
        attempts = 10
        settle = "1s"
        timeout = "2s"

        [providers.tagged]
        base_url = "http://{address}/tagged"
        idempotency = {{ header = "Idempotency-Key" }}
        lookup = {{ path = "/posts?key={{key}}", found = "items.0" }}
        attempts = 10
        settle = "1s"
        timeout = "2s"

        [providers.plain]
        base_url = "http://{address}/plain"
        timeout = "2s"
        "#
    );
    std::fs::write(root.join("host.toml"), toml).expect("a file");
    folder
}

fn command(root: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_host"));
    command
        .args(arguments)
        .current_dir(root)
        .env_clear()
        .stdin(Stdio::null());
    command.env("DRY_RUN", "0");
    for provider in ["KEYED", "TAGGED", "PLAIN"] {
        command.env(format!("{provider}_ENABLED"), "1");
    }
    command
}

/// A command's exit code, and all that it prints.
fn host(root: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let output = command(root, arguments).output().expect("it starts");
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&text).into_owned())
}

/// Starts a command and kills it after `after`, unless it ends before. Gives its exit code if it came to one.
fn kill_after(root: &Path, arguments: &[&str], after: Duration) -> Option<i32> {
    let mut command = command(root, arguments);
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    std::thread::sleep(after);
    // It may have ended by itself.
    drop(child.kill());
    child.wait().expect("it is gone").code()
}

/// Every run of the store.
fn runs(data: &Path) -> Vec<Recorded> {
    let ground = host_on(data, Arc::new(open(data))).ground.clone();
    load_all(&ground)
}

/// One story of kills.
struct Story {
    root: PathBuf,
    server: Counting,
    chance: Chance,
    /// Loads that were told to be done.
    told: Vec<String>,
    loads: u64,
    kills: u64,
    decisions: u64,
}

impl Story {
    /// Starts more load, or goes on with what is there, and kills the host in the middle of it.
    fn kill_once(&mut self) {
        let after = Duration::from_millis(10 + self.chance.below(190));
        let is_new = self.chance.below(2) == 0;
        let name = format!("l{}", self.loads);
        let count = RUNS_AT_ONCE.to_string();
        let code = match is_new {
            true => {
                self.loads += 1;
                let arguments = ["run", "load", "--name", &name, "--runs", &count];
                kill_after(&self.root, &arguments, after)
            }
            false => kill_after(&self.root, &["resume", "--all"], after),
        };
        if code.is_none() {
            self.kills += 1;
        }
        if is_new && code == Some(0) {
            self.told.push(name);
        }
    }

    /// Goes on with everything until it is at rest; a person who sees what the server sees decides what is in doubt.
    fn come_to_rest(&mut self) {
        let give_up_at = Instant::now() + PATIENCE;
        loop {
            let (_, text) = host(&self.root, &["resume", "--all"]);
            let runs = runs(&self.root.join("data"));
            let mut decided = false;
            for run in runs.iter() {
                let is_open = run
                    .ended
                    .as_ref()
                    .is_some_and(|end| end.status == Status::NeedsAttention);
                let doubtful = run.steps.iter().find(|(_, step)| step.is_in_doubt());
                if let (true, Some((number, step))) = (is_open, doubtful) {
                    self.decide(run, *number, label_of(step).expect("a write"));
                    decided = true;
                    self.decisions += 1;
                }
            }
            let at_work = runs.iter().filter(|run| run.ended.is_none()).count();
            if at_work == 0 && !decided {
                return;
            }
            assert!(
                Instant::now() < give_up_at,
                "{at_work} runs do not come to rest: {text}"
            );
        }
    }

    fn decide(&self, run: &Recorded, step: u32, label: &str) {
        let id = run.begun.run.to_string();
        let landed = self.server.landed().contains_key(label);
        let word = if landed { "--landed" } else { "--not-landed" };
        let arguments = [
            "resolve",
            &id,
            &step.to_string(),
            word,
            "--reason",
            "the server's count",
        ];
        let (code, text) = host(&self.root, &arguments);
        assert_eq!(code, Some(0), "{label}: {text}");
        let (_, text) = host(&self.root, &["resume", &id]);
        assert!(!text.contains("RUN_OVER"), "{label}: {text}");
    }

    /// What must hold when all is at rest.
    fn check(&self) {
        let landed = self.server.landed();
        let twice: BTreeMap<_, _> = landed.iter().filter(|(_, count)| **count > 1).collect();
        assert!(twice.is_empty(), "landed more than once: {twice:?}");
        let runs = runs(&self.root.join("data"));
        let mut known = Vec::new();
        for run in &runs {
            let end = run.ended.as_ref().expect("all is at rest");
            assert_eq!(end.status, Status::Succeeded, "{:?}: {:?}", run.begun.input, end.error);
            for step in run.steps.values() {
                if let Some(label) = label_of(step) {
                    assert_eq!(landed.get(label), Some(&1), "{label} is said to have landed");
                    known.push(label.to_owned());
                }
            }
            let name = run
                .begun
                .input
                .get("name")
                .and_then(host::value::Value::as_str)
                .expect("a name");
            let replayed = host(&self.root, &["replay", &run.begun.run.to_string()]);
            assert_eq!(replayed.0, Some(0), "{name}: {}", replayed.1);
        }
        known.sort();
        assert_eq!(
            known,
            landed.keys().cloned().collect::<Vec<_>>(),
            "every landing is on a journal"
        );
        for name in &self.told {
            let is_it = |run: &Recorded| run.begun.input.get("name").and_then(host::value::Value::as_str) == Some(name);
            assert!(runs.iter().any(is_it), "{name} was told to be done and is lost");
        }
        counted_once(&runs);
    }
}

/// Each counter stands where the journals say it was counted to.
fn counted_once(runs: &[Recorded]) {
    let mut seen: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    for answer in runs
        .iter()
        .flat_map(|run| run.steps.values())
        .filter_map(|step| step.answer.as_ref())
    {
        if answer.asked.name == "kv.increment" {
            let key = answer
                .asked
                .args
                .get("key")
                .and_then(host::value::Value::as_str)
                .expect("a key");
            seen.entry(key)
                .or_default()
                .push(answer.value.as_int().expect("a number"));
        }
    }
    for (key, mut values) in seen {
        values.sort();
        assert_eq!(
            values,
            (1..=values.len() as i64).collect::<Vec<_>>(),
            "{key} was counted so"
        );
        assert!(key == "all" || values.len() == 1, "{key} is one step: {values:?}");
    }
}

/// The label of a write.
fn label_of(step: &host::journal::Step) -> Option<&str> {
    step.asked()?.args.get("body")?.get("text")?.as_str()
}

#[test]
fn a_host_killed_at_random_moments_under_load_loses_nothing_and_sends_nothing_twice_unseen() {
    let number = |name: &str| {
        std::env::var(name)
            .ok()
            .map(|text| text.parse::<u64>().expect("a number"))
    };
    let is_soak = std::env::var_os("HOST_SOAK").is_some();
    let kills = number("HOST_KILLS").unwrap_or(if is_soak { KILLS_SOAK } else { KILLS });
    let seed = number("HOST_KILL_SEED").unwrap_or(7);
    println!("seed {seed}, {kills} kills");
    let (mut killed, mut landed, mut all, mut decided, mut round) = (0, 0, 0, 0, 0);
    // A project of its own for each so many kills: looking at everything takes longer the more there is.
    while killed < kills {
        let server = Counting::start(seed + round);
        let folder = project(&server);
        let mut story = Story {
            root: folder.path().to_owned(),
            server,
            chance: Chance::new(seed + round),
            told: Vec::new(),
            loads: 0,
            kills: 0,
            decisions: 0,
        };
        while story.kills < KILLS_BETWEEN_LOOKS.min(kills - killed) {
            story.kill_once();
        }
        story.come_to_rest();
        story.check();
        killed += story.kills;
        decided += story.decisions;
        landed += story.server.landed().len();
        all += runs(&story.root.join("data")).len();
        round += 1;
    }
    println!(
        "seed {seed}: {killed} kills, {all} runs, {landed} writes landed, each once, none was lost; {decided} were in \
         doubt and decided by a person"
    );
}
