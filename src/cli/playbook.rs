//! A playbook and its inputs, as a command line names them.
//!
//! A playbook's inputs are flags of their own (`--topic ai`), known only when its header has been read; so the words
//! after its name are sorted out here and not by clap.

use std::sync::Arc;

use clap::CommandFactory;

use super::error::CliError;
use super::out::{Out, excerpt, plain};
use crate::app::App;
use crate::runs::plan::Given;
use crate::script::{Script, inputs};
use crate::value::{Map, Value};

#[derive(Clone, clap::Args)]
#[command(disable_help_flag = true)]
pub struct Args {
    /// Its name below playbooks/, or the path of any .rhai file.
    #[arg(required_unless_present = "help")]
    playbook: Option<String>,
    /// Print help: with a playbook's name, what it is and takes.
    // Not clap's own flag: that would answer before the playbook is known.
    #[arg(short, long)]
    help: bool,
    /// Its inputs: --NAME VALUE for each, or --input NAME=VALUE; --help lists them.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "INPUTS")]
    rest: Vec<String>,
}

/// What is to be run, and what it is told.
pub struct Chosen {
    pub script: Arc<Script>,
    pub input: Value,
    /// Of a plan: what comes from outside.
    pub given: Given,
}

impl Args {
    /// Compiles the playbook and checks its inputs. `None` when only its help was asked for, and given.
    pub fn choose(&self, command: &str, app: &App, out: &mut Out) -> Result<Option<Chosen>, CliError> {
        let Some(playbook) = &self.playbook else {
            let mut all = super::Cli::command();
            all.build();
            let own = all.find_subcommand_mut(command).expect("it was just parsed");
            out.line(own.render_help().to_string().trim_end());
            return Ok(None);
        };
        let script = match command {
            // What is run is what a server would run; the other commands look at what lies on the disk.
            "run" => super::served::playbook(app, playbook, out)?,
            _ => app.library.playbook(playbook)?,
        };
        let words = Words::read(&self.rest, &script, command != "run")?;
        out.json |= words.json;
        if words.help || self.help {
            help(command, &script, out);
            return Ok(None);
        }
        let input = inputs::complete(&script.header, words.input)?;
        let given = words.given;
        Ok(Some(Chosen { script, input, given }))
    }

    /// The same, with the playbook of that name in `folder` where there is one.
    pub fn below(&self, folder: &str, app: &App) -> Args {
        let mut args = self.clone();
        if let Some(name) = &self.playbook {
            let inside = format!("{folder}/{}", name.strip_suffix(".rhai").unwrap_or(name));
            if app.library.files.list().contains(&inside) {
                args.playbook = Some(inside);
            }
        }
        args
    }

    /// The same, with `value` for the input `name`, where the playbook has it and it is not given.
    pub fn telling(mut self, name: &str, value: &str, app: &App) -> Result<Args, CliError> {
        let Some(playbook) = &self.playbook else {
            return Ok(self);
        };
        let script = app.library.playbook(playbook)?;
        let (given, _) = self.given(&script)?;
        if script.header.inputs.contains_key(name) && !given.contains_key(name) {
            self.rest.push(format!("--{name}={value}"));
        }
        Ok(self)
    }

    /// The playbook's name, unless only help is asked for.
    pub fn playbook(&self) -> Option<&str> {
        self.playbook.as_deref()
    }

    /// Whether help is asked for, as far as can be told without knowing the playbook.
    pub fn asks_for_help(&self) -> bool {
        self.help || self.rest.iter().any(|word| word == "--help")
    }

    /// Whether an answer in JSON is asked for behind the playbook's name.
    pub fn asks_for_json(&self) -> bool {
        self.rest.iter().any(|word| word == "--json")
    }

    /// The inputs as given for `script`, not completed, and what comes from outside of a plan.
    pub fn given(&self, script: &Script) -> Result<(Map, Given), CliError> {
        let words = Words::read(&self.rest, script, true)?;
        Ok((words.input, words.given))
    }
}

/// The words after the playbook's name, sorted out.
#[derive(Default)]
struct Words {
    input: Map,
    given: Given,
    json: bool,
    help: bool,
}

