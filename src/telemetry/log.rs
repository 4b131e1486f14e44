//! The log: one line for each event, as text for people or as JSON for collectors.
//!
//! A line carries what the spans around it say — `corr`, `run`, `step`, `attempt` — beside its own fields; what a line says
//! itself wins. Whatever a value holds, it stays on its line: control characters are escaped. What a process knows as a
//! secret is masked in every line, whoever wrote it.

use std::borrow::Cow;
use std::fmt::{Debug, Write as _};
use std::io::Write as _;
use std::sync::{Arc, PoisonError, RwLock};

use chrono::SecondsFormat;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value as Json};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber, span};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry};

use crate::gate::Masks;
use crate::io::clock::{Clock, SystemClock};

/// Fields that a script's line may bring along.
const SCRIPT_FIELDS_MAX: usize = 64;

/// The field in which a script's own fields travel, as JSON.
const SCRIPT_FIELDS: &str = "fields";

/// What a script's fields cannot stand for.
const RESERVED: [&str; 9] = [
    "timestamp",
    "level",
    "message",
    "corr",
    "run",
    "playbook",
    "step",
    "effect",
    "attempt",
];

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    pub json: bool,
    pub color: bool,
    pub time: bool,
}

/// What is masked in every line of this process.
static MASKS: RwLock<Option<Arc<Masks>>> = RwLock::new(None);

/// From here on these secrets are masked.
pub fn mask(masks: Arc<Masks>) {
    *MASKS.write().unwrap_or_else(PoisonError::into_inner) = Some(masks);
}

/// What a log may be told to say, from nothing to everything. No more than that: what other parts of the process say, such as
/// the one that speaks HTTP, is not meant for a log.
pub const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Starts the log, to standard error, at one of [`LEVELS`]. A second start in one process keeps the first.
pub fn start(level: &str, look: Look) {
    let filter = EnvFilter::new(format!("off,host={level}"));
    let lines = Lines {
        look,
        put: |line: &str| {
            // There is no third place to complain to.
            std::io::stderr().lock().write_all(line.as_bytes()).unwrap_or_default();
        },
    };
    Registry::default()
        .with(filter)
        .with(lines)
        .try_init()
        .unwrap_or_default();
}

/// Writes lines.
struct Lines<P> {
    look: Look,
    put: P,
}

/// What a span or an event says.
#[derive(Clone, Default)]
struct Said {
    message: String,
    fields: Vec<(&'static str, Json)>,
}

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.set(field, Json::String(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, value.into());
    }
}

impl Said {
    fn set(&mut self, field: &Field, value: Json) {
        match (field.name(), value) {
            ("message", Json::String(text)) => self.message = text,
            // An empty one says nothing.
            (_, Json::String(text)) if text.is_empty() => {}
            (name, value) => self.fields.push((name, value)),
        }
    }
}

