//! What a playbook can call, one folder or file each.
//!
//! A function describes its effect and hands it to the gate with what carries it out. It never calls the outside by
//! itself. Adding a namespace is one file and one line in [`modules`]; adding a provider is one folder, that line, and
//! one in [`providers`].

pub mod file;
pub mod hash;
pub mod id;
pub mod json;
pub mod kv;
pub mod log;
pub mod media;
pub mod options;
pub mod prompt;
pub mod provider;
pub mod random;
pub mod reading;
pub mod run;
pub mod store;
pub mod time;

use rhai::Module;

pub use provider::ProviderSpec;

/// Every namespace by name, in the order of the reference.
pub fn modules() -> Vec<(String, Module)> {
    let modules: Vec<(&str, Module)> = vec![
        ("store", store::module()),
        ("kv", kv::module()),
        ("file", file::module()),
        ("media", media::module()),
        ("prompt", prompt::module()),
        ("time", time::module()),
        ("random", random::module()),
        ("id", id::module()),
        ("hash", hash::module()),
        ("json", json::module()),
        ("log", log::module()),
        ("run", run::module()),
    ];
    modules
        .into_iter()
        .map(|(name, module)| (name.to_owned(), module))
        .collect()
}

/// The providers that `host` knows without being told.
pub fn providers() -> Vec<ProviderSpec> {
    Vec::new()
}
