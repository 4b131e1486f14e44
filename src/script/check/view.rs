//! A text as the checks see it: its tree, which name means what, and what is known of values.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::header::HeaderView;
use super::project::Project;
use super::summary::Summary;
use crate::script::signatures::{Kind, Shape};
use crate::script::source::INPUT;
use crate::script::syntax::scopes::{Reference, Symbol, SymbolKind, Wanted};
use crate::script::syntax::{Expr, ExprKind, Name, Node, Scopes, Span, StmtKind, Tree};

pub struct View<'p> {
    pub project: &'p Project,
    pub text: &'p str,
    pub tree: &'p Tree,
    pub scopes: &'p Scopes,
    pub summary: &'p Summary,
    pub header: Option<HeaderView<'p>>,
    /// References by where they begin.
    references: BTreeMap<u32, usize>,
    /// What is known of each variable's value.
    kinds: Vec<Kind>,
    /// Variables that are given another value after they were declared.
    assigned: BTreeSet<usize>,
    /// Those, and variables of which a part is changed.
    pub changed: BTreeSet<usize>,
    /// The names of everything that is declared.
    pub declared: BTreeSet<&'p str>,
    /// The names of all keys in this text's own maps.
    pub keys: BTreeSet<&'p str>,
    /// What each variable is declared with.
    pub values: BTreeMap<usize, &'p Expr>,
    /// Where fields begin that are given a value.
    pub written: BTreeSet<u32>,
}

