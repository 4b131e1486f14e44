//! What a function's own documentation says of its result and its options.
//!
//! The documentation is written for people and pinned by a snapshot; nothing here guesses beyond what it spells out. A
//! result is read from the sentence that says "returns"; options and further fields are the words in backticks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::kind::{Kind, Shape};

/// A documentation without its examples.
pub fn without_code(doc: &str) -> String {
    let mut is_code = false;
    let mut prose = String::with_capacity(doc.len());
    for line in doc.lines() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        } else if !is_code {
            prose.push_str(line);
            prose.push('\n');
        }
    }
    prose
}

/// The names in backticks: `` `ttl` ``, and those within a map such as `` `#{ id, version }` ``.
pub fn marked(prose: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for piece in prose.split('`').skip(1).step_by(2) {
        if is_name(piece) {
            names.insert(piece.to_owned());
        } else if piece.starts_with("#{") {
            names.extend(words(piece));
        }
    }
    names
}

/// Every word that could be a name.
pub fn words(prose: &str) -> BTreeSet<String> {
    prose
        .split(|letter: char| !letter.is_alphanumeric() && letter != '_')
        .filter(|word| is_name(word))
        .map(str::to_owned)
        .collect()
}

fn is_name(word: &str) -> bool {
    word.starts_with(|letter: char| letter.is_ascii_lowercase() || letter == '_')
        && word
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}

/// What the result is, as far as the documentation of `function` spells it out.
pub fn returns(function: &str, prose: &str) -> Kind {
    let Some(sentence) = sentence(prose) else {
        return Kind::Any;
    };
    if let Some((before, map)) = sentence.split_once("`#{") {
        let Some(fields) = fields(map) else {
            return Kind::map();
        };
        let shape = Shape {
            of: function.to_owned(),
            fields,
            also: Arc::new(marked(prose)),
        };
        let one = Kind::Map(Some(Arc::new(shape)));
        let is_array = before.contains("array of") || before.trim_end().ends_with("array of");
        return if is_array { Kind::array(one) } else { one };
    }
    match sentence {
        said if said.starts_with("whether ") => Kind::Bool,
        said if said.starts_with("how many ") && !said.contains("fraction") => Kind::Int,
        said if said.starts_with("an array ") || said.contains(" as an array") => Kind::array(Kind::Any),
        said if said.starts_with("the text ") || said.contains(" as text in UTC:") => Kind::Text,
        _ => Kind::Any,
    }
}

/// Whether the lengths of time that it describes may have a minus before them.
pub fn goes_back(prose: &str) -> bool {
    prose.contains("with `-` before it")
}

/// The function of the same namespace whose result this one's is like: "returns what it is, as `probe` does".
pub fn returns_as(prose: &str) -> Option<&str> {
    let sentence = sentence(prose)?;
    let (_, rest) = sentence.split_once(", as `")?;
    let (name, rest) = rest.split_once('`')?;
    rest.starts_with(" does").then_some(name)
}

/// What follows the first "returns", up to the end of its sentence.
fn sentence(prose: &str) -> Option<&str> {
    let at = prose.find("eturns ").or_else(|| prose.find("eturns\n"))? + "eturns ".len();
    let rest = &prose[at..];
    let mut is_code = false;
    let mut before = ' ';
    for (at, letter) in rest.char_indices() {
        match letter {
            '`' => is_code = !is_code,
            ' ' | '\n' if before == '.' && !is_code => return Some(&rest[..at]),
            '\n' if before == '\n' => return Some(&rest[..at]),
            _ => {}
        }
        before = letter;
    }
    Some(rest)
}

/// The fields of `id, version, usage: #{ input_tokens }, … }`; `None` when it does not say all of them.
fn fields(map: &str) -> Option<BTreeMap<String, Kind>> {
    let mut fields = BTreeMap::new();
    let mut name = String::new();
    let mut letters = map.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '}' => {
                add(&mut fields, &name, Kind::Any);
                return Some(fields);
            }
            ',' => {
                add(&mut fields, &name, Kind::Any);
                name.clear();
            }
            '…' => return None,
            '#' => {
                let inner = map[at..].strip_prefix("#{")?;
                let shape = Shape {
                    of: String::new(),
                    fields: self::fields(inner)?,
                    also: Arc::default(),
                };
                add(&mut fields, &name, Kind::Map(Some(Arc::new(shape))));
                name.clear();
                // Past the inner map.
                let mut depth = 0;
                for (_, letter) in letters.by_ref() {
                    depth += i32::from(letter == '{') - i32::from(letter == '}');
                    if letter == '}' && depth == 0 {
                        break;
                    }
                }
            }
            letter => name.push(letter),
        }
    }
    None
}

fn add(fields: &mut BTreeMap<String, Kind>, text: &str, kind: Kind) {
    let (name, value) = text.split_once(':').unwrap_or((text, ""));
    let name = name.trim();
    if is_name(name) {
        let kind = match value.trim() {
            "true" | "false" => Kind::Bool,
            _ => kind,
        };
        fields.insert(name.to_owned(), kind);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(kind: &Kind) -> Vec<String> {
        match kind {
            Kind::Map(Some(shape)) => shape.fields.keys().cloned().collect(),
            Kind::Array(item) => names(item),
            _ => Vec::new(),
        }
    }

    #[test]
    fn the_fields_of_a_result_are_read_from_its_sentence() {
        let chat =
            "Has a model write. Returns\n`#{ text, usage: #{ input_tokens, output_tokens }, simulated }`.\n\nMore.";
        let kind = returns("openai::chat", chat);
        assert_eq!(names(&kind), ["simulated", "text", "usage"]);
        let Kind::Map(Some(shape)) = &kind else {
            panic!("{kind:?}")
        };
        assert_eq!(names(&shape.fields["usage"]), ["input_tokens", "output_tokens"]);
        let list = returns("f", "Returns the files by name, as an array of\n`#{ path, bytes }`.");
        assert!(matches!(list, Kind::Array(_)));
        assert_eq!(names(&list), ["bytes", "path"]);
        assert_eq!(
            names(&returns("f", "Posts. Returns `#{ ok: true, simulated }`.")),
            ["ok", "simulated"]
        );
        assert_eq!(returns("f", "Forgets `key`; returns whether it was there."), Kind::Bool);
        assert_eq!(
            returns("f", "Returns the value.\n\nIt is `#{ no, result }`."),
            Kind::Any
        );
        assert_eq!(returns("f", "Returns `#{ a, … }`."), Kind::map());
        assert_eq!(returns_as("Cuts; returns what it is, as `probe` does."), Some("probe"));
    }

    #[test]
    fn names_in_backticks_are_options_and_further_fields() {
        let names = marked("With `ttl` (\"1h\") and `#{ role, content }`; `OPENAI_BAD` and `()` are none.");
        assert_eq!(names.into_iter().collect::<Vec<_>>(), ["content", "role", "ttl"]);
        assert_eq!(without_code("a\n```rhai\nlet b;\n```\nc"), "a\nc\n");
    }
}
