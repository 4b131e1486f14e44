//! What a playbook can call, one folder or file each.
//!
//! A function describes its effect and hands it to the gate with what carries it out. It never calls the outside by
//! itself. Adding a namespace is one file and one line in [`modules`]; adding a provider is one folder, that line, and
//! one in [`providers`].

pub mod fault;
pub mod file;
pub mod http;
pub mod media;
pub mod openai;
pub mod options;
pub mod provider;

use rhai::Module;

pub use provider::ProviderSpec;

/// Every namespace by name, in the order of the reference.
pub fn modules() -> Vec<(String, Module)> {
    let mut modules = Vec::new();
    modules.push(("http".to_owned(), http::module()));
    modules.push(("openai".to_owned(), openai::module()));
    modules
}

/// The providers that `host` knows without being told.
pub fn providers() -> Vec<ProviderSpec> {
    Vec::new()
}
