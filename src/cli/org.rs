//! `host org`: organisations, to which users belong and whose quota they share.

use serde_json::json;

use super::error::CliError;
use super::out::{GOOD, Out, ago, excerpt, plain};
use super::signed;
use crate::app::App;
use crate::identity::organisation::{self, Organisation};
use crate::journal::audit::Act;

#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Add an organisation.
    Add {
        name: String,
        /// What people call it.
        #[arg(long, default_value = "")]
        title: String,
    },
    /// List organisations with their members.
    List,
}

pub fn perform(args: Args, app: &App, out: &mut Out) -> Result<u8, CliError> {
    match args.command {
        Command::Add { name, title } => {
            let name = name.to_lowercase();
            let ground = signed::writer(app, Act::new("org.add", &name))?;
            let made = organisation::add(&*ground.store, &name, &title, app.clock.unix_ms())?;
            if out.json {
                out.json(&org_json(&made, &[]));
                return Ok(0);
            }
            let mark = out.paint(GOOD, "+");
            out.line(format!("{mark} {name}  {}", plain(&made.title)).trim_end());
            out.line(format!("next    host user org USER {name}"));
        }
        Command::List => {
            let mut found = Vec::new();
            if let Some(ground) = app.reader()? {
                for org in organisation::list(&*ground.store)? {
                    let members = organisation::members(&*ground.store, &org.name)?;
                    let live = members.into_iter().filter(|user| user.revoked_ms.is_none());
                    found.push((org, live.map(|user| user.name).collect::<Vec<_>>()));
                }
            }
            if out.json {
                let shown: Vec<_> = found.iter().map(|(org, members)| org_json(org, members)).collect();
                out.json(&shown);
                return Ok(0);
            }
            if found.is_empty() {
                out.line("no organisation yet: `host org add NAME` makes one");
                return Ok(0);
            }
            let now_ms = app.clock.unix_ms();
            let rows: Vec<Vec<String>> = found
                .iter()
                .map(|(org, members)| {
                    let members = excerpt(&members.join(", "), out.rest_of_line(60));
                    vec![
                        org.name.clone(),
                        excerpt(&org.title, 30),
                        ago(org.created_ms, now_ms),
                        members,
                    ]
                })
                .collect();
            out.table(&["org", "title", "since", "members"], &rows);
        }
    }
    Ok(0)
}

fn org_json(org: &Organisation, members: &[String]) -> serde_json::Value {
    json!({ "name": org.name, "title": org.title, "created_ms": org.created_ms, "members": members })
}
