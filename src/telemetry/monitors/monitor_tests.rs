//! Rules that fire, last, are silenced and recover, with the clock in the test's hand.
#![expect(clippy::disallowed_methods, reason = "a test reads what a program has written")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::Value as Json;

use super::channel;
use super::notify::{TRIES_MAX, due, run, tell_channel};
use super::settings::{Channel, Monitor, check};
use super::state::{Standing, State, What};
use super::watch::{look, look_after, retire_others};
use crate::app::App;
use crate::io::clock::Clock;
use crate::journal::incident::{self, State as IncidentState};
use crate::store::engine::Engine;
use crate::store::{Store, StoreError};
use crate::telemetry::family::Family;
use crate::telemetry::gather_tests::Watched as Gathered;
use crate::testing::{HttpStub, TestHost};

fn monitor() -> Monitor {
    Monitor {
        when: "dead > 0".to_owned(),
        lasts: "5m".to_owned(),
        notify: vec!["webhook:pager".to_owned()],
        ..Monitor::default()
    }
}

struct Watched {
    host: TestHost,
    monitor: Monitor,
}

impl Watched {
    fn new(monitor: Monitor) -> Watched {
        Watched {
            host: TestHost::default(),
            monitor,
        }
    }

    /// Looks so many minutes later, with so many dead jobs.
    fn look(&self, minutes: u64, dead: f64) -> State {
        self.host.clock.advance(Duration::from_secs(60 * minutes));
        let families = [Family::gauge("dead", "d").with([("queue", "work")], dead)];
        // A gate of its own, as after a restart: nothing but rows is remembered.
        look(
            &self.host.gate(),
            "dead-jobs",
            &self.monitor,
            &families,
            self.host.clock.unix_ms(),
        )
        .expect("the store works");
        self.state()
    }

    fn state(&self) -> State {
        State::read(&*self.host.ground.store, "dead-jobs").expect("readable").0
    }

    fn told(&self) -> Vec<What> {
        self.state().notices.iter().map(|notice| notice.what).collect()
    }

    fn incidents(&self) -> Vec<IncidentState> {
        let incidents = incident::list(&*self.host.ground.store).expect("readable");
        incidents.into_iter().map(|incident| incident.state).collect()
    }
}

#[test]
fn a_rule_fires_once_when_it_has_held_for_so_long_and_recovers_once() {
    let watched = Watched::new(monitor());
    assert_eq!(watched.look(0, 0.0).standing(), Standing::Ok);
    assert_eq!(watched.look(1, 2.0).standing(), Standing::Pending);
    assert_eq!(watched.look(4, 2.0).standing(), Standing::Pending);
    assert_eq!(watched.told(), []);
    let fired = watched.look(1, 3.0);
    assert_eq!(
        (fired.standing(), fired.found.as_str()),
        (Standing::Firing, "3 (queue=\"work\")")
    );
    for _ in 0..3 {
        watched.look(1, 3.0);
    }
    assert_eq!(watched.told(), [What::Fired]);
    assert_eq!(watched.incidents(), [IncidentState::Open]);
    assert_eq!(watched.look(1, 0.0).standing(), Standing::Ok);
    watched.look(1, 0.0);
    assert_eq!(watched.told(), [What::Fired, What::Recovered]);
    assert_eq!(watched.incidents(), [IncidentState::Closed]);
}

#[test]
fn what_does_not_last_is_told_to_nobody() {
    let watched = Watched::new(monitor());
    for _ in 0..5 {
        watched.look(1, 1.0);
        watched.look(3, 1.0);
        watched.look(1, 0.0);
    }
    assert_eq!((watched.told(), watched.incidents()), (vec![], vec![]));
}

#[test]
fn a_silenced_rule_tells_nobody_until_the_silence_is_over() {
    let watched = Watched::new(monitor());
    watched.look(0, 1.0);
    let store = &*watched.host.ground.store;
    super::state::silence(
        store,
        "dead-jobs",
        Some(watched.host.clock.unix_ms() + 3_600_000),
        "ada",
    )
    .expect("written");
    watched.look(30, 1.0);
    assert_eq!(watched.told(), []);
    watched.look(31, 1.0);
    assert_eq!(watched.told(), [What::Fired]);
}

