//! What survives: a host that dies at any moment, and journals that were damaged, cut or written long ago.
#![expect(
    clippy::disallowed_methods,
    reason = "these tests start processes that die, and read what they leave behind"
)]

mod chance;
mod counting;
mod form;
mod journal;
mod kill;
mod kill9;
mod ledger;
mod playbooks;
