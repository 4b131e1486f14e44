//! The doors to the outside: clock, chance, files, processes, network, secrets.
//!
//! Nothing else reads the time, draws a number, opens a socket or starts a process; `clippy.toml` forbids it, and the
//! files that may say so with `#![expect(clippy::disallowed_methods, …)]`. A door does one thing when asked, and says
//! what went wrong; whether it may be asked at all is the gate's business.

pub mod again;
pub mod chance;
pub mod clock;
pub mod disk;
pub mod download;
pub mod env;
pub mod ffmpeg;
pub mod files;
pub mod fresh;
pub mod hidden;
pub mod http;
pub mod keeping;
pub mod line_history;
pub mod listen;
pub mod load;
pub mod notify;
pub mod pager;
pub mod pages;
pub mod pinned;
pub mod process;
pub mod program;
pub mod provider;
pub mod restore;
pub mod scratch;
pub mod scripts;
pub mod secrets;
pub mod signals;
pub mod socket;
pub mod stdio;
pub mod survey;
pub mod watch;
pub mod whole;
pub mod workspace;

use std::collections::BTreeMap;
use std::sync::Arc;

/// Every door. The closures of reads and writes get these, and nothing else does.
#[derive(Clone)]
pub struct World {
    pub clock: Arc<dyn clock::Clock>,
    pub chance: Arc<dyn chance::Chance>,
    /// The door of `http::`, to the hosts that `[http] hosts` lists.
    pub http: Arc<http::HttpDoor>,
    /// Each provider's own door, by name.
    pub providers: Arc<BTreeMap<String, provider::ProviderDoor>>,
    pub files: Arc<files::ProjectFiles>,
    pub ffmpeg: Arc<ffmpeg::FfmpegDoor>,
    pub secrets: Arc<secrets::Secrets>,
    /// Below it each run has a folder of its own.
    pub work_dir: std::path::PathBuf,
}

impl World {
    /// The same world with every door shut: for replays, which need none.
    pub fn shut(&self) -> World {
        const WHY: &str = "a replay answers from its journal";
        let shut = |door: &provider::ProviderDoor| provider::ProviderDoor {
            http: http::HttpDoor::shut(WHY),
            ..door.clone()
        };
        let providers = self.providers.iter().map(|(name, door)| (name.clone(), shut(door)));
        let providers = Arc::new(providers.collect());
        World {
            http: Arc::new(http::HttpDoor::shut(WHY)),
            providers,
            files: Arc::new(files::ProjectFiles::shut()),
            ffmpeg: Arc::new(ffmpeg::FfmpegDoor::shut()),
            secrets: Arc::default(),
            ..self.clone()
        }
    }
}
