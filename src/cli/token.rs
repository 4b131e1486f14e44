//! `host token`: what programs show to be let in over HTTP.

use serde_json::json;

use super::error::CliError;
use super::out::{BAD, CAREFUL, FAINT, GOOD, Out, ago, excerpt, moment, plain};
use super::signed;
use crate::app::App;
use crate::duration;
use crate::identity::role::Grant;
use crate::identity::token::{self, State, Token};
use crate::identity::{IdentityError, Scope};
use crate::journal::audit::Act;

#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Make a token for a user. It is shown this once.
    Add(AddArgs),
    /// List tokens, without what makes them work.
    List {
        /// Only those of this user.
        user: Option<String>,
        /// Also those that have expired or were revoked.
        #[arg(long)]
        all: bool,
    },
    /// End a token, from the next request on.
    Revoke {
        /// Its id: the part between the two underscores.
        id: String,
    },
}

#[derive(clap::Args)]
struct AddArgs {
    user: String,
    /// How far it reaches: read, run or admin; never further than its user may.
    #[arg(long, default_value = "read")]
    scope: Grant,
    /// Only for this playbook and its runs; may be given several times.
    #[arg(long = "playbook", value_name = "NAME")]
    playbooks: Vec<String>,
    /// How long it works: 12h, 90d.
    #[arg(long = "for", value_name = "TIME", default_value = "90d", conflicts_with = "forever")]
    lasts: String,
    /// Until it is revoked.
    #[arg(long)]
    forever: bool,
    /// What it is for.
    #[arg(long, default_value = "")]
    label: String,
}

pub fn perform(args: Args, app: &App, out: &mut Out) -> Result<u8, CliError> {
    match args.command {
        Command::Add(args) => add(&args, app, out),
        Command::List { user, all } => list(user.as_deref(), all, app, out),
        Command::Revoke { id } => {
            // Whoever pastes the whole token means its id; the rest of it goes nowhere.
            let id = id.strip_prefix(token::PREFIX).unwrap_or(&id);
            let id = id.split('_').next().unwrap_or_default().to_lowercase();
            let found = app
                .reader()?
                .map(|ground| token::get(&*ground.store, &id))
                .transpose()?;
            let Some(found) = found.flatten() else {
                let name = id.chars().take(40).collect();
                return Err(IdentityError::NotFound { what: "token", name }.into());
            };
            let ground = signed::writer(app, Act::new("token.revoke", &id).with("user", found.user))?;
            let token = token::revoke(&*ground.store, &id, app.clock.unix_ms())?;
            if out.json {
                out.json(&token.shown(app.clock.unix_ms()));
                return Ok(0);
            }
            let mark = out.paint(GOOD, out.symbol("−"));
            out.line(format!("{mark} {id} of {}  revoked", plain(&token.user)));
            Ok(0)
        }
    }
}

fn add(args: &AddArgs, app: &App, out: &mut Out) -> Result<u8, CliError> {
    let now_ms = app.clock.unix_ms();
    let lasts = duration::parse(&args.lasts);
    let lasts = lasts.map_err(|error| CliError::usage("USAGE", format!("--for: {error}")))?;
    let expires_ms = (!args.forever).then(|| now_ms.saturating_add(lasts.as_millis() as i64));
    let user = args.user.to_lowercase();
    let scope = Scope {
        grant: args.scope,
        playbooks: args.playbooks.iter().cloned().collect(),
    };
    let id = token::new_id(&*app.chance);
    let act = Act::new("token.add", &id)
        .with("user", user.clone())
        .with("scope", scope.to_string())
        .with("label", args.label.clone())
        .with("expires_ms", expires_ms);
    let ground = signed::writer(app, act)?;
    let new = token::New {
        id: &id,
        user: &user,
        label: &args.label,
        scope,
        expires_ms,
    };
    let (token, text) = token::add(&*ground.store, &*app.chance, &new, now_ms)?;
    if out.json {
        let mut shown = token.shown(now_ms);
        shown["token"] = json!(text);
        out.json(&shown);
        return Ok(0);
    }
    out.line(&text);
    out.line("");
    let until = token.expires_ms.map_or("until it is revoked".to_owned(), |at_ms| {
        format!("until {}", moment(at_ms))
    });
    out.line(format!(
        "for {}, scope {}, {until}",
        plain(&user),
        plain(&token.scope.to_string())
    ));
    let once = out.paint(CAREFUL, "it is shown this once: put it where the program finds it");
    out.line(once);
    out.line(format!("undo    host token revoke {}", token.id));
    Ok(0)
}

fn list(user: Option<&str>, all: bool, app: &App, out: &mut Out) -> Result<u8, CliError> {
    let now_ms = app.clock.unix_ms();
    let mut tokens = match app.reader()? {
        Some(ground) => token::list(&*ground.store)?,
        None => Vec::new(),
    };
    tokens.retain(|token| user.is_none_or(|user| user == token.user));
    let is_dead = |token: &Token| matches!(token.state(now_ms), State::Expired | State::Revoked);
    let dead = tokens.iter().filter(|token| is_dead(token)).count();
    tokens.retain(|token| all || !is_dead(token));
    tokens.sort_by(|a, b| (&a.user, a.created_ms).cmp(&(&b.user, b.created_ms)));
    if out.json {
        out.json(&tokens.iter().map(|token| token.shown(now_ms)).collect::<Vec<_>>());
        return Ok(0);
    }
    if tokens.is_empty() {
        out.line("no token: `host token add USER` makes one");
    } else {
        out.page();
        let rows: Vec<Vec<String>> = tokens.iter().map(|token| row(token, now_ms, out)).collect();
        out.table(&["token", "user", "scope", "state", "used", "label"], &rows);
    }
    if !all && dead > 0 {
        let more = out.paint(FAINT, &format!("{dead} expired or revoked: --all lists them"));
        out.line(more);
    }
    Ok(0)
}

fn row(token: &Token, now_ms: i64, out: &Out) -> Vec<String> {
    let state = match (token.state(now_ms), token.expires_ms) {
        (State::Live, Some(at_ms)) => {
            let left_ms = (at_ms - now_ms).max(0) as u64;
            format!("{} left", duration::for_people(left_ms))
        }
        (State::Live, None) => "for good".to_owned(),
        (State::Held, _) => out.paint(CAREFUL, "held since a restore"),
        (over, _) => out.paint(BAD, over.as_str()),
    };
    let used = token.used_ms.map_or("never".to_owned(), |used_ms| ago(used_ms, now_ms));
    vec![
        token.id.clone(),
        token.user.clone(),
        excerpt(&token.scope.to_string(), 40),
        state,
        used,
        excerpt(&token.label, out.rest_of_line(80)),
    ]
}
