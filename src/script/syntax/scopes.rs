//! Which name means what: declarations, where they hold, and who uses them.
//!
//! As in Rhai a block sees the variables before it, a closure those around it, and a function none but its parameters.
//! Functions hold in the whole file; a later variable of the same name hides the earlier one.

use std::collections::BTreeMap;

use super::tree::{Block, Expr, ExprKind, Function, Name, Span, Stmt, StmtKind, TemplatePart, Tree};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SymbolKind {
    Variable,
    Constant,
    Parameter,
    /// Of a `for`.
    Loop,
    /// Of a `catch`.
    Caught,
    Function {
        params: usize,
        is_private: bool,
    },
    /// The name of a module that is imported.
    Import,
}

/// Something that is declared.
#[derive(Clone, Debug)]
pub struct Symbol {
    pub kind: SymbolKind,
    pub name: Name,
    /// The statement, parameter list or header that declares it.
    pub declared: Span,
    /// Where its name means it, unless another hides it.
    pub holds: Span,
    pub is_exported: bool,
    /// At the top level of the file.
    pub is_global: bool,
    /// The function within whose body it is declared, by index; functions see nothing of what is around them.
    pub within: Option<usize>,
}

/// Which kind of thing a name asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    Variable,
    /// With so many arguments.
    Function {
        args: usize,
    },
    /// The first part of `a::b`.
    Namespace,
}

/// A name where it is used.
#[derive(Clone, Debug)]
pub struct Reference {
    pub name: Name,
    pub wanted: Wanted,
    /// It is assigned to and not read.
    pub is_write: bool,
    /// The index of what it means; `None` when this file declares nothing of that name.
    pub symbol: Option<usize>,
}

/// Everything that a file declares and uses, in the order of the text.
#[derive(Clone, Debug, Default)]
pub struct Scopes {
    pub symbols: Vec<Symbol>,
    pub references: Vec<Reference>,
}

impl Scopes {
    pub fn of(tree: &Tree) -> Scopes {
        let mut finder = Finder {
            scopes: Scopes::default(),
            functions: BTreeMap::new(),
            frames: vec![Vec::new()],
            within: None,
            end: tree.root.span.end,
        };
        finder.declare_functions(&tree.root, tree.root.span);
        finder.stmts(&tree.root.stmts);
        let mut scopes = finder.scopes;
        scopes.references.sort_by_key(|reference| reference.name.span);
        scopes
    }

    /// What a cursor at `offset` stands on: a declaration, or a use of one.
    pub fn symbol_at(&self, offset: u32) -> Option<usize> {
        let declared = self.symbols.iter().position(|symbol| symbol.name.span.touches(offset));
        declared.or_else(|| self.reference_at(offset)?.symbol)
    }

    pub fn reference_at(&self, offset: u32) -> Option<&Reference> {
        self.references
            .iter()
            .find(|reference| reference.name.span.touches(offset))
    }

    /// Where `symbol` is used, its declaration not included.
    pub fn uses_of(&self, symbol: usize) -> impl Iterator<Item = &Reference> {
        self.references
            .iter()
            .filter(move |reference| reference.symbol == Some(symbol))
    }

    /// What can be named at `offset`; of several of one name only the one that is meant. Functions come last.
    pub fn visible_at(&self, offset: u32) -> Vec<usize> {
        let is_function = |symbol: &Symbol| matches!(symbol.kind, SymbolKind::Function { .. });
        // The body that the offset stands in: variables from outside it hold there only by name.
        let within = self.function_around(offset);
        let mut seen = std::collections::BTreeSet::new();
        let mut found = Vec::new();
        for (at, symbol) in self.symbols.iter().enumerate().rev() {
            let holds = symbol.holds.start <= offset && offset <= symbol.holds.end;
            if !holds || (symbol.within != within && !is_function(symbol) && symbol.kind != SymbolKind::Import) {
                continue;
            }
            let arity = match symbol.kind {
                SymbolKind::Function { params, .. } => params + 1,
                _ => 0,
            };
            if seen.insert((symbol.name.text.as_str(), arity)) {
                found.push(at);
            }
        }
        found.sort_by_key(|at| (is_function(&self.symbols[*at]), *at));
        found
    }

    /// The function in whose body `offset` stands.
    pub fn function_around(&self, offset: u32) -> Option<usize> {
        let is_around = |symbol: &Symbol| {
            matches!(symbol.kind, SymbolKind::Function { .. })
                && symbol.declared.start < offset
                && offset < symbol.declared.end
                && !symbol.name.span.touches(offset)
        };
        self.symbols.iter().rposition(is_around)
    }
}

struct Finder {
    scopes: Scopes,
    /// By name and number of parameters.
    functions: BTreeMap<(String, usize), usize>,
    /// The variables and imports of each block that is open, innermost last.
    frames: Vec<Vec<usize>>,
    within: Option<usize>,
    /// Where the innermost open block ends.
    end: u32,
}