#[test]
fn a_rule_that_goes_on_is_told_again_where_that_is_wanted() {
    let watched = Watched::new(Monitor {
        repeat: "1h".to_owned(),
        lasts: String::new(),
        ..monitor()
    });
    for _ in 0..9 {
        watched.look(15, 1.0);
    }
    assert_eq!(watched.told(), [What::Fired, What::StillFiring, What::StillFiring]);
    assert_eq!(watched.incidents().len(), 1);
}

/// Tells everybody what is due, one channel after another; gives when there is more.
fn tell_all(app: &App, store: &dyn Store, now_ms: i64) -> Result<Option<i64>, StoreError> {
    let look = || match due(app, store, now_ms, &|_| false) {
        (found, None) => Ok(found),
        (_, Some(error)) => Err(error),
    };
    for (channel, names) in look()?.channels {
        tell_channel(app, store, &channel, &names, now_ms, &|| true)?;
    }
    let found = look()?;
    let is_due = !found.channels.is_empty();
    Ok(is_due.then_some(now_ms).or(found.next_ms))
}

fn app(host: TestHost, settings: &str, env: &str) -> (TestHost, App) {
    let host = host.file("host.toml", settings).file(".env", env);
    let mut app = App::new(&host.folder()).expect("the settings are good");
    app.clock = host.clock.clone();
    (host, app)
}

const RULE: &str = "[monitors.dead-jobs]\nwhen = \"dead > 0\"\nnotify = [\"pager\"]\nhelp = \"see the runbook\"\n";

#[test]
fn a_web_hook_is_signed_and_one_that_fails_is_tried_again_under_the_same_id() {
    let stub = HttpStub::start();
    stub.on("POST", "/hook").once().status(500);
    stub.on("POST", "/hook").status(204);
    let settings = format!(
        "{RULE}[notify.pager]\nwebhook = \"{}\"\nsecret = \"PAGER_SECRET\"\n",
        stub.url("/hook")
    );
    let (host, app) = app(
        TestHost::default(),
        &settings,
        "DRY_RUN=false\nPAGER_SECRET=hush-hush-123\n",
    );
    let monitor = app.config.file.monitors["dead-jobs"].clone();
    let watched = Watched { host, monitor };
    watched.look(0, 1.0);
    let store = &*watched.host.ground.store;
    let now_ms = || watched.host.clock.unix_ms();
    let next_ms = tell_all(&app, store, now_ms())
        .expect("the store works")
        .expect("it is tried again");
    let notice = watched.state().notices[0].clone();
    assert_eq!(
        (notice.tries, notice.why.as_deref()),
        (1, Some("it answered with status 500"))
    );
    tell_all(&app, store, now_ms()).expect("the store works");
    assert_eq!(stub.requests().len(), 1, "not before its time");
    watched
        .host
        .clock
        .advance(Duration::from_millis((next_ms - now_ms()) as u64));
    assert_eq!(tell_all(&app, store, now_ms()).expect("the store works"), None);
    let requests = stub.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[0].header("x-host-notice"), requests[1].header("x-host-notice"));
    let body: Json = serde_json::from_slice(&requests[1].body).expect("JSON");
    assert_eq!(
        (&body["monitor"], &body["what"], &body["help"]),
        (&"dead-jobs".into(), &"fired".into(), &"see the runbook".into())
    );
    let signed = requests[1].header("x-host-signature").expect("it is signed");
    let (sent, signature) = signed
        .strip_prefix("t=")
        .and_then(|rest| rest.split_once(",v1="))
        .expect("both parts");
    let wanted = channel::signature(b"hush-hush-123", sent.parse().expect("seconds"), &requests[1].body);
    assert_eq!(signature, wanted);
    // As whoever gets it computes it: printf 1795262400.hello | openssl dgst -sha256 -hmac hush-hush-123
    assert_eq!(
        channel::signature(b"hush-hush-123", 1_795_262_400, b"hello"),
        "8c31a8e6fffb8d427e1be6d165f25030130f7fe71e10d77f15550e2adefa33af"
    );
    assert!(body["incident"].is_string(), "{body}");
}

