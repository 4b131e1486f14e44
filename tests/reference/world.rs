//! The small world that examples speak of: files, prompts, playbooks, documents, and people who answer.
//!
//! Everything runs dry. What is not in this world (a service on the internet) is simulated by the host, as it is for
//! anybody who tries an example at home.
#![expect(clippy::disallowed_methods, reason = "examples read files of the project")]

use std::process::Command;
use std::sync::{Arc, LazyLock};

use host::io::clock::Clock;
use host::journal::{Outcome, event, question};
use host::namespaces;
use host::script::{ContextExt, Language, ScriptLimits};
use host::store::{Durability, Realm};
use host::testing::TestHost;
use host::value::Value;
use rhai::{Dynamic, EvalAltResult, FuncRegistration, Module, NativeCallContext};

/// What other runs have left in the store.
const BEFORE: &str = r#"
store::put("clips", "2026-11-21-a", #{ title: "Three habits", state: "ready", score: 8, seconds: 42, topic: "ai" });
store::put("clips", "2026-11-21-b", #{ title: "Five tools", state: "ready", score: 6, seconds: 35, topic: "tools" });
store::put("clips", "2026-11-20-c", #{ title: "One trick", state: "posted", score: 9, seconds: 61, topic: "ai" });
store::put("drafts", "2026-11-20-b", #{ state: "old" });
store::put("topics", "ai", #{ name: "AI", used: 4 });
store::put("topics", "tools", #{ name: "Tools", used: 1 });
store::put("posts", "p1", #{ clip: "2026-11-20-c", views: 1200, posted_at: "2026-11-20T12:00:00Z" });
kv::put("paused/tiktok", true);
kv::put("render/7", "https://render.example/7.mp4");
"#;

const FILES: [(&str, &str); 13] = [
    ("inbox/brief.md", "# Three habits\n\nBe brief.\n"),
    (
        "inbox/feed.json",
        r#"{"items": [{"title": "Three habits", "url": "https://example.com/1"}, {"title": "Five tools", "url": "https://example.com/2"}]}"#,
    ),
    ("inbox/topics.csv", "id,name\n1,ai\n2,tools\n"),
    ("inbox/export.csv", "1;2\n3;4\n"),
    ("prompts/voice.md", "Speak plainly.\n"),
    ("prompts/demo/caption.md", "Write a caption about {{ topic }}.\n"),
    ("prompts/daily/idea.md", "One idea about {{ topic }}.\n"),
    ("prompts/daily/script.md", "A script about {{ topic }}.\n"),
    ("prompts/weekly/text.md", "The text of week {{ week }}.\n"),
    ("playbooks/media/reframe.rhai", "input.source\n"),
    ("playbooks/media/cover.rhai", "`cover of ${input.title}`\n"),
    ("playbooks/daily/publish.rhai", "input\n"),
    ("playbooks/daily/collect.rhai", "input\n"),
];

/// The language of all examples, made once: it takes longer to make than an example to run.
static LANGUAGE: LazyLock<Arc<Language>> = LazyLock::new(|| {
    let example = || {
        let mut modules = namespaces::modules(&[]);
        modules.push(("example".to_owned(), example_module()));
        modules
    };
    Arc::new(Language::new(example, ScriptLimits::default()))
});

pub struct World(TestHost);

impl World {
    /// The world, with a video if `example` speaks of one.
    pub fn with_files_for(example: &str) -> World {
        let mut host = TestHost::default().language(LANGUAGE.clone());
        for (path, text) in FILES {
            host = host.file(path, text);
        }
        if example.contains("inbox/clip.mp4") || example.contains("file::list") {
            host = host.file("inbox/clip.mp4", clip());
        }
        // What begins with what it puts stands for itself.
        let begins_empty = example.lines().next().is_some_and(|line| line.contains("store::put("));
        let asks_the_store =
            example.contains("store::") || example.contains("kv::") || example.contains("json::pretty");
        if asks_the_store && !begins_empty {
            host.run(BEFORE).value();
        }
        World(host)
    }

    /// Runs a script to its end; whatever it waits for comes.
    pub fn run(&self, script: &str) -> Outcome {
        let input = Value::from([("topic", "ai productivity".into()), ("source", "inbox/clip.mp4".into())]);
        let host = &self.0;
        let run = host.run_with(script, input);
        let Some(waits) = run
            .finished
            .record
            .waits
            .as_ref()
            .filter(|_| !run.outcome().status.is_over())
        else {
            return run.finished.outcome;
        };
        let run = run.id();
        let now_ms = host.clock.unix_ms();
        let given = question::Given {
            answer: "yes".to_owned(),
            by: "bert".to_owned(),
            at_ms: now_ms,
        };
        let roles = ["editor".to_owned()];
        // It waits for one of the two.
        question::answer(&host.ground, run, waits.step, given, &roles)
            .expect("readable")
            .ok();
        let data = Value::from([("ok", true.into())]);
        event::emit(&host.ground, Realm::Dry, "review.done", &data, now_ms, Durability::Now).expect("it is taken");
        let mut driven = host.drive([run]);
        driven.finished.remove(&run).expect("it goes on").outcome
    }
}

/// The demo's clip, made small: what examples do with it is the same, and takes a moment.
fn clip() -> &'static [u8] {
    static CLIP: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let small = folder.path().join("clip.mp4");
        let made = Command::new("ffmpeg")
            .args(["-v", "error", "-i"])
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/inbox/clip.mp4"))
            .args(["-vf", "scale=160:90,fps=10", "-preset", "ultrafast"])
            .arg(&small)
            .status();
        assert!(made.expect("ffmpeg is installed").success());
        std::fs::read(small).expect("a video")
    });
    &CLIP
}

/// `example::gives`, which an example's `// => LITERAL` becomes.
fn example_module() -> Module {
    let mut module = Module::new();
    FuncRegistration::new("gives").set_into_module(
        &mut module,
        |ctx: NativeCallContext, given: Dynamic, wanted: Dynamic| -> Result<(), Box<EvalAltResult>> {
            let (given, wanted) = (ctx.value(&given)?, ctx.value(&wanted)?);
            if given == wanted {
                return Ok(());
            }
            Err(format!(
                "line {}: gives {given} and not {wanted}",
                ctx.call_position().line().unwrap_or(0)
            )
            .into())
        },
    );
    module
}
