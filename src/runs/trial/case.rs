//! One case: its world, what its script says of it, and whether it passes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::play::{Scene, Seen, lock, play};
use super::setting::Setting;
use super::snapshot::{Book, Taken, tidy};
use super::verdict::{Complaint, Difference, Verdict};
use crate::effect::{Failure, ProviderMode, RunMode};
use crate::gate::{Gate, Signals, Silent, Stage, Tape};
use crate::id::{BadRunId, RunId};
use crate::io::World;
use crate::io::chance::{Chance, SeededChance};
use crate::io::clock::{Clock, HandClock};
use crate::journal::{Begun, Outcome, RunError, Status, event};
use crate::namespaces::test::expect::unmet;
use crate::namespaces::test::played::Played;
use crate::namespaces::test::trial::{InTrial, Trial};
use crate::runs::{Order, Runner};
use crate::script::{API_VERSION, Diagnosis, Header, RunHandle, Script, inputs};
use crate::store::documents::Document;
use crate::store::overlay::Overlay;
use crate::store::tx::Ground;
use crate::store::{Durability, Realm, Tx, documents};
use crate::value::{Map, Value};

/// Where chance begins when a test does not say.
const SEED: u64 = 7;

/// The most runs, snapshots, files, events or replies of one case.
const EACH_MAX: usize = 1_000;

/// Why providers are simulated that the test has not made live.
const WHY_SIMULATED: &str = "DRY_RUN is on";

/// One case while it runs.
pub struct Case {
    setting: Arc<Setting>,
    name: String,
    ground: Ground,
    world: World,
    clock: Arc<HandClock>,
    chance: Arc<SeededChance>,
    stage: Arc<Stage>,
    book: Arc<Book>,
    /// Whether every snapshot is taken as it is.
    accepting: bool,
    said: Mutex<Said>,
    replies: Arc<Mutex<VecDeque<String>>>,
    /// Set to end the case.
    stop: Arc<AtomicBool>,
    /// The flags of its runs that are at work.
    flags: Mutex<Vec<Arc<AtomicBool>>>,
}

/// What the test has said until now, and what was played.
#[derive(Default)]
struct Said {
    live: BTreeSet<String>,
    all_live: bool,
    signals: Signals,
    off: BTreeMap<String, String>,
    files: BTreeMap<String, String>,
    events: usize,
    /// Of the run that is played next.
    id: Option<RunId>,
    runs: Vec<Played>,
    taken: Vec<Taken>,
}

/// What is left of a case when it is over.
pub struct Over {
    pub verdict: Verdict,
    pub taken: Vec<Taken>,
    pub played: Vec<Played>,
    pub said: Vec<String>,
}

impl Case {
    /// The case `name` as the `number`th of its session, with the snapshots that are kept of its file.
    pub fn new(setting: Arc<Setting>, number: usize, name: &str, book: Arc<Book>, accepting: bool) -> Arc<Case> {
        let clock = Arc::new(HandClock::default());
        let chance = Arc::new(SeededChance::new(SEED));
        let world = World {
            clock: clock.clone(),
            chance: chance.clone(),
            ..setting.world(number)
        };
        Arc::new(Case {
            ground: Ground {
                store: Arc::new(Overlay::empty()),
                content: setting.content.clone(),
                indexes: setting.indexes.clone(),
            },
            setting,
            name: name.to_owned(),
            world,
            clock,
            chance,
            stage: Arc::default(),
            book,
            accepting,
            said: Mutex::default(),
            replies: Arc::default(),
            stop: Arc::default(),
            flags: Mutex::default(),
        })
    }

