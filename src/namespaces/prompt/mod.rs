//! `prompt::` — texts for language models, out of templates below `prompts/`.
//!
//! A prompt is a minijinja template with optional front matter. What it was made of is pinned: the version names the
//! template and everything it includes, and those texts stay with the run.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`front_matter`] | what a prompt says of itself |
//! | [`template`] | templates into texts |
//! | [`variables`] | what a prompt must be given |
//! | [`fault`] | what can be wrong, and where |

pub mod fault;
pub mod front_matter;
pub mod template;
pub mod variables;

use std::collections::BTreeMap;
use std::sync::Arc;

use rhai::Map;
use rhai::plugin::*;

use self::fault::PromptFault;
use self::template::{Find, Rendered};
use super::reading::Reading;
use crate::effect::{Declaration, Effect, Failure};
use crate::gate::Errand;
use crate::io::files::{FileFault, ProjectFiles};
use crate::io::pinned::PROMPT_ENDINGS as ENDINGS;
use crate::script::source::Text;
use crate::script::{ContextExt, Diagnosis, ScriptResult};
use crate::value::Value;

pub fn module() -> Module {
    exported_module!(functions)
}

static RENDER: Declaration = Declaration::read("prompt.render").recomputed();

/// Where prompts lie.
const FOLDER: &str = "prompts";

/// The longest name.
const NAME_BYTES_MAX: usize = 200;

// Rhai's macro needs the bodies inline. The doc comments are the playbook reference.
#[export_module]
mod functions {
    /// Renders a prompt that needs no variables. See `render` with variables.
    ///
    /// - `name`: the prompt's file below `prompts/`, with or without its ending.
    ///
    /// Errors: those of `render` with variables.
    ///
    /// ```rhai
    /// let system = prompt::render("voice").text;
    /// ```
    #[rhai_fn(return_raw)]
    pub fn render(ctx: NativeCallContext, name: &str) -> ScriptResult {
        rendering(&ctx, name, Map::new())
    }

    /// Renders a prompt: fills the template `name` in with `vars`.
    ///
    /// Returns `#{ text, name, version }`, and of `model`, `temperature`, `max_tokens` and `output_schema` what its front
    /// matter says: TOML between two lines of `+++` at its beginning. The version is short for the hash of the template
    /// and everything it includes.
    ///
    /// Templates are written in the language of Jinja: `{{ topic }}`, `{% for x in list %}`, `{% include "voice" %}`. A
    /// variable that was not given, or is `()`, is an error, unless it says `{{ topic | default("…") }}`.
    ///
    /// - `name`: the prompt's file below `prompts/`, with or without its ending (`.md`, `.txt` or `.j2`).
    /// - `vars`: the variables by name; plain data.
    ///
    /// Errors: `PROMPT_NOT_FOUND`; `PROMPT_VARIABLE` and `PROMPT_BROKEN`, with file and line; `PROMPT_TOO_LARGE` above
    /// 256 KiB, of a template or of what is made of it; `FILE_OUTSIDE`, `FILE_NOT_TEXT`.
    ///
    /// ```rhai
    /// let caption = prompt::render("demo/caption", #{ topic: "three habits" });
    /// log::info(`${caption.name}@${caption.version}`);
    /// ```
    #[rhai_fn(name = "render", return_raw)]
    pub fn render_with(ctx: NativeCallContext, name: &str, vars: Map) -> ScriptResult {
        rendering(&ctx, name, vars)
    }
}

fn rendering(ctx: &NativeCallContext<'_>, name: &str, vars: Map) -> ScriptResult {
    let vars = ctx.value(&vars.into())?;
    let effect = Effect::new(&RENDER, [("name", name.into()), ("vars", vars.clone())]);
    let read = |errand: &mut Errand<'_>| {
        let vars = vars.as_map().cloned().unwrap_or_default();
        let Rendered { text, front, version } = template::render(name, &vars, &finder(&errand.world.files))?;
        let version = errand.keep_version(&version);
        let mut fields = front.to_fields();
        fields.insert("text".to_owned(), text.into());
        fields.insert("name".to_owned(), bare(name).into());
        fields.insert("version".to_owned(), version.short().into());
        Ok::<Value, Failure>(fields.into())
    };
    ctx.outside(effect, &Reading(read))
}

