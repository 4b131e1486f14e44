//! Bundles made and opened, and bundles that somebody else made.

use proptest::prelude::*;

use super::form::{FORMAT, MAGIC, PARTS_MAX, TOTAL_BYTES_MAX, forge, seal, unseal};
use super::*;
use crate::gate::{Masks, Silent};
use crate::io::secrets::Secrets;
use crate::journal::incident::{self, OpenedBy};
use crate::runs::replay;
use crate::store::content::ScratchContent;
use crate::testing::TestHost;
use crate::value::Value;

const SECRET: &str = "tok-9f8e7d6c5b4a";

/// Keeps a large value, and says a word that is a secret on another day.
const SCRIPT: &str = r#"
let words = "a word: tok-9f8e7d6c5b4a";
kv::put("large", [words, "x".repeat(70000)]);
let back = kv::get("large");
#{ items: back.len(), words: words, seen: back[0] }
"#;

fn repeat_script() -> String {
    // The language has no `repeat`.
    SCRIPT
        .replace("\"x\".repeat(70000)", "x")
        .replace("let words", "let x = \"x\"; for i in 0..17 { x += x; }\nlet words")
}

fn exported(masks: &Masks) -> (TestHost, RunId, Vec<u8>) {
    let host = TestHost::default();
    let run = host.run(&repeat_script());
    run.value();
    let id = run.id();
    let mut incident = Incident::open(IncidentId::of_run(id), "odd", OpenedBy::Hand, "ada", 7).unwrap();
    incident.pin(&[id], "ada", 7).unwrap();
    incident.note(&format!("it was {SECRET}"), "ada", 8).unwrap();
    let bytes = pack(&host.ground, masks, &incident, &Settings::default(), "1.2.3").unwrap();
    (host, id, bytes)
}

fn none() -> Masks {
    Masks::new(&Secrets::default())
}

fn masks() -> Masks {
    Masks::new(&Secrets::new([("ACME_TOKEN".to_owned(), SECRET.to_owned())]))
}

/// Replays every run of a bundle on a host that knows nothing else.
fn replays(bundle: &Bundle) -> bool {
    let mut host = TestHost::default();
    host.ground = bundle.ground.clone();
    bundle.runs.iter().all(|record| {
        let replayed = replay::replay(&host.library(), host.gate(), record.run, Arc::new(Silent)).expect("it replays");
        replayed.same
    })
}

#[test]
fn what_is_exported_replays_elsewhere_with_its_large_values() {
    let (_host, run, bytes) = exported(&none());
    let bundle = Bundle::read(&bytes).unwrap();
    assert_eq!(bundle.host, "1.2.3");
    assert_eq!(bundle.run(None).unwrap().run, run);
    assert_eq!(bundle.run(Some(&run.short())).unwrap().run, run);
    assert_eq!(bundle.run(Some("7ZZ")).unwrap_err().code(), "BUNDLE_RUN");
    let recorded = Recorded::load(&bundle.ground, run).unwrap();
    assert!(large_values(&recorded).count() > 0, "a value of the run lies in a file");
    assert!(replays(&bundle));
}

#[test]
fn the_same_incident_gives_the_same_bytes() {
    let (host, run, bytes) = exported(&none());
    let incident = Bundle::read(&bytes).unwrap().incident;
    let again = pack(&host.ground, &none(), &incident, &Settings::default(), "1.2.3").unwrap();
    assert!(again == bytes);
    assert!(incident.runs.contains(&run));
}

