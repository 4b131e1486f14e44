//! Saves on a real disk, watched by a real watcher, while a host serves.
#![expect(clippy::disallowed_methods, reason = "these tests save files, as people do")]

mod guard;
mod keeps;
mod measure;
mod project;
mod property;
mod saves;
mod settings;
mod versions;
