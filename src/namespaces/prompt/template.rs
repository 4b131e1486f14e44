//! A prompt's template, with what it includes, into text. Pure but for the finder that it is given.
//!
//! Nothing that is missing becomes silence: a variable that was not given, or is `()`, is an error unless the template
//! says what to do (`default`, `is defined`). There is no clock, no chance and no file in here.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior};

use super::fault::{PromptFault, Spot};
use super::front_matter::{self, FrontMatter};
use crate::script::error::nearest;
use crate::script::source::Text;
use crate::value::{Map, Value};

/// The longest text of one prompt, and of what is made of it.
pub const TEXT_BYTES_MAX: usize = 256 << 10;

/// The most prompts that one includes, directly and through others.
const INCLUDED_MAX: usize = 32;

/// How deep prompts and macros may call each other.
const DEPTH_MAX: usize = 48;

/// Steps of the template's machine: enough for loops over thousands of items.
const FUEL: u64 = 1_000_000;

/// Finds the text of a prompt by its name.
pub type Find = dyn Fn(&str) -> Result<Text, PromptFault> + Send + Sync;

/// A prompt as it is sent.
#[derive(Clone, Debug)]
pub struct Rendered {
    pub text: String,
    pub front: FrontMatter,
    /// The prompt's own text and those it included: whoever has these bytes can make it again.
    pub version: Vec<u8>,
}

/// Renders the prompt `name` with `vars`.
pub fn render(name: &str, vars: &Map, find: &Arc<Find>) -> Result<Rendered, PromptFault> {
    let main = found(find(name)?)?;
    let (front, begin) = front_matter::split(&main)?;
    let included = Included::new(find.clone());
    let environment = environment(&included);
    let explain = |error: Error| included.explain(&error, &main, begin, vars);
    let template = environment
        .template_from_named_str(&main.file, &main.text[begin..])
        .map_err(explain)?;
    let mut output = Bounded::default();
    if let Err(error) = template.render_captured_to(to_template(Value::Map(vars.clone())), &mut output) {
        if output.is_full {
            let what = format!("the text made of {}", main.file);
            return Err(PromptFault::TooLarge {
                what,
                bytes_max: TEXT_BYTES_MAX,
            });
        }
        return Err(explain(error));
    }
    let text = String::from_utf8(output.bytes).expect("a template writes texts");
    Ok(Rendered {
        text,
        front,
        version: included.version(&main),
    })
}

/// Everything that can be said against `text` without rendering it.
pub fn check(text: &Text, find: &Arc<Find>) -> Result<(), PromptFault> {
    let text = found(text.clone())?;
    let (_, begin) = front_matter::split(&text)?;
    let included = Included::new(find.clone());
    let environment = environment(&included);
    let compiled = environment.template_from_named_str(&text.file, &text.text[begin..]);
    compiled
        .map(drop)
        .map_err(|error| included.explain(&error, &text, begin, &Map::new()))
}

fn environment(included: &Included) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(DEPTH_MAX);
    // For the places of errors; its preset differs between debug and release builds.
    environment.set_debug(true);
    // It prints the machine's state, which is no stable text.
    environment.remove_global("debug");
    let included = included.clone();
    environment.set_loader(move |name| included.load(name).map(Some));
    environment
}

/// A text that is not too long.
fn found(text: Text) -> Result<Text, PromptFault> {
    if text.text.len() > TEXT_BYTES_MAX {
        return Err(PromptFault::TooLarge {
            what: text.file,
            bytes_max: TEXT_BYTES_MAX,
        });
    }
    Ok(text)
}

/// The prompts that a template includes, extends or imports.
#[derive(Clone)]
struct Included {
    find: Arc<Find>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// By the name the template used; with where the template begins in the text.
    texts: BTreeMap<String, (Text, usize)>,
    /// Why the last one could not be had.
    fault: Option<PromptFault>,
}

