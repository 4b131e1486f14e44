//! What the parts of a step cost, on one core: `cargo bench`, or `cargo bench -- journal` for those with that word.
//!
//! Each part is called for a while in rounds, and the fastest round counts: what slows a round down is the machine's.
//! No harness beside this: what people size their machines with is `host bench`; this is to see where a step's time goes.
#![expect(clippy::disallowed_methods, reason = "a bench reads the clock itself")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use host::app::App;
use host::effect::{Declaration, Effect, Place};
use host::gate::{How, perform};
use host::id::StepNo;
use host::journal::row::{Packed, decode};
use host::journal::{Answer, Asked};
use host::namespaces;
use host::runs::conductor::{Crew, Shift};
use host::runs::{Order, Runner, pool};
use host::script::check::{Project, check_text};
use host::script::limits::Meter;
use host::script::{Language, ScriptLimits};
use host::serve::status::{Board, Status};
use host::serve::{Edition, Live};
use host::store::content::ScratchContent;
use host::store::documents::{Grouping, Indexes, group, put};
use host::store::engine::{Engine, EngineOptions};
use host::store::tx::{Ground, Tx};
use host::store::{Durability, Realm, kv, queue};
use host::telemetry::Telemetry;
use host::telemetry::lookout::Eyes;
use host::testing::TestHost;
use host::value::Value;

/// How long a part is called for.
const ROUNDS: u32 = 20;
const ROUND: Duration = Duration::from_millis(25);

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let bench = |name: &str, part: &mut dyn FnMut()| {
        if wanted.is_empty() || wanted.iter().any(|word| name.contains(word.as_str())) {
            println!("{name:<44} {:>10.2} µs", fastest(part).as_secs_f64() * 1e6);
        }
    };
    values(&bench);
    journal(&bench);
    runs(&bench);
    collections(&bench);
    checks(&bench);
    whole_collections(&bench);
    editor(&bench);
    page(&bench);
}

/// What Prometheus waits for: a server with 1,000 playbooks, each of which has run, and 1,000 queues of ten jobs.
fn page(bench: &Bench<'_>) {
    let telemetry = std::cell::LazyCell::new(|| {
        let names: Vec<String> = (0..1000).map(|number| format!("playbook{number:04}")).collect();
        let host = TestHost::default().file("host.toml", "").file("data/store.redb", "");
        let host = names.iter().fold(host, |host, name| {
            host.file(&format!("playbooks/{name}.rhai"), "kv::put(\"a\", 1);")
        });
        let app = Arc::new(App::new(&host.folder()).expect("a host"));
        let (mut edition, _) = Edition::load(app, &host.ground, None).expect("an edition");
        edition.runner = host.runner();
        let eyes = Eyes {
            figures: Arc::default(),
            traces: None,
        };
        let figures = eyes.figures.clone();
        edition.runner.gate.lookout.get_or_init(|| Arc::new(eyes));
        for name in &names {
            let order = Order {
                script: edition.app.library.playbook(name).expect("it compiles"),
                input: Value::Map(Default::default()),
                mode: host.mode.clone(),
                trigger: "bench".to_owned(),
                by: None,
                retry_of: None,
                corr: None,
                observer: Arc::new(host::gate::Silent),
            };
            edition.runner.run(&order).expect("memory does not fail");
            let mut tx = Tx::new(&host.ground, Realm::Dry, 0);
            for number in 0..10 {
                queue::push(&mut tx, name, &Value::Int(number), &queue::Wanted::default()).expect("there is room");
                host.ground
                    .store
                    .commit(tx.batch, Durability::Soon)
                    .expect("memory does not fail");
                tx = Tx::new(&host.ground, Realm::Dry, 0);
            }
        }
        let runner = edition.runner.clone();
        let (ready, library) = (runner.gate.ready.clone(), edition.app.library.clone());
        let crew = Crew::new(0, ready, move || Shift {
            runner: runner.clone(),
            library: library.clone(),
        });
        let board = Arc::new(Board::new(host.ground.store.clone(), Status::default()));
        let live = Arc::new(Live::new(edition));
        (
            Telemetry::new(live, board, Arc::new(crew), Arc::default(), figures, None),
            host,
        )
    });
    bench("page: metrics of 1,000 playbooks", &mut || {
        black_box(host::telemetry::page(&telemetry.0));
    });
}