#[test]
fn a_dry_host_tells_nobody_and_says_so() {
    let stub = HttpStub::start();
    let settings = format!("{RULE}[notify.pager]\nwebhook = \"{}\"\n", stub.url("/hook"));
    let (host, app) = app(TestHost::default(), &settings, "DRY_RUN=true\n");
    let monitor = app.config.file.monitors["dead-jobs"].clone();
    let watched = Watched { host, monitor };
    watched.look(0, 1.0);
    let now_ms = watched.host.clock.unix_ms();
    assert_eq!(
        tell_all(&app, &*watched.host.ground.store, now_ms).expect("the store works"),
        None
    );
    assert_eq!(stub.connections(), 0);
    assert_eq!(
        watched.state().notices[0].why.as_deref(),
        Some("DRY_RUN is on: nobody was told")
    );
}

#[test]
fn slack_and_programs_are_told_and_what_never_goes_is_given_up() {
    let stub = HttpStub::start();
    stub.on("POST", "/services/T0/B0/secret").status(200);
    let settings = format!(
        "{}[notify.pager]\ncommand = [\"sh\", \"-c\", \"cat > told.json; exit 0\"]\n[notify.ops]\nslack = \"OPS_URL\"\n\
         [notify.broken]\ncommand = [\"/no/such/program\"]\n",
        RULE.replace("[\"pager\"]", "[\"command:pager\", \"slack:ops\", \"broken\"]")
    );
    let env = format!("DRY_RUN=false\nOPS_URL={}\n", stub.url("/services/T0/B0/secret"));
    let (host, app) = app(TestHost::default(), &settings, &env);
    let monitor = app.config.file.monitors["dead-jobs"].clone();
    let watched = Watched { host, monitor };
    watched.look(0, 1.0);
    let store = &*watched.host.ground.store;
    for _ in 0..TRIES_MAX + 3 {
        tell_all(&app, store, watched.host.clock.unix_ms()).expect("the store works");
        watched.host.clock.advance(Duration::from_secs(601));
    }
    let notices = watched.state().notices;
    assert!(
        notices[0].sent_ms.is_some() && notices[1].sent_ms.is_some(),
        "{notices:#?}"
    );
    assert_eq!(
        (notices[2].sent_ms, notices[2].next_ms, notices[2].tries),
        (None, None, TRIES_MAX)
    );
    let told = std::fs::read_to_string(watched.host.folder().join("told.json"));
    let told = told.expect("it was written in the project");
    assert!(told.contains("\"monitor\":\"dead-jobs\""), "{told}");
    assert_eq!(stub.requests().len(), 1);
    assert!(
        stub.requests()[0].text().contains("dead-jobs fired"),
        "{}",
        stub.requests()[0].text()
    );
    assert!(stub.requests()[0].text().contains("dead &gt; 0"));
}

/// Whoever answered with a page of some length was told ten times.
#[test]
fn who_has_taken_a_message_is_told_once_however_much_they_say_and_nobody_else_is() {
    let stub = HttpStub::start();
    stub.on("POST", "/hook").endless(1 << 20);
    stub.on("POST", "/away").redirect(307, &stub.url("/elsewhere"));
    stub.on("POST", "/elsewhere").status(204);
    let settings = format!(
        "{}[notify.pager]\nwebhook = \"{}\"\n[notify.away]\nwebhook = \"{}\"\n",
        RULE.replace("[\"pager\"]", "[\"pager\", \"away\"]"),
        stub.url("/hook"),
        stub.url("/away")
    );
    let (host, app) = app(TestHost::default(), &settings, "DRY_RUN=false\n");
    let monitor = app.config.file.monitors["dead-jobs"].clone();
    let watched = Watched { host, monitor };
    watched.look(0, 1.0);
    tell_all(&app, &*watched.host.ground.store, watched.host.clock.unix_ms()).expect("the store works");
    let notices = watched.state().notices;
    assert!(notices[0].sent_ms.is_some(), "{notices:#?}");
    let why = notices[1].why.as_deref();
    assert_eq!((notices[1].sent_ms, why), (None, Some("it answered with status 307")));
    assert_eq!(stub.count("POST", "/elsewhere"), 0);
}

