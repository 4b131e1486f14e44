//! The product in the simulated world: a gate with simulated doors, runs that begin and that go on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use host::effect::{ProviderMode, RunMode};
use host::gate::{Gate, Masks, Policies, Signals, Silent};
use host::id::RunId;
use host::io::World as Doors;
use host::io::chance::SeededChance;
use host::io::clock::Clock as _;
use host::io::ffmpeg::FfmpegDoor;
use host::io::files::ProjectFiles;
use host::io::http::{HttpDoor, Reach};
use host::io::provider::ProviderDoor;
use host::io::scripts::ScriptFiles;
use host::io::secrets::Secrets;
use host::journal::{JournalError, Owner, Recorded, RunRecord};
use host::runs::resume::{Resume, ResumeError};
use host::runs::{Finished, Library, Order, Replayed, Runner, recovery, replay};
use host::script::source::Text;
use host::script::{Language, RunHandle, Script, ScriptLimits};
use host::store::StoreError;
use host::store::documents::Indexes;
use host::store::tx::Ground;
use host::value::Value;

use crate::clock::SimClock;
use crate::disk::{SimContent, SimStore};
use crate::net::SimTransport;
use crate::providers::declared;
use crate::scenario::Wanted;
use crate::world::Handle;

/// The language, made once: it holds no state.
pub fn language() -> Arc<Language> {
    static LANGUAGE: OnceLock<Arc<Language>> = OnceLock::new();
    let make = || {
        let limits = ScriptLimits {
            // Thousands of threads come and go.
            memory_mib: 32,
            ..ScriptLimits::default()
        };
        Arc::new(Language::new(|| host::namespaces::modules(&declared()), limits))
    };
    LANGUAGE.get_or_init(make).clone()
}

/// The library of one process: it remembers what it compiled. Playbooks that runs start lie beside the simulation.
pub fn library() -> Arc<Library> {
    let playbooks = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sim/playbooks");
    Arc::new(Library::new(ScriptFiles::new(Some(playbooks.into())), language()))
}

pub fn ground(handle: &Handle) -> Ground {
    Ground {
        store: Arc::new(SimStore(handle.clone())),
        content: Arc::new(SimContent(handle.clone())),
        indexes: Arc::new(Indexes::none()),
    }
}

/// A gate whose every door knows the thread that goes through it.
pub fn gate(handle: &Handle, library: &Arc<Library>, chance: u64) -> Gate {
    let providers = declared().into_iter().map(|provider| {
        let mut reach = Reach::default();
        reach.allow_url(&provider.base_url).expect("a host");
        let door = ProviderDoor {
            name: provider.name.clone(),
            http: HttpDoor::with_transport(reach, SimTransport(handle.clone())),
            base_url: provider.base_url,
            timeout: provider.timeout,
            settings: Default::default(),
        };
        (provider.name, door)
    });
    let secrets = Secrets::default();
    let masks = Arc::new(Masks::new(&secrets));
    let world = Doors {
        clock: Arc::new(SimClock(handle.clone())),
        chance: Arc::new(SeededChance::new(chance)),
        http: Arc::new(HttpDoor::shut("the simulation has providers only")),
        providers: Arc::new(providers.collect()),
        files: Arc::new(ProjectFiles::shut()),
        ffmpeg: Arc::new(FfmpegDoor::shut()),
        secrets: Arc::new(secrets),
        work_dir: PathBuf::from("/nowhere"),
    };
    let mut policies = Policies {
        signals: Signals([true; 3]),
        ..Policies::default()
    };
    policies.circuit.cooldown = Duration::from_secs(20);
    let mut gate = Gate::new(ground(handle), world, masks, policies);
    // All threads of a life are one process.
    gate.playbooks = library.clone();
    gate.owner = Owner::alone(u64::from(handle.life));
    gate
}

pub fn runner(handle: &Handle, library: &Arc<Library>, chance: u64) -> Runner {
    Runner {
        gate: Arc::new(gate(handle, library, chance)),
        language: language(),
    }
}

pub fn script(text: &str) -> Arc<Script> {
    let find = |module: &str| Err(format!("there is no module {module:?}"));
    let source = Text::new("sim.rhai", text);
    let script = Script::compile(&language(), "sim", source, &find);
    Arc::new(script.unwrap_or_else(|diagnosis| panic!("{}: {}\n{}", diagnosis.code, diagnosis.message, text)))
}

fn mode() -> RunMode {
    let names: Vec<String> = declared().into_iter().map(|provider| provider.name).collect();
    let live = names.iter().map(|name| (name.clone(), ProviderMode::Live));
    RunMode {
        live: true,
        providers: live.collect::<BTreeMap<_, _>>(),
        uses: names,
        unsigned: Vec::new(),
    }
}

/// Begins a run and carries it until it is at rest, as `host run` does.
pub fn start(runner: &Runner, wanted: &Wanted) -> Result<Finished, StoreError> {
    runner.run(&Order {
        script: script(&wanted.script),
        input: Value::from([("name", Value::from(wanted.name.as_str()))]),
        mode: mode(),
        trigger: wanted.name.clone(),
        by: None,
        retry_of: None,
        corr: None,
        observer: Arc::new(Silent),
    })
}

/// Takes `run` over. Only for a person is one reopened that is over.
pub fn take_over(
    runner: &Runner,
    library: &Library,
    run: RunId,
    by_person: bool,
) -> Result<(RunHandle, Arc<Script>), ResumeError> {
    let status = RunRecord::get(&*runner.gate.ground.store, run)?.status;
    if status.is_over() && !by_person {
        return Err(ResumeError::Over { run, status });
    }
    runner.take_over(library, run, &by_hand())
}

/// Nobody watches.
pub fn by_hand() -> Resume {
    Resume {
        by: "the simulation".to_owned(),
        observer: Arc::new(Silent),
    }
}

/// A run and when it goes on, in Unix milliseconds.
pub type Later = (RunId, i64);

/// The runs that go on now, and those that do at a later time, as a host finds them when it starts.
pub fn unfinished(handle: &Handle) -> Result<(Vec<RunId>, Vec<Later>), JournalError> {
    let ground = ground(handle);
    let now_ms = SimClock(handle.clone()).unix_ms();
    let mut runs = recovery::unfinished(&ground)?;
    runs.extend(recovery::due(&ground, now_ms)?);
    let mut later = Vec::new();
    for run in recovery::due(&ground, i64::MAX)? {
        let waits = RunRecord::get(&*ground.store, run)?.waits;
        later.extend(waits.and_then(|waits| Some((run, waits.until_ms?))));
    }
    Ok((runs, later))
}

/// The names of the runs that the store knows.
pub fn names(handle: &Handle) -> BTreeSet<String> {
    let ground = ground(handle);
    let runs = RunRecord::latest(&*ground.store, RunId::from_bytes([0xFF; 16]), 1000).unwrap_or_default();
    let begun = |record: RunRecord| {
        Recorded::load(&ground, record.run)
            .ok()
            .map(|recorded| recorded.begun.trigger)
    };
    runs.into_iter().filter_map(begun).collect()
}

/// `run` once more with every door shut.
pub fn replay(handle: &Handle, run: RunId) -> Result<Replayed, replay::ReplayError> {
    let library = library();
    let gate = gate(handle, &library, 0);
    replay::replay(&library, Arc::new(gate.shut()), run, Arc::new(Silent))
}