impl<S, P> Layer<S> for Lines<P>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    P: Fn(&str) + 'static,
{
    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &span::Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut said = Said::default();
        attributes.record(&mut said);
        span.extensions_mut().insert(said);
    }

    fn on_record(&self, id: &span::Id, values: &span::Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(said) = span.extensions_mut().get_mut::<Said>() {
            values.record(said);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut said = Said::default();
        event.record(&mut said);
        let mut fields: Vec<(Cow<'static, str>, Json)> = Vec::new();
        let has = |fields: &[(Cow<'static, str>, Json)], name: &str| fields.iter().any(|(known, _)| known == name);
        let mut script = Vec::new();
        for (name, value) in std::mem::take(&mut said.fields) {
            if name == SCRIPT_FIELDS {
                script.extend(script_fields(value));
            } else if !has(&fields, name) {
                fields.push((Cow::Borrowed(name), value));
            }
        }
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(around) = span.extensions().get::<Said>() {
                for (name, value) in &around.fields {
                    if !has(&fields, name) {
                        fields.push((Cow::Borrowed(name), value.clone()));
                    }
                }
            }
        }
        for (name, value) in script {
            if !has(&fields, &name) {
                fields.push((Cow::Owned(name), value));
            }
        }
        let line = Line {
            unix_ms: SystemClock::new().unix_ms(),
            level: *event.metadata().level(),
            component: component(event.metadata().target()),
            message: said.message,
            fields,
        };
        let text = if self.look.json {
            line.json()
        } else {
            line.text(self.look)
        };
        let masks = MASKS.read().unwrap_or_else(PoisonError::into_inner).clone();
        let text = match masks {
            Some(masks) => masks.mask_text(text),
            None => text,
        };
        // After the masks: they know how secrets look in JSON as it is.
        let text = if self.look.json { harmless(text) } else { text };
        (self.put)(&(text + "\n"));
    }
}

/// `serve` for `host::serve::host`.
fn component(target: &str) -> &str {
    target.split("::").nth(1).unwrap_or(target)
}

/// What a script's line brings along, each by its own name; a text that is no map stays whole.
fn script_fields(value: Json) -> Vec<(String, Json)> {
    let parsed = value
        .as_str()
        .and_then(|text| serde_json::from_str::<Map<String, Json>>(text).ok());
    let Some(map) = parsed else {
        return vec![(SCRIPT_FIELDS.to_owned(), value)];
    };
    let named = map
        .into_iter()
        .take(SCRIPT_FIELDS_MAX)
        .map(|(name, value)| match RESERVED.contains(&name.as_str()) {
            true => (format!("{name}_"), value),
            false => (name, value),
        });
    named.collect()
}

struct Line<'e> {
    unix_ms: i64,
    level: Level,
    component: &'e str,
    message: String,
    fields: Vec<(Cow<'static, str>, Json)>,
}

impl Line<'_> {
    fn moment(&self) -> String {
        let moment = chrono::DateTime::from_timestamp_millis(self.unix_ms).unwrap_or_default();
        moment.to_rfc3339_opts(SecondsFormat::Millis, true)
    }

    fn json(&self) -> String {
        serde_json::to_string(self).expect("texts and values are JSON")
    }

    fn text(&self, look: Look) -> String {
        let mut line = String::new();
        let paint = |code: &str, text: &str| match look.color {
            true => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            false => text.to_owned(),
        };
        if look.time {
            line.push_str(&paint("2", &self.moment()));
            line.push(' ');
        }
        let color = match self.level {
            Level::ERROR => "31",
            Level::WARN => "33",
            Level::INFO => "32",
            _ => "2",
        };
        line.push_str(&paint(color, &format!("{:>5}", self.level.as_str())));
        line.push(' ');
        escaped(&mut line, &self.message);
        for (name, value) in &self.fields {
            let mut shown = String::new();
            escaped(&mut shown, name);
            line.push(' ');
            line.push_str(&paint("2", &format!("{shown}=")));
            match value {
                Json::String(text) if is_word(text) => line.push_str(text),
                Json::String(text) => {
                    let quoted = Json::String(text.clone()).to_string();
                    escaped(&mut line, &quoted);
                }
                other => escaped(&mut line, &other.to_string()),
            }
        }
        line
    }
}

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let level = match self.level {
            Level::ERROR => "error",
            Level::WARN => "warn",
            Level::INFO => "info",
            Level::DEBUG => "debug",
            Level::TRACE => "trace",
        };
        let moment = self.moment();
        let mut line = serializer.serialize_map(None)?;
        let own = [
            ("timestamp", moment.as_str()),
            ("level", level),
            ("component", self.component),
            ("message", &self.message),
        ];
        // A field of that name is what the line says itself.
        for (name, value) in own {
            if !self.fields.iter().any(|(field, _)| field == name) {
                line.serialize_entry(name, value)?;
            }
        }
        for (name, value) in &self.fields {
            line.serialize_entry(name, value)?;
        }
        line.end()
    }
}

/// Whether a text needs no quotes.
fn is_word(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || "_-.:/@+,%".contains(letter))
}

