//! `host dev`

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::Value as Json;

use crate::project::Project;

/// How long a test waits for what must come.
const LONG: Duration = Duration::from_secs(30);

/// How long nothing may come where nothing must.
const SHORT: Duration = Duration::from_millis(600);

/// The command under way; ended when dropped.
struct Dev {
    child: Child,
    lines: Receiver<String>,
}

impl Dev {
    fn start(project: &Project, arguments: &[&str]) -> Dev {
        let mut command = project.command(&[&["dev"], arguments].concat());
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("it starts");
        let said = BufReader::new(child.stdout.take().expect("its output"));
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in said.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Dev { child, lines }
    }

    /// The next line that `fits`, with all before it.
    #[track_caller]
    fn until(&self, fits: &str) -> String {
        let give_up = Instant::now() + LONG;
        let mut seen = String::new();
        loop {
            let left = give_up.saturating_duration_since(Instant::now());
            let line = self
                .lines
                .recv_timeout(left)
                .unwrap_or_else(|_| panic!("no line with {fits:?} after:\n{seen}"));
            seen.push_str(&line);
            seen.push('\n');
            if line.contains(fits) {
                return seen;
            }
        }
    }

    /// The next object of `--json`.
    #[track_caller]
    fn next(&self) -> Json {
        let line = self.lines.recv_timeout(LONG).expect("another plan");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    /// Presses Ctrl-C; the exit code, and what was said until then.
    fn interrupt(mut self) -> (Option<i32>, String) {
        let id = self.child.id().to_string();
        let sent = std::process::Command::new("kill").args(["-INT", &id]).status();
        assert!(sent.expect("kill is there").success());
        let status = self.child.wait().expect("it ends");
        let said: Vec<String> = self.lines.iter().collect();
        (status.code(), said.join("\n"))
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        self.child.kill().unwrap_or_default();
        self.child.wait().map(drop).unwrap_or_default();
    }
}

fn project() -> Project {
    Project::bare()
        .file(
            "playbooks/a.rhai",
            "import \"lib/words\" as words;\nkv::put(\"a\", words::greeting());\nkv::put(\"b\", 2);\n",
        )
        .file("playbooks/lib/words.rhai", "fn greeting() { \"hello\" }\n")
        .file("prompts/p.md", "Say hello")
}

/// The verdicts of a plan, as `name verdict`.
fn verdicts(json: &Json) -> Vec<String> {
    let effects = json["diff"]["effects"]
        .as_array()
        .unwrap_or_else(|| panic!("no diff: {json}"));
    let word = |effect: &Json, key: &str| effect[key].as_str().expect("a word").to_owned();
    effects
        .iter()
        .map(|effect| format!("{} {}", word(effect, "name"), word(effect, "verdict")))
        .collect()
}

#[test]
fn a_save_shows_what_changed_and_ctrl_c_ends_in_order() {
    let project = project();
    let dev = Dev::start(&project, &["a"]);
    let first = dev.until("planned in");
    assert!(first.contains("inputs  presets") && first.contains("kv.put"), "{first}");
    project.write(
        "playbooks/a.rhai",
        "kv::put(\"a\", \"hello\");\nkv::put(\"b\", 4);\nlet x = kv::get(\"b\");\nkv::get(\"c\");\n",
    );
    let told = dev.until("kept");
    assert!(told.contains("playbooks/a.rhai changed   planned in"), "{told}");
    assert!(told.contains("~ kv.put  changed  value  2 → 4"), "{told}");
    assert!(told.contains("+ kv.get  new      c"), "{told}");
    assert!(told.contains("store\n  ~ b\n"), "{told}");
    assert!(told.contains("1 kept · 1 changed · 2 new"), "{told}");
    let (code, said) = dev.interrupt();
    assert_eq!(code, Some(0));
    assert!(said.contains("stopped; nothing was sent, nothing was kept"), "{said}");
    assert!(!project.store().exists(), "no store was made");
}

#[test]
fn a_broken_save_shows_its_place_and_the_plan_before_it_is_kept() {
    let project = project();
    let dev = Dev::start(&project, &["a"]);
    dev.until("planned in");
    project.write("playbooks/a.rhai", "kv::put(\"a\", \"hello\");\nkv::put(\"b\", ;\n");
    let told = dev.until("is kept");
    assert!(
        told.contains("broken") && told.contains("error[SYNTAX]") && told.contains("playbooks/a.rhai:2:"),
        "{told}"
    );
    assert_eq!(told.matches("error[").count(), 1, "{told}");
    assert!(told.contains("the last good plan is kept: 2 effects"), "{told}");
    project.write(
        "playbooks/a.rhai",
        "kv::put(\"a\", \"hello\");\nkv::put(\"b\", 2);\nkv::put(\"c\", 3);\n",
    );
    let told = dev.until("kept");
    assert!(
        told.contains("+ kv.put  new      c") && told.contains("2 kept · 1 new"),
        "{told}"
    );
}

/// Dry it is simulated whatever `uses` says; what the gate would refuse live is a remark.
#[test]
fn a_write_that_uses_does_not_name_is_planned_all_the_same() {
    let project = Project::bare().file(
        "playbooks/a.rhai",
        "const PLAYBOOK = #{ uses: [] };\nslack::post(\"hi\");\n",
    );
    let dev = Dev::start(&project, &["a", "--json"]);
    let planned = dev.next();
    assert_eq!(planned["ok"], true, "{planned}");
    assert!(planned.to_string().contains("NOT_IN_USES"), "{planned}");
}

#[test]
fn one_save_is_one_plan_however_an_editor_writes_it() {
    let project = project();
    let dev = Dev::start(&project, &["a", "--json"]);
    let first = dev.next();
    assert!(first["ok"] == true && first["diff"].is_null(), "{first}");
    let text = |number: u32| format!("kv::put(\"a\", \"hello\");\nkv::put(\"b\", {number});\n");
    // A new file in its place.
    project.write("playbooks/.a.rhai.tmp", &text(3));
    std::fs::rename(project.path("playbooks/.a.rhai.tmp"), project.path("playbooks/a.rhai")).expect("renamed");
    let renamed = dev.next();
    assert_eq!(verdicts(&renamed), ["kv.put kept", "kv.put changed"], "{renamed}");
    assert_eq!(renamed["changed"], serde_json::json!(["playbooks/a.rhai"]));
    // Emptied, and written in two parts.
    project.write("playbooks/a.rhai", "");
    project.write("playbooks/a.rhai", "kv::put(\"a\"");
    project.write("playbooks/a.rhai", &text(4));
    let written = dev.next();
    assert_eq!(
        (&written["ok"], verdicts(&written)),
        (&true.into(), verdicts(&renamed)),
        "{written}"
    );
    // Saved without a change, and a file beside it.
    project.write("playbooks/a.rhai", &text(4));
    project.write("playbooks/other.rhai", "let broken = ;");
    assert!(dev.lines.recv_timeout(SHORT).is_err(), "nothing of it changed");
}

#[test]
fn modules_and_prompts_are_watched_also_while_they_are_gone() {
    let project = project();
    project.write(
        "playbooks/a.rhai",
        "import \"lib/words\" as words;\nkv::put(\"a\", words::greeting());\nprompt::render(\"p\");\n",
    );
    let dev = Dev::start(&project, &["a", "--json"]);
    assert!(dev.next()["ok"] == true);
    project.write("playbooks/lib/words.rhai", "fn greeting() { \"good day\" }\n");
    let changed = dev.next();
    assert_eq!(
        verdicts(&changed),
        ["kv.put changed", "prompt.render kept"],
        "{changed}"
    );
    assert_eq!(changed["changed"], serde_json::json!(["playbooks/lib/words.rhai"]));
    // The module goes, with its folder, and comes back otherwise.
    std::fs::remove_dir_all(project.path("playbooks/lib")).expect("it is there");
    let gone = dev.next();
    assert_eq!(gone["problems"][0]["code"], "IMPORT_NOT_FOUND", "{gone}");
    project.write("playbooks/lib/words.rhai", "fn greeting() { \"good night\" }\n");
    let back = dev.next();
    assert_eq!(verdicts(&back), ["kv.put changed", "prompt.render kept"], "{back}");
    project.write("prompts/p.md", "Say good night");
    let prompt = dev.next();
    assert_eq!(verdicts(&prompt), ["kv.put kept", "prompt.render changed"], "{prompt}");
    // The playbook itself.
    std::fs::remove_file(project.path("playbooks/a.rhai")).expect("it is there");
    assert_eq!(dev.next()["problems"][0]["code"], "PLAYBOOK_NOT_FOUND");
    project.write("playbooks/a.rhai", "kv::put(\"a\", 1);");
    assert_eq!(verdicts(&dev.next()), ["kv.put changed", "prompt.render gone"]);
    // The settings.
    project.write("host.toml", "[limits\n");
    assert_eq!(dev.next()["problems"][0]["code"], "CONFIG");
    project.write("host.toml", "[limits]\noperations = 100000\n");
    assert!(dev.next()["ok"] == true);
}

#[test]
fn a_plan_is_made_on_the_inputs_of_the_newest_run() {
    let project = Project::bare().file(
        "playbooks/a.rhai",
        "const PLAYBOOK = #{ inputs: #{ topic: #{ preset: \"none\" } } };\nkv::put(\"a\", input.topic);",
    );
    project.ok(&["run", "a", "--topic", "first"]);
    project.ok(&["run", "a", "--topic", "second"]);
    let dev = Dev::start(&project, &["a", "--json"]);
    let first = dev.next();
    assert_eq!(first["inputs"]["value"]["topic"], "second", "{first}");
    assert!(
        first["inputs"]["from"].as_str().expect("words").starts_with("of run "),
        "{first}"
    );
    // An input that the header does not know any more is left out.
    project.write(
        "playbooks/a.rhai",
        "const PLAYBOOK = #{ inputs: #{ subject: #{ preset: \"none\" } } };\nkv::put(\"a\", input.subject);",
    );
    let edited = dev.next();
    assert_eq!(
        edited["inputs"]["value"],
        serde_json::json!({ "subject": "none" }),
        "{edited}"
    );
    drop(dev);
    project.write(
        "playbooks/a.rhai",
        "const PLAYBOOK = #{ inputs: #{ topic: #{ preset: \"none\" } } };\nkv::put(\"a\", input.topic);",
    );
    let dev = Dev::start(&project, &["a", "--topic", "typed", "--json"]);
    assert_eq!(dev.next()["inputs"]["value"]["topic"], "typed");
}

#[test]
fn time_and_chance_are_no_difference() {
    let text =
        "kv::put(\"a\", time::now_ms());\nkv::put(\"b\", random::int(1, 1000000));\nkv::put(\"c\", id::uuid());\n";
    let project = Project::bare().file("playbooks/a.rhai", text);
    let dev = Dev::start(&project, &["a", "--json"]);
    dev.next();
    project.write("playbooks/a.rhai", &format!("// a word\n{text}"));
    let again = dev.next();
    assert_eq!(again["diff"]["same"], true, "{again}");
}

#[test]
fn what_fails_while_it_is_planned_is_told_with_its_place_and_what_came_before() {
    let project = project();
    let dev = Dev::start(&project, &["a"]);
    dev.until("planned in");
    project.write(
        "playbooks/a.rhai",
        "kv::put(\"a\", \"hello\");\nlet x = [1];\nkv::put(\"b\", x[7]);\n",
    );
    let told = dev.until("kv::put(\"b\", x[7])");
    assert!(
        told.contains("error[INDEX]") && told.contains("− kv.put  gone"),
        "{told}"
    );
    // It is compared with the last plan that was good.
    project.write("playbooks/a.rhai", "kv::put(\"a\", \"hello\");\nkv::put(\"b\", 2);\n");
    assert!(dev.until("same plan").contains("the same plan: 2 effects"));
}

#[test]
fn a_playbook_that_is_not_there_is_a_mistake_at_once() {
    let answer = project().host(&["dev", "no-such"]);
    assert_eq!(answer.code, 2, "{answer:?}");
    assert!(answer.stderr.contains("PLAYBOOK_NOT_FOUND"), "{answer:?}");
}