impl Finder {
    /// Functions hold before they are written down.
    fn declare_functions(&mut self, block: &Block, holds: Span) {
        for stmt in &block.stmts {
            let StmtKind::Fn(function) = &stmt.kind else { continue };
            let params = function.params.len();
            let at = self.scopes.symbols.len();
            self.scopes.symbols.push(Symbol {
                kind: SymbolKind::Function {
                    params,
                    is_private: function.is_private,
                },
                name: function.name.clone(),
                declared: stmt.span,
                holds,
                is_exported: !function.is_private,
                is_global: true,
                within: None,
            });
            self.functions.insert((function.name.text.clone(), params), at);
        }
    }

    fn declare(&mut self, kind: SymbolKind, name: &Name, declared: Span, from: u32) {
        if name.text.is_empty() {
            return;
        }
        let at = self.scopes.symbols.len();
        self.scopes.symbols.push(Symbol {
            kind,
            name: name.clone(),
            declared,
            holds: Span {
                start: from,
                end: self.end,
            },
            is_exported: false,
            is_global: self.frames.len() == 1 && self.within.is_none(),
            within: self.within,
        });
        self.frames.last_mut().expect("the file is a frame").push(at);
    }

    fn find(&self, name: &str, wanted: Wanted) -> Option<usize> {
        if let Wanted::Function { args } = wanted
            && let Some(found) = self.functions.get(&(name.to_owned(), args))
        {
            return Some(*found);
        }
        let fits = |at: &&usize| {
            let symbol = &self.scopes.symbols[**at];
            symbol.name.text == name && (symbol.kind == SymbolKind::Import) == (wanted == Wanted::Namespace)
        };
        self.frames
            .iter()
            .rev()
            .find_map(|frame| frame.iter().rev().find(fits))
            .copied()
    }

    fn refer(&mut self, name: &Name, wanted: Wanted, is_write: bool) {
        if name.text.is_empty() {
            return;
        }
        let mut symbol = self.find(&name.text, wanted);
        if symbol.is_none() && matches!(wanted, Wanted::Function { .. }) {
            // With another number of arguments: still the one that is meant.
            let named = |((known, _), at): (&(String, usize), &usize)| (*known == name.text).then_some(*at);
            symbol = self.functions.iter().find_map(named);
        }
        self.scopes.references.push(Reference {
            name: name.clone(),
            wanted,
            is_write,
            symbol,
        });
    }

    fn block(&mut self, block: &Block) {
        self.framed(block.span.end, |finder| finder.stmts(&block.stmts));
    }

    fn framed(&mut self, end: u32, inside: impl FnOnce(&mut Finder)) {
        let outer = std::mem::replace(&mut self.end, end);
        self.frames.push(Vec::new());
        inside(self);
        self.frames.pop();
        self.end = outer;
    }

    fn stmts(&mut self, stmts: &[Stmt]) {
        for stmt in stmts {
            self.stmt(stmt);
        }
    }

    fn stmt(&mut self, stmt: &Stmt) {
        match &stmt.kind {
            StmtKind::Let {
                is_const,
                is_exported,
                name,
                value,
            } => {
                self.maybe(value.as_ref());
                let kind = match is_const {
                    true => SymbolKind::Constant,
                    false => SymbolKind::Variable,
                };
                self.declare(kind, name, stmt.span, stmt.span.end);
                if let (true, Some(last)) = (*is_exported, self.scopes.symbols.last_mut()) {
                    last.is_exported = last.name == *name;
                }
            }
            StmtKind::Fn(function) => self.function(function),
            StmtKind::Import { source, alias } => {
                self.expr(source);
                if let Some(alias) = alias {
                    self.declare(SymbolKind::Import, alias, stmt.span, stmt.span.end);
                }
            }
            StmtKind::Export { name, .. } => {
                self.refer(name, Wanted::Variable, false);
                let exported = self.scopes.references.last().and_then(|reference| reference.symbol);
                if let Some(exported) = exported {
                    self.scopes.symbols[exported].is_exported = true;
                }
            }
            StmtKind::Return(value) | StmtKind::Throw(value) | StmtKind::Break(value) => self.maybe(value.as_ref()),
            StmtKind::Expr(expr) => self.expr(expr),
            StmtKind::Continue | StmtKind::Empty => {}
        }
    }

    fn function(&mut self, function: &Function) {
        let key = (function.name.text.clone(), function.params.len());
        let index = self.functions.get(&key).copied();
        // Nothing from around it holds within, except imports of the file.
        let is_import = |at: &usize| self.scopes.symbols[*at].kind == SymbolKind::Import;
        let imports: Vec<usize> = self.frames[0].iter().copied().filter(|at| is_import(at)).collect();
        let frames = std::mem::replace(&mut self.frames, vec![imports]);
        let within = std::mem::replace(&mut self.within, index);
        self.framed(function.body.span.end, |finder| {
            for param in &function.params {
                finder.declare(SymbolKind::Parameter, param, param.span, function.body.span.start);
            }
            finder.stmts(&function.body.stmts);
        });
        self.within = within;
        self.frames = frames;
    }

