//! A set in the making: what is changed is compiled, with all that imports it, and the rest is taken over.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::edition::{Edition, Listed, Parts};
use crate::app::{App, AppError};
use crate::effect::Place;
use crate::gate::Gate;
use crate::id::ContentHash;
use crate::io::World;
use crate::io::pinned::{PinnedFiles, is_prompt};
use crate::io::scripts::name_of_file;
use crate::namespaces::prompt;
use crate::runs::Runner;
use crate::runs::creation::Pinned;
use crate::runs::library::LibraryError;
use crate::script::Diagnosis;
use crate::script::check::metrics::{self, Placed};
use crate::script::check::routes::{self, Route};
use crate::script::findings::Finding;
use crate::script::source::Text;
use crate::script::syntax;
use crate::script::triggers::http;
use crate::store::tx::Ground;
use crate::store::{Batch, Durability, Store, StoreError, keys};
use crate::value::Value;

/// Triggers of which a header's own words are kept: whoever serves them reads them.
const AS_WRITTEN: [&str; 1] = ["http"];

/// Scripts that are compiled on one thread; more are divided.
const ALONE_MAX: usize = 8;

/// Threads that compile, at most.
const THREADS_MAX: usize = 4;

/// What the parser needs of the stack for the deepest script that is allowed.
pub(super) const STACK_BYTES: usize = 16 << 20;

/// What a set is made of.
pub(super) struct Draft<'a> {
    /// What is live; without one everything is made anew.
    pub before: Option<&'a Edition>,
    pub app: Arc<App>,
    pub ground: &'a Ground,
    pub files: PinnedFiles,
    pub secrets: Option<ContentHash>,
}

/// What became of one script.
type Compiled = Result<(Listed, Vec<Route>, Vec<Placed>), Diagnosis>;

