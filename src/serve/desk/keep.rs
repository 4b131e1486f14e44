//! Chores over the socket: asked for in one frame, followed in some, answered in one.
//!
//! Whoever hangs up breaks it off.

use std::ops::ControlFlow;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::driver::Driver;
use crate::io::clock::{Clock, SystemClock};
use crate::io::socket::{FRAME_BYTES_MAX, Line, SocketError};
use crate::serve::keeper::Refused;
use crate::store::StoreError;
use crate::store::backup::Progress;
use crate::store::remote::wire::{decode, encode};
use crate::store::remote::{Purpose, RemoteStore};
use crate::upkeep::{Chore, Kept, Tell};

/// How often it is told how far it has come.
const TELLS_EVERY: Duration = Duration::from_millis(100);

/// What is said of a chore.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Said {
    At {
        what: String,
        rows: u64,
        files: u64,
        bytes: u64,
        of: Option<u64>,
    },
    Kept(Box<Kept>),
    Refused(Refused),
}

/// Answers what comes over `line` until the other side hangs up.
pub(super) fn attend(line: &Line, driver: &dyn Driver) -> Result<(), SocketError> {
    let clock = SystemClock::new();
    while let Some(frame) = line.receive(FRAME_BYTES_MAX, None)? {
        let chore: Chore = decode(&frame).map_err(SocketError::Failed)?;
        let mut told = clock.monotonic();
        let mut tell = |what: &str, progress: Progress| {
            let now = clock.monotonic();
            if now.saturating_sub(told) < TELLS_EVERY {
                return ControlFlow::Continue(());
            }
            told = now;
            let Progress { rows, files, bytes, of } = progress;
            let what = what.to_owned();
            let said = Said::At {
                what,
                rows,
                files,
                bytes,
                of,
            };
            match line.send(&encode(&said)) {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            }
        };
        let said = match driver.keep(&chore, &mut tell) {
            Ok(kept) => Said::Kept(Box::new(kept)),
            Err(refused) => Said::Refused(refused),
        };
        line.send(&encode(&said))?;
    }
    Ok(())
}

/// Has the server of `store` do `chore`, and tells how it goes.
pub fn ask(store: &RemoteStore, chore: &Chore, tell: &mut Tell<'_>) -> Result<Result<Kept, Refused>, StoreError> {
    let lost = |reason: String| StoreError::ServerLost { reason };
    let line = store.call(Purpose::Keep)?;
    line.send(&encode(chore)).map_err(|error| lost(error.to_string()))?;
    loop {
        let frame = match line.receive(FRAME_BYTES_MAX, None) {
            Ok(Some(frame)) => frame,
            Ok(None) => return Err(lost("it has ended".to_owned())),
            Err(error) => return Err(lost(error.to_string())),
        };
        match decode(&frame).map_err(lost)? {
            Said::At {
                what,
                rows,
                files,
                bytes,
                of,
            } => {
                let progress = Progress { rows, files, bytes, of };
                if tell(&what, progress).is_break() {
                    line.hang_up();
                    let message = "it was cancelled, and nothing is left of it".to_owned();
                    let code = "BACKUP_CANCELLED".to_owned();
                    return Ok(Err(Refused { code, message }));
                }
            }
            Said::Kept(kept) => return Ok(Ok(*kept)),
            Said::Refused(refused) => return Ok(Err(refused)),
        }
    }
}
