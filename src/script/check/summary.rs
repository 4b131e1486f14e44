//! What a text offers to others and what it does, without its bodies: enough to check whoever imports or starts it.

use std::collections::{BTreeMap, BTreeSet};

use super::header::HeaderView;
use super::project::Project;
use crate::script::source::CLEANUP;
use crate::script::syntax::{self, Expr, ExprKind, Node, Span, StmtKind, Tree, walk};

/// How many functions are followed from one text.
const REACHED_MAX: usize = 10_000;

#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// By name: one for each number of parameters.
    pub functions: BTreeMap<String, Vec<FunctionFacts>>,
    /// What its own statements do.
    pub top: Deeds,
    /// Modules by the name they have here.
    pub imports: BTreeMap<String, String>,
    /// Variables and constants that whoever imports it sees.
    pub exported: BTreeSet<String>,
    /// From its header: what it wants to be told, and whether it must be.
    pub inputs: Option<BTreeMap<String, bool>>,
    /// It has statements that do something; what has none is there to be imported.
    pub is_playbook: bool,
    /// It is whole: nothing of it could not be read.
    pub is_whole: bool,
}

#[derive(Clone, Debug)]
pub struct FunctionFacts {
    pub params: usize,
    pub is_private: bool,
    pub deeds: Deeds,
}

/// What a piece of a script calls, each with the first place where it does.
#[derive(Clone, Debug, Default)]
pub struct Deeds {
    /// Functions of namespaces: `slack::post`.
    pub functions: BTreeMap<String, Span>,
    /// Functions of the same text.
    pub own: BTreeMap<String, Span>,
    /// Functions of imported modules, by the module's name here.
    pub imported: BTreeMap<(String, String), Span>,
}

impl Summary {
    pub fn of(project: &Project, text: &str) -> Summary {
        let tree = syntax::parse(text);
        Summary::of_tree(project, &tree)
    }

    pub fn of_tree(project: &Project, tree: &Tree) -> Summary {
        let mut summary = Summary {
            is_whole: tree.problems.is_empty(),
            ..Summary::default()
        };
        for stmt in &tree.root.stmts {
            match &stmt.kind {
                StmtKind::Fn(function) => {
                    let mut deeds = Deeds::default();
                    deeds.add(project, Node::Block(&function.body));
                    let facts = FunctionFacts {
                        params: function.params.len(),
                        is_private: function.is_private,
                        deeds,
                    };
                    summary
                        .functions
                        .entry(function.name.text.clone())
                        .or_default()
                        .push(facts);
                }
                StmtKind::Import {
                    source,
                    alias: Some(alias),
                } => {
                    if let Some(module) = source.as_str() {
                        summary.imports.insert(alias.text.clone(), module.to_owned());
                    }
                }
                StmtKind::Let {
                    is_exported: true,
                    name,
                    ..
                } => {
                    summary.exported.insert(name.text.clone());
                }
                StmtKind::Export { name, alias } => {
                    let name = alias.as_ref().unwrap_or(name);
                    summary.exported.insert(name.text.clone());
                }
                StmtKind::Let { is_const: true, .. } | StmtKind::Import { .. } | StmtKind::Empty => {}
                _ => summary.is_playbook = true,
            }
            if !matches!(stmt.kind, StmtKind::Fn(_)) {
                summary.top.add(project, Node::Stmt(stmt));
            }
        }
        let header = HeaderView::of(tree);
        summary.is_playbook |= header.is_some();
        summary.inputs = header.map(|header| header.wanted());
        summary
    }

    /// The function that a call with so many arguments means.
    pub fn function(&self, name: &str, args: usize) -> Option<&FunctionFacts> {
        self.functions.get(name)?.iter().find(|facts| facts.params == args)
    }

    /// Every function of a namespace that a run of this text may call, with the place in this text from where.
    pub fn reached(&self, project: &Project) -> BTreeMap<String, Span> {
        let mut found = BTreeMap::new();
        let mut walker = Walker {
            project,
            seen: BTreeSet::new(),
            found: &mut found,
        };
        walker.follow(self, "", &self.top, None);
        walker.enter(self, "", CLEANUP, None);
        found
    }

    /// The same of everything that is written here and in the modules it imports, called or not.
    pub fn mentioned(&self, project: &Project) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut seen = BTreeSet::new();
        self.mention(project, &mut seen, &mut found);
        found
    }

    fn mention(&self, project: &Project, seen: &mut BTreeSet<String>, found: &mut BTreeSet<String>) {
        let own = self.functions.values().flatten().map(|facts| &facts.deeds);
        for deeds in own.chain([&self.top]) {
            found.extend(deeds.functions.keys().cloned());
        }
        for module in self.imports.values() {
            if seen.len() < REACHED_MAX
                && seen.insert(module.clone())
                && let Ok(module) = project.module(module)
            {
                module.mention(project, seen, found);
            }
        }
    }
}

struct Walker<'w> {
    project: &'w Project,
    /// Modules and functions that were followed already.
    seen: BTreeSet<(String, String)>,
    found: &'w mut BTreeMap<String, Span>,
}

impl Walker<'_> {
    /// `from` is the place in the text where all began; `None` while still in it.
    fn follow(&mut self, summary: &Summary, module: &str, deeds: &Deeds, from: Option<Span>) {
        for (function, span) in &deeds.functions {
            self.found.entry(function.clone()).or_insert(from.unwrap_or(*span));
        }
        for (name, span) in &deeds.own {
            // In the text itself the call deep within says more than the one that leads there.
            let from = if module.is_empty() { None } else { from.or(Some(*span)) };
            self.enter(summary, module, name, from);
        }
        for ((alias, name), span) in &deeds.imported {
            let Some(imported) = summary.imports.get(alias) else {
                continue;
            };
            if let Ok(other) = self.project.module(imported) {
                self.enter(&other, imported, name, from.or(Some(*span)));
            }
        }
    }

    fn enter(&mut self, summary: &Summary, module: &str, name: &str, from: Option<Span>) {
        if self.seen.len() > REACHED_MAX || !self.seen.insert((module.to_owned(), name.to_owned())) {
            return;
        }
        for facts in summary.functions.get(name).into_iter().flatten() {
            self.follow(summary, module, &facts.deeds, from);
        }
    }
}

impl Deeds {
    fn add(&mut self, project: &Project, node: Node<'_>) {
        walk::walk(node, &mut |node| {
            if let Node::Expr(expr) = node {
                self.add_call(project, expr);
            }
            true
        });
    }

    fn add_call(&mut self, project: &Project, expr: &Expr) {
        match &expr.kind {
            ExprKind::Call {
                namespaces, name, args, ..
            } => match namespaces.as_slice() {
                [] if name.text == "Fn" => {
                    if let Some(named) = args.first().and_then(Expr::as_str) {
                        self.own.entry(named.to_owned()).or_insert(expr.span);
                    }
                }
                [] => {
                    self.own.entry(name.text.clone()).or_insert(name.span);
                }
                [global] if global.text == "global" => {
                    self.own.entry(name.text.clone()).or_insert(name.span);
                }
                [namespace] if project.signatures.is_namespace(&namespace.text) => {
                    let function = format!("{}::{}", namespace.text, name.text);
                    self.functions.entry(function).or_insert(namespace.span.to(name.span));
                }
                [alias, ..] => {
                    let call = (alias.text.clone(), name.text.clone());
                    self.imported.entry(call).or_insert(alias.span.to(name.span));
                }
            },
            ExprKind::Method { name, .. } => {
                self.own.entry(name.text.clone()).or_insert(name.span);
            }
            _ => {}
        }
    }
}
