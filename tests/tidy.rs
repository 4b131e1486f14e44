//! What the compiler does not check: floors import downwards, modules say what they are for, codes are explained.
#![expect(clippy::disallowed_methods, reason = "this test reads the source tree")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The floors, lowest first, and the modules on each. A module may use its own floor and those below.
const FLOORS: [(&str, &[&str]); 7] = [
    ("ground", &["store", "io", "id", "value", "duration", "digits"]),
    ("record", &["journal", "identity", "effect"]),
    ("gate", &["gate"]),
    ("script", &["script"]),
    ("namespaces", &["namespaces"]),
    ("runs", &["runs", "report", "upkeep"]),
    (
        "edges",
        &["cli", "lsp", "http", "serve", "telemetry", "triggers", "app", "config"],
    ),
];

/// The longest a file may grow without its tests; beyond it, two things live in it.
const LINES_MAX: usize = 500;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below `folder`, with its text.
fn rust_files(folder: &str) -> BTreeMap<PathBuf, String> {
    fn collect(folder: &Path, found: &mut BTreeMap<PathBuf, String>) {
        for entry in std::fs::read_dir(folder).expect("a folder of the project") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                collect(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.insert(path.clone(), std::fs::read_to_string(&path).expect("a text"));
            }
        }
    }
    let mut found = BTreeMap::new();
    collect(&root().join(folder), &mut found);
    assert!(!found.is_empty(), "{folder} has no Rust files");
    found
}

/// The first part of a file's path below `src/`: `gate` for `src/gate/perform.rs`.
fn module_of(path: &Path) -> String {
    let below = path.strip_prefix(root().join("src")).expect("a file below src/");
    let first = below.components().next().expect("a name").as_os_str().to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

fn floor_of(module: &str) -> Option<usize> {
    FLOORS.iter().position(|(_, modules)| modules.contains(&module))
}

/// The modules of this crate that `text` names, without comments.
fn used_modules(text: &str) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
        for (at, _) in line.match_indices("crate::") {
            let name = line[at + "crate::".len()..]
                .chars()
                .take_while(|letter| letter.is_alphanumeric() || *letter == '_');
            used.insert(name.collect());
        }
    }
    used
}

/// Whether a whole file is tests: `tests.rs`, `engine_tests.rs`.
fn is_tests(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.to_string_lossy().ends_with("tests.rs"))
}

/// The part of a file that is not its tests.
fn without_tests(text: &str) -> &str {
    text.split("\n#[cfg(test)]\nmod tests {").next().expect("a first part")
}

