//! Puts the parts together: from a configuration to a host that runs playbooks.

mod keeping;
mod opening;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};

use crate::config::{Config, ConfigError};
use crate::effect::{Failure, ProviderMode, RunMode};
use crate::gate::governance::SIGNAL_NAMES;
use crate::gate::{BackoffSettings, CircuitSettings, Gate, Masks, Policies, Signals};
use crate::identity::{ADMIN_USERS, Identity};
use crate::io::World;
use crate::io::chance::{Chance, SystemChance};
use crate::io::clock::{Clock, SystemClock};
use crate::io::ffmpeg::{FfmpegDoor, FfmpegOptions};
use crate::io::files::ProjectFiles;
use crate::io::http::{HttpDoor, Reach};
use crate::io::provider::ProviderDoor;
use crate::io::scratch::Scratch;
use crate::io::scripts::ScriptFiles;
use crate::io::secrets::Secrets;
use crate::namespaces::{self, DeclaredProvider, ProviderSpec};
use crate::runs::trial::Setting;
use crate::runs::{Library, Runner};
use crate::script::Language;
use crate::store::StoreError;
use crate::store::content::ScratchContent;
use crate::store::documents::Indexes;
use crate::store::overlay::Overlay;
use crate::store::remote::RemoteStore;
use crate::store::tx::Ground;
use crate::value::Value;

/// The store's file below the data folder.
pub const STORE_FILE: &str = "store.redb";

/// A configured host. Nothing is opened yet.
#[derive(Clone)]
pub struct App {
    pub config: Config,
    pub library: Library,
    pub providers: Vec<ProviderSpec>,
    /// The functions that write to a provider, with its name.
    pub writers: BTreeMap<String, String>,
    /// The functions whose writes the public sees.
    pub publishers: BTreeSet<String>,
    pub masks: Arc<Masks>,
    pub secrets: Arc<Secrets>,
    pub clock: Arc<dyn Clock>,
    pub chance: Arc<dyn Chance>,
    /// The server through which the store was opened last.
    served: Arc<Mutex<Option<Arc<RemoteStore>>>>,
}

/// Why the host cannot be put together.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A provider is switched on, and something it needs is not there.
    #[error("{}", .0.message)]
    Credentials(Failure),
    #[error("a scratch folder cannot be made: {0}")]
    Scratch(std::io::Error),
}

impl AppError {
    pub fn code(&self) -> &str {
        match self {
            AppError::Config(error) => error.code(),
            AppError::Store(error) => error.code(),
            AppError::Credentials(failure) => &failure.code,
            AppError::Scratch(_) => "SCRATCH",
        }
    }
}

/// The providers that `host.toml` declares: every section that is none of the host's own.
fn declared(config: &Config) -> Result<Vec<DeclaredProvider>, ConfigError> {
    let own: Vec<String> = namespaces::providers().into_iter().map(|spec| spec.name).collect();
    let sections = config.file.providers.iter().filter(|(name, _)| !own.contains(name));
    let declare = |(name, section): (&String, &toml::Table)| {
        DeclaredProvider::parse(name, section.clone()).map_err(|error| ConfigError::Value {
            key: format!("[providers.{name}]"),
            reason: error.to_string(),
        })
    };
    sections.map(declare).collect()
}

/// A plan's ground: what lies below its overlay, and the overlay.
pub struct Rehearsal {
    pub runner: Runner,
    pub before: Ground,
    pub overlay: Arc<Overlay>,
    /// Media of the plan lies here, until this is dropped.
    pub scratch: Scratch,
}

impl App {
    /// The host of the project that `folder` lies in, or one with presets outside a project.
    pub fn new(folder: &Path) -> Result<App, AppError> {
        App::with(Config::find(folder)?)
    }

