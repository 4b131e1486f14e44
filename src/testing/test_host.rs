//! A host in memory: real store, real engine, real gate; a clock that the test moves, chance from a seed.
//!
//! When it is dropped it replays every run it has seen, with every door shut, and fails the test if one differs.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use rhai::Module;

use super::TestClock;
use crate::effect::{Failure, ProviderMode, RunMode};
use crate::gate::{Gate, Masks, Observer, Policies, Signals, Silent};
use crate::id::RunId;
use crate::io::World;
use crate::io::chance::SeededChance;
use crate::io::ffmpeg::{FfmpegDoor, FfmpegOptions};
use crate::io::files::ProjectFiles;
use crate::io::http::{HttpDoor, Reach};
use crate::io::provider::ProviderDoor;
use crate::io::scratch::Scratch;
use crate::io::scripts::ScriptFiles;
use crate::io::secrets::Secrets;
use crate::journal::{Answer, Outcome, Recorded, Status};
use crate::runs::{Conductor, Driven, Finished, Library, Order, Replayed, Resume, ResumeError, Runner, Task, replay};
use crate::script::source::Text;
use crate::script::{Language, Script, ScriptLimits};
use crate::store::content::ScratchContent;
use crate::store::documents::Indexes;
use crate::store::engine::Engine;
use crate::store::keys;
use crate::store::tx::Ground;
use crate::value::Value;

type MakeModules = Box<dyn Fn() -> Vec<(String, Module)>>;

/// A host, built by saying only what differs from an empty dry one.
pub struct TestHost {
    pub clock: Arc<TestClock>,
    pub ground: Ground,
    pub mode: RunMode,
    pub policies: Policies,
    pub limits: ScriptLimits,
    pub observer: Arc<dyn Observer>,
    secrets: Vec<(String, String)>,
    hosts: Vec<String>,
    providers: BTreeMap<String, ProviderDoor>,
    modules: Vec<MakeModules>,
    /// Made of `modules` and `limits` when it is first needed, because to make it takes longer than most runs.
    language: Mutex<Option<Arc<Language>>>,
    /// The project's folder; gone with the host.
    scratch: Scratch,
    chance: Arc<SeededChance>,
    seen: Mutex<Vec<RunId>>,
}

/// A run that is over, as tests look at it.
pub struct TestRun {
    pub finished: Finished,
    pub recorded: Recorded,
}

impl Default for TestHost {
    fn default() -> TestHost {
        let store = Engine::in_memory().expect("memory holds a store");
        TestHost {
            clock: Arc::default(),
            ground: Ground {
                store: Arc::new(store),
                content: Arc::new(ScratchContent::in_memory(None)),
                indexes: Arc::new(Indexes::none()),
            },
            mode: RunMode::dry(),
            policies: Policies::default(),
            limits: ScriptLimits::default(),
            observer: Arc::new(Silent),
            secrets: Vec::new(),
            hosts: Vec::new(),
            providers: BTreeMap::new(),
            modules: vec![Box::new(|| crate::namespaces::modules(&[]))],
            language: Mutex::default(),
            scratch: Scratch::new(&crate::io::chance::SystemChance).expect("a scratch folder"),
            chance: Arc::new(SeededChance::new(7)),
            seen: Mutex::default(),
        }
    }
}

