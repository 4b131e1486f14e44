//! Secrets planted wherever one can be, looked for in all that a host shows, writes or sends of itself.

use std::path::Path;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use host::testing::HttpStub;
use serde_json::{Value, json};

use crate::asking::Project;
use crate::client::ask;
use crate::watched::Watched;

/// By name; long enough to be told from ordinary text in every disguise.
const SECRETS: [(&str, &str); 8] = [
    ("provider", "acme-Tk+9f8/7d6c5b=Zq31"),
    ("slack", "T0PLANT/B0PLANT/xyzzyPLANTED77"),
    ("signature", "sig-PLANTED-5f5e5d5c5b5a"),
    ("header", "otel-PLANTED-1a2b3c4d5e"),
    ("collector", "collPLANTED0f1e2d3c4b"),
    ("backup", "backup PLANTED key of more than 32 letters"),
    ("password", "pass PLANTED horse battery"),
    ("wrong password", "wrong PLANTED horse battery"),
];

fn secret(name: &str) -> &'static str {
    let found = SECRETS.iter().find(|(known, _)| *known == name);
    found.expect("it is planted").1
}

fn percent(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}

/// As it is and in disguise.
fn disguises(secret: &str) -> Vec<String> {
    let quoted = Value::from(secret).to_string();
    let mut all = vec![
        secret.to_owned(),
        quoted[1..quoted.len() - 1].to_owned(),
        percent(secret),
        percent(secret).to_lowercase(),
        hex::encode(secret),
        hex::encode_upper(secret),
    ];
    for before in ["", "a", "ab"] {
        let text = format!("{before}{secret}");
        // Only what is the same whatever stands around it.
        let core = |text: String| text[4..text.len() - 4].to_owned();
        all.push(core(STANDARD.encode(&text)));
        all.push(core(URL_SAFE_NO_PAD.encode(&text)));
    }
    all
}

/// What of `text` should not be there.
fn found_in(text: &str, secrets: &[(String, String)]) -> Vec<String> {
    let mut found = Vec::new();
    for (name, secret) in secrets {
        for disguise in disguises(secret) {
            if let Some(at) = text.find(&disguise) {
                let before: String = text[..at].chars().rev().take(150).collect();
                let before: String = before.chars().rev().collect();
                let after: String = text[at..].chars().take(200).collect();
                found.push(format!("{name} as {disguise:?}: …{before}{after}…"));
            }
        }
    }
    found
}

fn files_below(folder: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files_below(&path, found);
        } else if let Ok(bytes) = std::fs::read(&path) {
            found.push((path.display().to_string(), bytes));
        }
    }
}

/// What the provider answers with: the secret in every disguise, as part of something longer where that hides it.
fn told() -> String {
    let secret = secret("provider");
    let mut all = disguises(secret);
    all.truncate(6);
    for before in ["", "a", "ab"] {
        let text = format!("{before}{secret}, they said");
        all.push(STANDARD.encode(&text));
        all.push(URL_SAFE_NO_PAD.encode(&text));
    }
    all.join(" ")
}

const LEAKS: &str = r#"const PLAYBOOK = #{ uses: ["acme"], http: #{ path: "/leaks" }, inputs: #{ text: #{ preset: "" } }, on_failure: "incident",
    metrics: #{ leaks_total: #{ type: "counter", help: "Leaks.", labels: ["what"] } } };