    pub fn with(config: Config) -> Result<App, AppError> {
        let declared = declared(&config)?;
        config
            .file
            .escalation
            .check()
            .map_err(|(key, reason)| ConfigError::Value { key, reason })?;
        crate::telemetry::monitors::settings::check(&config.file.monitors, &config.file.notify)
            .map_err(|(key, reason)| ConfigError::Value { key, reason })?;
        let mut providers = namespaces::providers();
        providers.extend(declared.iter().map(DeclaredProvider::spec));
        let named = providers.iter().flat_map(ProviderSpec::all_secrets);
        let secrets = named.filter_map(|name| Some((name.clone(), config.env.get(name)?.to_owned())));
        let headers = crate::telemetry::otlp::Settings::secrets(&config.env).into_iter();
        let addresses = config.file.notify.iter().filter_map(|(name, channel)| {
            let password = crate::io::secrets::password_in(&channel.webhook)?;
            Some((format!("notify.{name}"), password))
        });
        let channels = config.file.notify.values();
        let channels = channels.flat_map(|channel| [&channel.slack, &channel.secret]);
        let channels = channels.filter_map(|name| Some((name.clone(), config.env.get(name)?.to_owned())));
        let hooks = crate::http::hooks::secrets(&config);
        let secrets = secrets.chain(headers).chain(channels).chain(addresses).chain(hooks);
        let secrets = Secrets::new(secrets);
        let masks = Arc::new(Masks::new(&secrets));
        let language = Arc::new(Language::new(
            || namespaces::modules(&declared),
            config.file.limits.clone(),
        ));
        let playbooks = config.project.as_ref().map(|project| project.join("playbooks"));
        Ok(App {
            library: Library::new(ScriptFiles::new(playbooks), language),
            providers,
            writers: namespaces::writers(&declared),
            publishers: namespaces::publishers(&declared),
            masks,
            secrets: Arc::new(secrets),
            clock: Arc::new(SystemClock::new()),
            chance: Arc::new(SystemChance),
            served: Arc::default(),
            config,
        })
    }

    /// A runner on the project's store, opened for writing.
    pub fn runner(&self) -> Result<Runner, AppError> {
        let ground = self.writer()?;
        let runner = self.runner_on(ground, self.world()?)?;
        crate::telemetry::otlp::once::watch(self, &runner.gate)?;
        Ok(runner)
    }

    /// A runner that leaves everything as it is: over an overlay, in a world without a network, in virtual time.
    pub fn rehearsal(&self) -> Result<Rehearsal, AppError> {
        self.rehearsal_with(self.clock.clone(), self.chance.clone())
    }

    /// The same with a clock to begin with and chance of its own: two of them can be made alike.
    pub fn rehearsal_with(&self, clock: Arc<dyn Clock>, chance: Arc<dyn Chance>) -> Result<Rehearsal, AppError> {
        let scratch = Scratch::new(&*self.chance).map_err(AppError::Scratch)?;
        let before = match self.reader()? {
            Some(ground) => ground,
            None => Ground {
                content: self.content(),
                store: Arc::new(Overlay::empty()),
                indexes: Arc::new(Indexes::none()),
            },
        };
        let overlay = Arc::new(Overlay::over(before.store.clone()));
        let content = ScratchContent::in_folder(scratch.path().join("content"), Some(before.content.clone()));
        let ground = Ground {
            store: overlay.clone(),
            content: Arc::new(content),
            indexes: before.indexes.clone(),
        };
        const WHY: &str = "a plan opens no socket";
        let world = World {
            http: Arc::new(HttpDoor::shut(WHY)),
            providers: Arc::new(self.provider_doors(|_| HttpDoor::shut(WHY))?),
            work_dir: scratch.path().join("runs"),
            clock: Arc::new(crate::io::clock::VirtualClock::new(clock)),
            chance,
            ..self.world()?
        };
        let runner = self.runner_on(ground, world)?;
        Ok(Rehearsal {
            runner,
            before,
            overlay,
            scratch,
        })
    }

    /// What tests of playbooks stand on: the project's scripts, prompts and files, and nothing of its data.
    pub fn trial(&self, library: Library) -> Result<Setting, AppError> {
        let policies = self.policies()?;
        let providers = self.providers.iter().map(|spec| spec.name.clone()).collect();
        let indexes = Arc::new(self.indexes()?);
        let setting = Setting::new(library, self.world()?, providers, policies, self.masks.clone(), indexes);
        setting.map_err(AppError::Scratch)
    }

    /// A gate on `ground` whose every door is shut, for replays.
    pub fn shut_gate(&self, ground: Ground) -> Result<Arc<Gate>, AppError> {
        let world = self.world()?.shut();
        Ok(self.runner_on(ground, world)?.gate)
    }

    /// Who sits here, as far as the environment says: `HOST_USER`, else `USER`.
    pub fn person(&self) -> Option<String> {
        let named = ["HOST_USER", "USER"]
            .into_iter()
            .find_map(|name| self.config.env.get(name));
        named.map(|name| name.chars().take(100).collect())
    }

    /// What lets people in, as `ADMIN_USERS` says.
    pub fn identity(&self) -> Identity {
        Identity::new(self.config.env.get(ADMIN_USERS), self.chance.clone())
    }

