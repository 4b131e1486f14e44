//! The command line: one file per command, and this one, which alone knows them all.

pub mod error;
#[cfg(test)]
mod named;
pub mod out;
mod playbook;
mod progress;
mod unified;

mod answer;
mod audit;
mod backtest;
mod backup;
mod bench;
mod bundle;
mod cancel;
pub mod check;
mod complete;
mod config;
mod data;
mod dev;
mod drive;
mod emit;
mod explain;
mod fmt;
mod functions;
mod incident;
mod init;
mod keep;
mod kv;
mod lsp;
mod man;
mod monitors;
mod new;
mod next;
mod org;
mod pause;
mod plan;
mod providers;
mod queue;
mod repl;
mod replay;
mod resolve;
mod restore;
mod resume;
mod retention;
mod retry;
mod run;
mod runs;
mod serve;
mod served;
mod show;
mod signed;
mod status;
mod store;
mod test;
mod ticks;
mod today;
mod token;
mod user;
mod versions;
mod whatif;
mod why;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::app::App;
use crate::config::Config;
use error::CliError;
use out::Out;

/// Runs playbooks: Rhai scripts with providers, storage and media, dry by default, journaled and replayable.
#[derive(Parser)]
#[command(name = "host", version, max_term_width = 100, after_help = EXIT_CODES)]
struct Cli {
    /// Answer in JSON, with a stable schema.
    #[arg(long, global = true, display_order = 100)]
    json: bool,
    /// When to colour the output.
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        display_order = 101
    )]
    color: out::ColorChoice,
    /// Behave as if started in this folder.
    #[arg(
        short = 'C',
        long = "directory",
        global = true,
        value_name = "DIR",
        display_order = 102
    )]
    directory: Option<std::path::PathBuf>,
    /// Print long lists as they are, instead of showing them in a pager.
    #[arg(long, global = true, display_order = 103)]
    no_pager: bool,
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 success, 1 the playbook or a test failed (or a replay differs), 2 wrong usage or input, \
3 a write is in doubt and needs a person, 4 the store cannot be used, 5 the configuration cannot be used, 6 anything else, \
7 the run waits and is not over yet, 8 a backtest found other effects but no other outcome, 9 a backtest could not \
answer for every run.";

#[derive(Subcommand)]
enum Command {
    /// Make a project with a demo that needs no keys.
    Init(init::Args),
    /// Make a playbook from a template.
    New(new::Args),
    /// Find mistakes in playbooks and prompts without running them.
    Check(check::Args),
    /// Bring playbooks into the one style; their meaning, comments and line ends stay.
    Fmt(fmt::Args),
    /// Speak with an editor: the language server, over standard input and output.
    Lsp(lsp::Args),
    /// Test playbooks: run the cases of *_test.rhai, each in a world of its own.
    Test(test::Args),
    /// Run a playbook, by name or by path.
    Run(run::Args),
    /// Show what a playbook would do; nothing is sent, nothing is kept.
    Plan(plan::Args),
    /// Plan a playbook again whenever it is saved, and tell what changed.
    Dev(dev::Args),
    /// Try out lines of a playbook; nothing is sent, nothing is kept.
    Repl(repl::Args),
    /// Serve: start playbooks when they are due, and go on with what waits, until told to stop.
    Serve(serve::Args),
    /// Show whether a server runs, and what it is at.
    Status(status::Args),
    /// Show what needs somebody: what failed, was missed, is stuck or waits for an answer.
    Today(today::Args),
    /// Show when schedules fire next.
    Next(next::Args),
    /// Show what was planned of schedules, and what became of it.
    Ticks(ticks::Args),
    /// Start nothing by itself any more: a playbook, or everything.
    Pause(pause::Args),
    /// List runs, newest first.
    Runs(runs::Args),
    /// Show what a run did, step by step.
    Show(show::Args),
    /// Explain how a run ended, and what to do next.
    Why(why::Args),
    /// Hold runs, with what people found out about them.
    Incident(incident::Args),
    /// Play a run again from its journal, every door shut; --with an edited script, tell what would differ.
    Replay(replay::Args),
    /// Tell which runs of the last days an edited playbook would have changed.
    Backtest(backtest::Args),
    /// List what the host ran and what it refused, compare, go back, and decide on what is held.
    Versions(versions::Args),
    /// Go on with runs that were cut off, or whose wait is over; or with what is paused.
    Resume(resume::Args),
    /// Say what became of a write that is in doubt.
    Resolve(resolve::Args),
    /// Do a run once more from its beginning.
    Retry(retry::Args),
    /// End a run that waits or was cut off.
    Cancel(cancel::Args),
    /// List what runs ask people, and answer it.
    Answer(answer::Args),
    /// Say that something has happened, for runs that wait for it.
    Emit(emit::Args),
    /// Explain the functions that playbooks call.
    Functions(functions::Args),
    /// Explain an error by its code.
    Explain(explain::Args),
    /// Look at, change and copy documents.
    Store(store::Args),
    /// Look at and change key-value pairs.
    Kv(kv::Args),
    /// Look at and change queues of jobs.
    Queue(queue::Args),
    /// Look at the rules that watch this host, try out whom they tell, and silence them.
    Monitors(monitors::Args),
    /// Write the store to one file, of one moment, while it is used; and check such files.
    Backup(backup::Args),
    /// Make a backup the store; show what is held since, and release it.
    Restore(restore::Args),
    /// Remove what is old and nobody needs, or tell what that is.
    Retention(retention::Args),
    /// Say who may log in over HTTP, and what they may do there.
    User(user::Args),
    /// Make and revoke what programs show to be let in over HTTP.
    Token(token::Args),
    /// Add and list organisations, to which users belong.
    Org(org::Args),
    /// Show who did what, and verify that the record of it is as it was written.
    Audit(audit::Args),
    /// Show the effective configuration and where each value comes from.
    Config(config::Args),
    /// Show for each provider whether it is live, and why not.
    Providers(providers::Args),
    /// Measure this machine.
    Bench(bench::Args),
    /// Print what makes a shell complete commands, runs, playbooks and prompts.
    Completions(complete::Args),
    /// Write the manual pages, one for each command.
    Man(man::Args),
}

