//! Rules that fire, last, are silenced and recover, with the clock in the test's hand.
#![expect(clippy::disallowed_methods, reason = "a test reads what a program has written")]

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value as Json;

use super::channel;
use super::notify::{TRIES_MAX, tell_all};
use super::settings::{Channel, Monitor, check};
use super::state::{Standing, State, What};
use super::watch::look;
use crate::app::App;
use crate::io::clock::Clock;
use crate::journal::incident::{self, State as IncidentState};
use crate::store::engine::Engine;
use crate::telemetry::family::Family;
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
