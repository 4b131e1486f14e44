//! `host restore FILE`: a backup becomes the store, and what was not over is held. `host restore`: what is held.
//! `host restore --release RUN | --all`: it goes on.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::error::{CliError, USAGE};
use super::keep::watched;
use super::out::{BAD, CAREFUL, FAINT, GOOD, Out, ago, excerpt, moment, plain};
use super::pause::MissedChoice;
use super::signed;
use crate::app::App;
use crate::effect::ProviderMode;
use crate::id::RunId;
use crate::identity::restored::{self, Access, HeldToken, Word};
use crate::journal::RunRecord;
use crate::journal::audit::Act;
use crate::journal::epoch::Held;
use crate::store::tx::Ground;
use crate::upkeep::release::{self, Hold, Jobs};
use crate::upkeep::restore::Restored;

/// Lines of one kind.
const LINES_MAX: usize = 20;

#[derive(clap::Args)]
pub struct Args {
    /// The backup. Without it: what is held since the last restore.
    #[arg(conflicts_with = "release")]
    file: Option<PathBuf>,
    /// The variable of the environment that holds the key of the backup.
    #[arg(long, value_name = "NAME", requires = "file")]
    key: Option<String>,
    /// Move the store that is there aside. It is not deleted.
    #[arg(long, requires = "file")]
    replace: bool,
    /// Restore it although `host backup verify` finds things in it that were wrong in the store already. They stay wrong.
    #[arg(long, requires = "file")]
    as_it_is: bool,
    /// Let these runs go on: they ask the provider before they send what is not on their record.
    #[arg(long, value_name = "RUN", num_args = 0.., required_if_eq("all", "true"))]
    release: Option<Vec<String>>,
    /// With `--release`: every run, and triggers and publishing too.
    #[arg(long, requires = "release")]
    all: bool,
    /// With `--all`: which of the ticks that were planned since the backup are run now.
    #[arg(long, value_name = "WHICH", requires = "all")]
    ticks: Option<MissedChoice>,
    /// With `--all`: jobs that nobody had done at the backup are run, or their queues paused.
    #[arg(long, value_name = "WHAT", requires = "all")]
    jobs: Option<JobsChoice>,
    /// With `--release`: passwords and tokens of the backup let people in again, or never.
    #[arg(long, value_name = "WHAT", requires = "release")]
    access: Option<AccessChoice>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum JobsChoice {
    Run,
    Pause,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum AccessChoice {
    Keep,
    Revoke,
}

pub fn perform(args: Args, app: &App, folder: &Path, out: &mut Out) -> Result<u8, CliError> {
    if let Some(file) = &args.file {
        return restore(&folder.join(file), &args, app, out);
    }
    match &args.release {
        None => show(app, out),
        Some(runs) if args.all && !runs.is_empty() => {
            let error = CliError::usage(
                "USAGE",
                "--release names runs, and --all is all of them: say one of the two",
            );
            Err(error.help("`host restore` lists what is held"))
        }
        Some(_) if args.all => release_all(&args, app, out),
        Some(runs) => release_runs(runs, args.access, app, out),
    }
}

fn restore(file: &Path, args: &Args, app: &App, out: &mut Out) -> Result<u8, CliError> {
    let key = app.backup_key(args.key.as_deref())?;
    let restored = watched(out, |tell| {
        let by = signed::actor(app);
        Ok(app.restore(file, key.as_ref(), args.replace, args.as_it_is, by, tell)?)
    })?;
    let lacks = app.lacks(&restored.needs);
    let simulated = simulated(app)?;
    if out.json {
        out.json(&json!({ "restored": restored, "lacks": lacks, "simulated": simulated }));
        return Ok(0);
    }
    let Restored {
        epoch,
        backup_ms,
        trailer,
        aside,
        held,
        access,
        replaced_head,
        wrong_acts,
        wrong,
        ..
    } = &restored;
    let mark = out.paint(GOOD, out.symbol("✓"));
    let now_ms = app.clock.unix_ms();
    out.line(format!(
        "{mark} restored the store of {} ({}): {} rows, {} files; epoch {epoch}",
        moment(*backup_ms),
        ago(*backup_ms, now_ms),
        trailer.rows,
        trailer.files
    ));
    if let Some(aside) = aside {
        let aside = plain(&aside.display().to_string());
        out.line(format!("aside    {aside}: the store that was there, with all it held"));
    }
    if let Some(head) = replaced_head {
        out.line(format!(
            "acts     of the audit log that was there ended with {}",
            plain(head)
        ));
    }
    if *wrong_acts > 0 {
        let line = "acts     of the backup are not as they were written: `host audit verify` names them";
        let line = out.paint(BAD, line);
        out.line(line);
    }
    if *wrong > 0 {
        let line =
            format!("wrong    {wrong} things, as in the store that was backed up: `host store check` names them");
        let line = out.paint(BAD, &line);
        out.line(line);
    }
    if !lacks.is_empty() {
        let line = out.paint(
            CAREFUL,
            &format!(
                "lacks    {}: set when the backup was made, and not now",
                lacks.join(", ")
            ),
        );
        out.line(line);
    }
    for (provider, why) in &simulated {
        out.line(format!("provider {}: not live, {}", plain(provider), plain(why)));
    }
    out.line("");
    let frozen = out.paint(CAREFUL, "frozen");
    out.line(format!(
        "{frozen}   no trigger starts a run, nothing is published, and {} held: what happened after the backup is on no record",
        runs(held.len())
    ));
    if !access.is_empty() {
        let held = out.paint(CAREFUL, "held");
        out.line(format!(
            "{held}     {}: what was revoked after the backup would let people in again; all sessions have ended",
            counted(access)
        ));
    }
    out.line("look     `host restore` lists what is held; then `host restore --release RUN`, or `--release --all`");
    Ok(0)
}

fn counted(access: &Access) -> String {
    let count = |count: usize, what: &str| match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    };
    format!(
        "{} and {}",
        count(access.users.len(), "password"),
        count(access.tokens.len(), "token")
    )
}

/// Providers that are not live here, and why: with what was lost, their secrets may have gone too.
fn simulated(app: &App) -> Result<Vec<(String, String)>, CliError> {
    let modes = app.provider_modes()?.into_iter();
    let simulated = modes.filter_map(|(name, mode)| match mode {
        ProviderMode::Simulated { why } if why.starts_with("missing ") => Some((name, why)),
        _ => None,
    });
    Ok(simulated.collect())
}

fn runs(count: usize) -> String {
    match count {
        1 => "1 run is".to_owned(),
        count => format!("{count} runs are"),
    }
}

fn held(app: &App) -> Result<Option<(Ground, Hold)>, CliError> {
    let Some(ground) = app.reader()? else { return Ok(None) };
    let hold = release::hold(&ground, app.clock.unix_ms())?;
    Ok(hold.map(|hold| (ground, hold)))
}

fn show(app: &App, out: &mut Out) -> Result<u8, CliError> {
    let found = held(app)?;
    let Some((_, hold)) = found else {
        if out.json {
            out.json(&json!(null));
        } else {
            out.line("this store was never restored: nothing is held");
        }
        return Ok(0);
    };
    if out.json {
        out.json(&hold);
        return Ok(0);
    }
    let now_ms = app.clock.unix_ms();
    out.line(format!(
        "restored {} from a backup of {}; epoch {} of the store",
        ago(hold.restored_ms, now_ms),
        moment(hold.backup_ms),
        hold.epoch
    ));
    if hold.is_over() {
        out.line("released everything goes on");
        return Ok(0);
    }
    if hold.frozen {
        let line = out.paint(CAREFUL, "frozen   no trigger starts a run, and nothing is published");
        out.line(line);
    }
    if !hold.runs.is_empty() {
        out.line("");
        let rows: Vec<Vec<String>> = hold
            .runs
            .iter()
            .take(LINES_MAX)
            .map(|held| row(held, now_ms, out))
            .collect();
        out.table(
            &[
                "held run",
                "playbook",
                "was",
                "mode",
                "started",
                "recorded to",
                "in doubt",
            ],
            &rows,
        );
        more(hold.runs.len(), out);
    }
    if !hold.ticks.is_empty() {
        out.line("");
        let rows: Vec<Vec<String>> = hold
            .ticks
            .iter()
            .take(LINES_MAX)
            .map(|tick| vec![plain(&tick.playbook), plain(&tick.schedule), moment(tick.due_ms)])
            .collect();
        out.table(&["held ticks of", "schedule", "since"], &rows);
        more(hold.ticks.len(), out);
    }
    if !hold.queues.is_empty() {
        out.line("");
        let rows: Vec<Vec<String>> = hold
            .queues
            .iter()
            .take(LINES_MAX)
            .map(|waiting| vec![plain(&waiting.queue), waiting.realm.clone(), waiting.jobs.to_string()])
            .collect();
        out.table(&["held jobs of", "realm", "jobs"], &rows);
        more(hold.queues.len(), out);
    }
    show_access(&hold.access, now_ms, out);
    out.line("");
    for hint in [
        "host restore --release RUN    the run goes on; it asks the provider before it sends what is not on record",
        "host restore --release --all  everything goes on; --ticks, --jobs and --access say what becomes of those",
        "host restore --release --access keep   they let people in again; before, `host user revoke` and `host token revoke`",
    ] {
        let hint = out.paint(FAINT, hint);
        out.line(hint);
    }
    Ok(0)
}

/// Whom the backup would let in.
fn show_access(access: &Access, now_ms: i64, out: &mut Out) {
    if !access.users.is_empty() {
        out.line("");
        let users = access.users.iter().take(LINES_MAX);
        let rows: Vec<Vec<String>> = users
            .map(|user| vec![plain(&user.name), user.role.to_string()])
            .collect();
        out.table(&["held password of", "role"], &rows);
        more(access.users.len(), out);
    }
    if !access.tokens.is_empty() {
        out.line("");
        let tokens = access.tokens.iter().take(LINES_MAX);
        let row = |token: &HeldToken| {
            vec![
                token.id.clone(),
                plain(&token.user),
                excerpt(&token.scope, 40),
                token.used_ms.map_or("never".to_owned(), |used_ms| ago(used_ms, now_ms)),
                excerpt(&token.label, 40),
            ]
        };
        let rows: Vec<Vec<String>> = tokens.map(row).collect();
        out.table(&["held token", "user", "scope", "used", "label"], &rows);
        more(access.tokens.len(), out);
    }
}

fn more(count: usize, out: &mut Out) {
    if count > LINES_MAX {
        out.line(format!("and {} more: --json lists all", count - LINES_MAX));
    }
}

fn row(held: &Held, now_ms: i64, out: &Out) -> Vec<String> {
    let writes: Vec<String> = held
        .writes
        .iter()
        .map(|write| format!("step {} {}", write.step, plain(&write.name)))
        .collect();
    vec![
        held.run.short(),
        plain(&held.playbook),
        held.status.to_string(),
        if held.live { "LIVE" } else { "DRY" }.to_owned(),
        ago(held.since_ms, now_ms),
        format!("step {}", held.last_step),
        match writes.is_empty() {
            true => String::new(),
            false => out.paint(BAD, &writes.join(", ")),
        },
    ]
}

fn nothing_held() -> CliError {
    CliError::new(
        "RESTORE_NOTHING_HELD",
        "nothing is held: no restore waits for its release",
        USAGE,
    )
}

/// Says what becomes of passwords and tokens of the backup.
fn say_access(choice: AccessChoice, app: &App) -> Result<Access, CliError> {
    let word = match choice {
        AccessChoice::Keep => Word::Keep,
        AccessChoice::Revoke => Word::Revoke,
    };
    let ground = app.writer()?;
    let now_ms = app.clock.unix_ms();
    let held = restored::held(&*ground.store, now_ms)?;
    let ground = signed::on(app, &ground, held.act(word));
    Ok(restored::say(&*ground.store, word, now_ms)?)
}

fn release_access(choice: AccessChoice, app: &App, out: &mut Out) -> Result<u8, CliError> {
    let Some((ground, hold)) = held(app)?.filter(|(_, hold)| !hold.access.is_empty()) else {
        return Err(nothing_held());
    };
    drop((ground, hold));
    let said = say_access(choice, app)?;
    if out.json {
        out.json(&json!({ "access": said, "kept": choice == AccessChoice::Keep }));
        return Ok(0);
    }
    let mark = out.paint(GOOD, out.symbol("✓"));
    let said = counted(&said);
    out.line(match choice {
        AccessChoice::Keep => format!("{mark} {said} let people in again"),
        AccessChoice::Revoke => format!("{mark} {said} let nobody in any more; `host user password` gives another one"),
    });
    Ok(0)
}

fn release_runs(prefixes: &[String], access: Option<AccessChoice>, app: &App, out: &mut Out) -> Result<u8, CliError> {
    match (access, prefixes.is_empty()) {
        (Some(choice), true) => return release_access(choice, app, out),
        (Some(choice), false) => drop(say_access(choice, app)?),
        (None, _) => {}
    }
    if prefixes.is_empty() {
        let error = CliError::usage("USAGE", "--release needs runs, --access, or --all");
        return Err(error.help("`host restore` lists what is held"));
    }
    let ground = app.writer()?;
    let store = &*ground.store;
    let mut runs: Vec<RunId> = Vec::new();
    for prefix in prefixes {
        let run = RunRecord::find(store, prefix)?.run;
        if !crate::journal::epoch::is_held(store, run)? {
            let message = format!("run {} is not held", run.short());
            return Err(CliError::new("RESTORE_NOTHING_HELD", message, USAGE).help("`host restore` lists what is held"));
        }
        runs.push(run);
    }
    let ids: Vec<String> = runs.iter().map(ToString::to_string).collect();
    let act = Act::new("restore.release", ids.join(", "));
    let released = release::release_runs(&*signed::on(app, &ground, act).store, &runs)?;
    say(&released, false, app, out);
    Ok(0)
}

fn release_all(args: &Args, app: &App, out: &mut Out) -> Result<u8, CliError> {
    let Some((ground, hold)) = held(app)? else {
        return Err(nothing_held());
    };
    drop(ground);
    if hold.is_over() {
        return Err(nothing_held());
    }
    let unsaid = [
        (args.access.is_none() && !hold.access.is_empty()).then(|| {
            format!(
                "{} are those of the backup, and some may have been revoked since: --access keep or revoke",
                counted(&hold.access)
            )
        }),
        (args.ticks.is_none() && !hold.ticks.is_empty()).then(|| {
            format!(
                "{} schedules had ticks since the backup, which may have run: --ticks none, latest or all",
                hold.ticks.len()
            )
        }),
        (args.jobs.is_none() && !hold.queues.is_empty()).then(|| {
            let jobs: u64 = hold.queues.iter().map(|waiting| waiting.jobs).sum();
            format!("{jobs} jobs had not been done at the backup, and may have been since: --jobs run or pause")
        }),
    ];
    let unsaid: Vec<String> = unsaid.into_iter().flatten().collect();
    if !unsaid.is_empty() {
        let message = format!("say what becomes of them: {}", unsaid.join("; "));
        return Err(CliError::new("RESTORE_UNCONFIRMED", message, USAGE).help("`host restore` lists them"));
    }
    let ticks = args.ticks.unwrap_or(MissedChoice::None).resumed();
    let jobs = match args.jobs {
        Some(JobsChoice::Pause) => Jobs::Pause,
        Some(JobsChoice::Run) | None => Jobs::Run,
    };
    if let Some(choice) = args.access.filter(|_| !hold.access.is_empty()) {
        say_access(choice, app)?;
    }
    let ground = app.writer()?;
    let said = |choice: Option<&'static str>| choice.unwrap_or("none");
    let act = Act::new("restore.release", "(all)")
        .with("runs", hold.runs.len())
        .with("ticks", format!("{ticks:?}").to_lowercase())
        .with(
            "jobs",
            said(args.jobs.map(|_| if jobs == Jobs::Pause { "pause" } else { "run" })),
        );
    let ground = signed::on(app, &ground, act);
    let released = release::release_all(&ground, app.clock.unix_ms(), app.person(), ticks, jobs)?;
    say(&released, true, app, out);
    Ok(0)
}

fn say(released: &[Held], all: bool, app: &App, out: &mut Out) {
    let served = app.server().is_some();
    if out.json {
        let runs: Vec<String> = released.iter().map(|held| held.run.to_string()).collect();
        out.json(&json!({ "released": runs, "all": all, "served": served }));
        return;
    }
    let mark = out.paint(GOOD, out.symbol("✓"));
    for held in released.iter().take(LINES_MAX) {
        out.line(format!(
            "{mark} run {}  {}  goes on",
            held.run.short(),
            plain(&held.playbook)
        ));
    }
    more(released.len(), out);
    if all {
        out.line(format!(
            "{mark} triggers start runs again, and publishing is as governance says"
        ));
    }
    if !served {
        let hint = out.paint(FAINT, "`host serve` goes on with them, or `host resume --all`");
        out.line(hint);
    }
}