    /// A runner of this host's settings on `ground`, in the process that `before` is a gate of.
    pub fn runner_after(&self, ground: Ground, before: Option<&Gate>) -> Result<Runner, ConfigError> {
        let mut runner = self.runner_on(ground, self.world()?)?;
        if let Some(before) = before {
            let gate = Arc::into_inner(runner.gate).expect("nobody else has it yet");
            runner.gate = Arc::new(gate.in_process_of(before));
        }
        Ok(runner)
    }

    fn runner_on(&self, ground: Ground, world: World) -> Result<Runner, ConfigError> {
        let mut gate = Gate::new(ground, world, self.masks.clone(), self.policies()?);
        gate.playbooks = Arc::new(self.library.clone());
        if let Some(server) = self.server() {
            // What it has at work is held, and what others had is not.
            gate.owner = server.owner();
        }
        Ok(Runner {
            gate: Arc::new(gate),
            language: self.library.language.clone(),
        })
    }

    /// The files of the project that playbooks may read, its prompts among them.
    pub fn files(&self) -> Arc<ProjectFiles> {
        let mut folders = self.config.file.files.folders.clone();
        folders.push("prompts".to_owned());
        let files = ProjectFiles::new(self.config.root.clone(), folders);
        Arc::new(match self.library.files.pins() {
            Some(pins) => files.with_prompts(pins.clone()),
            None => files,
        })
    }

    fn world(&self) -> Result<World, ConfigError> {
        let config = &self.config;
        let http = &config.file.http;
        let reach = Reach::parse(&http.hosts).map_err(|error| ConfigError::Value {
            key: "[http] hosts".to_owned(),
            reason: error.to_string(),
        })?;
        let timeout = config.duration("[media] timeout", &config.file.media.timeout)?;
        Ok(World {
            clock: self.clock.clone(),
            chance: self.chance.clone(),
            http: Arc::new(HttpDoor::new(reach)),
            providers: Arc::new(self.provider_doors(HttpDoor::new)?),
            files: self.files(),
            ffmpeg: Arc::new(FfmpegDoor::new(FfmpegOptions {
                timeout,
                ..FfmpegOptions::default()
            })),
            secrets: self.secrets.clone(),
            work_dir: config.data().join("runs"),
        })
    }

    fn provider_doors(&self, door: impl Fn(Reach) -> HttpDoor) -> Result<BTreeMap<String, ProviderDoor>, ConfigError> {
        let mut doors = BTreeMap::new();
        for spec in &self.providers {
            let section = self.config.file.providers.get(&spec.name);
            let text = |key: &str| {
                section
                    .and_then(|section| section.get(key))
                    .and_then(toml::Value::as_str)
            };
            let Some(base_url) = self.base_url(spec)? else {
                continue;
            };
            let timeout = match text("timeout") {
                Some(timeout) => self
                    .config
                    .duration(&format!("[providers.{}] timeout", spec.name), timeout)?,
                None => spec.timeout,
            };
            let reach = spec
                .reach(&base_url, &self.secrets)
                .map_err(|error| ConfigError::Value {
                    key: format!("[providers.{}] base_url", spec.name),
                    reason: error.to_string(),
                })?;
            let settings = match section.map(serde_json::to_value) {
                Some(Ok(json)) => Value::from_json(json).as_map().cloned().unwrap_or_default(),
                _ => Default::default(),
            };
            doors.insert(
                spec.name.clone(),
                ProviderDoor {
                    name: spec.name.clone(),
                    base_url,
                    http: door(reach),
                    timeout,
                    settings,
                },
            );
        }
        let dry_read = namespaces::http::dry_read_door(&self.config.file.http.dry_read, &door);
        let dry_read = dry_read.map_err(|error| ConfigError::Value {
            key: "[http] dry_read".to_owned(),
            reason: error.to_string(),
        })?;
        doors.insert(dry_read.name.clone(), dry_read);
        Ok(doors)
    }

    /// Where the provider is; `None` when it has no one address.
    /// Where the provider is, as configured or else as it is known.
    pub fn base_url(&self, spec: &ProviderSpec) -> Result<Option<url::Url>, ConfigError> {
        let section = self.config.file.providers.get(&spec.name);
        let configured = section.and_then(|section| section.get("base_url")?.as_str());
        let parse = |text: &str| {
            text.parse().map_err(|error| ConfigError::Value {
                key: format!("[providers.{}] base_url", spec.name),
                reason: format!("{text:?} is no URL: {error}"),
            })
        };
        configured.or(spec.base_url.as_deref()).map(parse).transpose()
    }