/// A key that stood in a script, was printed and written down, and became a secret only afterwards.
#[test]
fn what_is_a_secret_today_is_masked_everywhere_and_the_run_still_replays() {
    let (_host, _, open) = exported(&none());
    let has_secret = |bytes: &[u8]| {
        let unpacked = forge::unpacked(bytes);
        unpacked.windows(SECRET.len()).any(|window| window == SECRET.as_bytes())
    };
    assert!(has_secret(&open), "the test can fail");
    let (_host, run, bytes) = exported(&masks());
    assert!(!has_secret(&bytes));
    let bundle = Bundle::read(&bytes).unwrap();
    assert!(replays(&bundle));
    let outcome = Recorded::load(&bundle.ground, run).unwrap().outcome().unwrap();
    assert_eq!(
        outcome.value.get("words"),
        Some(&Value::from("a word: [masked:ACME_TOKEN]"))
    );
}

#[test]
fn a_run_whose_script_is_gone_is_not_exported() {
    let host = TestHost::default();
    let run = host.run("1").id();
    let mut incident = Incident::open(IncidentId::of_run(run), "odd", OpenedBy::Hand, "ada", 7).unwrap();
    incident.pin(&[run], "ada", 7).unwrap();
    let recorded = Recorded::load(&host.ground, run).unwrap();
    let bare = Ground {
        store: Arc::new(Overlay::over(host.ground.store.clone())),
        content: Arc::new(ScratchContent::in_memory(None)),
        indexes: host.ground.indexes.clone(),
    };
    let mut batch = Batch::new();
    batch.delete(keys::version(&recorded.begun.version));
    bare.store.commit(batch, Durability::Soon).unwrap();
    let error = pack(&bare, &none(), &incident, &Settings::default(), "1").unwrap_err();
    assert_eq!(error.code(), "BUNDLE_INCOMPLETE", "{error}");
}

fn code(bytes: &[u8]) -> &'static str {
    Bundle::read(bytes).err().map_or("none", |error| error.code())
}

#[test]
fn what_is_no_bundle_of_ours_is_told_from_one_that_suffered_on_its_way() {
    let (_host, _, bytes) = exported(&none());
    assert_eq!(code(b""), "BUNDLE_NOT_ONE");
    assert_eq!(code(b"PK\x03\x04 a zip"), "BUNDLE_NOT_ONE");
    assert_eq!(code(&forge::with_format(FORMAT + 1, &bytes)), "BUNDLE_NEWER_FORMAT");
    assert_eq!(code(&forge::with_format(0, &bytes)), "BUNDLE_NOT_ONE");
    assert_eq!(code(&bytes[..bytes.len() - 1]), "BUNDLE_ALTERED");
    assert_eq!(code(&[bytes.as_slice(), b"x"].concat()), "BUNDLE_ALTERED");
    assert_eq!(code(&bytes[..MAGIC.len() + 10]), "BUNDLE_BROKEN");
    // A sum in capitals is the same sum, and another file.
    let mut capitals = bytes.clone();
    capitals[MAGIC.len() + 2..MAGIC.len() + 66].make_ascii_uppercase();
    assert_eq!(code(&capitals), "BUNDLE_BROKEN");
}