#[test]
fn nobody_is_told_of_a_recovery_before_the_firing() {
    let stub = HttpStub::start();
    stub.on("POST", "/hook").once().status(500);
    stub.on("POST", "/hook").status(204);
    let settings = format!("{RULE}[notify.pager]\nwebhook = \"{}\"\n", stub.url("/hook"));
    let (host, app) = app(TestHost::default(), &settings, "DRY_RUN=false\n");
    let monitor = app.config.file.monitors["dead-jobs"].clone();
    let watched = Watched { host, monitor };
    let store = &*watched.host.ground.store;
    watched.look(0, 1.0);
    tell_all(&app, store, watched.host.clock.unix_ms()).expect("the store works");
    watched.host.clock.advance(Duration::from_secs(1));
    watched.look(0, 0.0);
    tell_all(&app, store, watched.host.clock.unix_ms()).expect("the store works");
    assert_eq!(stub.requests().len(), 1, "it waits for the one before");
    watched.host.clock.advance(Duration::from_secs(10));
    let next_ms = tell_all(&app, store, watched.host.clock.unix_ms()).expect("the store works");
    let whats: Vec<Json> = stub
        .requests()
        .iter()
        .map(|request| request.json()["what"].clone())
        .collect();
    assert_eq!(whats, ["fired", "fired", "recovered"]);
    assert_eq!(next_ms, None);
}

/// One that hung was waited for before anybody was told anything new, and before the host ended.
#[test]
fn a_channel_that_hangs_holds_up_no_other_and_not_the_end_of_the_host() {
    let stub = HttpStub::start();
    stub.on("POST", "/hangs").never();
    stub.on("POST", "/hook").status(204);
    let settings = format!(
        "[monitors.a]\nwhen = \"dead > 0\"\nnotify = [\"hangs\", \"webhook:hangs\"]\n\
         [monitors.b]\nwhen = \"dead > 0\"\nnotify = [\"works\"]\n\
         [notify.hangs]\nwebhook = \"{}\"\ntimeout = \"60s\"\n[notify.works]\nwebhook = \"{}\"\n",
        stub.url("/hangs"),
        stub.url("/hook")
    );
    let Gathered { host, telemetry, .. } = Gathered::with_env(&[], &settings, "DRY_RUN=false\n");
    let telemetry = Arc::new(telemetry);
    let telling = std::thread::spawn({
        let telemetry = telemetry.clone();
        move || run(&telemetry)
    });
    let clock = crate::io::clock::SystemClock::new();
    let fires = |name: &str, path: &str| {
        let monitor = &telemetry.live.current().app.config.file.monitors[name];
        let families = [Family::gauge("dead", "d").is(1.0)];
        let is_told = look(&host.gate(), name, monitor, &families, host.clock.unix_ms()).expect("the store works");
        assert!(is_told);
        telemetry.notice_ms.store(0, Ordering::Relaxed);
        let began = clock.monotonic();
        while stub.count("POST", path) == 0 {
            assert!(
                clock.monotonic() - began < Duration::from_secs(30),
                "nobody is told of {name}"
            );
            clock.sleep(Duration::from_millis(5));
        }
    };
    fires("a", "/hangs");
    fires("b", "/hook");
    // Its next time has come, and it still hangs.
    host.clock.advance(Duration::from_secs(10));
    telemetry.notice_ms.store(0, Ordering::Relaxed);
    clock.sleep(Duration::from_millis(2500));
    telemetry.over.end();
    let began = clock.monotonic();
    telling.join().expect("no panic");
    assert!(
        clock.monotonic() - began < Duration::from_secs(30),
        "it waits for the one that hangs"
    );
    let notices = State::read(&*host.ground.store, "a").expect("readable").0.notices;
    assert_eq!(
        (notices.len(), notices[0].sent_ms, notices[0].tries),
        (1, None, 1),
        "each channel is told once"
    );
}

