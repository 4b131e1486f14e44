//! What can be called, with what, and what comes of it: the language's own functions and those of the namespaces, as one
//! index for checks and editors. Made once per process.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`kind`] | kinds of values, as far as they are known |
//! | [`prose`] | results and options, out of the functions' documentation |

pub mod kind;
pub mod prose;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use self::kind::{Kind, Shape};
use super::Language;
use super::reference;

/// One way to call a function of a namespace.
#[derive(Clone, Debug)]
pub struct Signature {
    /// As it is called: `kv::get(key: string)`.
    pub text: String,
    pub params: Vec<Param>,
}

#[derive(Clone, Debug)]
pub struct Param {
    pub name: String,
    pub kind: Kind,
}

/// A function of a namespace, with all ways to call it.
#[derive(Clone, Debug)]
pub struct Known {
    /// With its namespace: `kv::get`.
    pub name: String,
    pub ways: Vec<Signature>,
    pub returns: Kind,
    /// The options it describes, for a choice.
    pub options: BTreeSet<String>,
    /// It takes lengths of time that go back, as its description says.
    pub goes_back: bool,
    /// Every word of its description: what is not even among them is no option.
    words: BTreeSet<String>,
}

impl Known {
    /// Whether the description speaks of an option of this name.
    pub fn may_have_option(&self, name: &str) -> bool {
        self.words.contains(name)
    }
}

/// Everything that can be called.
#[derive(Clone, Debug, Default)]
pub struct Signatures {
    functions: BTreeMap<String, Known>,
    /// The functions of each namespace, without it.
    namespaces: BTreeMap<String, BTreeSet<String>>,
    /// The language's own functions by name: how many arguments they take, a method's receiver included.
    own: BTreeMap<String, BTreeSet<usize>>,
    /// The language's own properties.
    properties: BTreeSet<String>,
}

impl Signatures {
    pub fn of(language: &Language) -> Signatures {
        let mut signatures = Signatures::default();
        for (name, _) in language.namespaces() {
            signatures.namespaces.insert(name.clone(), BTreeSet::new());
        }
        let mut docs: BTreeMap<String, String> = BTreeMap::new();
        for function in reference::functions(language) {
            let Some((namespace, short)) = function.name.rsplit_once("::") else {
                continue;
            };
            let names = signatures.namespaces.entry(namespace.to_owned()).or_default();
            names.insert(short.to_owned());
            let doc = docs.entry(function.name.clone()).or_default();
            doc.push_str(&prose::without_code(&function.doc));
            doc.push_str("\n\n");
            let known = signatures
                .functions
                .entry(function.name.clone())
                .or_insert_with(|| Known {
                    name: function.name.clone(),
                    ways: Vec::new(),
                    returns: Kind::Any,
                    options: BTreeSet::new(),
                    goes_back: false,
                    words: BTreeSet::new(),
                });
            known.ways.push(Signature {
                params: params(&function.signature),
                text: function.signature,
            });
        }
        signatures.read_docs(&docs);
        signatures.read_language(language);
        signatures
    }

    fn read_docs(&mut self, docs: &BTreeMap<String, String>) {
        let results: BTreeMap<&String, Kind> = docs
            .iter()
            .map(|(name, doc)| (name, prose::returns(name, doc)))
            .collect();
        for (name, known) in &mut self.functions {
            let doc = docs.get(name).map(String::as_str).unwrap_or_default();
            let namespace = name.rsplit_once("::").map_or("", |(namespace, _)| namespace);
            let described = described_with(docs, namespace, doc);
            known.words = prose::words(&described);
            known.goes_back = prose::goes_back(doc);
            let params: BTreeSet<&str> = known
                .ways
                .iter()
                .flat_map(|way| way.params.iter().map(|param| param.name.as_str()))
                .collect();
            let marked = prose::marked(&described);
            known.options = marked
                .into_iter()
                .filter(|name| !params.contains(name.as_str()) && !docs.contains_key(&format!("{namespace}::{name}")))
                .collect();
            known.returns = results[name].clone();
            // Like another's, with what its own description adds.
            if let (Kind::Any, Some(model)) = (&known.returns, like(docs, namespace, doc))
                && let Some(Kind::Map(Some(shape))) = results.get(&model)
            {
                let mut also = (*shape.also).clone();
                also.extend(prose::marked(&described));
                known.returns = Kind::Map(Some(Arc::new(Shape {
                    of: name.clone(),
                    fields: shape.fields.clone(),
                    also: Arc::new(also),
                })));
            }
        }
    }

