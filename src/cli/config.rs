//! `host config`: every effective value and where it comes from.
//!
//! Of a secret nobody sees a character: only whether it is set, and how long it is.

use serde_json::json;

use super::error::CliError;
use super::out::{CAREFUL, FAINT, Out, STRONG, excerpt, plain};
use crate::app::App;
use crate::config::{ConfigError, FILE_NAME, Setting};
use crate::gate::governance::SIGNAL_NAMES;
use crate::gate::mask::SECRET_CHARS_MIN;

/// Every service's switch, also of those that this host does not know yet: a `.env` may have them already.
const SWITCHES: [&str; 10] = [
    "OPENAI_ENABLED",
    "SLACK_ENABLED",
    "HTTP_WRITES_ENABLED",
    "HEYGEN_LIVE",
    "TIKTOK_LIVE",
    "SLEEPER_ENABLED",
    "INSTAGRAM_LIVE",
    "YOUTUBE_LIVE",
    "TWITCH_ENABLED",
    "SHEETS_ENABLED",
];

/// Other variables that mean something, with what holds when they are not set.
const OTHERS: [(&str, &str); 3] = [("LOG_LEVEL", "warn"), ("LOG_FORMAT", "text"), ("ADMIN_USERS", "admin")];

/// Variables of systems that `host` does without.
const NOT_NEEDED: [&str; 2] = ["MONGODB_URI", "REDIS_URL"];

#[derive(clap::Args)]
pub struct Args {}

/// Settings under one heading.
struct Section {
    name: &'static str,
    settings: Vec<Setting>,
}

pub fn perform(_: Args, app: &App, out: &mut Out) -> Result<u8, CliError> {
    let sections = sections(app)?;
    let warnings = warnings(app);
    let project = app.config.project.as_ref().map(|project| project.display().to_string());
    if out.json {
        let settings: Vec<_> =
            sections
                .iter()
                .flat_map(|section| {
                    section.settings.iter().map(|setting| json!({
                "section": section.name, "name": setting.name, "value": setting.value, "origin": setting.origin,
            }))
                })
                .collect();
        let data = app.config.data().display().to_string();
        let mut shown = json!({ "project": project, "data": data, "settings": settings, "warnings": warnings });
        if let Some((pid, differences)) = super::served::differences(app)? {
            shown["server"] = json!({ "pid": pid, "differences": differences });
        }
        out.json(&shown);
        return Ok(0);
    }
    match &project {
        Some(project) => out.line(format!("project  {}", plain(project))),
        None => out.line(format!("project  none: no {FILE_NAME} here or above, so presets hold")),
    }
    out.line(format!("data     {}", plain(&app.config.data().display().to_string())));
    let all = || sections.iter().flat_map(|section| &section.settings);
    let names = all().map(|setting| setting.name.chars().count()).max().unwrap_or(0);
    for section in sections.iter().filter(|section| !section.settings.is_empty()) {
        out.line("");
        let name = out.paint(STRONG, section.name);
        out.line(name);
        for setting in &section.settings {
            let line = line(setting, names, out);
            out.line(line);
        }
    }
    for warning in &warnings {
        let word = out.paint(CAREFUL, "warning");
        out.line("");
        out.line(format!("{word}  {}", plain(warning)));
    }
    super::served::show_differences(app, out)?;
    Ok(0)
}

/// `  gate.attempts_max  10  host.toml`: what is only preset is faint.
fn line(setting: &Setting, names: usize, out: &Out) -> String {
    const ORIGIN: usize = 11;
    let width = out.rest_of_line(2 + names + 2 + 2 + ORIGIN).min(60);
    let value = excerpt(&setting.value, width);
    let column = width.min(28).max(value.chars().count());
    let text = format!(
        "  {:<names$}  {value:<column$}  {}",
        plain(&setting.name),
        setting.origin
    );
    let text = text.trim_end();
    if setting.origin == "preset" {
        out.paint(FAINT, text)
    } else {
        text.to_owned()
    }
}

