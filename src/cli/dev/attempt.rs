//! One save: read, checked and planned on the inputs of the session, or what is wrong with it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::Args;
use crate::app::{App, AppError};
use crate::cli::check::known;
use crate::cli::check::survey::{Survey, survey};
use crate::cli::error::CliError;
use crate::cli::out::{ColorChoice, Out, moment};
use crate::cli::progress::Busy;
use crate::id::RunId;
use crate::io::chance::SeededChance;
use crate::io::clock::SteppingClock;
use crate::journal::{Recorded, RunRecord};
use crate::runs::plan::{Plan, Stage, plan};
use crate::script::findings::{Finding, Level};
use crate::script::{Script, inputs};
use crate::value::{Map, Value};

/// Runs that are looked through for the playbook's last.
const LOOKED_THROUGH_MAX: usize = 4_000;

/// A plan that takes less takes no time in its own eyes.
const TIME_STEP: Duration = Duration::from_secs(20);

/// What a session keeps from one save to the next.
pub struct Session {
    pub app: App,
    args: Args,
    folder: PathBuf,
    stop: Arc<AtomicBool>,
    /// Every plan begins at this moment …
    at_ms: i64,
    /// … and draws from this seed.
    seed: u64,
    /// The inputs of the newest run, with a word on it. Looked for once: they are what saves are compared on.
    recorded: Option<Option<(Map, String)>>,
    /// Whether the last attempt failed by something that passes, such as a locked store.
    pub wants_again: bool,
}

/// What came of a save.
pub enum Attempt {
    Planned(Good),
    /// Mistakes that show without running.
    Mistaken(Survey),
    /// It cannot be read, or not be planned.
    Broken(CliError),
    /// It fails while it is planned.
    Failed(Good),
}

/// A plan, with all that is told of it.
#[derive(Clone)]
pub struct Good {
    pub script: Arc<Script>,
    pub plan: Arc<Plan>,
    pub input: Value,
    /// Where the inputs come from.
    pub input_from: String,
    /// Remarks that are no reason not to plan.
    pub remarks: Vec<Finding>,
    /// From the save to here.
    pub took: Duration,
}

impl Session {
    pub fn begin(args: Args, app: App, folder: PathBuf, stop: Arc<AtomicBool>) -> Session {
        Session {
            at_ms: app.clock.unix_ms(),
            seed: app.chance.bits(),
            recorded: None,
            wants_again: false,
            app,
            args,
            folder,
            stop,
        }
    }

    /// Reads host.toml and .env again.
    pub fn read_settings(&mut self) -> Result<(), AppError> {
        self.app = App::new(&self.folder)?;
        Ok(())
    }

    /// Checks and plans what is on disk now; `since` is when the save was noticed.
    pub fn attempt(&mut self, since: Option<Duration>) -> Attempt {
        let since = since.unwrap_or_else(|| self.app.clock.monotonic());
        match self.planned(since) {
            Ok(attempt) => {
                self.wants_again = false;
                attempt
            }
            Err(error) => {
                self.wants_again = error.code() == "STORE_LOCKED";
                Attempt::Broken(error)
            }
        }
    }

    fn planned(&mut self, since: Duration) -> Result<Attempt, CliError> {
        let playbook = self.args.playbook().unwrap_or_default();
        let busy = Busy::new(&Out::new(true, ColorChoice::Never), "checking");
        let checked = survey(
            &self.app,
            &known::project(&self.app),
            &[playbook.to_owned()],
            false,
            &busy,
        )?;
        if checked.findings.iter().any(is_mistake) {
            return Ok(Attempt::Mistaken(checked));
        }
        let script = self.app.library.playbook(playbook)?;
        let (input, input_from, mut given) = self.input(&script)?;
        given.stop = self.stop.clone();
        let mode = self.app.mode(&script.header.uses)?;
        let clock = Arc::new(SteppingClock::new(self.app.clock.clone(), self.at_ms, TIME_STEP));
        let rehearsal = self.app.rehearsal_with(clock, Arc::new(SeededChance::new(self.seed)))?;
        let stage = Stage {
            runner: &rehearsal.runner,
            library: &self.app.library,
            before: &rehearsal.before,
            overlay: &rehearsal.overlay,
        };
        let plan = plan(&stage, script.clone(), input.clone(), mode, self.app.person(), given)?;
        let failed = plan.outcome.error.is_some();
        let good = Good {
            script,
            plan: Arc::new(plan),
            input,
            input_from,
            remarks: checked.findings,
            took: self.app.clock.monotonic().saturating_sub(since),
        };
        Ok(if failed {
            Attempt::Failed(good)
        } else {
            Attempt::Planned(good)
        })
    }

    /// The inputs: those that were typed, else those of the newest run as far as the header still knows them, else the
    /// presets.
    fn input(&mut self, script: &Script) -> Result<(Value, String, crate::runs::plan::Given), CliError> {
        let (typed, given) = self.args.given(script)?;
        if !typed.is_empty() {
            let input = inputs::complete(&script.header, typed)?;
            return Ok((input, "as typed".to_owned(), given));
        }
        let recorded = match &self.recorded {
            Some(recorded) => recorded.clone(),
            None => {
                let found = newest_input(&self.app, &script.name);
                self.recorded = Some(found.clone());
                found
            }
        };
        if let Some((input, from)) = recorded {
            let declares = |name: &str| !script.header.is_present || script.header.inputs.contains_key(name);
            let known: Map = input.into_iter().filter(|(name, _)| declares(name)).collect();
            // What the header has come to forbid is no fault of the edit.
            if let Ok(input) = inputs::complete(&script.header, known) {
                return Ok((input, from, given));
            }
        }
        let input = inputs::complete(&script.header, Map::new())?;
        Ok((input, "presets".to_owned(), given))
    }
}

/// Whether a finding is a reason not to plan: that the gate would refuse live is none.
pub fn is_mistake(found: &Finding) -> bool {
    found.level == Level::Error && found.code != "NOT_IN_USES"
}

/// The inputs of the newest run of `playbook`. A store that cannot be read has none.
fn newest_input(app: &App, playbook: &str) -> Option<(Map, String)> {
    let ground = app.glance()?;
    let newest = RunId::from_bytes([0xff; 16]);
    let records = RunRecord::latest(&*ground.store, newest, LOOKED_THROUGH_MAX).ok()?;
    let record = records.into_iter().find(|record| record.playbook == playbook)?;
    let input = Recorded::load(&ground, record.run).ok()?.begun.input.as_map()?.clone();
    let from = format!("of run {} of {}", record.run.short(), moment(record.begun_ms));
    Some((input, from))
}