/// Runs the command that `arguments` name.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    if let Some(code) = complete::answer(&arguments) {
        return code;
    }
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            let code = if error.use_stderr() {
                ExitCode::from(error::USAGE)
            } else {
                ExitCode::SUCCESS
            };
            // Nobody is left to be told that the terminal has gone.
            error.print().unwrap_or_default();
            return code;
        }
    };
    let mut out = Out::new(cli.json, cli.color).paging(!cli.no_pager);
    let performed = perform(cli, &mut out);
    out.end_page();
    match performed {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            let code = error.exit_code();
            out.error(&error);
            ExitCode::from(code)
        }
    }
}

/// The project that the environment names.
fn elsewhere() -> Result<Option<std::path::PathBuf>, CliError> {
    let Some(folder) = crate::io::env::project() else {
        return Ok(None);
    };
    if !Config::is_in_project(&folder) {
        let message = format!(
            "HOST_PROJECT is {}, and no host.toml can be seen there",
            folder.display()
        );
        let help = "a folder of another user's is closed to you: type the command as whoever serves it";
        return Err(CliError::usage("NO_PROJECT", message).help(help));
    }
    Ok(Some(folder))
}

/// Every command, in one place. The number is the exit code.
fn perform(cli: Cli, out: &mut Out) -> Result<u8, CliError> {
    let folder = match &cli.directory {
        Some(folder) => folder.clone(),
        None => crate::io::env::current_dir().map_err(crate::config::ConfigError::Folder)?,
    };
    // Before anything is read: there is nothing to read yet.
    let command = match cli.command {
        Command::Init(args) => return init::perform(args, &folder, out),
        Command::Explain(args) => return explain::perform(args, out),
        Command::Completions(args) => return complete::perform(args, out),
        Command::Man(args) => return man::perform(args, &folder, out),
        // Each file has its own project, and an editor is told what is wrong with it in its own way.
        Command::Lsp(args) => return lsp::perform(args, &folder),
        command => command,
    };
    let folder = match cli.directory {
        None if !Config::is_in_project(&folder) => elsewhere()?.unwrap_or(folder),
        _ => folder,
    };
    let app = App::new(&folder)?;
    let is_serving = matches!(command, Command::Serve(_));
    out.start_log(&app, is_serving);
    match command {
        Command::Init(_) | Command::Explain(_) | Command::Completions(_) | Command::Man(_) | Command::Lsp(_) => {
            unreachable!("they need no app and were handled above")
        }
        Command::New(args) => new::perform(args, &app, out),
        Command::Dev(args) => dev::perform(args, app, &folder, out),
        Command::Repl(args) => repl::perform(args, &app, out),
        Command::Check(args) => check::perform(args, &app, out),
        Command::Fmt(args) => fmt::perform(args, &app, out),
        Command::Test(args) => test::perform(args, &app, out),
        Command::Run(args) => run::perform(args, &app, out),
        Command::Plan(args) => plan::perform(args, &app, out),
        Command::Serve(args) => serve::perform(args, app, out),
        Command::Status(args) => status::perform(args, &app, out),
        Command::Today(args) => today::perform(args, &app, out),
        Command::Next(args) => next::perform(args, &app, out),
        Command::Ticks(args) => ticks::perform(args, &app, out),
        Command::Pause(args) => pause::perform(args, &app, out),
        Command::Runs(args) => runs::perform(args, &app, out),
        Command::Show(args) => show::perform(args, &app, out),
        Command::Why(args) => why::perform(args, &app, out),
        Command::Incident(args) => incident::perform(args, &app, out),
        Command::Replay(args) => replay::perform(args, &app, out),
        Command::Backtest(args) => backtest::perform(args, &app, out),
        Command::Versions(args) => versions::perform(args, &app, out),
        Command::Resume(args) => resume::perform(args, &app, out),
        Command::Resolve(args) => resolve::perform(args, &app, out),
        Command::Retry(args) => retry::perform(args, &app, out),
        Command::Cancel(args) => cancel::perform(args, &app, out),
        Command::Answer(args) => answer::perform(args, &app, out),
        Command::Emit(args) => emit::perform(args, &app, out),
        Command::Functions(args) => functions::perform(args, &app, out),
        Command::Store(args) => store::perform(args, &app, out),
        Command::Kv(args) => kv::perform(args, &app, out),
        Command::Queue(args) => queue::perform(args, &app, out),
        Command::Monitors(args) => monitors::perform(args, &app, out),
        Command::Backup(args) => backup::perform(args, &app, &folder, out),
        Command::Restore(args) => restore::perform(args, &app, &folder, out),
        Command::Retention(args) => retention::perform(args, &app, out),
        Command::User(args) => user::perform(args, &app, out),
        Command::Token(args) => token::perform(args, &app, out),
        Command::Org(args) => org::perform(args, &app, out),
        Command::Audit(args) => audit::perform(args, &app, out),
        Command::Config(args) => config::perform(args, &app, out),
        Command::Providers(args) => providers::perform(args, &app, out),
        Command::Bench(args) => bench::perform(args, &app, out),
    }
}