#[test]
fn floors_use_only_floors_below_them() {
    let mut wrong = Vec::new();
    for (path, text) in rust_files("src") {
        let module = module_of(&path);
        if path
            .components()
            .any(|part| part.as_os_str().to_string_lossy().contains("tests"))
        {
            continue;
        }
        let Some(floor) = floor_of(&module) else {
            assert!(
                ["lib", "main", "testing"].contains(&module.as_str()),
                "{module} stands on no floor: add it to FLOORS"
            );
            continue;
        };
        for used in used_modules(without_tests(&text)) {
            match floor_of(&used) {
                Some(other) if other > floor => {
                    wrong.push(format!("{}: {module} uses {used}, which is above it", path.display()))
                }
                None if used == "testing" => wrong.push(format!("{}: only tests use `testing`", path.display())),
                _ => {}
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_module_says_what_it_is_for() {
    let files = rust_files("src").into_iter().chain(rust_files("tests"));
    let silent: Vec<_> = files
        .filter(|(_, text)| !text.starts_with("//!"))
        .map(|(path, _)| path)
        .collect();
    assert!(silent.is_empty(), "these do not open with `//!`: {silent:?}");
}

#[test]
fn no_file_grows_beyond_one_reason_to_change() {
    let long = rust_files("src")
        .into_iter()
        .map(|(path, text)| (path, without_tests(&text).lines().count()));
    let long: Vec<_> = long
        .filter(|(path, lines)| *lines > LINES_MAX && !is_tests(path))
        .collect();
    assert!(long.is_empty(), "longer than {LINES_MAX} lines: {long:?}");
}

#[test]
fn every_error_code_is_explained() {
    let mut explained: BTreeSet<String> = BTreeSet::new();
    for entry in std::fs::read_dir(root().join("docs/errors")).expect("docs/errors") {
        let path = entry.expect("an entry").path();
        let code = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let page = std::fs::read_to_string(&path).expect("a text");
        assert!(
            page.starts_with(&format!("# {code}\n\n")),
            "{} begins with its code",
            path.display()
        );
        assert!(
            page.contains("\n## What to do\n\n"),
            "{} does not say what to do",
            path.display()
        );
        explained.insert(code);
    }
    let mut used: BTreeSet<String> = BTreeSet::new();
    for (path, text) in rust_files("src") {
        let is_test = is_tests(&path) || path.ends_with("samples.rs") || module_of(&path) == "testing";
        if !is_test {
            used.extend(codes(without_tests(&text)));
        }
    }
    let missing: Vec<_> = used.iter().filter(|code| !explained.contains(*code)).collect();
    let left: Vec<_> = explained.iter().filter(|code| !used.contains(*code)).collect();
    assert!(missing.is_empty(), "docs/errors/ has no page for {missing:?}");
    assert!(left.is_empty(), "docs/errors/ explains what no code uses: {left:?}");
}

/// The error codes in a text: literals in capitals where an error is made or named.
fn codes(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
        if line.contains("env!(") {
            continue;
        }
        let makes_one = [
            "Failure::new(",
            "CliError::",
            "Diagnosis::new(",
            "=> \"",
            "fail(\"",
            "(\"",
            "code: \"",
            "    \"",
        ];
        let may_be_a_word = makes_one.iter().any(|mark| line.contains(mark));
        for literal in line.split('"').skip(1).step_by(2) {
            let is_capitals = |letter: char| letter.is_ascii_uppercase() || letter == '_' || letter.is_ascii_digit();
            let is_code = literal.len() >= 4
                && !literal.ends_with('_')
                && literal.starts_with(|letter: char| letter.is_ascii_uppercase())
                && literal.chars().all(is_capitals)
                && (literal.contains('_') || may_be_a_word);
            if is_code && !NOT_CODES.contains(&literal) && !literal.ends_with("_ENABLED") && !literal.ends_with("_LIVE")
            {
                found.insert(literal.to_owned());
            }
        }
    }
    found
}

/// Capitals that are no error codes: variables of the environment, constants of formats.
const NOT_CODES: &[&str] = &[
    "DRY_RUN",
    "HOST_CRASH_AT",
    "OTEL_SDK_DISABLED",
    "PLAYBOOK",
    "LIVE",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "LOG_LEVEL",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_EXPORTER_OTLP_PROTOCOL",
    "OTEL_EXPORTER_OTLP_TIMEOUT",
    "OTEL_METRIC_EXPORT_INTERVAL",
    "OTEL_RESOURCE_ATTRIBUTES",
    "OTEL_SERVICE_NAME",
    "LOG_FORMAT",
    "CIRCUIT_FAILURE_THRESHOLD",
    "ADMIN_USERS",
    "ALLOW_AUTONOMOUS_PUBLISH",
    "PUBLISH_APPROVAL_GRANTED",
    "GOVERNANCE_APPROVED",
    "ACME_TOKEN",
    "AV_LOG_FORCE_NOCOLOR",
    "LD_LIBRARY_PATH",
    "PATH",
    "HOME",
    "HOST_USER",
    "HOST_PROJECT",
    "CREDENTIALS_DIRECTORY",
    "HOST_PAGER",
    "PAGER",
    "LESS",
    // How the codes of the store begin.
    "STORE_",
    // What an option of the command line takes.
    "TEXT",
    "OLDPWD",
    "USER",
    "LOGNAME",
    "SHLVL",
    "TMPDIR",
    "HEAD",
    "OPTIONS",
    "POST",
    "PATCH",
    "DELETE",
    "JSON",
    "FLOAT",
    "SIMULATED",
    "OPENAI_API_KEY",
    "SLACK_WEBHOOK_URL",
    "MONGODB_URI",
    "REDIS_URL",
    "BACKUP_KEY",
    // How keys of a service begin.
    "AKIA",
];

#[test]
fn shared_words_are_not_used_for_other_things() {
    // A module of leftovers tells nobody what is in it.
    for (path, _) in rust_files("src") {
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        assert!(
            !["utils", "helpers", "common", "misc", "manager"].contains(&name.as_str()),
            "{}",
            path.display()
        );
    }
}

#[test]
fn the_runbook_tells_of_every_alert_and_of_no_other() {
    let read = |path: &str| std::fs::read_to_string(root().join(path)).expect("a text");
    let rules = read("examples/telemetry/alert-rules.yml");
    let alerts: BTreeSet<&str> = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "))
        .collect();
    let runbook = read("RUNBOOK.md");
    let (_, told) = runbook.split_once("\n## What each alert means\n").expect("the chapter");
    let told = told.split("\n## ").next().expect("a first part");
    let mut sections: BTreeMap<&str, &str> = BTreeMap::new();
    for section in told.split("\n### ").skip(1) {
        let (name, text) = section.split_once('\n').expect("a text");
        sections.insert(name, text);
    }
    assert!(alerts.len() > 10, "{alerts:?}");
    assert_eq!(sections.keys().copied().collect::<BTreeSet<_>>(), alerts);
    for (name, text) in sections {
        for part in ["**Means**", "**Look**", "**Usually**", "**Do**"] {
            assert!(text.contains(part), "{name} does not say {part}");
        }
    }
}

#[test]
fn the_service_has_the_limits_that_the_documents_promise() {
    let unit = std::fs::read_to_string(root().join("examples/deploy/systemd/host.service")).expect("a text");
    for line in [
        "Type=notify",
        "WatchdogSec=2min",
        "KillMode=mixed",
        "RestartPreventExitStatus=2 5",
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "MemoryDenyWriteExecute=yes",
        "CapabilityBoundingSet=",
        "OOMPolicy=continue",
        "UMask=0077",
    ] {
        assert!(
            unit.lines().any(|there| there == line),
            "host.service does not say {line}"
        );
    }
}

/// As systemd itself sees it, where there is a systemd that can tell.
#[test]
fn systemd_understands_the_service_and_finds_little_exposed() {
    let tool = || std::process::Command::new("systemd-analyze");
    let version = tool()
        .arg("--version")
        .output()
        .map(|said| said.stdout)
        .unwrap_or_default();
    let version = String::from_utf8_lossy(&version).into_owned();
    let version: u32 = version
        .split(' ')
        .nth(1)
        .and_then(|word| word.parse().ok())
        .unwrap_or(0);
    if version < 252 {
        println!("there is no systemd-analyze of 252 or later: the service is not looked at");
        return;
    }
    let unit = std::fs::read_to_string(root().join("examples/deploy/systemd/host.service")).expect("a text");
    let folder = tempfile::TempDir::new().expect("a folder");
    let file = folder.path().join("host.service");
    std::fs::write(&file, unit.replace("/usr/local/bin/host", "/bin/true")).expect("a file");
    let verified = tool().arg("verify").arg(&file).output().expect("it was there");
    let said = String::from_utf8_lossy(&verified.stderr).into_owned();
    let about_it: Vec<&str> = said.lines().filter(|line| line.contains("host.service")).collect();
    assert!(about_it.is_empty(), "{said}");
    // Of 100; at 20 it is as closed as one can be that reaches the network.
    let rated = tool()
        .args(["security", "--offline=true", "--threshold=20", "--no-pager"])
        .arg(&file)
        .output();
    let rated = rated.expect("it was there");
    let said = String::from_utf8_lossy(&rated.stdout).into_owned();
    assert!(rated.status.success(), "{said}");
}