    pub fn policies(&self) -> Result<Policies, ConfigError> {
        let gate = &self.config.file.gate;
        let mut signals = [false; 3];
        for (signal, name) in signals.iter_mut().zip(SIGNAL_NAMES) {
            *signal = self.config.switch(name, false)?;
        }
        let threshold = match self.config.env.get("CIRCUIT_FAILURE_THRESHOLD") {
            Some(text) => text.parse().map_err(|_| ConfigError::Value {
                key: "CIRCUIT_FAILURE_THRESHOLD".to_owned(),
                reason: format!("{text:?} is no whole number"),
            })?,
            None => gate.circuit_failures,
        };
        let configured = self.config.file.providers.iter().filter_map(|(name, section)| {
            Some((
                name.clone(),
                u32::try_from(section.get("rate_per_minute")?.as_integer()?).ok()?,
            ))
        });
        let preset = self
            .providers
            .iter()
            .filter_map(|spec| Some((spec.name.clone(), spec.per_minute?)));
        let per_minute = preset.chain(configured);
        Ok(Policies {
            backoff: BackoffSettings {
                base: self.config.duration("[gate] backoff_base", &gate.backoff_base)?,
                cap: self.config.duration("[gate] backoff_cap", &gate.backoff_cap)?,
                attempts_max: gate.attempts_max.max(1),
            },
            circuit: CircuitSettings {
                threshold: threshold.max(1),
                cooldown: self
                    .config
                    .duration("[gate] circuit_cooldown", &gate.circuit_cooldown)?,
            },
            per_minute: per_minute.collect(),
            signals: Signals(signals),
            switched_off: self
                .provider_modes()?
                .into_iter()
                .filter_map(|(name, mode)| match mode {
                    ProviderMode::Live => None,
                    ProviderMode::Simulated { why } => Some((name, why)),
                })
                .collect(),
        })
    }

    /// Each provider's state, with the reason when it is not live.
    pub fn provider_modes(&self) -> Result<BTreeMap<String, ProviderMode>, ConfigError> {
        let dry = self.config.dry_run()?;
        let mut modes = BTreeMap::new();
        for spec in &self.providers {
            let why = match self.lacking(spec)? {
                _ if dry && !spec.even_dry => Some("DRY_RUN is on".to_owned()),
                _ if !spec.switch.is_empty() && !self.config.switch(&spec.switch, false)? => {
                    Some(format!("{} is off", spec.switch))
                }
                missing if !missing.is_empty() => Some(format!("missing {}", missing.join(", "))),
                _ if spec.name == namespaces::http::DRY_READS && self.config.file.http.dry_read.is_empty() => {
                    Some("[http] dry_read lists no host".to_owned())
                }
                _ => None,
            };
            modes.insert(
                spec.name.clone(),
                why.map_or(ProviderMode::Live, |why| ProviderMode::Simulated { why }),
            );
        }
        Ok(modes)
    }

    pub fn missing_secrets<'s>(&self, spec: &'s ProviderSpec) -> Result<Vec<&'s str>, ConfigError> {
        let mut needed = spec.needed_secrets(self.base_url(spec)?.as_ref());
        needed.retain(|name| self.secrets.get(name).is_none());
        Ok(needed)
    }

    /// The secrets without which runs that begin here cannot use `spec`. Where a server was called it drives them, and what
    /// counts are its own: the same user may start them over HTTP, too. Switches and signals count in both places.
    pub fn lacking<'s>(&self, spec: &'s ProviderSpec) -> Result<Vec<&'s str>, ConfigError> {
        match self.server() {
            Some(_) => Ok(Vec::new()),
            None => self.missing_secrets(spec),
        }
    }

    /// The mode of a run that begins now. A provider that the playbook uses and that is switched on, but lacks a
    /// secret, fails at once: nobody should find out after the first half of the work.
    pub fn mode(&self, uses: &[String]) -> Result<RunMode, AppError> {
        let live = !self.config.dry_run()?;
        let mode = RunMode {
            live,
            providers: self.provider_modes()?,
            uses: uses.to_vec(),
            unsigned: Vec::new(),
        };
        for spec in self.providers.iter().filter(|spec| live && mode.uses(&spec.name)) {
            let missing = self.lacking(spec)?;
            if !missing.is_empty() && self.config.switch(&spec.switch, false)? {
                let message = format!(
                    "{} is switched on ({}), but {} missing; set it, or switch {} off",
                    spec.name,
                    spec.switch,
                    missing.join(" and ") + if missing.len() == 1 { " is" } else { " are" },
                    spec.switch
                );
                return Err(AppError::Credentials(
                    Failure::new("CREDENTIALS_MISSING", message).provider(&spec.name),
                ));
            }
        }
        Ok(mode)
    }
}