    /// Ends it from another thread: its scripts stop at their next operation.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
        for flag in lock(&self.flags).iter() {
            flag.store(true, Ordering::Relaxed);
        }
    }

    /// Runs it to its end.
    pub fn run(self: &Arc<Self>, script: &Arc<Script>) -> Over {
        let seen = Arc::new(Seen::default());
        let gate = Arc::new(self.gate());
        let begun = self.begun(script);
        let tape = Tape::begin_run(&gate, begun, Default::default(), seen.clone());
        let trial: Arc<dyn Trial> = self.clone();
        let handle = RunHandle::new(gate.clone(), tape).with_beside(Arc::new(InTrial(trial)));
        self.watch(handle.stop_flag());
        let language = self.setting.library.tests();
        let outcome = Runner { gate, language }.execute_case(&handle, script, &self.name);
        let said = std::mem::take(&mut *lock(&self.said));
        let complaint = match outcome {
            Outcome {
                status: Status::Succeeded,
                ..
            } => self.unspoken(&said.runs),
            outcome => Some(self.complaint(outcome, script, &said.runs)),
        };
        let (_, logs) = seen.take();
        Over {
            verdict: complaint.map_or(Verdict::Passed, |complaint| Verdict::Failed(Box::new(complaint))),
            taken: said.taken,
            played: said.runs,
            said: logs.iter().map(line_of).collect(),
        }
    }

    fn watch(&self, flag: Arc<AtomicBool>) {
        lock(&self.flags).push(flag.clone());
        if self.stop.load(Ordering::Relaxed) {
            flag.store(true, Ordering::Relaxed);
        }
    }

    /// The gate as the test has made it until now.
    fn gate(&self) -> Gate {
        let said = lock(&self.said);
        let mut world = self.world.clone();
        if !said.files.is_empty() {
            world.files = Arc::new(world.files.with_texts(said.files.clone()));
        }
        let mut policies = self.setting.policies.clone();
        policies.signals = said.signals;
        policies.switched_off.clone_from(&said.off);
        let mut gate = Gate::new(self.ground.clone(), world, self.setting.masks.clone(), policies);
        gate.playbooks = Arc::new(self.setting.library.clone());
        gate.stage = Some(self.stage.clone());
        gate
    }

    /// The mode of what is played now. One realm holds all, so that a test finds what its playbooks have stored.
    fn mode(&self, header: &Header) -> RunMode {
        let said = lock(&self.said);
        let mode = |name: &String| {
            let mode = match said.all_live || said.live.contains(name) {
                true => ProviderMode::Live,
                false => ProviderMode::Simulated {
                    why: WHY_SIMULATED.to_owned(),
                },
            };
            (name.clone(), mode)
        };
        RunMode {
            live: true,
            providers: self.setting.providers.iter().map(mode).collect(),
            uses: header.uses.clone(),
            unsigned: Vec::new(),
        }
    }

    /// The test's own script as a run. What it calls itself is always simulated.
    fn begun(&self, script: &Script) -> Begun {
        let at_ms = self.clock.unix_ms();
        Begun {
            run: RunId::new(at_ms, self.chance.wide_bits()),
            playbook: script.name.clone(),
            file: script.source.file.clone(),
            version: script.source.hash,
            modules: script.module_hashes(),
            api: API_VERSION,
            mode: self.mode(&Header::default()),
            input: Value::Unit,
            at_ms,
            trigger: "test".to_owned(),
            epoch: 1,
            parent: None,
            cause: None,
            edition: None,
            retry_of: None,
            corr: None,
            by: None,
        }
    }

    /// A run that went wrong while the test looked elsewhere.
    fn unspoken(&self, runs: &[Played]) -> Option<Complaint> {
        let run = runs.iter().find(|run| run.failed_unseen())?;
        let inner = run.get();
        let note = match &inner.outcome.error {
            Some(error) => format!(
                "the test does not say how the run ends; if so it should: test::failed(run, {:?})",
                error.failure.code
            ),
            None => "the test does not say that the run waits; if so it should: test::equal(run.status, \"suspended\")"
                .to_owned(),
        };
        let script = self.setting.playbook(&inner.playbook).ok()?;
        let diagnosis = match &inner.outcome.error {
            Some(error) => Diagnosis::of_run_error(error, &script),
            None => Diagnosis::new(
                "EXPECTATION",
                format!("{} {}", inner.playbook, run.ending()),
                script.source.clone(),
            ),
        };
        Some(Complaint::new(diagnosis).note(note))
    }

    fn complaint(&self, outcome: Outcome, script: &Script, runs: &[Played]) -> Complaint {
        if self.stop.load(Ordering::Relaxed) {
            let place = outcome.error.map(|error| error.place).unwrap_or_default();
            let diagnosis = Diagnosis::new("TEST_TIMEOUT", "the test did not end in time", script.source.clone());
            return Complaint::new(diagnosis.at(place));
        }
        let error = outcome.error.unwrap_or_else(|| RunError {
            failure: Failure::new("TEST_WAITS", "a test does not wait; test::advance moves its clock"),
            place: Default::default(),
            step: None,
        });
        let mut complaint = Complaint::new(Diagnosis::of_run_error(&error, script));
        complaint.difference = Difference::of_details(&error.failure.details);
        if let Some(args) = error
            .failure
            .details
            .get("args")
            .filter(|_| error.failure.code == "TEST_UNANSWERED")
        {
            complaint.notes.push(format!("it was called with {args}"));
            complaint
                .notes
                .push("give one: test::answer(\"NAME\", VALUE)".to_owned());
        }
        // What the test expected in vain is often the end of a run that failed.
        if let Some(run) = runs.iter().find(|run| run.failed_unseen()) {
            complaint.notes.push(format!("{} {}", run.get().playbook, run.ending()));
        }
        complaint
    }

    fn limited(&self, count: usize, what: &str) -> Result<(), Failure> {
        if count < EACH_MAX {
            return Ok(());
        }
        Err(Failure::new(
            "LIMIT_TEST",
            format!("the test has more than {EACH_MAX} {what}; split it"),
        ))
    }
}

