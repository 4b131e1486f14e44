//! Who does the chores of a server: one at a time, whoever asks for them.
//!
//! Two of them would be in each other's way: a backup lists files that a retention removes.

use std::sync::{Arc, Mutex, TryLockError};

use serde::{Deserialize, Serialize};

use super::edition::{Edition, Live};
use crate::config::ConfigError;
use crate::store::backup::BackupError;
use crate::upkeep::{Chore, Kept, Place, Tell};

/// Does chores.
pub struct Keeper {
    live: Arc<Live>,
    busy: Mutex<()>,
}

/// Why nothing came of a chore, as it goes over the socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    pub code: String,
    pub message: String,
}

impl From<BackupError> for Refused {
    fn from(error: BackupError) -> Refused {
        Refused {
            code: error.code().to_owned(),
            message: error.to_string(),
        }
    }
}

impl From<ConfigError> for Refused {
    fn from(error: ConfigError) -> Refused {
        Refused {
            code: error.code().to_owned(),
            message: error.to_string(),
        }
    }
}

impl Keeper {
    pub fn new(live: Arc<Live>) -> Keeper {
        let busy = Mutex::default();
        Keeper { live, busy }
    }

    /// Does `chore`, unless another is under way.
    pub fn perform(&self, chore: &Chore, tell: &mut Tell<'_>) -> Result<Kept, Refused> {
        self.alone(|_, place| place.perform(chore, tell).map_err(Refused::from))
    }

    /// Does something while no other chore is under way, with what is live now.
    pub fn alone<T>(&self, work: impl FnOnce(&Edition, &Place) -> Result<T, Refused>) -> Result<T, Refused> {
        let _busy = match self.busy.try_lock() {
            Ok(busy) => busy,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => {
                return Err(Refused {
                    code: "CHORE_BUSY".to_owned(),
                    message: "a backup, a check, a compaction or a retention is under way: let it end".to_owned(),
                });
            }
        };
        let edition = self.live.current();
        let place = edition.app.place(edition.runner.gate.ground.clone())?;
        work(&edition, &place)
    }
}