/// Whether a letter could end a line, drive a terminal or turn the direction of writing.
fn drives(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// JSON in which everything is escaped that [`drives`], and that JSON lets stand as it is: it stands in texts alone.
fn harmless(json: String) -> String {
    if !json.contains(drives) {
        return json;
    }
    let mut line = String::with_capacity(json.len() + 64);
    for letter in json.chars() {
        if drives(letter) {
            write!(line, "\\u{:04x}", u32::from(letter)).expect("a string takes every text");
        } else {
            line.push(letter);
        }
    }
    line
}

/// Adds `text` with everything escaped that [`drives`].
fn escaped(line: &mut String, text: &str) {
    for letter in text.chars() {
        if drives(letter) {
            write!(line, "{}", letter.escape_default()).expect("a string takes every text");
        } else {
            line.push(letter);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::io::secrets::Secrets;

    fn logged(look: Look, work: impl FnOnce()) -> Vec<String> {
        let lines: Arc<Mutex<Vec<String>>> = Arc::default();
        let to = lines.clone();
        let put = move |line: &str| to.lock().unwrap().push(line.to_owned());
        let subscriber = Registry::default().with(Lines { look, put });
        tracing::subscriber::with_default(subscriber, work);
        lines.lock().unwrap().clone()
    }

    const TEXT: Look = Look {
        json: false,
        color: false,
        time: false,
    };
    const JSON: Look = Look { json: true, ..TEXT };

    #[test]
    fn a_line_says_what_the_spans_around_it_say_and_its_own_words_win() {
        let work = || {
            let run = tracing::error_span!("run", corr = "req-1", run = "01AB");
            let effect = run.in_scope(|| tracing::error_span!("effect", step = 4, effect = "slack.post"));
            effect.in_scope(|| tracing::warn!(step = 5, code = "HTTP_TIMEOUT", "an attempt failed"));
            tracing::info!("outside");
        };
        assert_eq!(
            logged(TEXT, work),
            [
                " WARN an attempt failed step=5 code=HTTP_TIMEOUT effect=slack.post corr=req-1 run=01AB\n",
                " INFO outside\n"
            ]
        );
        let lines = logged(JSON, work);
        let line: Json = serde_json::from_str(&lines[0]).unwrap();
        assert_eq!(
            (&line["corr"], &line["step"], &line["level"]),
            (&"req-1".into(), &5.into(), &"warn".into())
        );
        assert_eq!(line["component"], "telemetry");
    }

    #[test]
    fn no_value_can_make_a_second_line_or_drive_a_terminal() {
        let evil = "a\nERROR forged\r\u{1b}[2J\u{202e}x\u{2028}\u{9b}2J\u{7f}\u{61c}";
        let work = || {
            let span = tracing::error_span!("run", corr = evil);
            span.in_scope(|| tracing::info!(code = %evil, "said {evil}"));
        };
        for look in [TEXT, JSON] {
            let lines = logged(look, work);
            assert_eq!(lines.len(), 1);
            assert_eq!(lines[0].matches('\n').count(), 1, "{lines:?}");
            assert!(
                lines[0].ends_with('\n') && !lines[0].contains(['\r', '\u{1b}']),
                "{lines:?}"
            );
            let drivers = ['\u{1b}', '\u{202e}', '\u{2028}', '\u{9b}', '\u{7f}', '\u{61c}'];
            assert!(!lines[0].contains(drivers), "{lines:?}");
            if look.json {
                let line: Json = serde_json::from_str(&lines[0]).unwrap();
                assert_eq!((&line["corr"], &line["code"]), (&evil.into(), &evil.into()));
            }
        }
    }

    #[test]
    fn fields_of_a_script_stand_by_their_names_and_forge_none_of_the_hosts() {
        let work = || {
            let run = tracing::error_span!("run", corr = "real");
            let fields = r#"{"component":"vod","dl_ms":42,"corr":"forged"}"#;
            run.in_scope(|| tracing::info!(fields, "downloaded"));
        };
        let line: Json = serde_json::from_str(&logged(JSON, work)[0]).unwrap();
        assert_eq!((&line["component"], &line["dl_ms"]), (&"vod".into(), &42.into()));
        assert_eq!((&line["corr"], &line["corr_"]), (&"real".into(), &"forged".into()));
    }

    #[test]
    fn secrets_are_masked_whoever_writes_them() {
        mask(Arc::new(Masks::new(&Secrets::new([(
            "TOKEN".to_owned(),
            "hush-hush-1234".to_owned(),
        )]))));
        let work = || tracing::info!(error = "it said hush-hush-1234", "with hush-hush-1234");
        for look in [TEXT, JSON] {
            let lines = logged(look, work);
            assert!(!lines[0].contains("hush-hush"), "{lines:?}");
            assert_eq!(lines[0].matches("[masked:TOKEN]").count(), 2, "{lines:?}");
        }
    }
}
