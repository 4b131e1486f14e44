//! The functions' own documentation: what `host functions` prints.

use rhai::FuncInfo;

use super::Language;

/// One function as playbooks call it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Function {
    /// With its namespace: `kv::get`.
    pub name: String,
    /// As it is called: `kv::get(key: string)`.
    pub signature: String,
    /// Its doc comment, as Markdown.
    pub doc: String,
    #[serde(skip)]
    pub parameters: usize,
}

/// Every function of every namespace, sorted by name.
pub fn functions(language: &Language) -> Vec<Function> {
    let mut found = language
        .engine()
        .collect_fn_metadata(None, |function| describe(&function), false);
    found.sort();
    found
}

/// The functions of the language itself, without operators, sorted by name: what values have after a dot.
pub fn methods(language: &Language) -> Vec<Function> {
    let is_word = |name: &str| name.starts_with(|letter: char| letter.is_ascii_lowercase());
    let mut found = language.engine().collect_fn_metadata(
        None,
        |function| {
            let is_own = function.namespace.is_empty() && is_word(&function.metadata.name);
            is_own.then(|| described(&function, function.metadata.name.to_string()))
        },
        true,
    );
    found.sort();
    found.dedup();
    found
}

/// A namespace's function; those of the language itself have no namespace and no place in the reference.
fn describe(function: &FuncInfo<'_>) -> Option<Function> {
    if function.namespace.is_empty() {
        return None;
    }
    Some(described(
        function,
        format!("{}::{}", function.namespace, function.metadata.name),
    ))
}

fn described(function: &FuncInfo<'_>, name: String) -> Function {
    let metadata = function.metadata;
    let parameters: Vec<String> = metadata.params_info.iter().filter_map(|info| parameter(info)).collect();
    let doc = metadata
        .comments
        .iter()
        .map(|comment| plain(comment))
        .collect::<Vec<_>>()
        .join("\n");
    let signature = format!("{name}({})", parameters.join(", "));
    Function {
        signature,
        parameters: metadata.num_params,
        name,
        doc: doc.trim().to_owned(),
    }
}

/// `key: &str` as `key: string`; the call's context is no parameter of the playbook's.
fn parameter(info: &str) -> Option<String> {
    let (name, kind) = info.split_once(':').unwrap_or((info, ""));
    let kind = kind.trim();
    if kind.contains("NativeCallContext") {
        return None;
    }
    let kind = match kind.trim_start_matches('&').trim_start_matches("mut ").trim() {
        "str" | "String" | "ImmutableString" => "string",
        "INT" | "i64" => "int",
        "FLOAT" | "f64" => "float",
        "bool" => "bool",
        "Map" | "rhai::Map" => "map",
        "Array" | "rhai::Array" => "array",
        "Blob" | "rhai::Blob" => "blob",
        "Dynamic" => "any",
        other => other,
    };
    Some(if kind.is_empty() {
        name.trim().to_owned()
    } else {
        format!("{}: {kind}", name.trim())
    })
}

fn plain(comment: &str) -> String {
    comment
        .lines()
        .map(|line| {
            line.trim_start()
                .trim_start_matches('/')
                .strip_prefix(' ')
                .unwrap_or(line.trim_start().trim_start_matches('/'))
        })
        .collect::<Vec<_>>()
        .join("\n")
}