impl Trial for Case {
    fn stage(&self) -> &Stage {
        &self.stage
    }

    fn check_effect(&self, name: &str) -> Result<(), Failure> {
        self.setting.check_effect(name)
    }

    fn run(&self, playbook: &str, input: Map) -> Result<Played, Failure> {
        self.limited(lock(&self.said).runs.len(), "runs")?;
        let script = self.setting.playbook(playbook)?;
        let input = inputs::complete(&script.header, input)?;
        let order = Order {
            mode: self.mode(&script.header),
            script,
            input,
            trigger: "test".to_owned(),
            by: None,
            retry_of: None,
            corr: None,
            observer: Arc::new(Silent),
        };
        let replies = self.replies.clone();
        let gate = Arc::new(self.gate());
        if let Some(id) = lock(&self.said).id.take() {
            self.clock.set(id.born_ms());
            self.chance.draw_next(u128::from_be_bytes(id.to_bytes()));
        }
        let scene = Scene {
            library: self.setting.library.clone(),
            gate,
            replies: Arc::new(move || lock(&replies).pop_front()),
            stop: self.stop.clone(),
        };
        let played = play(scene, order, |flag| self.watch(flag))?;
        // What has no answer is the test's mistake, whatever the playbook made of it.
        if let Some(failure) = self.stage.take_unanswered().into_iter().next() {
            return Err(failure);
        }
        lock(&self.said).runs.push(played.clone());
        Ok(played)
    }

    fn header(&self, playbook: &str) -> Result<Value, Failure> {
        let script = self.setting.playbook(playbook)?;
        Ok(Value::Map(script.header.written.clone()))
    }

    fn set_time(&self, unix_ms: i64) {
        self.clock.set(unix_ms);
    }

    fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    fn seed(&self, seed: u64) {
        self.chance.begin_again(seed);
    }

    fn live(&self, provider: Option<&str>) -> Result<(), Failure> {
        match provider {
            None => lock(&self.said).all_live = true,
            Some(name) => {
                self.setting.check_provider(name)?;
                lock(&self.said).live.insert(name.to_owned());
            }
        }
        Ok(())
    }

    fn signals(&self, given: Signals) {
        lock(&self.said).signals = given;
    }

