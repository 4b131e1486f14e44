//! What a playbook can call, one folder for each capability or provider.

pub mod file;
pub mod media;