    fn maybe(&mut self, expr: Option<&Expr>) {
        if let Some(expr) = expr {
            self.expr(expr);
        }
    }

    fn all(&mut self, exprs: &[Expr]) {
        for expr in exprs {
            self.expr(expr);
        }
    }

    fn expr(&mut self, expr: &Expr) {
        let own = |text: &str| Name {
            text: text.to_owned(),
            span: expr.span,
        };
        match &expr.kind {
            ExprKind::Name(name) => self.refer(&own(name), Wanted::Variable, false),
            ExprKind::Path { namespaces, .. } => self.namespace(namespaces),
            ExprKind::Call {
                namespaces, name, args, ..
            } => {
                match namespaces.is_empty() {
                    true => self.refer(name, Wanted::Function { args: args.len() }, false),
                    false => self.namespace(namespaces),
                }
                self.all(args);
            }
            ExprKind::Method { target, name, args, .. } => {
                self.expr(target);
                // A function of the script can be called as a method; the value before the dot is `this`.
                if self.find(&name.text, Wanted::Function { args: args.len() }).is_some() {
                    self.refer(name, Wanted::Function { args: args.len() }, false);
                }
                self.all(args);
            }
            ExprKind::Assign { op, target, value } => {
                self.expr(value);
                match &target.bare().kind {
                    ExprKind::Name(name) => {
                        let name = Name {
                            text: name.clone(),
                            span: target.bare().span,
                        };
                        self.refer(&name, Wanted::Variable, op.text == "=");
                    }
                    _ => self.expr(target),
                }
            }
            ExprKind::Closure { params, body } => self.framed(expr.span.end, |finder| {
                for param in params {
                    finder.declare(SymbolKind::Parameter, param, param.span, param.span.end);
                }
                finder.expr(body);
            }),
            ExprKind::Template(parts) => {
                for part in parts {
                    if let TemplatePart::Code(block) = part {
                        self.block(block);
                    }
                }
            }
            ExprKind::Block(block) | ExprKind::Loop(block) => self.block(block),
            ExprKind::If {
                condition,
                then,
                otherwise,
            } => {
                self.expr(condition);
                self.block(then);
                self.maybe(otherwise.as_deref());
            }
            ExprKind::While { condition, body } => {
                self.expr(condition);
                self.block(body);
            }
            ExprKind::Do { body, condition, .. } => {
                self.block(body);
                self.expr(condition);
            }
            ExprKind::For {
                name,
                counter,
                over,
                body,
            } => {
                self.expr(over);
                self.framed(body.span.end, |finder| {
                    for name in std::iter::once(name).chain(counter) {
                        finder.declare(SymbolKind::Loop, name, name.span, body.span.start);
                    }
                    finder.block(body);
                });
            }
            ExprKind::Try { body, error, handler } => {
                self.block(body);
                self.framed(handler.span.end, |finder| {
                    if let Some(error) = error {
                        finder.declare(SymbolKind::Caught, error, error.span, handler.span.start);
                    }
                    finder.block(handler);
                });
            }
            ExprKind::Switch { value, arms } => {
                self.expr(value);
                for arm in arms {
                    let is_rest = |pattern: &&Expr| matches!(&pattern.kind, ExprKind::Name(name) if name == "_");
                    for pattern in arm.patterns.iter().filter(|pattern| !is_rest(pattern)) {
                        self.expr(pattern);
                    }
                    self.maybe(arm.guard.as_ref());
                    self.expr(&arm.body);
                }
            }
            ExprKind::Array(items) => self.all(items),
            ExprKind::Map(entries) => entries.iter().for_each(|entry| self.expr(&entry.value)),
            ExprKind::Field { target: inner, .. } | ExprKind::Unary { operand: inner, .. } | ExprKind::Paren(inner) => {
                self.expr(inner)
            }
            ExprKind::Index {
                target: left,
                index: right,
                ..
            }
            | ExprKind::Binary { left, right, .. } => {
                self.expr(left);
                self.expr(right);
            }
            ExprKind::Missing
            | ExprKind::Unit
            | ExprKind::Bool(_)
            | ExprKind::Int(_)
            | ExprKind::Float(_)
            | ExprKind::Char
            | ExprKind::Str(_)
            | ExprKind::This => {}
        }
    }

    fn namespace(&mut self, namespaces: &[Name]) {
        if let Some(first) = namespaces.first() {
            self.refer(first, Wanted::Namespace, false);
        }
    }
}