impl<'p> View<'p> {
    pub fn new(
        project: &'p Project,
        text: &'p str,
        tree: &'p Tree,
        scopes: &'p Scopes,
        summary: &'p Summary,
    ) -> View<'p> {
        let references = scopes
            .references
            .iter()
            .enumerate()
            .map(|(at, reference)| (reference.name.span.start, at));
        let mut view = View {
            project,
            text,
            tree,
            scopes,
            summary,
            header: HeaderView::of(tree),
            references: references.collect(),
            kinds: vec![Kind::Any; scopes.symbols.len()],
            assigned: BTreeSet::new(),
            changed: BTreeSet::new(),
            declared: scopes.symbols.iter().map(|symbol| symbol.name.text.as_str()).collect(),
            keys: BTreeSet::new(),
            values: BTreeMap::new(),
            written: BTreeSet::new(),
        };
        view.find_changes();
        view.find_kinds();
        view
    }

    /// The reference that the name at `span` is.
    pub fn reference(&self, span: Span) -> Option<&'p Reference> {
        self.references.get(&span.start).map(|at| &self.scopes.references[*at])
    }

    /// What the variable at `span` means.
    pub fn symbol(&self, span: Span) -> Option<(usize, &'p Symbol)> {
        let at = self.reference(span)?.symbol?;
        Some((at, &self.scopes.symbols[at]))
    }

    /// Whether `name` at `span` is the run's input.
    pub fn is_input(&self, expr: &Expr) -> bool {
        matches!(&expr.bare().kind, ExprKind::Name(name) if name == INPUT)
    }

    /// The module that `alias` stands for at its place.
    pub fn module_of(&self, alias: &Name) -> Option<&str> {
        let reference = self.reference(alias.span)?;
        if reference.wanted != Wanted::Namespace || reference.symbol.is_none() {
            return None;
        }
        self.summary.imports.get(&alias.text).map(String::as_str)
    }

    pub fn of(&self, span: Span) -> &'p str {
        span.of(self.text)
    }

    /// The lines of the text are the file's; functions see no variables around them.
    pub fn function_around(&self, offset: u32) -> Option<&'p Symbol> {
        self.scopes.function_around(offset).map(|at| &self.scopes.symbols[at])
    }

    fn find_changes(&mut self) {
        for reference in &self.scopes.references {
            if let (true, Some(symbol)) = (reference.is_write, reference.symbol) {
                self.assigned.insert(symbol);
            }
        }
        self.changed = self.assigned.clone();
        let mut roots: Vec<Span> = Vec::new();
        let mut keys = BTreeSet::new();
        let mut written = BTreeSet::new();
        self.tree.walk(&mut |node| {
            if let Node::Expr(expr) = node {
                match &expr.kind {
                    ExprKind::Assign { target, .. } => {
                        roots.extend(root(target));
                        match &target.bare().kind {
                            ExprKind::Field { name, .. } => written.insert(name.span.start),
                            ExprKind::Index { index, .. } => written.insert(index.span.start),
                            _ => false,
                        };
                    }
                    // Functions that only look have names of their own.
                    ExprKind::Method { target, name, .. }
                        if matches!(target.bare().kind, ExprKind::Name(_)) && !LOOKS.contains(&name.text.as_str()) =>
                    {
                        roots.extend(root(target));
                    }
                    ExprKind::Map(entries) => keys.extend(entries.iter().map(|entry| entry.key.text.as_str())),
                    _ => {}
                }
            }
            true
        });
        let symbols: Vec<usize> = roots
            .into_iter()
            .filter_map(|span| self.symbol(span).map(|(at, _)| at))
            .collect();
        self.changed.extend(symbols);
        self.keys = keys;
        self.written = written;
    }

    /// In the order of the text, so that what a variable is made of is known before it.
    fn find_kinds(&mut self) {
        let by_name: BTreeMap<u32, usize> = self
            .scopes
            .symbols
            .iter()
            .enumerate()
            .map(|(at, symbol)| (symbol.name.span.start, at))
            .collect();
        let mut values: Vec<(usize, Source<'p>)> = Vec::new();
        let tree = self.tree;
        tree.walk(&mut |node| {
            match node {
                Node::Stmt(stmt) => {
                    if let StmtKind::Let {
                        name,
                        value: Some(value),
                        ..
                    } = &stmt.kind
                        && let Some(symbol) = by_name.get(&name.span.start)
                    {
                        values.push((*symbol, Source::Value(value)));
                    }
                }
                Node::Expr(expr) => {
                    if let ExprKind::For { name, over, .. } = &expr.kind
                        && let Some(symbol) = by_name.get(&name.span.start)
                    {
                        values.push((*symbol, Source::ItemOf(over)));
                    }
                }
                Node::Block(_) => {}
            }
            true
        });
        for (symbol, source) in &values {
            if let Source::Value(value) = source {
                self.values.insert(*symbol, value);
            }
        }
        values.sort_by_key(|(symbol, _)| self.scopes.symbols[*symbol].name.span);
        for (symbol, source) in values {
            let is_assigned = self.assigned.contains(&symbol);
            let kind = match source {
                _ if is_assigned => Kind::Any,
                Source::Value(value) => self.kind(value),
                Source::ItemOf(over) => match self.kind(over) {
                    Kind::Array(item) => (*item).clone(),
                    Kind::Range => Kind::Int,
                    _ => Kind::Any,
                },
            };
            // Fields may have come or gone since.
            let kind = match kind {
                Kind::Map(_) if self.changed.contains(&symbol) => Kind::map(),
                Kind::Array(_) if self.changed.contains(&symbol) => Kind::array(Kind::Any),
                kind => kind,
            };
            self.kinds[symbol] = kind;
        }
    }

    /// What is known of the value of `expr`.
    pub fn kind(&self, expr: &Expr) -> Kind {
        match &expr.kind {
            ExprKind::Unit => Kind::Unit,
            ExprKind::Bool(_) => Kind::Bool,
            ExprKind::Int(_) => Kind::Int,
            ExprKind::Float(_) => Kind::Float,
            ExprKind::Char => Kind::Char,
            ExprKind::Str(_) | ExprKind::Template(_) => Kind::Text,
            ExprKind::Closure { .. } => Kind::Function,
            ExprKind::Array(items) => {
                let mut kinds = items.iter().map(|item| self.kind(item));
                let first = kinds.next().unwrap_or_default();
                Kind::array(kinds.fold(first, Kind::or))
            }
            ExprKind::Map(entries) => {
                let fields = entries
                    .iter()
                    .map(|entry| (entry.key.text.clone(), self.kind(&entry.value)));
                Kind::Map(Some(Arc::new(Shape {
                    of: String::new(),
                    fields: fields.collect(),
                    also: Arc::default(),
                })))
            }
            ExprKind::Paren(inner) => self.kind(inner),
            ExprKind::Name(_) => match self.symbol(expr.span) {
                Some((at, symbol)) if symbol.kind != SymbolKind::Import => self.kinds[at].clone(),
                _ => Kind::Any,
            },
            ExprKind::Call { namespaces, name, .. } => match namespaces.as_slice() {
                [namespace] => {
                    let function = format!("{}::{}", namespace.text, name.text);
                    let known = self.project.signatures.function(&function);
                    known.map(|known| known.returns.clone()).unwrap_or_default()
                }
                _ => Kind::Any,
            },
            ExprKind::Method { name, .. } => match name.text.as_str() {
                "len" | "to_int" | "index_of" => Kind::Int,
                "to_string" | "to_upper" | "to_lower" => Kind::Text,
                "to_float" => Kind::Float,
                "contains" | "is_empty" | "starts_with" | "ends_with" | "some" | "all" => Kind::Bool,
                "keys" | "values" | "map" | "split" => Kind::array(Kind::Any),
                _ => Kind::Any,
            },
            ExprKind::Field { target, name, .. } if self.is_input(target) => self.input_kind(&name.text),
            ExprKind::Field { target, name, .. } => match self.kind(target) {
                Kind::Map(Some(shape)) => shape.fields.get(&name.text).cloned().unwrap_or_default(),
                _ => Kind::Any,
            },
            ExprKind::Index { target, index, .. } => match (self.kind(target), self.kind(index)) {
                (Kind::Array(item), Kind::Int) => (*item).clone(),
                _ => Kind::Any,
            },
            ExprKind::Unary { op, operand } => match op.text.as_str() {
                "!" => Kind::Bool,
                _ => self.kind(operand),
            },
            ExprKind::Binary { op, left, right } => self.kind_of_binary(&op.text, left, right),
            _ => Kind::Any,
        }
    }

    fn kind_of_binary(&self, op: &str, left: &Expr, right: &Expr) -> Kind {
        match op {
            "==" | "!=" | "<" | ">" | "<=" | ">=" | "&&" | "||" | "in" | "!in" => Kind::Bool,
            ".." | "..=" => Kind::Range,
            "+" | "-" | "*" | "/" | "%" => match (self.kind(left), self.kind(right)) {
                (Kind::Text, _) | (_, Kind::Text) if op == "+" => Kind::Text,
                (Kind::Int, Kind::Int) => Kind::Int,
                (Kind::Int | Kind::Float, Kind::Int | Kind::Float) => Kind::Float,
                _ => Kind::Any,
            },
            _ => Kind::Any,
        }
    }

    /// An input that is always given has the kind that the header says.
    fn input_kind(&self, name: &str) -> Kind {
        let Some(header) = &self.header else {
            return Kind::Any;
        };
        match header.inputs().find(|input| input.name.text == name) {
            Some(input) if input.is_always_given() => Kind::of_word(input.kind()),
            _ => Kind::Any,
        }
    }
}