/// What a person who types in a script of 2,000 lines waits for.
fn editor(bench: &Bench<'_>) {
    let uri = "file:///nowhere/long.rhai";
    let step = |at: usize| {
        format!(
            "fn step_{at}(item, factor) {{\n    let seen = kv::get(`seen/${{item.id}}`) ?? 0;\n    if seen > {at} {{ return seen * factor; }}\n    \
             store::put(\"clips\", item.id, #{{ score: seen }});\n    seen\n}}\nlet v_{at} = step_{at}(#{{ id: \"a\" }}, {at});\nlog::info(`${{v_{at}}}`);\n"
        )
    };
    let text: String = (0..250).map(step).collect::<String>() + "kv::get(\"a\");\n";
    let clock = std::sync::Arc::new(host::io::clock::SystemClock::new());
    let mut session = host::lsp::session::Session::new(std::path::Path::new("/nowhere"), clock);
    session
        .initialize(serde_json::json!({ "capabilities": {} }))
        .expect("it is greeted");
    let mut tell = {
        let mut version = 0;
        move |session: &mut host::lsp::session::Session, method: &str, what: &str, with: serde_json::Value| {
            version += 1;
            let mut params = serde_json::json!({ "textDocument": { "uri": uri, "version": version, "languageId": "rhai", "text": text } });
            params[what] = with;
            session.notified(lsp_server::Notification::new(method.to_owned(), params));
        }
    };
    tell(&mut session, "textDocument/didOpen", "nothing", serde_json::Value::Null);
    let at = serde_json::json!({ "line": 2000, "character": 5 });
    let edit = serde_json::json!([{ "range": { "start": at, "end": at }, "text": "" }]);
    let place = serde_json::json!({ "textDocument": { "uri": uri }, "position": at });
    bench("editor: an edit and completion", &mut || {
        tell(&mut session, "textDocument/didChange", "contentChanges", edit.clone());
        black_box(
            session
                .request("textDocument/completion", place.clone())
                .expect("an answer"),
        );
    });
    let address = uri.parse().expect("an address");
    bench("editor: an edit and its diagnostics", &mut || {
        tell(&mut session, "textDocument/didChange", "contentChanges", edit.clone());
        black_box(host::lsp::diagnostics::of(&mut session, &address));
    });
}

/// Questions over a collection of 100,000 documents, in a file.
fn collections(bench: &Bench<'_>) {
    let folder = std::env::temp_dir().join(format!("host-bench-{}", std::process::id()));
    // As much as `[store] cache_mib` is when nothing is said.
    let options = EngineOptions { cache_bytes: 64 << 20 };
    let store = Arc::new(Engine::open(&folder.join("host.redb"), options).expect("a store"));
    let ground = Ground {
        store: store.clone(),
        content: Arc::new(ScratchContent::in_memory(None)),
        indexes: Arc::new(Indexes::none()),
    };
    let mut filled = false;
    let mut asked = |name: &str, options: Value| {
        let grouping = Grouping::parse(options.as_map().expect("a map")).expect("a grouping");
        bench(name, &mut || {
            if !std::mem::replace(&mut filled, true) {
                fill(&ground);
            }
            let groups = group(&mut Tx::new(&ground, Realm::Live, 0), "posts", &grouping).expect("groups");
            assert!(!black_box(groups).is_empty());
        });
    };
    let views = || Value::from([("gte", 100.into())]);
    let sums = || Value::from([("n", "count".into()), ("views", Value::from([("sum", "views".into())]))]);
    asked(
        "store: filter and group 100,000 documents",
        Value::from([
            ("where", Value::from([("views", views())])),
            ("by", "platform".into()),
            ("aggregates", sums()),
        ]),
    );
    asked(
        "store: count 100,000 documents by a field",
        Value::from([("by", "state".into())]),
    );
    drop(ground);
    drop(store);
    std::fs::remove_dir_all(folder).ok();
}

fn fill(ground: &Ground) {
    const DOCUMENTS: i64 = 100_000;
    let platforms = ["tiktok", "instagram", "youtube"];
    for n in 0..DOCUMENTS {
        let post = Value::from([
            ("title", format!("Three habits that change a morning, part {n}").into()),
            ("platform", platforms[n as usize % 3].into()),
            ("state", ["draft", "ready", "posted"][n as usize / 7 % 3].into()),
            ("views", (n * 7919 % 10_000).into()),
            ("posted_at", "2026-11-21T07:00:00Z".into()),
            ("tags", Value::List(vec!["morning".into(), "habits".into()])),
        ]);
        let mut tx = Tx::new(ground, Realm::Live, 0);
        put(
            &mut tx,
            "posts",
            &format!("post-{n:06}"),
            post.as_map().cloned().expect("a map"),
        )
        .expect("a document");
        ground.store.commit(tx.batch, Durability::Soon).expect("room");
    }
    let last = ground.store.stats().last_commit;
    ground.store.wait_durable(last).expect("a disk");
}

