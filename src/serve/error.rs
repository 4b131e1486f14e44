//! Why a server does not serve.

use crate::app::AppError;
use crate::io::socket::SocketError;
use crate::journal::JournalError;
use crate::store::remote::Server;

#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error(
        "a server runs on this store already: process {}, since {}; stop it first, or let it serve",
        .0.pid, moment(.0.started_ms)
    )]
    Running(Server),
    #[error(transparent)]
    App(#[from] AppError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("the socket for other commands cannot be opened: {0}")]
    Desk(#[from] SocketError),
    #[error(transparent)]
    Http(#[from] crate::http::StartError),
    #[error("a thread or a signal handler of the server cannot be made: {0}")]
    Io(#[from] std::io::Error),
}

impl ServeError {
    pub fn code(&self) -> &str {
        match self {
            ServeError::Running(_) => "SERVE_RUNNING",
            ServeError::App(error) => error.code(),
            ServeError::Journal(error) => error.code(),
            ServeError::Desk(_) => "SERVE_SOCKET",
            ServeError::Http(error) => error.code(),
            ServeError::Io(_) => "SERVE_THREADS",
        }
    }
}

fn moment(unix_ms: i64) -> String {
    let moment = chrono::DateTime::from_timestamp_millis(unix_ms);
    moment.map_or_else(
        || unix_ms.to_string(),
        |moment| moment.format("%Y-%m-%d %H:%M:%S UTC").to_string(),
    )
}