impl Included {
    fn new(find: Arc<Find>) -> Included {
        Included {
            find,
            state: Arc::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn load(&self, name: &str) -> Result<String, Error> {
        let text = (self.find)(name).and_then(found).and_then(|text| {
            let (_, begin) = front_matter::split(&text)?;
            Ok((text, begin))
        });
        let mut state = self.state();
        if state.texts.len() >= INCLUDED_MAX {
            let detail = format!("it includes more than {INCLUDED_MAX} other prompts");
            return Err(Error::new(ErrorKind::InvalidOperation, detail));
        }
        match text {
            Ok((text, begin)) => {
                let template = text.text[begin..].to_owned();
                state.texts.insert(name.to_owned(), (text, begin));
                Ok(template)
            }
            Err(fault) => {
                let error = Error::new(ErrorKind::InvalidOperation, fault.to_string());
                state.fault = Some(fault);
                Err(error)
            }
        }
    }

    /// A single prompt's version is its text; after it follow those it included, by name.
    fn version(&self, main: &Text) -> Vec<u8> {
        let mut bytes = main.text.as_bytes().to_vec();
        for (name, (text, _)) in &self.state().texts {
            bytes.extend(format!("\n+++ included: {name}\n").into_bytes());
            bytes.extend(text.text.as_bytes());
        }
        bytes
    }

    /// The innermost error, at its place in the file it stands in.
    fn explain(&self, error: &Error, main: &Text, begin: usize, vars: &Map) -> PromptFault {
        let mut inner = error;
        while let Some(deeper) = inner.source().and_then(|source| source.downcast_ref::<Error>()) {
            inner = deeper;
        }
        let state = self.state();
        // What is wrong within an included prompt is told there.
        if let Some(fault @ (PromptFault::Broken(_) | PromptFault::TooLarge { .. })) = &state.fault {
            return fault.clone();
        }
        let of_included = inner.name().and_then(|name| state.texts.get(name));
        let (text, begin) = of_included.map_or((main, begin), |(text, begin)| (text, *begin));
        let template = &text.text[begin..];
        let at = match (inner.range(), inner.line()) {
            (Some(range), _) => range.start,
            (None, Some(line)) => template.split_inclusive('\n').take(line - 1).map(str::len).sum(),
            (None, None) => 0,
        };
        let expression = inner.range().and_then(|range| without_value(template, range));
        let spot = |reason: String| Spot::at(text, begin + at, reason);
        match inner.kind() {
            ErrorKind::UndefinedError => PromptFault::Variable(spot(missing(expression, inner, vars))),
            ErrorKind::OutOfFuel => {
                let reason = format!("the template takes more than {FUEL} steps; give it less to repeat");
                PromptFault::Broken(spot(reason))
            }
            kind => PromptFault::Broken(spot(inner.detail().map_or_else(|| kind.to_string(), str::to_owned))),
        }
    }
}

/// The expression at `range`; of a filter that was given nothing, what stands before it.
fn without_value(template: &str, range: Range<usize>) -> Option<&str> {
    let expression = template.get(range.clone())?.trim();
    let Some(input) = template.get(..range.start)?.trim_end().strip_suffix('|') else {
        return Some(expression);
    };
    let input = input.trim_end();
    let start = input
        .rfind(|letter: char| !is_name(letter) && letter != '.')
        .map_or(0, |at| at + 1);
    input.get(start..)
}

fn is_name(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// What is said of an expression that has no value.
fn missing(expression: Option<&str>, error: &Error, vars: &Map) -> String {
    let Some(expression) = expression.filter(|text| (1..=80).contains(&text.len())) else {
        return error
            .detail()
            .unwrap_or("a variable that is used here was not given")
            .to_owned();
    };
    let root: String = expression.chars().take_while(|letter| is_name(*letter)).collect();
    if root.is_empty() || vars.get(&root).is_some_and(|value| !value.is_unit()) {
        return format!("`{expression}` has no value here");
    }
    if vars.contains_key(&root) {
        return format!("the variable `{root}` is (); write `{root} | default(\"…\")` where it may be left out");
    }
    match nearest(&root, vars.keys().map(String::as_str)) {
        Some(near) => format!("the variable `{root}` was not given; did you mean `{near}`?"),
        None if vars.is_empty() => format!("the variable `{root}` was not given; no variables were"),
        None => format!("the variable `{root}` was not given; given were {}", names(vars)),
    }
}

fn names(vars: &Map) -> String {
    const SHOWN_MAX: usize = 10;
    let mut names: Vec<&str> = vars.keys().map(String::as_str).take(SHOWN_MAX).collect();
    if vars.len() > SHOWN_MAX {
        names.push("…");
    }
    names.join(", ")
}

/// As templates see it. `()` counts as not given, so that it is never printed by mistake.
fn to_template(value: Value) -> minijinja::Value {
    match value {
        Value::Unit => minijinja::Value::UNDEFINED,
        Value::Bool(truth) => truth.into(),
        Value::Int(number) => number.into(),
        Value::Float(number) => number.into(),
        Value::Text(text) => text.into(),
        Value::Blob(bytes) => minijinja::Value::from_bytes(bytes),
        Value::List(items) => items.into_iter().map(to_template).collect::<Vec<_>>().into(),
        Value::Map(map) => map
            .into_iter()
            .map(|(name, value)| (name, to_template(value)))
            .collect::<BTreeMap<_, _>>()
            .into(),
    }
}

/// Takes so many bytes and no more.
#[derive(Default)]
struct Bounded {
    bytes: Vec<u8>,
    is_full: bool,
}

impl io::Write for Bounded {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + piece.len() > TEXT_BYTES_MAX {
            self.is_full = true;
            return Err(io::Error::other("the text is too long"));
        }
        self.bytes.extend_from_slice(piece);
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finder(texts: &[(&'static str, &str)]) -> Arc<Find> {
        let texts: BTreeMap<String, String> = texts
            .iter()
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
            .collect();
        Arc::new(move |name| {
            let text = texts
                .get(name)
                .map(|text| Text::new(format!("prompts/{name}.md"), text.as_str()));
            let missing = || PromptFault::NotFound {
                name: name.to_owned(),
                looked_for: vec![],
                hint: String::new(),
            };
            text.ok_or_else(missing)
        })
    }

    fn rendered(texts: &[(&'static str, &str)], vars: Value) -> Result<String, String> {
        let vars = vars.as_map().cloned().unwrap_or_default();
        render("a", &vars, &finder(texts))
            .map(|made| made.text)
            .map_err(|fault| format!("{}: {fault}", fault.code()))
    }

    fn alone(text: &str, vars: Value) -> Result<String, String> {
        rendered(&[("a", text)], vars)
    }

    #[test]
    fn a_template_is_filled_in_without_escaping_anything() {
        let vars = Value::from([
            ("topic", "R&D <b>".into()),
            ("tags", Value::List(vec!["x".into(), "y".into()])),
        ]);
        assert_eq!(
            alone(
                "+++\nmodel = 'm'\n+++\nOn {{ topic }}: {{ tags | join(', ') }}{% if more is defined %}!{% endif %}",
                vars
            )
            .unwrap(),
            "On R&D <b>: x, y"
        );
    }

    #[test]
    fn other_prompts_are_included_extended_and_imported_and_belong_to_the_version() {
        let texts = [
            (
                "a",
                "{% extends 'base' %}{% block body %}{% include 'voice' %}{% from 'macros' import shout %}{{ shout(topic) }}{% endblock %}",
            ),
            (
                "base",
                "+++\nmodel = 'ignored'\n+++\nBEGIN {% block body %}{% endblock %} END",
            ),
            ("voice", "Be kind, {{ topic }}. "),
            ("macros", "{% macro shout(x) %}{{ x | upper }}!{% endmacro %}"),
        ];
        let vars = Value::from([("topic", "ai".into())]);
        let made = render("a", vars.as_map().unwrap(), &finder(&texts)).unwrap();
        assert_eq!(
            (made.text.as_str(), made.front),
            ("BEGIN Be kind, ai. AI! END", FrontMatter::default())
        );
        let version = String::from_utf8(made.version).unwrap();
        assert!(
            version.starts_with(texts[0].1) && texts[1..].iter().all(|(_, text)| version.contains(text)),
            "{version}"
        );
    }

    #[test]
    fn a_variable_that_was_not_given_is_named_with_file_and_line() {
        let vars = Value::from([
            ("topic", "ai".into()),
            ("empty", Value::Unit),
            ("map", Value::from([("x", Value::Int(1))])),
        ]);
        let said = |text: &str| alone(text, vars.clone()).unwrap_err();
        assert_eq!(
            said("+++\nmodel = 'm'\n+++\nHello\nOn {{ topc }}."),
            "PROMPT_VARIABLE: prompts/a.md:5: the variable `topc` was not given; did you mean `topic`?, in: On {{ topc }}."
        );
        assert_eq!(
            said("{% for x in clips %}{% endfor %}"),
            "PROMPT_VARIABLE: prompts/a.md:1: the variable `clips` was not given; given were empty, map, topic, in: {% for x in clips %}{% endfor %}"
        );
        assert!(
            said("{{ empty }}").contains("the variable `empty` is (); write `empty | default(\"…\")`"),
            "{}",
            said("{{ empty }}")
        );
        assert!(
            said("{{ map.y }}").contains("`map.y` has no value here"),
            "{}",
            said("{{ map.y }}")
        );
        assert!(
            said("{{ clip.title }}").contains("the variable `clip` was not given"),
            "{}",
            said("{{ clip.title }}")
        );
        assert!(
            said("{{ clip | upper }}").contains("the variable `clip` was not given"),
            "{}",
            said("{{ clip | upper }}")
        );
        assert!(
            said("{% if clip %}x{% endif %}").contains("the variable `clip` was not given"),
            "{}",
            said("{% if clip %}x{% endif %}")
        );
        assert_eq!(alone("{{ empty | default('none') }}", vars.clone()).unwrap(), "none");
    }

    #[test]
    fn a_broken_template_is_told_with_its_line() {
        let said = |text: &str| alone(text, Value::Unit).unwrap_err();
        assert_eq!(
            said("+++\n+++\nHello {{ name }\n"),
            "PROMPT_BROKEN: prompts/a.md:3: unexpected `}`, expected end of variable block, in: Hello {{ name }"
        );
        assert!(
            said("x\n{% if true %}").contains("prompts/a.md:2: unexpected end of input"),
            "{}",
            said("x\n{% if true %}")
        );
        assert!(said("{{ 'a' | shout }}").starts_with("PROMPT_BROKEN: prompts/a.md:1: "));
        assert!(
            said("{{ now() }}").contains("prompts/a.md:1: "),
            "{}",
            said("{{ now() }}")
        );
        assert!(
            said("{{ debug() }}").contains("prompts/a.md:1: "),
            "{}",
            said("{{ debug() }}")
        );
    }

    #[test]
    fn what_is_wrong_in_an_included_prompt_is_told_there() {
        let vars = Value::from([("topic", "ai".into())]);
        let said = |text: &str| rendered(&[("a", "\n{% include 'b' %}"), ("b", text)], vars.clone()).unwrap_err();
        assert_eq!(
            said("one\n{{ topik }}"),
            "PROMPT_VARIABLE: prompts/b.md:2: the variable `topik` was not given; did you mean `topic`?, in: {{ topik }}"
        );
        assert!(
            said("one\n{{").starts_with("PROMPT_BROKEN: prompts/b.md:2: "),
            "{}",
            said("one\n{{")
        );
        assert!(
            said("+++\nmodl = 1\n+++\n")
                .starts_with("PROMPT_BROKEN: prompts/b.md:2: the front matter has no key `modl`")
        );
        let missing = rendered(&[("a", "x\n{% include 'c' %}")], Value::Unit).unwrap_err();
        assert!(
            missing.starts_with("PROMPT_BROKEN: prompts/a.md:2: there is no prompt \"c\""),
            "{missing}"
        );
    }

    #[test]
    fn what_goes_on_for_ever_or_becomes_too_long_is_stopped() {
        let said = |text: &str| alone(text, Value::Unit).unwrap_err();
        let endless = "{% for a in range(99999) %}{% for b in range(99999) %}{{ '' }}{% endfor %}{% endfor %}";
        assert!(
            said(endless).contains("takes more than 1000000 steps"),
            "{}",
            said(endless)
        );
        assert_eq!(
            said("{% for a in range(99999) %}many words{% endfor %}"),
            "PROMPT_TOO_LARGE: the text made of prompts/a.md has more than 262144 bytes; shorten it, or give it less to say"
        );
        assert!(said(&"x".repeat(TEXT_BYTES_MAX + 1)).starts_with("PROMPT_TOO_LARGE: prompts/a.md has more than"));
        let itself = rendered(&[("a", "{% include 'a' %}")], Value::Unit).unwrap_err();
        assert!(itself.starts_with("PROMPT_BROKEN: prompts/a.md:1: "), "{itself}");
        assert!(said("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}").starts_with("PROMPT_BROKEN: "));
    }
}
