//! Runs that wait cost disk and nothing else.
#![expect(
    clippy::disallowed_methods,
    reason = "this test reads its own process's figures, and what says how many runs it makes"
)]

use std::sync::Arc;
use std::time::Duration;

use host::runs::recovery;
use host::store::engine::{Engine, EngineOptions};
use host::testing::TestHost;

/// Of this process, from the kernel: `Threads`, `VmRSS` in KiB.
fn figure(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with(name)).expect("a figure");
    let digits = line.split_whitespace().nth(1).expect("a number");
    digits.parse().expect("a number")
}

#[test]
fn suspended_runs_have_no_thread_and_no_memory() {
    let runs: u64 = if std::env::var_os("HOST_SOAK").is_some() {
        100_000
    } else {
        2_000
    };
    let folder = tempfile::tempdir().expect("a folder");
    let mut host = TestHost::default();
    let store = Engine::open(&folder.path().join("store.redb"), EngineOptions::default()).expect("a store");
    host.ground.store = Arc::new(store);
    let runner = host.runner();
    let orders =
        ["run::sleep(\"1h\"); 1", "run::sleep(\"30d\"); 2"].map(|script| host.order(script, Default::default()));
    let start = |count: u64| {
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    for number in 0..count / 16 {
                        let order = &orders[usize::from(number % 100 != 0)];
                        runner.run(order).expect("it waits");
                    }
                });
            }
        });
    };
    start(800);
    let before = (figure("Threads"), figure("VmRSS"));
    start(runs);
    let after = (figure("Threads"), figure("VmRSS"));
    println!(
        "{runs} suspended runs: threads {} → {}, memory {} → {} KiB",
        before.0, after.0, before.1, after.1
    );
    assert!(after.0 <= before.0 + 32, "threads: {} became {}", before.0, after.0);
    let bytes_each = (after.1.saturating_sub(before.1)) * 1024 / runs;
    // The store's own cache grows up to its limit, whatever is in it.
    assert!(bytes_each < 16 * 1024, "{bytes_each} bytes of memory for each");

    let due = |host: &TestHost| {
        let now_ms = host::io::clock::Clock::unix_ms(&*host.clock);
        recovery::due(&host.ground, now_ms).expect("readable").len() as u64
    };
    assert_eq!(due(&host), 0);
    host.clock.advance(Duration::from_secs(3600));
    let hourly = due(&host);
    assert!(
        hourly >= (runs + 800) / 100 && hourly < (runs + 800) / 50,
        "only those whose time has come: {hourly}"
    );
}
