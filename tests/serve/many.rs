//! Ten thousand runs that are queued at once.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use host::effect::RunMode;
use host::id::RunId;
use host::journal::{Cause, Status};
use host::runs::conductor::{Crew, Offer, Shift, What};
use host::runs::creation::Creation;
use host::serve::Edition;
use host::store::Durability;
use host::store::engine::{Engine, EngineOptions};
use host::testing::TestHost;

#[test]
fn runs_that_are_queued_at_once_all_begin_soon_and_each_once() {
    let is_long = std::env::var_os("HOST_SOAK").is_some();
    let (runs, playbooks) = if is_long { (10_000, 1_000) } else { (600, 150) };
    let folder = tempfile::tempdir().expect("a folder");
    let mut test = TestHost::default().file("host.toml", "");
    let store = Engine::open(&folder.path().join("store.redb"), EngineOptions::default()).expect("a store");
    test.ground.store = Arc::new(store);
    for number in 0..playbooks {
        test = test.file(
            &format!("playbooks/p{number}.rhai"),
            format!("kv::increment(\"p{number}\"); {number}"),
        );
    }
    let app = Arc::new(host::app::App::new(&test.folder()).expect("a host"));
    let (mut edition, _) = Edition::load(app, &test.ground, None).expect("an edition");
    edition.runner = test.runner();
    let listed: Vec<_> = edition.playbooks.values().cloned().collect();
    let gate = edition.runner.gate.clone();
    let mut offers = Vec::new();
    for number in 0..runs {
        let run = RunId::new(1, number as u128);
        let pinned = &listed[number % listed.len()].pinned;
        let creation = Creation {
            run,
            pinned,
            input: BTreeMap::new(),
            mode: RunMode::dry(),
            trigger: "a test".to_owned(),
            cause: Some(Cause::Startup {
                boot: number.to_string(),
            }),
            by: None,
            retry_of: None,
            at_ms: 1,
        };
        let batch = creation.batch(&gate).expect("inputs");
        test.ground.store.commit(batch, Durability::Soon).expect("committed");
        offers.push(Offer {
            run,
            playbook: pinned.playbook.clone(),
            what: What::GoOn,
        });
    }
    let (begun, lateness): (Instant, Arc<Mutex<Vec<Duration>>>) = (Instant::now(), Arc::default());
    let ended = Arc::new(AtomicU64::new(0));
    let shift = Shift {
        runner: edition.runner.clone(),
        library: edition.app.library.clone(),
    };
    let mut crew = Crew::new(32, gate.ready.clone(), move || shift.clone());
    crew.observe = Box::new({
        let lateness = lateness.clone();
        move |_: &Offer| {
            lateness.lock().expect("no panic").push(begun.elapsed());
            Arc::new(host::gate::Silent)
        }
    });
    crew.on_rest = Box::new({
        let ended = ended.clone();
        move |rest| {
            let status = rest.outcome.as_ref().expect("it goes on").record.status;
            assert_eq!(status, Status::Succeeded);
            ended.fetch_add(1, Ordering::Relaxed);
        }
    });
    let crew = Arc::new(crew);
    crew.offer(offers.iter().cloned());
    // Told twice, they run once.
    crew.offer(offers);
    assert!(crew.wait(Duration::from_secs(120)), "it takes too long");
    let took = begun.elapsed();
    assert_eq!(ended.load(Ordering::Relaxed), runs as u64);
    let mut lateness = lateness.lock().expect("no panic").clone();
    lateness.sort();
    println!(
        "{runs} runs of {playbooks} playbooks: begun p50 {:?}, p99 {:?}, all over after {took:?}",
        lateness[runs / 2],
        lateness[runs * 99 / 100]
    );
    let sum = test.run("let n = 0; for p in 0..10 { n += kv::get(`p${p}`); } n");
    assert_eq!(sum.value().to_string(), (10 * runs / playbooks).to_string());
}