impl TestHost {
    /// With a secret in its environment.
    pub fn secret(mut self, name: &str, value: &str) -> TestHost {
        self.secrets.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With `provider` live, and named in `uses`.
    pub fn live(mut self, provider: &str) -> TestHost {
        self.mode.live = true;
        self.mode.providers.insert(provider.to_owned(), ProviderMode::Live);
        self.mode.uses.push(provider.to_owned());
        self
    }

    /// With a provider's door to `base_url`.
    pub fn provider(mut self, name: &str, base_url: &str, settings: Value) -> TestHost {
        let base_url: url::Url = base_url.parse().expect("a URL");
        let mut reach = Reach::default();
        reach.allow_url(&base_url).expect("a host");
        let door = ProviderDoor {
            name: name.to_owned(),
            http: HttpDoor::new(reach),
            base_url,
            timeout: std::time::Duration::from_secs(2),
            settings: settings.as_map().cloned().unwrap_or_default(),
        };
        self.providers.insert(name.to_owned(), door);
        self
    }

    /// With more namespaces, such as declared providers.
    pub fn modules(mut self, modules: impl Fn() -> Vec<(String, Module)> + 'static) -> TestHost {
        self.modules.push(Box::new(modules));
        self.language = Mutex::default();
        self
    }

    /// With a language that several hosts share, in place of one made of the host's own namespaces.
    pub fn language(mut self, language: Arc<Language>) -> TestHost {
        self.limits = language.limits.clone();
        self.language = Mutex::new(Some(language));
        self
    }

    /// With a host that `http::` may reach.
    pub fn host(mut self, host: &str) -> TestHost {
        self.hosts.push(host.to_owned());
        self
    }

    /// With all governance signals given.
    pub fn approved(mut self) -> TestHost {
        self.policies.signals = Signals([true; 3]);
        self
    }

    /// With a file in its project folder.
    #[expect(clippy::disallowed_methods, reason = "tests write the files that playbooks read")]
    pub fn file(self, path: &str, bytes: impl AsRef<[u8]>) -> TestHost {
        let path = self.folder().join(path);
        std::fs::create_dir_all(path.parent().expect("a path below the project")).expect("a folder");
        std::fs::write(path, bytes).expect("a file");
        self
    }

    /// The project's folder.
    pub fn folder(&self) -> PathBuf {
        self.scratch.path().to_owned()
    }

    pub fn gate(&self) -> Arc<Gate> {
        let secrets = Secrets::new(self.secrets.clone());
        let masks = Arc::new(Masks::new(&secrets));
        let root = self.folder();
        let world = World {
            clock: self.clock.clone(),
            chance: self.chance.clone(),
            http: Arc::new(HttpDoor::new(Reach::parse(&self.hosts).expect("hosts"))),
            providers: Arc::new(self.providers.clone()),
            files: Arc::new(ProjectFiles::new(
                root.clone(),
                vec!["inbox".to_owned(), "prompts".to_owned()],
            )),
            ffmpeg: Arc::new(FfmpegDoor::new(FfmpegOptions::default())),
            secrets: Arc::new(secrets),
            work_dir: root.join("runs"),
        };
        let mut gate = Gate::new(self.ground.clone(), world, masks, self.policies.clone());
        gate.playbooks = Arc::new(self.library());
        Arc::new(gate)
    }

    pub fn library(&self) -> Library {
        let mut kept = self.language.lock().expect("no test panics here");
        let language = match kept.take().filter(|language| language.limits == self.limits) {
            Some(language) => language,
            None => {
                let modules = || self.modules.iter().flat_map(|modules| modules()).collect();
                Arc::new(Language::new(modules, self.limits.clone()))
            }
        };
        *kept = Some(language.clone());
        Library::new(ScriptFiles::new(Some(self.folder().join("playbooks"))), language)
    }

    /// Compiles `script`; panics with the diagnosis when it does not compile.
    pub fn compile(&self, script: &str) -> Arc<Script> {
        let library = self.library();
        let find = |module: &str| {
            let found = library.files.module(module).map_err(|fault| fault.to_string())?;
            Ok(Text::new(found.file, found.text))
        };
        let script = Script::compile(&library.language, "test", Text::new("test.rhai", script), &find);
        Arc::new(script.unwrap_or_else(|diagnosis| panic!("{}: {}", diagnosis.code, diagnosis.message)))
    }

    /// Runs `script` to its end.
    pub fn run(&self, script: &str) -> TestRun {
        self.run_with(script, Value::Map(Default::default()))
    }

    /// Runs `script` with `input` to its end; waits pass as fast as the clock can be moved.
    pub fn run_with(&self, script: &str, input: Value) -> TestRun {
        let runner = self.runner();
        let order = self.order(script, input);
        let handle = runner.begin(&order).expect("the store takes the run");
        let run = handle.tape().run;
        let mut driven = self.drive_on(runner, [Task::Begun(handle, order.script.clone())]);
        let finished = driven.finished.remove(&run).expect("the run comes to rest");
        self.tested(finished)
    }

    /// Runs `script` until it is at rest for the first time.
    pub fn start(&self, script: &str) -> TestRun {
        let order = self.order(script, Value::Map(Default::default()));
        let finished = self.runner().run(&order).expect("the store takes the run");
        self.tested(finished)
    }

    /// Goes on with `run` until it is at rest, as a process of its own would.
    pub fn resume(&self, run: RunId) -> Result<TestRun, ResumeError> {
        let how = Resume {
            by: "test".to_owned(),
            observer: self.observer.clone(),
        };
        let finished = self.runner().resume(&self.library(), run, &how)?;
        Ok(self.tested(finished))
    }

    /// Drives runs until nothing moves, as a process of its own would.
    pub fn drive(&self, runs: impl IntoIterator<Item = RunId>) -> Driven {
        self.drive_on(self.runner(), runs.into_iter().map(Task::Resume))
    }

    fn drive_on(&self, runner: Runner, tasks: impl IntoIterator<Item = Task>) -> Driven {
        let observer = self.observer.clone();
        let conductor = Arc::new(Conductor {
            library: self.library(),
            runner,
            by: "test".to_owned(),
            observe: Box::new(move |_| observer.clone()),
            patience: std::time::Duration::MAX,
            on_wait: Box::new(|_| ()),
            stop: Arc::default(),
        });
        conductor.drive(tasks)
    }

    /// A runner of a process of its own.
    pub fn runner(&self) -> Runner {
        Runner {
            gate: self.gate(),
            language: self.library().language,
        }
    }

    /// An order for `script`.
    pub fn order(&self, script: &str, input: Value) -> Order {
        let script = self.compile(script);
        let mut mode = self.mode.clone();
        mode.uses.extend(script.header.uses.iter().cloned());
        Order {
            script,
            input,
            mode,
            trigger: "test".to_owned(),
            by: Some("anna".to_owned()),
            retry_of: None,
            corr: None,
            observer: self.observer.clone(),
        }
    }

    fn tested(&self, finished: Finished) -> TestRun {
        let run = finished.record.run;
        let mut seen = self.seen.lock().expect("no test panics here");
        seen.retain(|one| *one != run);
        if finished.outcome.status.is_over() {
            seen.push(run);
        }
        let recorded = Recorded::load(&self.ground, run).expect("the journal reads back");
        TestRun { finished, recorded }
    }

    /// Replays a run with every door shut.
    pub fn replay(&self, run: RunId) -> Replayed {
        let shut = self.gate().shut();
        replay::replay(&self.library(), Arc::new(shut), run, Arc::new(Silent)).expect("the run replays")
    }
}

impl Drop for TestHost {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let seen = std::mem::take(&mut *self.seen.lock().expect("no test panics here"));
        // What a retention has removed cannot be replayed.
        let is_there = |run: &RunId| !matches!(self.ground.store.get(&keys::run(*run)), Ok(None));
        for run in seen.into_iter().filter(is_there) {
            let replayed = self.replay(run);
            let recorded = replayed.recorded.outcome();
            assert!(
                replayed.same,
                "run {run} replays differently: {recorded:?} became {:?}",
                replayed.outcome
            );
        }
    }
}