#[test]
fn a_manifest_that_promises_too_much_is_refused_before_anything_is_unpacked() {
    let sum = ContentHash::of(b"").to_string();
    let part = |kind: &str, name: &str, bytes: u64| {
        format!(r#"{{"kind":"{kind}","name":"{name}","bytes":{bytes},"sha256":"{sum}"}}"#)
    };
    let file = |parts: &[String], body: &[u8]| {
        let manifest = format!(r#"{{"host":"1","parts":[{}]}}"#, parts.join(","));
        forge::sealed(&manifest, body)
    };
    assert_eq!(code(&file(&[part("content", "a", 65 << 20)], b"")), "BUNDLE_TOO_LARGE");
    let many: Vec<String> = (0..9)
        .map(|number| part("content", &number.to_string(), TOTAL_BYTES_MAX / 8))
        .collect();
    assert_eq!(code(&file(&many, b"")), "BUNDLE_TOO_LARGE");
    let crowd: Vec<String> = (0..=PARTS_MAX)
        .map(|number| part("content", &format!("{number:06}"), 0))
        .collect();
    assert_eq!(code(&file(&crowd, b"")), "BUNDLE_TOO_LARGE");
    assert_eq!(code(&file(&[part("content", "a", u64::MAX)], b"")), "BUNDLE_TOO_LARGE");
    for (parts, body) in [
        (vec![part("content", "a", 0), part("content", "a", 0)], b"".as_slice()),
        (vec![part("content", "b", 0), part("content", "a", 0)], b""),
        (vec![part("content", "../../etc/passwd", 0)], b""),
        (vec![part("run", "../../etc/passwd", 0)], b""),
        (vec![part("song", "a", 0)], b""),
        (vec![part("content", "a", 10)], b""),
        (vec![], b"more"),
        (vec![], b""),
    ] {
        assert_eq!(code(&file(&parts, body)), "BUNDLE_BROKEN", "{parts:?}");
    }
    assert_eq!(code(&forge::sealed(&"[".repeat(100_000), b"")), "BUNDLE_BROKEN");
}

/// A gigabyte of nothing is a megabyte packed; only as much of it is unpacked as the manifest asked for.
#[test]
fn a_bomb_is_not_unpacked() {
    let bomb = forge::sealed(r#"{"host":"1","parts":[]}"#, &vec![0; 256 << 20]);
    assert!(bomb.len() < 1 << 20);
    assert_eq!(code(&bomb), "BUNDLE_BROKEN");
}

#[test]
fn parts_that_contradict_each_other_are_refused() {
    let (_host, run, bytes) = exported(&none());
    let (_, parts) = unseal(&bytes).unwrap();
    let with = |change: &dyn Fn(&mut Vec<Part>)| {
        let mut parts = parts.clone();
        change(&mut parts);
        code(&seal("1", &parts).unwrap())
    };
    assert_eq!(with(&|_| {}), "none");
    let drop = |kind: Kind| move |parts: &mut Vec<Part>| parts.retain(|part| part.kind != kind);
    assert_eq!(with(&drop(Kind::Incident)), "BUNDLE_BROKEN");
    assert_eq!(with(&drop(Kind::Config)), "BUNDLE_BROKEN");
    assert_eq!(with(&drop(Kind::Run)), "BUNDLE_BROKEN");
    assert_eq!(with(&drop(Kind::Journal)), "BUNDLE_BROKEN");
    assert_eq!(with(&drop(Kind::Version)), "BUNDLE_INCOMPLETE");
    assert_eq!(with(&drop(Kind::Content)), "BUNDLE_INCOMPLETE");
    let of = |parts: &mut Vec<Part>, kind: Kind, change: &dyn Fn(&mut Part)| {
        parts.iter_mut().filter(|part| part.kind == kind).for_each(change);
    };
    assert_eq!(
        with(&|parts| of(parts, Kind::Version, &|part| part.bytes.push(b' '))),
        "BUNDLE_ALTERED"
    );
    assert_eq!(
        with(&|parts| of(parts, Kind::Content, &|part| part.bytes[9] ^= 1)),
        "BUNDLE_ALTERED"
    );
    assert_eq!(
        with(&|parts| of(parts, Kind::Config, &|part| part.bytes.truncate(3))),
        "BUNDLE_BROKEN"
    );
    assert_eq!(
        with(&|parts| of(parts, Kind::Journal, &|part| part.bytes[0] = 200)),
        "BUNDLE_NEWER_FORMAT"
    );
    assert_eq!(
        with(&|parts| of(parts, Kind::Incident, &|part| part.bytes[0] = 200)),
        "INCIDENT_NEWER_FORMAT"
    );
    assert_eq!(
        with(&|parts| of(parts, Kind::Run, &|part| part.bytes[0] = 200)),
        "JOURNAL_NEWER_FORMAT"
    );
    let other = RunId::new(run.born_ms() + 1, 1).to_string();
    // Twice the same, once in other letters.
    for kind in [Kind::Run, Kind::Journal, Kind::Incident] {
        let small = |part: &mut Part| part.name = part.name.to_lowercase();
        assert_eq!(with(&|parts| of(parts, kind, &small)), "BUNDLE_BROKEN");
    }
    for kind in [Kind::Version, Kind::Content] {
        let capital = |part: &mut Part| part.name = part.name.to_uppercase();
        let code = with(&|parts| {
            parts.retain(|part| part.kind != kind || part.name.contains(|letter: char| letter.is_ascii_lowercase()));
            of(parts, kind, &capital)
        });
        assert_eq!(code, "BUNDLE_BROKEN");
    }
    for kind in [Kind::Run, Kind::Journal] {
        assert_eq!(
            with(&|parts| of(parts, kind, &|part| part.name = other.clone())),
            "BUNDLE_BROKEN"
        );
    }
    // Deeper than any stack: arrays in arrays in arrays.
    let deep = [vec![entry::PLAIN], vec![0x91; 1 << 20]].concat();
    assert_eq!(
        with(&|parts| of(parts, Kind::Journal, &|part| part.bytes = deep.clone())),
        "BUNDLE_BROKEN"
    );
    let deep = [vec![1], vec![0x91; 1 << 20]].concat();
    assert_eq!(
        with(&|parts| of(parts, Kind::Incident, &|part| part.bytes = deep.clone())),
        "INCIDENT_CORRUPT"
    );
}

#[test]
fn limits_of_another_host_are_taken_within_reason() {
    let mut settings = Settings::default();
    assert_eq!(settings.bounded_limits(), ScriptLimits::default());
    settings.limits.operations = u64::MAX;
    settings.limits.memory_mib = u64::MAX;
    settings.limits.call_levels = usize::MAX;
    let preset = ScriptLimits::default();
    let bounded = settings.bounded_limits();
    assert_eq!(bounded.operations, preset.operations * 8);
    assert_eq!(bounded.memory_mib, preset.memory_mib * 8);
    assert_eq!(bounded.call_levels, preset.call_levels);
}

thread_local! {
    static SAMPLE: Vec<u8> = exported(&none()).2;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Any byte of the file.
    #[test]
    fn a_bundle_with_another_byte_is_refused(at: prop::sample::Index, bit in 0..8u32) {
        let mut bytes = SAMPLE.with(Clone::clone);
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert_ne!(code(&bytes), "none");
    }

    #[test]
    fn a_bundle_that_was_cut_is_refused(at: prop::sample::Index) {
        let bytes = SAMPLE.with(Clone::clone);
        prop_assert_ne!(code(&bytes[..at.index(bytes.len())]), "none");
    }

    /// Bytes inside, under a sum that is right again for the whole. The version of the host that made it means nothing.
    #[test]
    fn a_forged_bundle_is_refused_or_means_something(at: prop::sample::Index, byte: u8) {
        let mut bytes = forge::unpacked(&SAMPLE.with(Clone::clone));
        let at = at.index(bytes.len());
        let before = std::mem::replace(&mut bytes[at], byte);
        let code = code(&forge::packed(&bytes));
        prop_assert!(code != "none" || before == byte || at < 24, "byte {at} is not under any sum");
    }

    /// A part's bytes under sums that are right all the way.
    #[test]
    fn a_part_of_any_bytes_is_refused_or_means_something(
        index: prop::sample::Index, at: prop::sample::Index, byte: u8, cut: bool,
    ) {
        let (_, mut parts) = unseal(&SAMPLE.with(Clone::clone)).unwrap();
        let part = &mut parts[index.index(5)];
        let at = at.index(part.bytes.len());
        part.bytes[at] = byte;
        if cut {
            part.bytes.truncate(at);
        }
        if let Ok(bundle) = Bundle::read(&seal("1", &parts).unwrap()) {
            let run = bundle.run(None).unwrap().run;
            Recorded::load(&bundle.ground, run).unwrap();
            incident::load(&*bundle.ground.store, bundle.incident.id).unwrap();
        }
    }
}