#[test]
fn a_rule_that_goes_to_and_fro_is_told_a_few_times_and_then_taken_for_one() {
    let watched = Watched::new(Monitor {
        lasts: String::new(),
        ..monitor()
    });
    for _ in 0..20 {
        watched.look(1, 1.0);
        watched.look(1, 0.0);
    }
    let told = watched.told();
    assert_eq!(told.iter().filter(|what| **what == What::Fired).count(), 3, "{told:?}");
    assert_eq!(watched.state().standing(), Standing::Firing);
    watched.look(9, 0.0);
    assert_eq!(
        watched.state().standing(),
        Standing::Firing,
        "it has been quiet for 9 minutes"
    );
    watched.look(1, 0.0);
    assert_eq!(watched.state().standing(), Standing::Ok);
    assert_eq!(watched.told().last(), Some(&What::Recovered));
    assert!(watched.incidents().iter().all(|state| *state == IncidentState::Closed));
}

#[test]
fn a_rule_is_over_when_it_has_not_held_for_as_long_as_it_says() {
    let watched = Watched::new(Monitor {
        lasts: String::new(),
        recover: "5m".to_owned(),
        ..monitor()
    });
    watched.look(0, 1.0);
    watched.look(1, 0.0);
    watched.look(4, 0.0);
    watched.look(0, 1.0);
    watched.look(1, 0.0);
    watched.look(4, 0.0);
    assert_eq!(watched.told(), [What::Fired], "4 minutes twice are not 5");
    watched.look(1, 0.0);
    assert_eq!(watched.told(), [What::Fired, What::Recovered]);
}

#[test]
fn a_clock_that_is_set_makes_nothing_last_longer_or_shorter() {
    let day_ms: i64 = 24 * 3_600_000;
    for set_by_ms in [day_ms, -day_ms, 600_000, -600_000] {
        let watched = Watched::new(monitor());
        watched.look(0, 1.0);
        let at = |minutes: i64, shift_ms: i64| {
            let families = [Family::gauge("dead", "d").is(1.0)];
            let now_ms = watched.host.clock.unix_ms() + minutes * 60_000 + set_by_ms;
            let looked = look_after(
                &watched.host.gate(),
                "dead-jobs",
                &watched.monitor,
                &families,
                now_ms,
                shift_ms,
            );
            looked.expect("the store works");
            watched.state().standing()
        };
        assert_eq!(at(1, set_by_ms), Standing::Pending, "{set_by_ms}");
        assert_eq!(at(4, 0), Standing::Pending, "{set_by_ms}");
        assert_eq!(at(5, 0), Standing::Firing, "{set_by_ms}");
    }
}

#[test]
fn what_nobody_has_seen_for_hours_did_not_last_so_long() {
    let watched = Watched::new(monitor());
    watched.look(0, 1.0);
    assert_eq!(
        watched.look(120, 1.0).standing(),
        Standing::Pending,
        "the host was down meanwhile"
    );
    assert_eq!(watched.look(5, 1.0).standing(), Standing::Firing);
}

#[test]
fn a_series_that_cannot_be_read_has_neither_recovered_nor_gone() {
    let watched = Watched::new(Monitor {
        lasts: String::new(),
        ..monitor()
    });
    watched.look(0, 1.0);
    let see = |readable: f64| {
        let families = [Family::gauge("host_store_readable", "r").is(readable)];
        let now_ms = watched.host.clock.unix_ms();
        look(&watched.host.gate(), "dead-jobs", &watched.monitor, &families, now_ms).expect("the store works");
        watched.state().standing()
    };
    assert_eq!(see(0.0), Standing::Firing);
    assert_eq!(see(1.0), Standing::Ok, "it is really not there any more");
}