fn sections(app: &App) -> Result<Vec<Section>, ConfigError> {
    let config = &app.config;
    let switch = |name: &str, preset: bool| -> Result<Setting, ConfigError> {
        let value = config.switch(name, preset)?;
        Ok(config.env_setting(name, value.to_string()))
    };
    let mut names: Vec<&str> = SWITCHES.to_vec();
    for provider in &app.providers {
        if !provider.switch.is_empty() && !names.contains(&provider.switch.as_str()) {
            names.push(&provider.switch);
        }
    }
    let mut switches = vec![switch("DRY_RUN", true)?];
    for name in names {
        switches.push(switch(name, false)?);
    }
    let signals = SIGNAL_NAMES
        .into_iter()
        .map(|name| switch(name, false))
        .collect::<Result<_, _>>()?;
    let mut secrets = Vec::new();
    for provider in &app.providers {
        secrets.extend(provider.all_secrets().map(|name| secret(app, name)));
    }
    secrets.sort_by(|a, b| a.name.cmp(&b.name));
    secrets.dedup();
    let mut others: Vec<Setting> = OTHERS
        .into_iter()
        .map(|(name, preset)| config.env_setting(name, config.env.get(name).unwrap_or(preset).to_owned()))
        .collect();
    if let Some(threshold) = config.env.get("CIRCUIT_FAILURE_THRESHOLD") {
        others.push(config.env_setting("CIRCUIT_FAILURE_THRESHOLD", threshold.to_owned()));
    }
    let not_needed = NOT_NEEDED.into_iter().filter(|name| config.env.get(name).is_some());
    others.extend(
        not_needed.map(|name| config.env_setting(name, "set, and not needed: host keeps its own store".to_owned())),
    );
    let file = config.file_settings().into_iter().map(|setting| Setting {
        value: masked(app, &setting),
        ..setting
    });
    Ok(vec![
        Section {
            name: "switches",
            settings: switches,
        },
        Section {
            name: "publish signals",
            settings: signals,
        },
        Section {
            name: "secrets",
            settings: secrets,
        },
        Section {
            name: "environment",
            settings: others,
        },
        Section {
            name: FILE_NAME,
            settings: file.collect(),
        },
    ])
}

fn secret(app: &App, name: &str) -> Setting {
    match app.config.env.get(name) {
        Some(value) => app.config.env_setting(name, length_of(value)),
        None => Setting {
            name: name.to_owned(),
            value: "not set".to_owned(),
            origin: "",
        },
    }
}

fn length_of(secret: &str) -> String {
    match secret.chars().count() {
        1 => "set (1 character)".to_owned(),
        count => format!("set ({count} characters)"),
    }
}

/// A value of the file without what should not be in a file: the password of a URL, and a secret written out.
fn masked(app: &App, setting: &Setting) -> String {
    let text = setting.value.trim_matches('"');
    if is_written_out(&setting.name, text) {
        return length_of(text);
    }
    if let Ok(mut url) = text.parse::<url::Url>()
        && url.password().is_some()
        && url.set_password(Some("masked")).is_ok()
    {
        return url.to_string();
    }
    app.masks.mask_text(setting.value.clone())
}

/// Whether a setting that is named like a secret holds one, and not the name of the variable that does.
fn is_written_out(name: &str, value: &str) -> bool {
    const WORDS: [&str; 4] = ["secret", "token", "password", "api_key"];
    let key = name.rsplit('.').next().unwrap_or(name).to_ascii_lowercase();
    let is_variable = |letter: char| letter.is_ascii_uppercase() || letter.is_ascii_digit() || letter == '_';
    WORDS.iter().any(|word| key.contains(word)) && !value.is_empty() && !value.chars().all(is_variable)
}

fn warnings(app: &App) -> Vec<String> {
    let mut warnings = Vec::new();
    for (name, secret) in app.secrets.iter() {
        let length = secret.reveal().chars().count();
        if length < SECRET_CHARS_MIN {
            warnings.push(format!(
                "{name} has {length} characters; below {SECRET_CHARS_MIN} a secret cannot be told from ordinary text, so it is not masked in journals and logs"
            ));
        }
    }
    for setting in app.config.file_settings() {
        if is_written_out(&setting.name, setting.value.trim_matches('"')) {
            warnings.push(format!(
                "{} in {FILE_NAME} looks like a secret written out; secrets belong in .env",
                setting.name
            ));
        }
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_written_out_is_told_from_the_name_of_its_variable() {
        assert!(is_written_out("providers.crm.token", "abc123"));
        assert!(!is_written_out("providers.crm.token", "CRM_TOKEN"));
        assert!(!is_written_out("http.hosts", "abc123"));
    }
}
