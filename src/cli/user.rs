//! `host user`: who may log in over HTTP, and what they may do there.

use serde_json::json;

use super::error::{CliError, OTHER, STORE};
use super::out::{BAD, CAREFUL, FAINT, GOOD, Out, ago, plain};
use super::signed;
use crate::app::App;
use crate::identity::user::{self, User};
use crate::identity::{Identity, IdentityError, Role, Wanted};
use crate::io::hidden;
use crate::journal::audit::Act;

#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Add a user. The password is asked for, or read from standard input.
    Add {
        name: String,
        /// What the user may: viewer, operator or admin.
        #[arg(long, default_value = "viewer")]
        role: Role,
        /// The organisation to which the user belongs.
        #[arg(long, value_name = "NAME")]
        org: Option<String>,
        /// Without a password: for programs, which use tokens.
        #[arg(long)]
        no_password: bool,
    },
    /// List users.
    List {
        /// Revoked ones too.
        #[arg(long)]
        all: bool,
    },
    /// Give a user another role; it counts from the next request on.
    Role { name: String, role: Role },
    /// Make a user a member of an organisation, or of none.
    Org {
        name: String,
        #[arg(required_unless_present = "none")]
        org: Option<String>,
        #[arg(long, conflicts_with = "org")]
        none: bool,
    },
    /// Give a user another password, and end their sessions. It is asked for, or read from standard input.
    Password { name: String },
    /// Let a user try again at once who was locked out by wrong passwords.
    Unlock { name: String },
    /// Take everything from a user: sessions and tokens end at once, and the name stays taken.
    Revoke { name: String },
}

pub fn perform(args: Args, app: &App, out: &mut Out) -> Result<u8, CliError> {
    let identity = app.identity();
    match args.command {
        Command::Add {
            name,
            role,
            org,
            no_password,
        } => {
            let name = name.to_lowercase();
            let password = (!no_password).then(|| typed(&name)).transpose()?;
            let wanted = Wanted {
                name: &name,
                role,
                org: org.as_deref(),
                password: password.as_deref(),
            };
            let sign = |act| Ok::<_, CliError>(signed::writer(app, act)?.store);
            let user = identity.add(&wanted, app.clock.unix_ms(), sign)?;
            let mark = out.paint(GOOD, "+");
            let text = format!("{mark} {}  {}{}", user.name, identity.role_of(&user), how(&user));
            told(&user, &identity, &text, out)?;
            if !out.json {
                out.line(format!("undo    host user revoke {name}"));
            }
            Ok(0)
        }
        Command::List { all } => list(app, &identity, all, out),
        Command::Role { name, role } => {
            let name = name.to_lowercase();
            let ground = signed::writer(app, Act::new("user.role", &name).with("role", role.code()))?;
            let user = user::set_role(&*ground.store, &name, role)?;
            let text = format!("{name} is {role} from the next request on");
            told(&user, &identity, &text, out)?;
            if !out.json && identity.role_of(&user) != role {
                let text = format!("{name} stays admin as long as ADMIN_USERS says so");
                let text = out.paint(CAREFUL, &text);
                out.line(text);
            }
            Ok(0)
        }
        Command::Org { name, org, none } => {
            let name = name.to_lowercase();
            let org = org.filter(|_| !none);
            let ground = signed::writer(app, Act::new("user.org", &name).with("org", org.clone()))?;
            let user = user::set_org(&*ground.store, &name, org.as_deref())?;
            let text = match &org {
                Some(org) => format!("{name} belongs to {org}"),
                None => format!("{name} belongs to no organisation"),
            };
            told(&user, &identity, &text, out)
        }
        Command::Password { name } => {
            let name = name.to_lowercase();
            let hashed = identity.passwords.hash(&name, &typed(&name)?)?;
            let ground = signed::writer(app, Act::new("user.password", &name))?;
            let user = user::set_password(&*ground.store, &name, &hashed)?;
            told(
                &user,
                &identity,
                &format!("{name} has another password; all sessions have ended"),
                out,
            )
        }
        Command::Unlock { name } => {
            let name = name.to_lowercase();
            let ground = signed::writer(app, Act::new("user.unlock", &name))?;
            let user = user::unlock(&*ground.store, &name)?;
            told(&user, &identity, &format!("{name} may try again at once"), out)
        }
        Command::Revoke { name } => {
            let name = name.to_lowercase();
            let ground = signed::writer(app, Act::new("user.revoke", &name))?;
            let user = user::revoke(&*ground.store, &name, app.clock.unix_ms())?;
            let mark = out.paint(GOOD, out.symbol("−"));
            let text = format!("{mark} {name}  revoked: sessions and tokens have ended");
            told(&user, &identity, &text, out)
        }
    }
}