let got = acme::get("/tells").text;
print(got); debug(input.text);
log::info(`it told ${got} and ${input.text}`, #{ got: got, secret: input.text });
log::error(got);
// As somebody writes it who knows what he should not.
let known = "acme-Tk+9f8" + "/7d6c5b=Zq31";
log::warn(`known ${known}`, #{ known: known });
metrics::increment("leaks_total", #{ what: got.sub_string(0, 100) });
metrics::increment("leaks_total", #{ what: known });
status::line("leaks.login", `login with ${known} and ${got.sub_string(0, 60)}`, #{ level: "bad" });
kv::put("known", got);
store::put("leaks", "a", #{ got: got });
queue::push("leaks", #{ got: got });
event::emit("leaked", #{ got: got });
playbook::run("tells", #{ text: known });
acme::post("/refuses", #{ text: input.text });
"#;
const TELLS: &str = r#"const PLAYBOOK = #{ inputs: #{ text: #{ preset: "" } } };
log::info(`child was told ${input.text}`); throw #{ code: "TOLD", message: `told ${input.text}` };"#;
const ANSWERS: &str = r#"const PLAYBOOK = #{ uses: ["acme"], http: #{ path: "/answers" }, inputs: #{ text: #{ preset: "" } } };
let known = "acme-Tk+9f8" + "/7d6c5b=Zq31";
#{ known: known, got: acme::get("/tells").text, input: input.text }"#;

fn settings(stub: &HttpStub) -> String {
    let host = stub.host();
    format!(
        "[http]\nhosts = [\"{host}\"]\n[gate]\nbackoff_base = \"1ms\"\nattempts_max = 2\n[providers.acme]\n\
         base_url = \"http://{host}\"\nsettle = \"0s\"\ntimeout = \"2s\"\non_unknown = \"repeat\"\n\
         auth = {{ header = \"X-Key\", secret = \"ACME_TOKEN\" }}\n\
         [monitors.leaks]\nwhen = 'host_runs_ended_total{{playbook=\"leaks\",outcome=\"failed\"}} > 0'\n\
         notify = [\"pager\", \"ops\", \"tool\"]\nhelp = \"see the log\"\n\
         [notify.pager]\nwebhook = \"http://{host}/hook\"\nsecret = \"PAGER_SECRET\"\n\
         [notify.ops]\nslack = \"OPS_URL\"\n\
         [notify.tool]\ncommand = [\"sh\", \"-c\", \"env >&2; exit 3\"]\n"
    )
}

#[test]
fn a_planted_secret_is_found_in_nothing_that_a_host_shows_writes_or_sends_of_itself() {
    let stub = HttpStub::start();
    stub.on("GET", "/tells").answer(200, told());
    stub.on("POST", "/refuses")
        .answer(400, json!({ "error": { "message": told() } }).to_string());
    stub.on("POST", "/hook").answer(500, told());
    stub.on("POST", &format!("/services/{}", secret("slack")))
        .answer(500, told());
    stub.on("POST", "/v1/traces").answer(400, told());
    stub.on("POST", "/v1/metrics").answer(400, told());
    let slack = stub.url(&format!("/services/{}", secret("slack")));
    let collector = format!("http://{}", stub.host());
    let header = format!("authorization=Bearer%20{}", secret("header"));
    let env = [
        ("DRY_RUN", "false"),
        ("ACME_ENABLED", "true"),
        ("ACME_TOKEN", secret("provider")),
        ("OPS_URL", slack.as_str()),
        ("PAGER_SECRET", secret("signature")),
        ("BACKUP_SECRET", secret("backup")),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.as_str()),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_HEADERS", header.as_str()),
        ("OTEL_METRIC_EXPORT_INTERVAL", "500"),
        ("LOG_LEVEL", "trace"),
        ("PATH", "/usr/local/bin:/usr/bin:/bin"),
    ];
    let files = [
        ("playbooks/leaks.rhai", LEAKS),
        ("playbooks/tells.rhai", TELLS),
        ("playbooks/answers.rhai", ANSWERS),
    ];
    let mut secrets: Vec<(String, String)> = SECRETS
        .iter()
        .map(|(name, secret)| ((*name).to_owned(), (*secret).to_owned()))
        .collect();
    let mut shown: Vec<(String, String)> = Vec::new();
    let mut server = Watched::start(&settings(&stub), &files, &env);
    for format in ["text", "json"] {
        server.set("LOG_FORMAT", format);
        server = server.restart();
        let mut say = |what: String, text: String| shown.push((format!("{format}: {what}"), text));
        let given = server.host_with(
            &["user", "add", format, "--role", "admin"],
            &format!("{0}\n{0}\n", secret("password")),
        );
        say("user add".to_owned(), given);
        let made = server.host(&["token", "add", format, "--scope", "admin", "--json"]);
        let made: Value = serde_json::from_str(made.trim()).unwrap_or_else(|error| panic!("{error}: {made}"));
        let token = made["token"].as_str().expect("a token").to_owned();
        secrets.push((format!("{format} token"), token[22..].to_owned()));
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        let ask_for = |method: &str, path: &str, body: &str| {
            let answer = ask(server.address, method, path, &headers, body);
            format!(
                "{} {:?} {}",
                answer.status,
                answer.headers,
                String::from_utf8_lossy(&answer.body)
            )
        };
        let pasted = json!({ "text": format!("Bearer {}", told()) }).to_string();
        for path in ["/leaks", "/answers"] {
            say(path.to_owned(), ask_for("POST", path, &pasted));
        }
        let emitted = json!({ "name": "pasted", "data": { "text": told() } }).to_string();
        say("emit".to_owned(), ask_for("POST", "/api/v1/events", &emitted));
        let begun = json!({ "playbook": "tells", "input": { "text": secret("provider") } }).to_string();
        say("begin".to_owned(), ask_for("POST", "/api/v1/runs", &begun));
        for user in [format, "nobody"] {
            let login = json!({ "name": user, "password": secret("wrong password") }).to_string();
            say(format!("login {user}"), ask_for("POST", "/api/v1/session", &login));
        }
        let login = json!({ "name": format, "password": secret("password") }).to_string();
        let entered = ask(
            server.address,
            "POST",
            "/api/v1/session",
            &[("content-type", "application/json")],
            &login,
        );
        say("login".to_owned(), String::from_utf8_lossy(&entered.body).into_owned());
        if let Some(cookie) = entered.headers.get("set-cookie") {
            let value = cookie
                .split(';')
                .next()
                .and_then(|pair| pair.split_once('='))
                .expect("a cookie")
                .1;
            secrets.push((format!("{format} cookie"), value.to_owned()));
        }
        say(
            "query".to_owned(),
            ask_for("GET", &format!("/api/v1/runs?token={token}"), ""),
        );
        server.wait("the end of what leaks", || {
            let runs = ask_for("GET", "/api/v1/runs?playbook=leaks", "");
            runs.matches("\"failed\"").count() >= if format == "text" { 1 } else { 2 }
        });
        // Addresses with a password in them are asked by nobody.
        server.wait("a message that nobody takes", || {
            server.log().contains("nobody was told yet")
        });
        server.wait("metrics", || stub.count("POST", "/v1/metrics") > 1);
        let everywhere = [
            "/metrics",
            "/admin/monitor",
            "/healthz",
            "/readyz",
            "/status",
            "/openapi.json",
            "/api/v1/audit",
            "/api/v1/events?after=0",
            "/api/v1/incidents",
            "/api/v1/pauses",
            "/api/v1/questions",
            "/api/v1/queues",
            "/api/v1/queues/leaks/jobs",
            "/api/v1/runs",
            "/api/v1/ticks",
            "/api/v1/tokens",
            "/api/v1/users",
            "/api/v1/versions",
            "/api/v1/versions/1",
        ];
        for path in everywhere {
            // What goes on for ever is looked at by others.
            if !path.starts_with("/api/v1/events") {
                say(path.to_owned(), ask_for("GET", path, ""));
            }
        }
        let runs = ask(server.address, "GET", "/api/v1/runs", &headers, "").data();
        for run in runs["items"].as_array().expect("a list") {
            let run = run["run_id"].as_str().expect("an id");
            for path in [format!("/api/v1/runs/{run}"), format!("/api/v1/runs/{run}/journal")] {
                say(path.clone(), ask_for("GET", &path, ""));
            }
            for command in [
                ["show", run, "--json"],
                ["why", run, "--json"],
                ["replay", run, "--json"],
            ] {
                say(command.join(" "), server.host(&command));
            }
        }
        for command in [
            &["status"][..],
            &["today"],
            &["runs", "--json"],
            &["monitors", "list", "--json"],
            &["monitors", "list"],
            &["monitors", "test", "leaks"],
            &["config"],
            &["config", "--json"],
            &["providers"],
            &["check"],
            &["audit", "export"],
            &["audit", "tail", "--json"],
            &["incident", "list", "--all", "--json"],
            &["token", "list", "--json"],
            &["user", "list", "--json"],
            &["versions", "--json"],
            &["queue", "list", "--json"],
            &["explain", "HTTP_STATUS"],
            &["store", "stats"],
            &["kv", "get", "known"],
            &["backup", "out.backup", "--key", "BACKUP_SECRET", "--json"],
            &["backup", "verify", "out.backup", "--key", "BACKUP_SECRET", "--json"],
            &["run", "tells", "--text", secret("provider")],
        ] {
            say(command.join(" ").replace(secret("provider"), "…"), server.host(command));
        }
        std::fs::remove_file(server.folder.path().join("out.backup")).unwrap_or_default();
        server.stop();
        say("log".to_owned(), server.log());
    }
    for request in stub
        .requests()
        .iter()
        .filter(|request| request.path.starts_with("/v1/") || request.path == "/hook")
    {
        shown.push((format!("sent to {}", request.path), request.text()));
    }
    let mut files = Vec::new();
    files_below(&server.folder.path().join("data"), &mut files);
    shown.extend(
        files
            .into_iter()
            .map(|(path, bytes)| (path, String::from_utf8_lossy(&bytes).into_owned())),
    );

    let all: usize = shown.iter().map(|(_, text)| text.len()).sum();
    assert!(all > 100_000, "there is something to look through: {all} bytes");
    let masked = shown
        .iter()
        .filter(|(_, text)| text.contains("[masked:ACME_TOKEN]"))
        .count();
    assert!(masked > 20, "it went through: {masked}");
    let leaks: Vec<String> = shown
        .iter()
        .flat_map(|(what, text)| {
            // The store keeps versions of host.toml as it is written.
            let kept = |found: &String| what.ends_with("store.redb") && found.starts_with("address ");
            found_in(text, &secrets)
                .into_iter()
                .filter(move |found| !kept(found))
                .map(move |found| format!("{what}: {found}"))
        })
        .collect();
    assert!(leaks.is_empty(), "{} places:\n{}", leaks.len(), leaks.join("\n"));
}

#[test]
fn a_password_in_an_address_of_the_settings_is_refused_before_it_is_kept_for_good() {
    const PASSWORD: &str = "heartPLANTED-6a5b4c3d";
    const KEPT: &str = "\"text that is kept\"";
    let server = Project::new().serve();
    let settings = "[server]\nlisten = \"127.0.0.1:0\"\n";
    let is_kept = |text: &str| {
        let path = server.project.path().join("data/store.redb");
        let bytes = std::fs::read(path).expect("a store");
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    };
    let url = format!("{settings}[serve]\nheartbeat_url = \"https://me:{PASSWORD}@127.0.0.1:9/x\"\n");
    server.project.write("host.toml", &url);
    // Longer than a save is left alone.
    std::thread::sleep(Duration::from_secs(4));
    server.project.write("host.toml", settings);
    server.project.write("playbooks/three.rhai", KEPT);
    let give_up_at = Instant::now() + Duration::from_secs(40);
    while !is_kept(KEPT) {
        assert!(Instant::now() < give_up_at, "saves are not kept at all");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(!is_kept(PASSWORD));
}