/// Everything that can be said against the project's prompts without rendering them: front matter and syntax.
pub fn check_all(files: &Arc<ProjectFiles>) -> Vec<Diagnosis> {
    let found = match files.tree(FOLDER) {
        Ok(found) => found,
        // A project without prompts has nothing wrong with them.
        Err(FileFault::NotFound { .. } | FileFault::Outside { .. } | FileFault::Shut) => return Vec::new(),
        Err(fault) => return vec![Diagnosis::new(fault.code(), fault.to_string(), Text::new(FOLDER, ""))],
    };
    let prompts = found
        .iter()
        .filter(|file| ENDINGS.iter().any(|ending| file.path.ends_with(ending)));
    prompts.filter_map(|file| check(files, &file.path).err()).collect()
}

/// What can be said against the prompt in the file `path` without rendering it.
pub fn check(files: &Arc<ProjectFiles>, path: &str) -> Result<(), Diagnosis> {
    let nameless = Text::new(path, "");
    let text = read(files, path).map_err(|fault| fault.diagnosis(&nameless))?;
    template::check(&text, &finder(files)).map_err(|fault| fault.diagnosis(&text))
}

/// The texts of the project's prompts by name, as they are now. What cannot be read is left out.
pub fn texts(files: &Arc<ProjectFiles>) -> BTreeMap<String, String> {
    let mut texts = BTreeMap::new();
    let found = files.tree(FOLDER).unwrap_or_default();
    for ending in ENDINGS {
        let of_ending = found.iter().filter(|file| file.path.ends_with(ending));
        for file in of_ending.filter(|file| file.bytes <= template::TEXT_BYTES_MAX as u64) {
            let name = file.path.strip_prefix("prompts/").map_or("", bare);
            if let (false, Ok(text)) = (texts.contains_key(name), read(files, &file.path)) {
                texts.insert(name.to_owned(), text.text.to_string());
            }
        }
    }
    texts
}

/// The files in which prompts with these texts are found, whichever ending they are asked for with.
pub fn as_files(texts: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let file = |name: &str, ending: &str| format!("{FOLDER}/{name}{ending}");
    let files = texts
        .iter()
        .flat_map(|(name, text)| ENDINGS.map(|ending| (file(name, ending), text.clone())));
    files.collect()
}

/// Finds prompts through the door to the project's files.
fn finder(files: &Arc<ProjectFiles>) -> Arc<Find> {
    let files = files.clone();
    Arc::new(move |name| find(&files, name))
}

fn find(files: &ProjectFiles, name: &str) -> Result<Text, PromptFault> {
    let reason = match name.len() {
        0 => Some("it is empty"),
        1..=NAME_BYTES_MAX => None,
        _ => Some("it is longer than 200 bytes"),
    };
    if let Some(reason) = reason {
        return Err(PromptFault::Name {
            name: name.chars().take(60).collect(),
            reason,
        });
    }
    let endings: &[&str] = if bare(name) == name { &ENDINGS } else { &[""] };
    let paths: Vec<String> = endings
        .iter()
        .map(|ending| format!("{FOLDER}/{name}{ending}"))
        .collect();
    let mut similar = Vec::new();
    for path in &paths {
        match files.open(path) {
            Ok(_) => return read(files, path),
            Err(FileFault::NotFound { near, .. }) => similar.extend(near),
            Err(fault) => return Err(PromptFault::File(fault.into())),
        }
    }
    let hint = similar.first().and_then(|near| near.strip_prefix("prompts/"));
    let hint = hint.map_or(String::new(), |near| format!("; did you mean {:?}?", bare(near)));
    Err(PromptFault::NotFound {
        name: name.to_owned(),
        looked_for: paths,
        hint,
    })
}

fn read(files: &ProjectFiles, path: &str) -> Result<Text, PromptFault> {
    let text = files.open(path).and_then(|checked| files.read_text(&checked));
    text.map(|text| Text::new(path, text))
        .map_err(|fault| PromptFault::File(fault.into()))
}