/// The password that somebody types twice, or that stands on standard input once.
fn typed(name: &str) -> Result<String, CliError> {
    let unreadable =
        |error: std::io::Error| CliError::new("PASSWORD_WEAK", format!("the password cannot be read: {error}"), OTHER);
    let first = hidden::line(&format!("password for {}: ", plain(name))).map_err(unreadable)?;
    if hidden::is_asked() && hidden::line("the same once more: ").map_err(unreadable)? != first {
        return Err(CliError::usage(
            "PASSWORD_WEAK",
            "the two passwords differ; nothing was changed",
        ));
    }
    Ok(first)
}

fn how(user: &User) -> String {
    let org = user.org.as_ref().map(|org| format!(" in {org}")).unwrap_or_default();
    match user.password {
        Some(_) => org,
        None => format!("{org}, without a password"),
    }
}

fn user_json(user: &User, identity: &Identity) -> serde_json::Value {
    json!({
        "name": user.name,
        "role": identity.role_of(user),
        "org": user.org,
        "has_password": user.password.is_some(),
        "created_ms": user.created_ms,
        "revoked_ms": user.revoked_ms,
        "sessions": user.sessions.len(),
        "tokens": user.tokens.len(),
    })
}

fn told(user: &User, identity: &Identity, text: &str, out: &mut Out) -> Result<u8, CliError> {
    match out.json {
        true => out.json(&user_json(user, identity)),
        false => out.line(text),
    }
    Ok(0)
}

fn list(app: &App, identity: &Identity, all: bool, out: &mut Out) -> Result<u8, CliError> {
    let mut users = match app.reader()? {
        Some(ground) => user::list(&*ground.store)?,
        None => Vec::new(),
    };
    let revoked = users.iter().filter(|user| user.revoked_ms.is_some()).count();
    users.retain(|user| all || user.revoked_ms.is_none());
    if out.json {
        out.json(&users.iter().map(|user| user_json(user, identity)).collect::<Vec<_>>());
        return Ok(0);
    }
    if users.is_empty() {
        out.line("no user yet: `host user add NAME --role admin` makes one");
    } else {
        out.page();
        let now_ms = app.clock.unix_ms();
        let rows: Vec<Vec<String>> = users.iter().map(|user| row(user, identity, now_ms, out)).collect();
        out.table(
            &["user", "role", "org", "password", "sessions", "tokens", "since"],
            &rows,
        );
    }
    if !all && revoked > 0 {
        let more = out.paint(FAINT, &format!("{revoked} revoked: --all lists them"));
        out.line(more);
    }
    Ok(0)
}

fn row(user: &User, identity: &Identity, now_ms: i64, out: &Out) -> Vec<String> {
    let role = match user.revoked_ms {
        Some(_) => out.paint(BAD, "revoked"),
        None => identity.role_of(user).to_string(),
    };
    let password = if user.password.is_some() { "yes" } else { "no" };
    vec![
        user.name.clone(),
        role,
        user.org.clone().unwrap_or_default(),
        password.to_owned(),
        user.sessions.len().to_string(),
        user.tokens.len().to_string(),
        ago(user.created_ms, now_ms),
    ]
}

impl From<IdentityError> for CliError {
    fn from(error: IdentityError) -> CliError {
        match error {
            IdentityError::Store(error) => error.into(),
            IdentityError::Busy => CliError::new(error.code(), error.to_string(), STORE),
            other => CliError::usage(other.code(), other.to_string()),
        }
    }
}
