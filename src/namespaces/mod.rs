//! What a playbook can call, one folder or file each.
//!
//! A function describes its effect and hands it to the gate with what carries it out. It never calls the outside by
//! itself. Adding a namespace is one file and one line in [`modules`]; adding a provider is one folder, that line, and
//! one in [`providers`].

pub mod csv;
pub mod declared;
pub mod event;
pub mod fault;
pub mod file;
pub mod hash;
pub mod http;
pub mod id;
pub mod json;
pub mod kv;
pub mod list;
pub mod log;
pub mod media;
pub mod metrics;
pub mod openai;
pub mod options;
pub mod playbook;
pub mod prompt;
pub mod provider;
pub mod queue;
pub mod random;
pub mod reading;
pub mod report;
pub mod run;
pub mod slack;
pub mod stats;
pub mod status;
pub mod store;
pub mod test;
pub mod text;
pub mod time;

use std::collections::{BTreeMap, BTreeSet};

use rhai::Module;

pub use declared::DeclaredProvider;
pub use provider::ProviderSpec;

/// Every namespace by name, in the order of the reference; those of declared providers come last.
pub fn modules(declared: &[DeclaredProvider]) -> Vec<(String, Module)> {
    let own: Vec<(&str, Module)> = vec![
        ("store", store::module()),
        ("kv", kv::module()),
        ("queue", queue::module()),
        ("metrics", metrics::module()),
        ("file", file::module()),
        ("http", http::module()),
        ("media", media::module()),
        ("prompt", prompt::module()),
        ("openai", openai::module()),
        ("slack", slack::module()),
        ("time", time::module()),
        ("random", random::module()),
        ("id", id::module()),
        ("hash", hash::module()),
        ("json", json::module()),
        ("csv", csv::module()),
        ("report", report::module()),
        ("stats", stats::module()),
        ("text", text::module()),
        ("list", list::module()),
        ("log", log::module()),
        ("status", status::module()),
        ("event", event::module()),
        ("run", run::module()),
        ("playbook", playbook::module()),
    ];
    let own = own.into_iter().map(|(name, module)| (name.to_owned(), module));
    let declared = declared
        .iter()
        .map(|provider| (provider.name.clone(), declared::module(provider)));
    own.chain(declared).collect()
}

/// The providers that `host` knows without being told.
pub fn providers() -> Vec<ProviderSpec> {
    let mut providers = Vec::from(http::providers());
    providers.extend([openai::provider(), slack::provider()]);
    providers
}

/// Every function that writes to a provider, and the provider's name as `uses` in a playbook's header gives it.
pub fn writers(declared: &[DeclaredProvider]) -> BTreeMap<String, String> {
    const OWN: [(&str, &str); 6] = [
        ("http::post", http::WRITES),
        ("http::put", http::WRITES),
        ("http::patch", http::WRITES),
        ("http::delete", http::WRITES),
        ("openai::chat", openai::NAME),
        ("slack::post", slack::NAME),
    ];
    let own = OWN
        .into_iter()
        .map(|(function, provider)| (function.to_owned(), provider.to_owned()));
    let declared = declared
        .iter()
        .flat_map(|provider| declared::writers(provider).map(|function| (function, provider.name.clone())));
    own.chain(declared).collect()
}

/// Every function whose writes the public sees.
pub fn publishers(declared: &[DeclaredProvider]) -> BTreeSet<String> {
    let publishing = declared.iter().filter(|provider| provider.publish);
    publishing.flat_map(declared::writers).collect()
}