impl TestRun {
    pub fn id(&self) -> RunId {
        self.finished.record.run
    }

    pub fn outcome(&self) -> &Outcome {
        &self.finished.outcome
    }

    /// The value of a run that succeeded.
    pub fn value(&self) -> &Value {
        assert_eq!(self.outcome().status, Status::Succeeded, "{:?}", self.outcome().error);
        &self.outcome().value
    }

    /// The failure of a run that did not succeed.
    pub fn failure(&self) -> &Failure {
        &self
            .outcome()
            .error
            .as_ref()
            .unwrap_or_else(|| panic!("the run succeeded: {}", self.outcome().value))
            .failure
    }

    /// The answers on the journal, in order.
    pub fn answers(&self) -> Vec<&Answer> {
        self.recorded
            .steps
            .values()
            .filter_map(|step| step.answer.as_ref())
            .collect()
    }

    /// The journal, a line each: `1 kv.get {"key":"a"} -> 1`.
    pub fn journal(&self) -> String {
        let line = |answer: &Answer| {
            let asked = &answer.asked;
            let outcome = match &answer.error {
                Some(failure) => format!("!{}", failure.code),
                None => answer.value.to_string(),
            };
            let simulated = if answer.simulated.is_some() { " sim" } else { "" };
            format!("{} {} {} ->{simulated} {outcome}\n", asked.step, asked.name, asked.args)
        };
        self.answers().into_iter().map(line).collect()
    }
}