type Bench<'a> = dyn Fn(&str, &mut dyn FnMut()) + 'a;

/// The time of one call, in the fastest of some rounds.
fn fastest(part: &mut dyn FnMut()) -> Duration {
    let round = |part: &mut dyn FnMut()| {
        let begun = Instant::now();
        part();
        let mut calls = 1;
        while begun.elapsed() < ROUND {
            // What takes long on its own needs no company to be measured.
            let batch = if begun.elapsed() > ROUND / 50 * (calls + 1) {
                1
            } else {
                16
            };
            (0..batch).for_each(|_| part());
            calls += batch;
        }
        begun.elapsed() / calls
    };
    (0..ROUNDS).map(|_| round(part)).min().unwrap_or_default()
}

/// What an editor waits for at every keystroke, and `host check` does for each playbook.
fn checks(bench: &Bench<'_>) {
    let language = Arc::new(Language::new(|| namespaces::modules(&[]), ScriptLimits::default()));
    let mut project = Project::new(language.clone(), |name| Err(format!("there is no {name}")));
    project.writers = namespaces::writers(&[]);
    let demo = include_str!("../playbooks/demo.rhai");
    // The header once, and the rest until there are two thousand lines.
    let (header, body) = demo.split_once("};\n").expect("the header ends");
    let mut long = format!("{header}}};\n");
    while long.lines().count() < 2000 {
        long.push_str(body.trim_end());
        long.push_str(";\n");
    }
    bench("check: what is known of the functions", &mut || {
        black_box(Project::new(language.clone(), |name| Err(name.to_owned())));
    });
    bench("check: the demo", &mut || {
        black_box(check_text(&project, "playbooks/demo.rhai", demo));
    });
    bench("check: a file of 2,000 lines", &mut || {
        black_box(check_text(&project, "playbooks/long.rhai", &long));
    });
    let typed = &long[..long.len() / 2];
    bench("check: the same, half typed", &mut || {
        black_box(check_text(&project, "playbooks/long.rhai", typed));
    });
}

/// The library's work on 100,000 rows: what a script must not loop over.
fn whole_collections(bench: &Bench<'_>) {
    use host::namespaces::file::parse::{CsvOptions, csv_to_value};
    use host::namespaces::stats::{describe, series};
    use host::namespaces::{csv, text};
    const ROWS: i64 = 100_000;
    let numbers: Vec<f64> = (0..ROWS).map(|row| ((row * 7919) % 10_007) as f64).collect();
    let row = |row: i64| {
        Value::from([
            ("id", row.into()),
            ("title", format!("Three habits, part {row}").into()),
            ("views", (row * 7919 % 10_007).into()),
        ])
    };
    let rows = Value::List((0..ROWS).map(row).collect());
    let written = csv::written(&rows, &csv::Form::default()).expect("rows");
    let captions: Vec<String> = (0..ROWS)
        .map(|row| format!("Three habits – für dich! #AI #part{row}"))
        .collect();
    let each = |work: &dyn Fn(&str) -> usize| captions.iter().map(|caption| work(caption)).sum::<usize>();
    bench("whole: percentiles of 100,000", &mut || {
        let sorted = describe::sorted(numbers.clone());
        black_box((describe::percentile(&sorted, 50.0), describe::percentile(&sorted, 90.0)));
    });
    bench("whole: stddev of 100,000", &mut || {
        black_box(describe::stddev(&numbers));
    });
    bench("whole: moving average of 100,000", &mut || {
        black_box(series::moving_average(&numbers, 7));
    });
    bench("whole: csv read, 100,000 rows", &mut || {
        black_box(csv_to_value(&written, CsvOptions::default()).expect("rows"));
    });
    bench("whole: csv written, 100,000 rows", &mut || {
        black_box(csv::written(&rows, &csv::Form::default()).expect("rows"));
    });
    bench("whole: slugs of 100,000 captions", &mut || {
        black_box(each(&|caption| text::shape::slug(caption, 80, "-").len()));
    });
    bench("whole: hashtags of 100,000 captions", &mut || {
        black_box(each(&|caption| text::find::hashtags(caption).count()));
    });
    bench("whole: 100,000 captions cut", &mut || {
        black_box(each(&|caption| {
            text::shape::truncate(caption, 20, &text::shape::Cut::default()).len()
        }));
    });
}