/// A prompt's name without the ending of its file.
pub fn bare(name: &str) -> &str {
    ENDINGS
        .iter()
        .find_map(|ending| name.strip_suffix(ending))
        .unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::ContentHash;
    use crate::store::keys;
    use crate::testing::TestHost;

    const CAPTION: &str =
        "+++\nmodel = \"gpt-4o-mini\"\ntemperature = 0.7\n+++\nA caption about {{ topic }}.{% include \"voice\" %}\n";

    fn host() -> TestHost {
        TestHost::default()
            .file("prompts/demo/caption.md", CAPTION)
            .file("prompts/voice.txt", " Be brief.")
    }

    #[test]
    fn a_prompt_is_rendered_with_its_front_matter_and_pinned() {
        let host = host();
        let run = host.run(r#"prompt::render("demo/caption", #{ topic: "habits" })"#);
        let version = format!("{CAPTION}\n+++ included: voice\n Be brief.");
        let hash = ContentHash::of(version.as_bytes());
        assert_eq!(
            run.value().to_string(),
            format!(
                r#"{{"model":"gpt-4o-mini","name":"demo/caption","temperature":0.7,"text":"A caption about habits. Be brief.","version":"{}"}}"#,
                hash.short()
            )
        );
        let kept = host
            .ground
            .store
            .get(&keys::version(&hash))
            .unwrap()
            .expect("the version is kept");
        assert_eq!(kept.value, version.as_bytes());
        // Another text is another version, and the run of before is replayed as it was.
        let host = host.file("prompts/voice.txt", " Be long.");
        let later = host.run(r#"prompt::render("demo/caption.md", #{ topic: "habits" })"#);
        assert_ne!(later.value().get("version"), run.value().get("version"));
        assert_eq!(later.value().get("name").and_then(Value::as_str), Some("demo/caption"));
        assert_eq!(host.replay(run.id()).outcome.value, *run.value());
    }

    #[test]
    fn what_is_missing_or_wrong_is_told_with_the_way_out() {
        let host = host().file("prompts/broken.md", "Hello\n{{ name }");
        let refusal = |script: &str| host.run(script).failure().to_string();
        assert_eq!(
            refusal(r#"prompt::render("demo/captoin", #{})"#),
            "PROMPT_NOT_FOUND: there is no prompt \"demo/captoin\" (looked for prompts/demo/captoin.md, \
             prompts/demo/captoin.txt, prompts/demo/captoin.j2); did you mean \"demo/caption\"?"
        );
        let run = host.run(r#"prompt::render("demo/caption", #{ topik: "x" })"#);
        assert_eq!(
            run.failure().to_string(),
            "PROMPT_VARIABLE: prompts/demo/caption.md:5: the variable `topic` was not given; did you mean `topik`?, \
             in: A caption about {{ topic }}.{% include \"voice\" %}"
        );
        assert_eq!(run.failure().details.get("line"), Some(&Value::Int(5)));
        assert_eq!(
            refusal(r#"prompt::render("broken")"#),
            "PROMPT_BROKEN: prompts/broken.md:2: unexpected `}`, expected end of variable block, in: {{ name }"
        );
        assert!(refusal(r#"prompt::render("../inbox/x")"#).starts_with("FILE_OUTSIDE: "));
        assert!(refusal(r#"prompt::render("")"#).starts_with("PROMPT_NOT_FOUND: \"\" is no name of a prompt"));
    }

    #[test]
    fn all_prompts_are_checked_at_once() {
        let host = host()
            .file("prompts/deep/er/broken.md", "Hello\n{{ name }")
            .file("prompts/matter.j2", "+++\nmodle = 1\n+++\n")
            .file("prompts/notes.doc", "{{ no prompt");
        let problems = check_all(&host.gate().world.files);
        let shown: Vec<String> = problems
            .iter()
            .map(|problem| {
                format!(
                    "{} {}:{}:{} {}",
                    problem.code, problem.text.file, problem.place.line, problem.place.column, problem.message
                )
            })
            .collect();
        assert_eq!(
            shown,
            [
                "PROMPT_BROKEN prompts/deep/er/broken.md:2:9 unexpected `}`, expected end of variable block",
                "PROMPT_BROKEN prompts/matter.j2:2:1 the front matter has no key `modle`; did you mean `model`?"
            ]
        );
        assert!(check_all(&TestHost::default().gate().world.files).is_empty());
    }
}
