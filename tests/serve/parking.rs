//! Runs that a host lets go of when it is told to stop.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use host::gate::{Notice, Observer};
use host::journal::{RunRecord, Status};
use host::triggers;

use crate::world::World;

/// Sets a flag when the step `after` was answered.
struct Parks {
    after: u32,
    flag: Mutex<Option<Arc<AtomicBool>>>,
}

impl Observer for Parks {
    fn notice(&self, notice: Notice<'_>) {
        if let Notice::Answered { answer } = notice
            && answer.asked.step == self.after
            && let Some(flag) = &*self.flag.lock().expect("no panic")
        {
            flag.store(true, Ordering::Relaxed);
        }
    }
}

const WORK: &str = r#"
const PLAYBOOK = #{ schedule: "* * * * *", timezone: "UTC" };
kv::increment("begun");
kv::increment("middle");
try { kv::increment("last"); } catch { kv::put("caught", true); }
fn cleanup(end) { kv::increment("cleaned"); }
"#;

#[test]
fn a_parked_run_goes_on_after_a_restart_and_does_nothing_twice() {
    let mut world = World::new(triggers::all);
    world.save("work", WORK);
    let parks = Arc::new(Parks {
        after: 2,
        flag: Mutex::default(),
    });
    world.start_watched(parks.clone());
    *parks.flag.lock().expect("no panic") = Some(world.live().runner.gate.parks.clone());
    world.settle();
    world.host.clock.advance(std::time::Duration::from_secs(60));
    let turned = world.turn();
    assert_eq!(turned.started, 1);
    let parked = world.runs().remove(0);
    assert_eq!((parked.status, parked.error), (Status::Running, None), "it is not over");
    let kept = world
        .host
        .run("[kv::get(\"begun\"), kv::get(\"last\"), kv::get(\"caught\"), kv::get(\"cleaned\")]");
    assert_eq!(
        kept.value().to_string(),
        "[1,null,null,null]",
        "it stopped where it stood, uncaught"
    );

    world.kill();
    world.start();
    world.turn();
    let gone_on = RunRecord::get(&*world.host.ground.store, parked.run).expect("it is there");
    assert_eq!((gone_on.run, gone_on.status), (parked.run, Status::Succeeded));
    let done = world
        .host
        .run("[kv::get(\"begun\"), kv::get(\"middle\"), kv::get(\"last\"), kv::get(\"cleaned\")]");
    assert_eq!(done.value().to_string(), "[1,1,1,null]");
    assert!(world.host.replay(gone_on.run).same);
}

#[test]
fn a_loop_without_effects_is_let_go_of_too() {
    let mut world = World::new(triggers::all);
    let endless = "const PLAYBOOK = #{ schedule: \"* * * * *\", timezone: \"UTC\" };\nkv::increment(\"a\"); let n = 0; while n < 30_000_000 { n += 1; } n";
    world.save("endless", endless);
    let parks = Arc::new(Parks {
        after: 1,
        flag: Mutex::default(),
    });
    world.start_watched(parks.clone());
    *parks.flag.lock().expect("no panic") = Some(world.live().runner.gate.parks.clone());
    world.settle();
    world.host.clock.advance(std::time::Duration::from_secs(60));
    world.turn();
    assert_eq!(world.runs()[0].status, Status::Running);
}