#[test]
fn a_rule_that_is_taken_out_closes_its_incident_and_one_that_is_edited_keeps_it() {
    let watched = Watched::new(Monitor {
        lasts: String::new(),
        repeat: "1h".to_owned(),
        ..monitor()
    });
    watched.look(0, 1.0);
    let edited = Watched {
        monitor: Monitor {
            when: "dead >= 1".to_owned(),
            ..watched.monitor.clone()
        },
        host: watched.host,
    };
    edited.look(30, 1.0);
    assert_eq!(
        (edited.told(), edited.incidents()),
        (vec![What::Fired], vec![IncidentState::Open])
    );
    edited.look(30, 1.0);
    assert_eq!(
        edited.told(),
        [What::Fired, What::StillFiring],
        "counted from when it fired"
    );
    let rules = BTreeMap::from([("dead-jobs".to_owned(), edited.monitor.clone())]);
    let now_ms = edited.host.clock.unix_ms();
    retire_others(&edited.host.gate(), &rules, now_ms).expect("the store works");
    assert_eq!(edited.state().standing(), Standing::Firing);
    retire_others(&edited.host.gate(), &BTreeMap::new(), now_ms).expect("the store works");
    assert_eq!(
        (edited.state(), edited.incidents()),
        (State::default(), vec![IncidentState::Closed])
    );
}

#[test]
fn an_incident_that_somebody_has_in_hand_is_told_of_the_recovery_and_stays_open() {
    let watched = Watched::new(Monitor {
        lasts: String::new(),
        ..monitor()
    });
    let id = watched.look(0, 1.0).incident.expect("it opens one");
    let store = &*watched.host.ground.store;
    let before = incident::load(store, id).expect("readable").expect("it is there");
    let mut after = before.incident.clone();
    after
        .assign("ada", None, "ada", watched.host.clock.unix_ms())
        .expect("she takes it");
    let mut batch = crate::store::Batch::new();
    incident::save_in(&mut batch, store, Some(&before), &after).expect("it fits");
    store
        .commit(batch, crate::store::Durability::Now)
        .expect("the store works");
    watched.look(1, 0.0);
    let now = incident::load(store, id)
        .expect("readable")
        .expect("it is there")
        .incident;
    assert_eq!(now.state, IncidentState::Open);
    let told = format!("{now:?}");
    assert!(told.contains("the monitor recovered"), "{told}");
}

#[test]
fn what_is_old_is_told_to_nobody_and_what_lies_too_far_ahead_is_told_now() {
    let stub = HttpStub::start();
    stub.on("POST", "/hook").status(204);
    let settings = format!("{RULE}[notify.pager]\nwebhook = \"{}\"\n", stub.url("/hook"));
    let (host, app) = app(TestHost::default(), &settings, "DRY_RUN=false\n");
    let monitor = app.config.file.monitors["dead-jobs"].clone();
    let watched = Watched { host, monitor };
    watched.look(0, 1.0);
    let store = &*watched.host.ground.store;
    let now_ms = watched.host.clock.unix_ms();
    assert_eq!(
        tell_all(&app, store, now_ms + 25 * 3_600_000).expect("the store works"),
        None
    );
    assert_eq!(stub.connections(), 0);
    assert_eq!(
        watched.state().notices[0].why.as_deref(),
        Some("it is more than a day old")
    );
    watched.look(1, 0.0);
    // The clock was set back by a day after the message was written.
    tell_all(&app, store, watched.host.clock.unix_ms() - 24 * 3_600_000).expect("the store works");
    assert_eq!(stub.requests().len(), 1);
}

