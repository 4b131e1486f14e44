//! A host without threads: the test says what time it is, takes its turns, kills it and saves its playbooks.

use std::sync::Arc;
use std::time::Duration;

use host::app::App;
use host::gate::Observer;
use host::io::clock::Clock;
use host::journal::RunRecord;
use host::runs::conductor::{Crew, Offer, Shift};
use host::serve::{Core, Edition, Live, Moved};
use host::testing::TestHost;
use host::triggers::Trigger;

type Triggers = fn() -> Vec<Box<dyn Trigger>>;

/// A project in memory, and the host that serves it now.
pub struct World {
    pub host: TestHost,
    triggers: Triggers,
    serving: Option<Serving>,
    editions: u64,
}

struct Serving {
    core: Core,
    live: Arc<Live>,
}

impl World {
    pub fn new(triggers: Triggers) -> World {
        World {
            host: TestHost::default().file("host.toml", ""),
            triggers,
            serving: None,
            editions: 0,
        }
    }

    /// Saves a playbook; it goes live with the next start or [`reload`](World::reload).
    pub fn save(&self, name: &str, text: &str) {
        let path = self.host.folder().join("playbooks").join(format!("{name}.rhai"));
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }

    pub fn now_ms(&self) -> i64 {
        self.host.clock.unix_ms()
    }

    /// Starts the host, as a process of its own.
    pub fn start(&mut self) {
        self.start_watched(Arc::new(host::gate::Silent));
    }

    pub fn start_watched(&mut self, observer: Arc<dyn Observer>) {
        let edition = self.edition(None);
        let ready = edition.runner.gate.ready.clone();
        let live = Arc::new(Live::new(edition));
        let current = live.clone();
        let mut crew = Crew::new(0, ready, move || {
            let edition = current.current();
            Shift {
                runner: edition.runner.clone(),
                library: edition.app.library.clone(),
            }
        });
        crew.observe = Box::new(move |_: &Offer| observer.clone());
        let mut core = Core::new(live.clone(), Arc::new(crew), (self.triggers)());
        core.recover().expect("the store can be read");
        self.serving = Some(Serving { core, live });
    }

    fn edition(&mut self, before: Option<&Edition>) -> Edition {
        let app = Arc::new(App::new(&self.host.folder()).expect("a host"));
        let (mut edition, broken) = Edition::load(app, &self.host.ground, before).expect("an edition");
        assert!(broken.is_empty(), "{broken:?}");
        let runner = self.host.runner();
        edition.runner.gate = match before {
            None => runner.gate,
            Some(before) => {
                let gate = Arc::into_inner(runner.gate).expect("it was just made");
                Arc::new(gate.in_process_of(&before.runner.gate))
            }
        };
        self.editions += 1;
        edition.number = self.editions;
        edition
    }

    /// What is saved goes live.
    pub fn reload(&mut self) {
        let serving = self.serving.as_ref().expect("a host that serves");
        let before = serving.live.current();
        let live = serving.live.clone();
        live.replace(self.edition(Some(&before)));
    }

    /// The host is gone, with all that it held in memory.
    pub fn kill(&mut self) {
        self.serving = None;
    }

    pub fn core(&mut self) -> &mut Core {
        &mut self.serving.as_mut().expect("a host that serves").core
    }

    pub fn live(&self) -> Arc<Edition> {
        self.serving.as_ref().expect("a host that serves").live.current()
    }

    /// One turn, and everything that it sets going.
    pub fn turn(&mut self) -> Moved {
        let now_ms = self.now_ms();
        let core = self.core();
        let moved = core.turn(now_ms);
        assert!(moved.failed.is_empty(), "{:?}", moved.failed);
        while core.crew().step() {}
        moved
    }

    /// Turns until nothing moves; gives when something is due next.
    pub fn settle(&mut self) -> Option<i64> {
        for _ in 0..10_000 {
            let moved = self.turn();
            let stirs = self.live().runner.gate.ready.stirs();
            let is_due = moved.next_ms.is_some_and(|at_ms| at_ms <= self.now_ms());
            if moved.started == 0 && !is_due && self.core().stirs() == stirs {
                return moved.next_ms;
            }
        }
        panic!("the host does not come to rest");
    }

    /// Lets time pass as the host would sleep through it, for so long.
    pub fn pass(&mut self, time: Duration) {
        let end_ms = self.now_ms() + time.as_millis() as i64;
        loop {
            let next_ms = self.settle();
            let until_ms = next_ms.map_or(end_ms, |at_ms| at_ms.min(end_ms));
            let left_ms = (until_ms - self.now_ms()).max(1) as u64;
            if self.now_ms() >= end_ms {
                return;
            }
            self.host.clock.advance(Duration::from_millis(left_ms));
        }
    }

    /// All runs, oldest first.
    pub fn runs(&self) -> Vec<RunRecord> {
        let last = host::id::RunId::from_bytes([0xFF; 16]);
        let mut runs = RunRecord::latest(&*self.host.ground.store, last, 100_000).expect("readable");
        runs.reverse();
        runs
    }
}