    fn read_language(&mut self, language: &Language) {
        let own = language.engine().collect_fn_metadata(
            None,
            |function| {
                let name = function.metadata.name.to_string();
                function
                    .namespace
                    .is_empty()
                    .then_some((name, function.metadata.num_params))
            },
            true,
        );
        for (name, params) in own {
            match name.strip_prefix("get$") {
                Some(property) => {
                    self.properties.insert(property.to_owned());
                }
                None => {
                    self.own.entry(name).or_default().insert(params);
                }
            }
        }
        // Part of the language's grammar rather than of its packages.
        for (name, params) in GRAMMAR {
            self.own.entry((*name).to_owned()).or_default().extend(*params);
        }
    }

    /// The function of a namespace with this whole name.
    pub fn function(&self, name: &str) -> Option<&Known> {
        self.functions.get(name)
    }

    /// All functions of namespaces, by name.
    pub fn functions(&self) -> impl Iterator<Item = &Known> {
        self.functions.values()
    }

    pub fn is_namespace(&self, name: &str) -> bool {
        self.namespaces.contains_key(name)
    }

    /// The namespaces, each with its functions' short names.
    pub fn namespaces(&self) -> impl Iterator<Item = (&str, &BTreeSet<String>)> {
        self.namespaces
            .iter()
            .map(|(name, functions)| (name.as_str(), functions))
    }

    /// How many arguments the language's own function `name` takes, a method's receiver included.
    pub fn own(&self, name: &str) -> Option<&BTreeSet<usize>> {
        self.own.get(name)
    }

    pub fn own_names(&self) -> impl Iterator<Item = &str> {
        let is_word = |name: &&str| name.starts_with(|letter: char| letter.is_alphabetic());
        self.own.keys().map(String::as_str).filter(is_word)
    }

    pub fn is_property(&self, name: &str) -> bool {
        self.properties.contains(name)
    }
}

/// What Rhai's engine answers by itself.
const GRAMMAR: &[(&str, &[usize])] = &[
    ("print", &[1]),
    ("debug", &[0, 1]),
    ("type_of", &[1]),
    ("is_shared", &[1]),
    ("is_def_var", &[1]),
    ("is_def_fn", &[2, 3]),
    ("Fn", &[1]),
    ("call", &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
    ("curry", &[2, 3, 4, 5, 6, 7, 8]),
];

/// A description with those of the functions it refers to: "as in `put`", "those of `get`".
fn described_with(docs: &BTreeMap<String, String>, namespace: &str, doc: &str) -> String {
    let mut whole = doc.to_owned();
    let mut seen = BTreeSet::new();
    let mut open: Vec<String> = prose::marked(doc).into_iter().collect();
    while let Some(name) = open.pop() {
        if let Some(other) = docs.get(&format!("{namespace}::{name}"))
            && seen.insert(name)
        {
            whole.push_str(other);
            open.extend(prose::marked(other));
        }
    }
    whole
}

/// The function at the end of the chain "as `cut` does", "as `probe` does".
fn like(docs: &BTreeMap<String, String>, namespace: &str, doc: &str) -> Option<String> {
    let mut found = None;
    let mut doc = doc;
    for _ in 0..4 {
        let Some(name) = prose::returns_as(doc) else {
            break;
        };
        let name = format!("{namespace}::{name}");
        doc = docs.get(&name)?;
        found = Some(name);
    }
    found
}

/// The parameters in `kv::put(key: string, value: any)`.
fn params(signature: &str) -> Vec<Param> {
    let Some((_, list)) = signature.split_once('(') else {
        return Vec::new();
    };
    let list = list.strip_suffix(')').unwrap_or(list);
    list.split(", ")
        .filter(|param| !param.is_empty())
        .map(|param| {
            let (name, kind) = param.split_once(": ").unwrap_or((param, "any"));
            Param {
                name: name.to_owned(),
                kind: Kind::of_word(kind),
            }
        })
        .collect()
}
