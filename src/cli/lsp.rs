//! `host lsp`: the language server, for editors. `docs/editors.md` tells how to set one up.

use std::path::Path;
use std::sync::Arc;

use super::error::{CliError, OTHER};
use crate::io::clock::SystemClock;
use crate::lsp::session::Session;
use crate::lsp::{serve, wire};

#[derive(clap::Args)]
pub struct Args {
    /// What editors pass to name the way of speaking; there is only this one.
    #[arg(long, hide = true)]
    stdio: bool,
}

/// Speaks until the editor leaves.
pub fn perform(_: Args, folder: &Path) -> Result<u8, CliError> {
    let incoming = crate::io::stdio::incoming(wire::read);
    let incoming = incoming.map_err(|error| CliError::new("NO_THREAD", error.to_string(), OTHER))?;
    let session = Session::new(folder, Arc::new(SystemClock::new()));
    let code = serve(session, &incoming, crate::io::stdio::outgoing());
    Ok(code)
}
