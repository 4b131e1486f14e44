//! A provider that answers as a test tells it, and notes when it was asked and what was on disk by then.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use host::effect::{Declaration, Effect, Failure, Fault};
use host::gate::{Act, Errand, Sighting, Simulation};
use host::journal::Intent;
use host::script::ContextExt as _;
use host::testing::TestHost;
use host::value::Value;
use rhai::{Dynamic, FuncRegistration, Module, NativeCallContext};

use super::ledger::{Ledger, words};

/// What happens at a call, beside its answer.
pub type Hook = Box<dyn Fn(&mut Errand<'_>) + Send + Sync>;

pub struct Provider {
    declaration: Declaration,
    state: Mutex<State>,
    ledger: OnceLock<Arc<Ledger>>,
    hook: OnceLock<Hook>,
}

#[derive(Default)]
struct State {
    answers: VecDeque<Result<Value, Fault>>,
    sightings: VecDeque<Result<Sighting, Fault>>,
    calls: Vec<Call>,
}

/// One call of the provider.
#[derive(Clone, Debug)]
pub struct Call {
    /// A look-up rather than an attempt.
    pub is_question: bool,
    pub at: Duration,
    pub key: String,
    /// The run's entries that were certainly on disk.
    pub on_disk: Vec<String>,
}

impl Provider {
    pub fn new(declaration: Declaration) -> Arc<Provider> {
        Arc::new(Provider {
            declaration: declaration.of("acme"),
            state: Mutex::default(),
            ledger: OnceLock::new(),
            hook: OnceLock::new(),
        })
    }

    /// A live host with this provider as `acme::`, and the ledger of its store.
    pub fn host(self: &Arc<Provider>) -> (TestHost, Arc<Ledger>) {
        let mut host = self.clone().lend(TestHost::default()).live("acme");
        let ledger = Ledger::under(&mut host);
        assert!(self.ledger.set(ledger.clone()).is_ok(), "a provider has one host");
        (host, ledger)
    }

    /// `host` with `acme::send(x)`, `acme::publish(x)`, `acme::publish_strictly(x)` and `acme::generate(x)`.
    pub fn lend(self: Arc<Provider>, host: TestHost) -> TestHost {
        host.modules(move || vec![("acme".to_owned(), module(&self))])
    }

    pub fn answers(self: Arc<Provider>, answers: impl IntoIterator<Item = Result<Value, Fault>>) -> Arc<Provider> {
        self.state().answers.extend(answers);
        self
    }

    pub fn sightings(
        self: Arc<Provider>,
        sightings: impl IntoIterator<Item = Result<Sighting, Fault>>,
    ) -> Arc<Provider> {
        self.state().sightings.extend(sightings);
        self
    }

    pub fn at_each_call(self: Arc<Provider>, hook: impl Fn(&mut Errand<'_>) + Send + Sync + 'static) -> Arc<Provider> {
        assert!(self.hook.set(Box::new(hook)).is_ok(), "one hook");
        self
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panics here")
    }

    pub fn calls(&self) -> Vec<Call> {
        self.state().calls.clone()
    }

    /// When it was called, in seconds.
    pub fn sent_at(&self) -> Vec<f64> {
        self.calls()
            .iter()
            .filter(|call| !call.is_question)
            .map(|call| call.at.as_secs_f64())
            .collect()
    }

    fn note(&self, errand: &Errand<'_>, is_question: bool) {
        let on_disk = self.ledger.get().map(|ledger| {
            let workspace = errand.workspace();
            let run = workspace.file_name().expect("the run's folder").to_string_lossy();
            words(&ledger.on_disk(run.parse().expect("the run's id")))
        });
        let at = errand.world.clock.monotonic();
        let (key, on_disk) = (errand.key.to_owned(), on_disk.unwrap_or_default());
        self.state().calls.push(Call {
            is_question,
            at,
            key,
            on_disk,
        });
    }
}

impl Act for Provider {
    fn simulate(&self, simulation: &Simulation<'_>) -> Result<Value, Failure> {
        Ok(Value::from(simulation.id("made-up-")))
    }

    fn carry_out(&self, errand: &mut Errand<'_>) -> Result<Value, Fault> {
        self.note(errand, false);
        if let Some(hook) = self.hook.get() {
            hook(errand);
        }
        self.state().answers.pop_front().unwrap_or(Ok(Value::from("done")))
    }

    fn look_up(&self, errand: &mut Errand<'_>, _: &Intent) -> Result<Sighting, Fault> {
        self.note(errand, true);
        self.state().sightings.pop_front().unwrap_or(Ok(Sighting::NotThere))
    }
}

fn module(provider: &Arc<Provider>) -> Module {
    let mut module = Module::new();
    type Kind = for<'e> fn(Effect<'e>, &Value) -> Effect<'e>;
    let kinds: [(&str, Kind); 4] = [
        ("send", |effect, _| effect),
        ("publish", |effect, what| effect.publishing("main", what, false)),
        ("publish_strictly", |effect, what| effect.publishing("main", what, true)),
        ("generate", |effect, what| effect.single_flight(what.to_string())),
    ];
    for (name, kind) in kinds {
        let provider = provider.clone();
        FuncRegistration::new(name).set_into_module(&mut module, move |ctx: NativeCallContext, what: Dynamic| {
            let what = ctx.value(&what)?;
            let effect = Effect::new(&provider.declaration, [("what", what.clone())]);
            ctx.outside(kind(effect, &what), &*provider)
        });
    }
    module
}

pub fn failure(code: &str) -> Failure {
    Failure::new(code, "so the provider says")
}

/// It certainly did nothing, and may go well another time.
pub fn passing() -> Result<Value, Fault> {
    Err(Fault::passing(failure("HTTP_CONNECT")))
}

/// It will never go well.
pub fn refused() -> Result<Value, Fault> {
    Err(Fault::refused(failure("HTTP_STATUS").status(400)))
}

/// Nobody knows.
pub fn lost() -> Result<Value, Fault> {
    Err(Fault::in_doubt(failure("HTTP_TIMEOUT")))
}

pub fn done() -> Result<Value, Fault> {
    Ok(Value::from("done"))
}
