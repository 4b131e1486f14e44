//! The engine of a run, built from modules made once.

use std::sync::Arc;
use std::sync::Once;

use rhai::{Engine, Module, Shared};

use super::base;
use super::coverage::Coverage;
use super::limits::{Meter, ScriptLimits};

/// Everything that all scripts of this process share: the language, its functions and its limits.
#[derive(Clone)]
pub struct Language {
    packages: Vec<Shared<Module>>,
    overrides: Shared<Module>,
    namespaces: Vec<(String, Shared<Module>)>,
    pub limits: ScriptLimits,
    /// Where it is noted which lines of scripts are run, if somebody wants to know.
    pub coverage: Option<Arc<Coverage>>,
}

impl Language {
    /// The language with the namespaces that `make` makes. They are made here because the names of their functions are
    /// hashed as they are made, and the seed must be fixed before the first of them.
    pub fn new(make: impl FnOnce() -> Vec<(String, Module)>, limits: ScriptLimits) -> Language {
        fix_hashing();
        let namespaces = make().into_iter().map(|(name, mut module)| {
            module.set_id(name.as_str());
            module.build_index();
            (name, module.into())
        });
        let namespaces = namespaces.collect();
        Language {
            packages: base::packages(),
            overrides: base::overrides(),
            namespaces,
            limits,
            coverage: None,
        }
    }

    /// The same language with one more namespace, and functions of its own that need none.
    pub fn with(&self, name: &str, namespace: impl FnOnce() -> Module, own: impl FnOnce() -> Module) -> Language {
        let mut module = namespace();
        module.set_id(name);
        module.build_index();
        let mut own = own();
        own.build_index();
        let mut language = self.clone();
        language.namespaces.push((name.to_owned(), module.into()));
        language.packages.push(own.into());
        language
    }

    pub fn namespaces(&self) -> &[(String, Shared<Module>)] {
        &self.namespaces
    }

    /// An engine that compiles and checks; its functions have no run to speak to.
    pub fn engine(&self) -> Engine {
        let mut engine = Engine::new_raw();
        for package in &self.packages {
            engine.register_global_module(package.clone());
        }
        engine.register_global_module(self.overrides.clone());
        for (name, module) in &self.namespaces {
            engine.register_static_module(name, module.clone());
        }
        base::restrict(&mut engine);
        if let Some(coverage) = &self.coverage {
            coverage.watch(&mut engine);
        }
        self.limits.apply(&mut engine);
        engine
    }

    /// The engine of one run, on that run's thread.
    pub fn engine_for(&self, run: &super::RunHandle, input: rhai::Dynamic, meter: Meter) -> Engine {
        let mut engine = self.engine();
        engine.set_default_tag(rhai::Dynamic::from(run.clone()));
        let halted = run.clone();
        // Rhai's own count of operations is no use: see [`super::limits`].
        engine.on_progress(move |_| match meter.check() {
            Ok(()) => None,
            Err(halt) => {
                halted.halt(halt);
                Some(rhai::Dynamic::UNIT)
            }
        });
        let printing = run.clone();
        engine.on_print(move |text| printing.log(crate::gate::observer::LogLevel::Info, text));
        let debugging = run.clone();
        engine.on_debug(move |text, _, _| debugging.log(crate::gate::observer::LogLevel::Debug, text));
        let input = Arc::new(input);
        #[expect(
            deprecated,
            reason = "Rhai marks it as volatile, not as going away; no other way makes `input` visible in functions"
        )]
        engine.on_var(move |name, _, _| Ok((name == super::source::INPUT).then(|| (*input).clone())));
        engine
    }
}

/// Names of closures come from hashes; without a fixed seed they would differ from process to process.
fn fix_hashing() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        rhai::config::hashing::set_hashing_seed(Some([0x686f7374, 1, 2, 3]))
            .unwrap_or_else(|present| tracing::debug!(?present, "the hashing seed was set before"));
    });
}