#[test]
fn what_waits_is_kept_before_what_is_over() {
    let names: Vec<String> = (0..20).map(|number| format!("c{number}")).collect();
    let mut state = State::default();
    let monitor = Monitor {
        notify: names,
        lasts: String::new(),
        ..monitor()
    };
    let holds = |holds| super::rule::Verdict {
        holds,
        value: Some(1.0),
        series: String::new(),
    };
    for round in 0..4_i64 {
        (state, _) = state.step("x", &monitor, &holds(round % 2 == 0), round);
        if round == 1 {
            let half = state.notices.iter_mut().filter(|notice| notice.what == What::Recovered);
            half.for_each(|notice| notice.next_ms = None);
        }
    }
    assert_eq!(state.notices.len(), 60);
    let waiting = state.notices.iter().filter(|notice| notice.next_ms.is_some());
    assert_eq!(waiting.count(), 60, "those of the second round went, which were over");
}

#[test]
fn what_is_wrong_with_rules_and_channels_is_told_with_its_key() {
    let channel = |webhook: &str, slack: &str| Channel {
        webhook: webhook.to_owned(),
        slack: slack.to_owned(),
        ..Channel::default()
    };
    let channels = |one: Channel| BTreeMap::from([("pager".to_owned(), one)]);
    let rules = |one: Monitor| BTreeMap::from([("dead".to_owned(), one)]);
    let good = || channel("https://example.com/hook", "");
    check(&rules(monitor()), &channels(good())).expect("all is well");
    let wrong = |monitor: Monitor, one: Channel| check(&rules(monitor), &channels(one)).unwrap_err().0;
    assert_eq!(wrong(monitor(), channel("", "")), "[notify.pager]");
    assert_eq!(wrong(monitor(), channel("ftp://x", "")), "[notify.pager]");
    assert_eq!(
        wrong(monitor(), channel("", "https://hooks.example.com/secret")),
        "[notify.pager]"
    );
    let other = |change: fn(&mut Monitor)| {
        let mut one = monitor();
        change(&mut one);
        wrong(one, good())
    };
    assert_eq!(other(|one| one.when = "dead".to_owned()), "[monitors.dead] when");
    assert_eq!(other(|one| one.lasts = "soon".to_owned()), "[monitors.dead] for");
    assert_eq!(
        other(|one| one.notify = vec!["nobody".to_owned()]),
        "[monitors.dead] notify"
    );
    assert_eq!(
        other(|one| one.notify = vec!["slack:pager".to_owned()]),
        "[monitors.dead] notify"
    );
}

#[test]
fn a_store_without_rows_is_no_mistake() {
    let store = Engine::in_memory().expect("memory");
    assert_eq!(State::read(&store, "x").expect("readable").0, State::default());
}

#[test]
fn when_the_host_ends_nobody_is_told_anything_more() {
    let stub = HttpStub::start();
    stub.on("POST", "/hook").status(204);
    let settings = format!("{RULE}[notify.pager]\nwebhook = \"{}\"\n", stub.url("/hook"));
    let (host, app) = app(TestHost::default(), &settings, "DRY_RUN=false\n");
    let monitor = app.config.file.monitors["dead-jobs"].clone();
    let watched = Watched { host, monitor };
    watched.look(0, 1.0);
    let names = ["dead-jobs".to_owned()];
    let (store, now_ms) = (&*watched.host.ground.store, watched.host.clock.unix_ms());
    tell_channel(&app, store, "pager", &names, now_ms, &|| false).expect("the store works");
    assert_eq!((stub.requests().len(), watched.state().notices[0].tries), (0, 0));
}

#[test]
fn what_a_program_says_is_masked_and_an_empty_secret_signs_nothing() {
    let stub = HttpStub::start();
    stub.on("POST", "/hook").status(204);
    let settings = format!(
        "{}[notify.says]\ncommand = [\"sh\", \"-c\", \"echo hush-hush-123 >&2; exit 3\"]\n\
         [notify.unsigned]\nwebhook = \"{}\"\nsecret = \"EMPTY\"\n\
         [notify.signed]\nwebhook = \"http://127.0.0.1:9/\"\nsecret = \"PAGER_SECRET\"\n",
        RULE.replace("[\"pager\"]", "[\"says\", \"unsigned\"]"),
        stub.url("/hook")
    );
    let (host, app) = app(
        TestHost::default(),
        &settings,
        "DRY_RUN=false\nPAGER_SECRET=hush-hush-123\nEMPTY=\n",
    );
    let monitor = app.config.file.monitors["dead-jobs"].clone();
    let watched = Watched { host, monitor };
    watched.look(0, 1.0);
    tell_all(&app, &*watched.host.ground.store, watched.host.clock.unix_ms()).expect("the store works");
    let notices = watched.state().notices;
    let whys: Vec<&str> = notices.iter().filter_map(|notice| notice.why.as_deref()).collect();
    assert!(whys[0].starts_with("it ended with code 3: [masked:"), "{whys:?}");
    assert_eq!(whys[1], "EMPTY is not set");
    assert_eq!(stub.requests().len(), 0);
}