impl Draft<'_> {
    /// The set, and what is wrong with what is changed in it. It has the number of the set before.
    pub fn build(self) -> Result<(Edition, Vec<Diagnosis>), AppError> {
        let is_same_app = self.before.is_some_and(|before| same_language(&before.app, &self.app));
        let before = self.before.filter(|_| is_same_app);
        // A language that is the same is not made again.
        let library = before.map_or(&self.app.library, |before| &before.app.library);
        let library = library.with_files(self.app.library.files.pinned(self.files.clone()));
        let mut app = (*self.app).clone();
        app.library = library;
        let app = Arc::new(app);
        let runner = self.runner(&app)?;

        let changed = self.changed();
        let names = self.to_compile(before, &changed);
        let mut faults = Vec::new();
        let mut playbooks = before.map(|before| before.playbooks.clone()).unwrap_or_default();
        let mut routes = before.map(|before| before.parts.routes.clone()).unwrap_or_default();
        let mut metrics = before.map(|before| before.parts.metrics.clone()).unwrap_or_default();
        let left_out = self.before.map(|before| before.parts.left_out.clone());
        let mut left_out = left_out.unwrap_or_default();
        for path in changed.iter().filter(|path| self.files.get(path).is_none()) {
            left_out.remove(path.as_str());
            if let Some(name) = name_of_file(path) {
                playbooks.remove(name);
                routes.remove(name);
                metrics.remove(name);
            }
        }
        for (name, compiled) in compile(&app, names)? {
            let file = crate::io::scripts::file_of(&name);
            routes.remove(&name);
            metrics.remove(&name);
            match compiled {
                Ok((listed, wanted, declared)) => {
                    left_out.remove(&file);
                    if !wanted.is_empty() {
                        routes.insert(name.clone(), wanted);
                    }
                    if !declared.is_empty() {
                        metrics.insert(name.clone(), declared);
                    }
                    playbooks.insert(name, Arc::new(listed));
                }
                Err(diagnosis) => {
                    playbooks.remove(&name);
                    let was_left_out = !left_out.insert(file.clone());
                    // What did not compile before and was not touched stands in nobody's way.
                    if !was_left_out || changed.contains(&file) {
                        faults.push(diagnosis);
                    }
                }
            }
        }
        let routes_of_all: Vec<Route> = routes.values().flatten().cloned().collect();
        let conflicts = routes::conflicts(&routes_of_all).into_iter();
        let conflicts = conflicts.chain(metrics::conflicts(metrics.values().flatten()));
        faults.extend(self.conflicts(conflicts, &changed, self.before.is_none()));
        faults.extend(self.prompts(&app, &changed));
        let mut known = BTreeSet::new();
        faults.retain(|fault| {
            let place = (fault.place.line, fault.place.column);
            known.insert((fault.text.file.clone(), place, fault.message.clone()))
        });
        let edition = Edition {
            number: self.before.map_or(0, |before| before.number),
            app,
            runner,
            playbooks,
            parts: Parts {
                files: self.files,
                routes,
                metrics,
                left_out,
                secrets: self.secrets,
            },
        };
        Ok((edition, faults))
    }

    /// The gate of this set: in the same process, and where the settings are the same, with the same doors.
    fn runner(&self, app: &App) -> Result<Runner, AppError> {
        let gate_before = self.before.map(|before| &*before.runner.gate);
        let same = self.before.filter(|before| Arc::ptr_eq(&before.app.masks, &app.masks));
        let Some(before) = same else {
            return Ok(app.runner_after(self.ground.clone(), gate_before)?);
        };
        let gate = &before.runner.gate;
        let world = World {
            files: app.files(),
            ..gate.world.clone()
        };
        let mut next = Gate::new(gate.ground.clone(), world, gate.masks.clone(), gate.policies.clone());
        next.playbooks = Arc::new(app.library.clone());
        Ok(Runner {
            gate: Arc::new(next.in_process_of(gate)),
            language: app.library.language.clone(),
        })
    }

    /// The paths of what is new, changed or gone.
    fn changed(&self) -> BTreeSet<String> {
        let Some(before) = self.before else {
            return self.files.files.keys().cloned().collect();
        };
        let then = &before.parts.files.files;
        let is_new = |(path, file): &(&String, &crate::io::pinned::PinnedFile)| {
            then.get(*path).is_none_or(|before| before.hash != file.hash)
        };
        let new = self.files.files.iter().filter(is_new).map(|(path, _)| path.clone());
        let gone = then.keys().filter(|path| self.files.get(path).is_none()).cloned();
        new.chain(gone).collect()
    }

    /// The names of the scripts that have to be compiled: those that are changed or were left out, and all that import
    /// one that is changed.
    fn to_compile(&self, before: Option<&Edition>, changed: &BTreeSet<String>) -> Vec<String> {
        let names = self.files.below(crate::io::pinned::PLAYBOOKS);
        let names = names.filter_map(|(path, _)| Some((path, name_of_file(path)?)));
        let Some(before) = before else {
            return names.map(|(_, name)| name.to_owned()).collect();
        };
        let modules: BTreeSet<&str> = changed.iter().filter_map(|path| name_of_file(path)).collect();
        let imports = |listed: &Arc<Listed>| {
            let imported = &listed.pinned.modules;
            imported.keys().any(|module| modules.contains(module.as_str()))
        };
        let is_due = |(path, name): &(&str, &str)| {
            changed.contains(*path)
                || before.parts.left_out.contains(*path)
                || before.playbooks.get(*name).is_none_or(imports)
        };
        names.filter(is_due).map(|(_, name)| name.to_owned()).collect()
    }

    /// What two playbooks want, and only one can have, where one of the two is changed.
    fn conflicts(
        &self,
        found: impl Iterator<Item = Finding>,
        changed: &BTreeSet<String>,
        is_first: bool,
    ) -> Vec<Diagnosis> {
        let found = found.filter(|finding| {
            let is_changed = |file: &str| changed.contains(file);
            is_first || is_changed(&finding.file) || finding.related.iter().any(|other| is_changed(&other.file))
        });
        let told = found.map(|finding| {
            let text = self.files.text(&finding.file).and_then(Result::ok).unwrap_or_default();
            let diagnosis = Diagnosis::new(finding.code, finding.message, Text::new(finding.file.as_str(), text));
            let place = finding.region.map(|region| Place {
                line: region.line,
                column: region.column,
                module: None,
            });
            diagnosis
                .at(place.unwrap_or_default())
                .help(finding.help.unwrap_or_default())
        });
        told.collect()
    }

    /// What is wrong with the prompts that are changed, and with those that include one that is.
    fn prompts(&self, app: &App, changed: &BTreeSet<String>) -> Vec<Diagnosis> {
        let changed: BTreeSet<&str> = changed
            .iter()
            .map(String::as_str)
            .filter(|path| is_prompt(path))
            .collect();
        if changed.is_empty() {
            return Vec::new();
        }
        let names: Vec<&str> = changed.iter().map(|path| prompt_name(path)).collect();
        let includes = |path: &str| {
            let text = self.files.text(path).and_then(Result::ok).unwrap_or_default();
            names.iter().any(|name| text.contains(name))
        };
        let all = self.files.below(crate::io::pinned::PROMPTS).map(|(path, _)| path);
        let concerned = all.filter(|path| changed.contains(path) || includes(path));
        let files = app.files();
        concerned.filter_map(|path| prompt::check(&files, path).err()).collect()
    }
}

/// `daily/script` for `prompts/daily/script.md`.
pub(super) fn prompt_name(path: &str) -> &str {
    prompt::bare(path.strip_prefix(crate::io::pinned::PROMPTS).unwrap_or(path))
}