impl Words {
    /// Reads `--name value`, `--name=value`, `--input name=value` and a flag for a bool, as the header declares them;
    /// for a plan also `--answer TEXT` and `--event NAME[=JSON]`.
    fn read(words: &[String], script: &Script, is_plan: bool) -> Result<Words, CliError> {
        let mut read = Words::default();
        let mut words = words.iter().map(String::as_str);
        while let Some(word) = words.next() {
            let Some(flag) = word.strip_prefix("--") else {
                let help = format!("inputs are given by name; `host run {} --help` lists them", script.name);
                return Err(CliError::usage("USAGE", format!("{word:?} is not expected here")).help(help));
            };
            let (flag, attached) = flag
                .split_once('=')
                .map_or((flag, None), |(flag, value)| (flag, Some(value)));
            let mut value = |wanted: &str| {
                let missing = || CliError::usage("USAGE", format!("--{flag} needs {wanted}"));
                attached.or_else(|| words.next()).ok_or_else(missing)
            };
            match flag {
                "json" if attached.is_none() => read.json = true,
                "help" if attached.is_none() => read.help = true,
                "input" => {
                    let pair = value("NAME=VALUE")?;
                    let wrong = || CliError::usage("USAGE", format!("--input {pair:?} is not of the form NAME=VALUE"));
                    let (name, value) = pair.split_once('=').ok_or_else(wrong)?;
                    read.put(script, name, value)?;
                }
                "answer" if is_plan && !declares(script, "answer") => {
                    read.given.answers.push(value("TEXT")?.to_owned());
                }
                "event" if is_plan && !declares(script, "event") => {
                    let event = value("NAME=JSON")?;
                    let (name, data) = event.split_once('=').unwrap_or((event, "null"));
                    let data = serde_json::from_str(data).map_err(|error| {
                        CliError::usage("USAGE", format!("the data of event {name:?} is not JSON: {error}"))
                    })?;
                    read.given.events.push((name.to_owned(), Value::from_json(data)));
                }
                name => {
                    let name = name.replace('-', "_");
                    let is_flag = script
                        .header
                        .inputs
                        .get(&name)
                        .is_some_and(|spec| spec.kind == inputs::InputKind::Bool);
                    let value = if is_flag && attached.is_none() {
                        "true"
                    } else {
                        value("a value")?
                    };
                    read.put(script, &name, value)?;
                }
            }
        }
        Ok(read)
    }

    fn put(&mut self, script: &Script, name: &str, word: &str) -> Result<(), CliError> {
        let value = match script.header.inputs.get(name) {
            Some(spec) => spec.parse(name, word)?,
            // A script without a header declares nothing: JSON where it is JSON, text otherwise.
            None => serde_json::from_str(word).map_or_else(|_| Value::from(word), Value::from_json),
        };
        if self.input.insert(name.to_owned(), value).is_some() {
            return Err(CliError::usage("USAGE", format!("input `{name}` is given twice")));
        }
        Ok(())
    }
}

fn declares(script: &Script, input: &str) -> bool {
    script.header.inputs.contains_key(input)
}

/// What a playbook is and takes, from its header.
fn help(command: &str, script: &Script, out: &mut Out) {
    let header = &script.header;
    let title = header
        .title
        .as_deref()
        .map(|title| format!(" — {}", plain(title)))
        .unwrap_or_default();
    out.line(format!("{}{title}", plain(&script.name)));
    if let Some(description) = &header.description {
        out.line(plain(description));
    }
    out.line("");
    out.line(format!("usage: host {command} {} [INPUTS]", plain(&script.name)));
    out.line("");
    if header.inputs.is_empty() {
        out.line("it takes no inputs");
        return;
    }
    let rows: Vec<Vec<String>> = header
        .inputs
        .iter()
        .map(|(name, spec)| {
            let preset = match &spec.preset {
                Some(preset) => format!("preset {}", excerpt(&preset.to_string(), 30)),
                None if spec.required => "required".to_owned(),
                None => String::new(),
            };
            let help = spec.help.as_deref().map(plain).unwrap_or_default();
            vec![
                format!("  --{}", name.replace('_', "-")),
                spec.kind.as_str().to_owned(),
                preset,
                help,
            ]
        })
        .collect();
    out.table(&["  input", "type", "", ""], &rows);
}