fn small_map() -> Value {
    Value::from([
        ("id", "2026-11-21-a".into()),
        ("seconds", 42.into()),
        ("score", 0.71.into()),
    ])
}

fn values(bench: &Bench<'_>) {
    let (value, bytes) = (small_map(), small_map().to_bytes());
    bench("value: encode a small map", &mut || drop(black_box(value.to_bytes())));
    bench("value: decode a small map", &mut || {
        black_box(Value::from_bytes(&bytes).expect("a value"));
    });
    bench("value: clone a small map", &mut || drop(black_box(value.clone())));
    bench("value: to a script and back", &mut || {
        let there = host::script::value::to_dynamic(value.clone());
        black_box(host::script::value::from_dynamic(&there).expect("a value"));
    });
}

fn answer(step: StepNo) -> Answer {
    Answer {
        asked: Asked {
            step,
            name: "kv.get".to_owned(),
            args: Value::from([("key", "clip".into())]),
            place: Place {
                line: 1,
                column: 20,
                module: None,
            },
            ..Asked::default()
        },
        value: small_map(),
        ..Answer::default()
    }
}

fn journal(bench: &Bench<'_>) {
    let answers: Vec<Answer> = (1..=10).map(answer).collect();
    let packed = || {
        let mut packed = Packed::default();
        answers.iter().for_each(|answer| packed.push_answer(answer));
        packed
    };
    bench("journal: encode ten answers", &mut || drop(black_box(packed())));
    bench("journal: encode ten answers as a row", &mut || {
        black_box(packed().row());
    });
    let row = packed().row();
    bench("journal: decode a row of ten answers", &mut || {
        black_box(decode(&row).expect("a row"));
    });
}

fn runs(bench: &Bench<'_>) {
    static GET: Declaration = Declaration::local("kv.get");
    let host = TestHost::default();
    let runner = Runner {
        gate: host.gate(),
        language: host.library().language,
    };
    host.run(r#"kv::put("clip", #{ id: "2026-11-21-a", seconds: 42, score: 0.71 })"#);
    let order = |script: &str| Order {
        script: host.compile(script),
        input: Value::Map(Default::default()),
        mode: host.mode.clone(),
        trigger: "bench".to_owned(),
        by: None,
        retry_of: None,
        corr: None,
        observer: host.observer.clone(),
    };

    let nothing = order("1");
    bench("run: begin", &mut || {
        black_box(runner.begin(&nothing).expect("it begins"));
    });
    let run = runner.begin(&nothing).expect("it begins");
    bench("run: build and drop its engine", &mut || {
        let tape = run.tape();
        let (stop, operations) = (tape.stop_flag(), tape.operations());
        drop(tape);
        let clock = runner.gate.world.clock.clone();
        let meter = Meter::start(
            &host.limits,
            Duration::from_secs(60),
            Duration::ZERO,
            clock,
            stop,
            operations,
        );
        black_box(runner.language.engine_for(&run, rhai::Dynamic::UNIT, meter));
    });
    bench("run: hand nothing to a thread of the pool", &mut || {
        pool::run(64 << 20, || ()).expect("a thread");
    });

    let mut run = run;
    bench("gate: a local effect that reads a small map", &mut || {
        // A run asks for so many effects and no more.
        if run.tape().step() == host::gate::tape::EFFECTS_MAX {
            run = runner.begin(&nothing).expect("it begins");
        }
        let mut tape = run.tape();
        let effect = Effect::new(&GET, [("key", "clip".into())]);
        let get = |local: &mut host::gate::Local<'_>| Ok(kv::get(&mut local.tx, "clip")?.into());
        black_box(perform(&runner.gate, &mut tape, &effect, How::Local(&get)).expect("an answer"));
    });

    let (one, ten) = (
        order(r#"kv::get("clip")"#),
        order(r#"for step in 0..10 { kv::get("clip"); } 10"#),
    );
    for (name, order) in [
        ("run: nothing, to its end on record", &nothing),
        ("run: one local effect", &one),
        ("run: ten local effects", &ten),
    ] {
        bench(name, &mut || {
            black_box(runner.run(order).expect("the store takes the run"));
        });
    }
}