/// Whether scripts that compile for the one compile for the other, to the same.
fn same_language(before: &App, now: &App) -> bool {
    let (before, now) = (&before.config.file, &now.config.file);
    before.limits == now.limits && before.providers == now.providers && before.webhooks == now.webhooks
}

/// Compiles the scripts called `names`, several at once where they are many.
fn compile(app: &App, names: Vec<String>) -> Result<Vec<(String, Compiled)>, StoreError> {
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, Result<Compiled, StoreError>)>> = Mutex::default();
    let work = || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(name) = names.get(at) else { return };
            let compiled = compile_one(app, name);
            done.lock().unwrap_or_else(PoisonError::into_inner).push((at, compiled));
        }
    };
    let cores = std::thread::available_parallelism().map_or(2, NonZeroUsize::get);
    let threads = if names.len() <= ALONE_MAX {
        1
    } else {
        cores.min(THREADS_MAX)
    };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let thread = std::thread::Builder::new()
                .name("compile".to_owned())
                .stack_size(STACK_BYTES);
            if thread.spawn_scoped(scope, work).is_err() {
                work();
            }
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(at, _)| *at);
    let named = names.into_iter().zip(done);
    named.map(|(name, (_, compiled))| Ok((name, compiled?))).collect()
}

fn compile_one(app: &App, name: &str) -> Result<Compiled, StoreError> {
    let file = crate::io::scripts::file_of(name);
    let script = match app.library.playbook(name) {
        Ok(script) => script,
        Err(LibraryError::Store(error)) => return Err(error),
        Err(LibraryError::Script(diagnosis)) => return Ok(Err(*diagnosis)),
        Err(other) => {
            let text = Text::new(file, "");
            return Ok(Err(Diagnosis::new(other.code(), other.to_string(), text)));
        }
    };
    let text = &script.source.text;
    let wanted = match script.header.starts.http.is_some() || script.header.starts.webhook.is_some() {
        true => routes::of(&file, text, &syntax::parse(text)),
        false => Vec::new(),
    };
    let declared = match script.header.metrics.is_empty() {
        true => Vec::new(),
        false => metrics::of(&file, text, &syntax::parse(text)),
    };
    let mut pinned = Pinned::of(&script);
    if let Some(reason) = pinned
        .header
        .triggers
        .get("http")
        .and_then(|value| why_no_route(&pinned, value))
    {
        let diagnosis = Diagnosis::new("ROUTE_INVALID", reason, script.source.clone());
        return Ok(Err(
            diagnosis.help("write `http: #{ method: \"POST\", path: \"/clips/{id}\" }`")
        ));
    }
    if let Some(reason) = script
        .header
        .starts
        .webhook
        .as_ref()
        .and_then(|hook| crate::http::hooks::why_never(hook, &app.config))
    {
        let region = routes::hook(text, &syntax::parse(text)).map(|(_, region)| region);
        let place = region.map(|region| Place {
            line: region.line,
            column: region.column,
            module: None,
        });
        let diagnosis = Diagnosis::new("WEBHOOK_INVALID", reason, script.source.clone());
        let diagnosis = diagnosis.at(place.unwrap_or_default());
        return Ok(Err(
            diagnosis.help("`host explain WEBHOOK_INVALID` shows how one is written")
        ));
    }
    // Nobody asks a playbook that is to be started how its header is written.
    pinned.header.written.clear();
    // Collected anew: a tree that was emptied keeps a node.
    let triggers = std::mem::take(&mut pinned.header.triggers).into_iter();
    pinned.header.triggers = triggers.filter(|(key, _)| AS_WRITTEN.contains(&key.as_str())).collect();
    let triggers = std::mem::take(&mut pinned.header.starts);
    Ok(Ok((Listed { pinned, triggers }, wanted, declared)))
}

/// Why no request could ever start the playbook with this `http` in its header.
fn why_no_route(pinned: &Pinned, written: &Value) -> Option<String> {
    let places = match http::route(written) {
        Ok((_, path)) => http::places(path).unwrap_or_default(),
        Err(reason) => return Some(reason),
    };
    let inputs = &pinned.header.inputs;
    let strange = places.into_iter().find(|name| !inputs.contains_key(name))?;
    Some(format!(
        "the path has a parameter `{strange}`, and there is no such input"
    ))
}

/// Puts `texts` into `store`, those that it does not have.
pub(super) fn keep_texts(store: &dyn Store, texts: &BTreeMap<ContentHash, String>) -> Result<(), StoreError> {
    let mut batch = Batch::new();
    for (hash, text) in texts {
        let key = keys::version(hash);
        if store.get(&key)?.is_none() {
            // Each has a key of its own: nothing to look for among those before.
            batch.puts.push((key, text.as_bytes().to_vec()));
        }
    }
    if !batch.is_empty() {
        store.commit(batch, Durability::Soon)?;
    }
    Ok(())
}