    fn switch_off(&self, provider: &str, why: &str) -> Result<(), Failure> {
        self.setting.check_provider(provider)?;
        lock(&self.said).off.insert(provider.to_owned(), why.to_owned());
        Ok(())
    }

    fn reply(&self, text: &str) -> Result<(), Failure> {
        let mut replies = lock(&self.replies);
        self.limited(replies.len(), "replies")?;
        replies.push_back(text.to_owned());
        Ok(())
    }

    fn event(&self, name: &str, data: Value) -> Result<(), Failure> {
        {
            let mut said = lock(&self.said);
            self.limited(said.events, "events")?;
            said.events += 1;
        }
        // Whenever it is waited for, it comes.
        let emitted = event::emit(&self.ground, Realm::Live, name, &data, i64::MAX, Durability::Soon);
        emitted.map_err(|error| Failure::new(error.code(), error.to_string()))?;
        Ok(())
    }

    fn file(&self, path: &str, text: String) -> Result<(), Failure> {
        let mut said = lock(&self.said);
        self.limited(said.files.len(), "files")?;
        said.files.insert(path.to_owned(), text);
        Ok(())
    }

    fn document(&self, collection: &str, id: &str, data: Map, version: u64) -> Result<(), Failure> {
        let mut tx = Tx::new(&self.ground, Realm::Live, self.clock.unix_ms());
        let document = Document {
            id: id.to_owned(),
            version,
            data,
        };
        let restored = documents::restore(&mut tx, collection, document);
        let kept = restored.and_then(|()| self.ground.store.commit(tx.batch, Durability::Soon));
        kept.map(drop)
            .map_err(|error| Failure::new(error.code(), error.to_string()))
    }

    fn id(&self, id: &str) -> Result<(), Failure> {
        let id: RunId = id
            .parse()
            .map_err(|bad: BadRunId| Failure::new("BAD_RUN_ID", bad.to_string()))?;
        self.clock.set(id.born_ms());
        lock(&self.said).id = Some(id);
        Ok(())
    }

    fn snapshot(&self, name: Option<&str>, text: String) -> Result<(), Failure> {
        let mut said = lock(&self.said);
        self.limited(said.taken.len(), "snapshots")?;
        let key = match name {
            Some(name) => format!("{}: {}", self.name, one_line(name)),
            None => match said.taken.iter().filter(|taken| !taken.key.contains(": ")).count() {
                0 => self.name.clone(),
                before => format!("{} #{}", self.name, before + 1),
            },
        };
        if said.taken.iter().any(|taken| taken.key == key) {
            return Err(unmet(format!(
                "the test takes two snapshots called {key:?}; give each a name of its own"
            )));
        }
        let taken = Taken {
            kept: self.book.get(&key).map(str::to_owned),
            text: tidy(&text),
            key,
        };
        let judged = match self.accepting {
            true => Ok(()),
            false => judge(&taken),
        };
        said.taken.push(taken);
        judged
    }
}

fn judge(taken: &Taken) -> Result<(), Failure> {
    let key = &taken.key;
    let (message, kept) = match &taken.kept {
        Some(kept) if *kept == taken.text => return Ok(()),
        Some(kept) => (
            format!("it is not what was taken as {key:?}; if it should be so, take it with --accept"),
            kept.as_str(),
        ),
        None => (
            format!("nothing was taken as {key:?} yet; if it should be so, take it with --accept"),
            "",
        ),
    };
    let details = Value::from([("expected", kept.into()), ("actual", taken.text.as_str().into())]);
    Err(Failure::new("SNAPSHOT", message).details(details))
}

fn one_line(name: &str) -> String {
    name.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A line of log as it is shown beside a case that failed.
fn line_of(log: &Value) -> String {
    let part = |name: &str| log.get(name).and_then(Value::as_str).unwrap_or_default();
    let fields = log.get("fields").filter(|fields| !fields.is_unit());
    let fields = fields.map(|fields| format!(" {fields}")).unwrap_or_default();
    format!("{} {}{fields}", part("level"), part("message"))
}