#[test]
fn an_incident_that_somebody_has_closed_is_left_as_it_is() {
    let watched = Watched::new(Monitor {
        lasts: String::new(),
        ..monitor()
    });
    let id = watched.look(0, 1.0).incident.expect("it opens one");
    let store = &*watched.host.ground.store;
    let before = incident::load(store, id).expect("readable").expect("it is there");
    let mut after = before.incident.clone();
    after
        .close("mended", "ada", watched.host.clock.unix_ms())
        .expect("she closes it");
    let mut batch = crate::store::Batch::new();
    incident::save_in(&mut batch, store, Some(&before), &after).expect("it fits");
    store
        .commit(batch, crate::store::Durability::Now)
        .expect("the store works");
    watched.look(1, 0.0);
    assert_eq!(watched.told(), [What::Fired, What::Recovered]);
    let now = incident::load(store, id)
        .expect("readable")
        .expect("it is there")
        .incident;
    assert_eq!(now, after);
}

#[test]
fn a_rule_that_began_in_a_future_that_was_set_back_while_nobody_looked_lasts_from_now() {
    let watched = Watched::new(monitor());
    watched.look(0, 1.0);
    let at = |minutes: i64| {
        let families = [Family::gauge("dead", "d").is(1.0)];
        let now_ms = watched.host.clock.unix_ms() + minutes * 60_000;
        look(&watched.host.gate(), "dead-jobs", &watched.monitor, &families, now_ms).expect("the store works");
        watched.state().standing()
    };
    assert_eq!(at(-600), Standing::Pending);
    assert_eq!(at(-596), Standing::Pending);
    assert_eq!(at(-595), Standing::Firing);
}

/// With the trigger as it turns in the host: the clock on the wall is set by a day between two looks.
#[test]
fn a_clock_that_is_set_between_two_turns_makes_nothing_fire() {
    use crate::triggers::Trigger;
    let rule = "[monitors.dry]\nwhen = \"host_live == 0\"\nfor = \"5m\"\n[monitors.grows]\nwhen = \"increase(process_cpu_seconds_total[1m]) < 0\"\n";
    let Gathered { host, telemetry, .. } = Gathered::with(&[], rule);
    let telemetry = Arc::new(telemetry);
    let edition = telemetry.live.current();
    let mut monitors = super::Monitors::new(telemetry.clone());
    let state = |name: &str| State::read(&*host.ground.store, name).expect("readable").0;
    let begun_ms = host.clock.unix_ms();
    monitors.turn(&edition, begun_ms, 0).expect("it turns");
    assert_eq!(state("dry").standing(), Standing::Pending);
    host.clock.advance(Duration::from_secs(15));
    let day_ms = 86_400_000;
    monitors
        .turn(&edition, begun_ms + day_ms + 15_000, 0)
        .expect("it turns");
    assert_eq!(
        state("dry").standing(),
        Standing::Pending,
        "it has lasted for 15 seconds"
    );
    assert_eq!(
        state("grows").samples.len(),
        2,
        "what it looks back on is written in time"
    );
    host.clock.advance(Duration::from_secs(285));
    monitors
        .turn(&edition, begun_ms + day_ms + 300_000, 0)
        .expect("it turns");
    assert_eq!(state("dry").standing(), Standing::Firing);
}