/// Functions of arrays, maps and texts that change nothing.
const LOOKS: [&str; 24] = [
    "len",
    "is_empty",
    "contains",
    "get",
    "keys",
    "values",
    "map",
    "filter",
    "reduce",
    "some",
    "all",
    "find",
    "index_of",
    "to_string",
    "to_int",
    "to_float",
    "to_upper",
    "to_lower",
    "starts_with",
    "ends_with",
    "split",
    "sub_string",
    "extract",
    "to_json",
];

enum Source<'p> {
    Value(&'p Expr),
    ItemOf(&'p Expr),
}

/// The variable at the beginning of `a.b[c].d`.
pub fn root(expr: &Expr) -> Option<Span> {
    match &expr.kind {
        ExprKind::Name(_) => Some(expr.span),
        ExprKind::Field { target, .. } | ExprKind::Index { target, .. } | ExprKind::Method { target, .. } => {
            root(target)
        }
        ExprKind::Paren(inner) => root(inner),
        _ => None,
    }
}

/// A call of a function of `namespace` whose first argument is written out: its name, its arguments, and that text.
pub fn named_call<'t>(node: Node<'t>, namespace: &str) -> Option<(&'t str, &'t [Expr], &'t str)> {
    let Node::Expr(expr) = node else { return None };
    let ExprKind::Call {
        namespaces, name, args, ..
    } = &expr.kind
    else {
        return None;
    };
    let is_of_it = namespaces.first().is_some_and(|first| first.text == namespace);
    let first = args.first().filter(|_| is_of_it)?;
    Some((&name.text, args, first.as_str()?))
}
