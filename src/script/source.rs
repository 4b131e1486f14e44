//! A playbook with its imports, compiled, each text named by its hash.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rhai::{
    AST, ASTNode, Engine, EvalAltResult, Expr, FnPtr, GlobalRuntimeState, Module, ModuleResolver, Position, Scope,
    Shared, Stmt,
};

use super::Language;
use super::error::{Diagnosis, place_of};
use super::header::Header;
use super::limits::SOURCE_BYTES_MAX;
use crate::effect::Place;
use crate::id::ContentHash;

/// The variable through which a playbook reads its input, everywhere in it.
pub const INPUT: &str = "input";

/// Modules that one playbook may import, directly and through others.
const MODULES_MAX: usize = 64;

/// One text of a playbook: itself, or a module it imports.
#[derive(Clone, Debug)]
pub struct Text {
    pub file: String,
    pub text: Arc<str>,
    pub hash: ContentHash,
}

impl Text {
    pub fn new(file: impl Into<String>, text: impl Into<Arc<str>>) -> Text {
        let text = text.into();
        Text {
            file: file.into(),
            hash: ContentHash::of(text.as_bytes()),
            text,
        }
    }
}

/// A playbook, ready to run.
#[derive(Clone)]
pub struct Script {
    pub name: String,
    pub source: Text,
    pub header: Header,
    /// By the name under which they are imported.
    pub modules: BTreeMap<String, Text>,
    pub(super) ast: AST,
    compiled: Arc<BTreeMap<String, AST>>,
}

/// Finds the text of an imported module by its name; the error says why there is none.
pub type FindModule<'a> = dyn Fn(&str) -> Result<Text, String> + 'a;

impl Script {
    /// Compiles `source` and everything it imports. Nothing of it runs.
    pub fn compile(language: &Language, name: &str, source: Text, find: &FindModule<'_>) -> Result<Script, Diagnosis> {
        Script::compile_within(language, name, source, &Scope::new(), find)
    }

    /// The same for a run that was started with it: what starts the playbook was read then, and is left out.
    pub fn compile_for_run(
        language: &Language,
        name: &str,
        source: Text,
        find: &FindModule<'_>,
    ) -> Result<Script, Diagnosis> {
        Script::compiled(language, name, source, &Scope::new(), find, Header::read_for_run)
    }

    /// The same for a text that goes on with the variables of `scope`.
    pub fn compile_within(
        language: &Language,
        name: &str,
        source: Text,
        scope: &Scope<'_>,
        find: &FindModule<'_>,
    ) -> Result<Script, Diagnosis> {
        Script::compiled(language, name, source, scope, find, Header::read)
    }

    fn compiled(
        language: &Language,
        name: &str,
        source: Text,
        scope: &Scope<'_>,
        find: &FindModule<'_>,
        read_header: impl Fn(&AST, &Text) -> Result<Header, Diagnosis>,
    ) -> Result<Script, Diagnosis> {
        let engine = language.engine();
        let ast = parse(&engine, &source, None, scope)?;
        let header = read_header(&ast, &source)?;
        let ast = watched(language, &engine, &source, None).unwrap_or(ast);
        let mut loading = Loading {
            language,
            engine: &engine,
            find,
            texts: BTreeMap::new(),
            compiled: BTreeMap::new(),
            path: Vec::new(),
        };
        loading.load_imports(&ast, &source, None)?;
        let Loading {
            texts: modules,
            compiled,
            ..
        } = loading;
        Ok(Script {
            name: name.to_owned(),
            source,
            header,
            modules,
            ast,
            compiled: Arc::new(compiled),
        })
    }

    /// The same, shown as a part of `source`, in which it stands at the same place.
    pub fn shown_within(self, source: Text) -> Script {
        Script { source, ..self }
    }

    /// The playbook's own text and those of its modules.
    pub fn texts(&self) -> impl Iterator<Item = &Text> {
        std::iter::once(&self.source).chain(self.modules.values())
    }

    /// The imported modules by name, each as the hash of its content.
    pub fn module_hashes(&self) -> BTreeMap<String, ContentHash> {
        let hashes = self.modules.iter().map(|(name, text)| (name.clone(), text.hash));
        hashes.collect()
    }

    /// The text in which `place` lies.
    pub fn text_at(&self, place: &Place) -> &Text {
        place
            .module
            .as_ref()
            .and_then(|module| self.modules.get(module))
            .unwrap_or(&self.source)
    }

    /// The module, or "" for the playbook itself, whose text has the script's function `function`: `claimed` if it does.
    pub(super) fn owner_of<'s>(&'s self, function: &str, claimed: &'s str) -> &'s str {
        let has = |ast: &AST| ast.iter_functions().any(|known| known.name == function);
        let is_claimed = |module: Option<&str>| module.unwrap_or_default() == claimed;
        let owners = || self.asts().filter(|(_, ast)| has(ast)).map(|(module, _)| module);
        if owners().any(is_claimed) {
            return claimed;
        }
        owners().next().map_or(claimed, Option::unwrap_or_default)
    }

    /// Resolves imports from the compiled modules and nothing else.
    pub fn resolver(&self) -> impl ModuleResolver + use<> {
        Pinned(self.compiled.clone())
    }

    /// All compiled texts, the playbook's own first, with the module names of the others.
    pub fn asts(&self) -> impl Iterator<Item = (Option<&str>, &AST)> {
        let modules = self.compiled.iter().map(|(name, ast)| (Some(name.as_str()), ast));
        std::iter::once((None, &self.ast)).chain(modules)
    }
}

/// Reads `source` and its header, without its imports: whether it could run.
pub fn read(language: &Language, source: &Text) -> Result<Header, Diagnosis> {
    let ast = parse(&language.engine(), source, None, &Scope::new())?;
    Header::read(&ast, source)
}

/// Reads `source` as if every name in it were known: whether it is a script at all.
pub fn read_leniently(language: &Language, source: &Text) -> Result<(), Diagnosis> {
    let mut engine = language.engine();
    engine.set_strict_variables(false);
    match parse(&engine, source, None, &Scope::new()) {
        Err(diagnosis) if diagnosis.code != "INPUT_SHADOWED" => Err(diagnosis),
        _ => Ok(()),
    }
}

fn parse(engine: &Engine, source: &Text, module: Option<&str>, known: &Scope<'_>) -> Result<AST, Diagnosis> {
    if source.text.len() > SOURCE_BYTES_MAX {
        let message = format!(
            "the script has {} bytes; at most {SOURCE_BYTES_MAX} are allowed: split it into modules",
            source.text.len()
        );
        return Err(Diagnosis::new("SCRIPT_TOO_LARGE", message, source.clone()));
    }
    let mut scope = known.clone();
    scope.push_constant(INPUT, ());
    // A mark at the beginning says that it is UTF-8, and nothing to Rhai. A blank keeps the places.
    let unmarked = source.text.strip_prefix('\u{feff}').map(|text| format!(" {text}"));
    let mut ast = engine
        .compile_with_scope(&scope, unmarked.as_deref().unwrap_or(&source.text))
        .map_err(|error| Diagnosis::of_parse_error(&error, source.clone(), module))?;
    // Rhai names a module by this in the errors and effects that come from it.
    ast.set_source(module.unwrap_or_default());
    refuse_input_shadowing(&ast, source, module)?;
    Ok(ast)
}

/// The same script with marks in it, where it is to be known which lines are run. One that the marks make too deep or
/// too long for Rhai goes without.
fn watched(language: &Language, engine: &Engine, source: &Text, module: Option<&str>) -> Option<AST> {
    let marked = language.coverage.as_ref()?.mark(source);
    let mut scope = Scope::new();
    scope.push_constant(INPUT, ());
    let mut ast = engine.compile_with_scope(&scope, marked).ok()?;
    ast.set_source(module.unwrap_or_default());
    Some(ast)
}

/// A local variable `input` would be read as the run's input all the same, so it is not allowed.
fn refuse_input_shadowing(ast: &AST, source: &Text, module: Option<&str>) -> Result<(), Diagnosis> {
    let mut at = None;
    // Closures that read `input` have it for a parameter too: Rhai hands them what they capture.
    let mut captured = BTreeSet::new();
    ast.walk(&mut |path: &[ASTNode]| {
        if let Some(ASTNode::Expr(Expr::FnCall(call, _))) = path.last()
            && let [closure, values @ ..] = call.args.as_slice()
            && let Some(closure) = closure
                .get_literal_value(None)
                .and_then(|closure| closure.try_cast::<FnPtr>())
            && values.iter().any(is_input)
        {
            captured.insert(closure.fn_name().to_owned());
        }
        let found = match path.last() {
            Some(ASTNode::Stmt(Stmt::Var(definition, _, pos))) => (definition.0.as_str() == INPUT).then_some(*pos),
            Some(ASTNode::Stmt(Stmt::For(details, pos))) => {
                let counter = details.1.as_ref().is_some_and(|counter| counter.as_str() == INPUT);
                (details.0.as_str() == INPUT || counter).then_some(*pos)
            }
            Some(ASTNode::Stmt(Stmt::TryCatch(details, pos))) => is_input(&details.expr).then_some(*pos),
            _ => None,
        };
        at = at.or(found);
        at.is_none()
    });
    let parameter = ast
        .iter_functions()
        .any(|function| function.params.contains(&INPUT) && !captured.contains(function.name));
    match at {
        None if !parameter => Ok(()),
        at => {
            let message = "`input` is what the run was given, and no name for a variable or parameter; choose another";
            let place = place_of(at.unwrap_or(Position::NONE), module);
            Err(Diagnosis::new("INPUT_SHADOWED", message, source.clone()).at(place))
        }
    }
}

fn is_input(expression: &Expr) -> bool {
    matches!(expression, Expr::Variable(name, ..) if name.1.as_str() == INPUT)
}

/// Imports under way.
struct Loading<'a> {
    language: &'a Language,
    engine: &'a Engine,
    find: &'a FindModule<'a>,
    texts: BTreeMap<String, Text>,
    compiled: BTreeMap<String, AST>,
    /// The modules that are being loaded, each imported by the one before.
    path: Vec<String>,
}

impl Loading<'_> {
    fn load_imports(&mut self, ast: &AST, source: &Text, module: Option<&str>) -> Result<(), Diagnosis> {
        for (name, position) in imports(ast) {
            let fail = |code: &str, message: String| {
                Err(Diagnosis::new(code, message, source.clone()).at(place_of(position, module)))
            };
            let Some(name) = name else {
                return fail(
                    "IMPORT_COMPUTED",
                    "the path of an import must be a literal text, so that it is known before the run".to_owned(),
                );
            };
            if self.path.contains(&name) {
                let circle = format!("{} → {name}", self.path.join(" → "));
                return fail(
                    "IMPORT_CYCLE",
                    format!("modules import each other in a circle: {circle}"),
                );
            }
            if self.compiled.contains_key(&name) {
                continue;
            }
            if self.compiled.len() + self.path.len() >= MODULES_MAX {
                return fail("LIMIT_MODULES", format!("more than {MODULES_MAX} modules are imported"));
            }
            let text = match (self.find)(&name) {
                Ok(text) => text,
                Err(why) => return fail("IMPORT_NOT_FOUND", why),
            };
            let imported = parse(self.engine, &text, Some(&name), &Scope::new())?;
            self.path.push(name.clone());
            self.load_imports(&imported, &text, Some(&name))?;
            self.path.pop();
            let imported = watched(self.language, self.engine, &text, Some(&name)).unwrap_or(imported);
            self.texts.insert(name.clone(), text);
            self.compiled.insert(name, imported);
        }
        Ok(())
    }
}

/// Every import of a text: its path, `None` when it is computed, and its place.
fn imports(ast: &AST) -> Vec<(Option<String>, Position)> {
    let mut found = Vec::new();
    ast.walk(&mut |path: &[ASTNode]| {
        if let Some(ASTNode::Stmt(Stmt::Import(import, position))) = path.last() {
            let name = match &import.0 {
                Expr::StringConstant(text, _) => Some(text.to_string()),
                _ => None,
            };
            found.push((name, *position));
        }
        true
    });
    found
}

/// Answers imports from what was compiled with the playbook, in the run's own context.
struct Pinned(Arc<BTreeMap<String, AST>>);

impl ModuleResolver for Pinned {
    fn resolve(
        &self,
        _: &Engine,
        _: Option<&str>,
        path: &str,
        pos: Position,
    ) -> Result<Shared<Module>, Box<EvalAltResult>> {
        Err(EvalAltResult::ErrorModuleNotFound(path.to_owned(), pos).into())
    }

    fn resolve_raw(
        &self,
        engine: &Engine,
        global: &mut GlobalRuntimeState,
        scope: &mut Scope,
        path: &str,
        pos: Position,
    ) -> Result<Shared<Module>, Box<EvalAltResult>> {
        let ast = self
            .0
            .get(path)
            .ok_or_else(|| EvalAltResult::ErrorModuleNotFound(path.to_owned(), pos))?;
        let mut module = Module::eval_ast_as_new_raw(engine, scope, global, ast)
            .map_err(|error| Box::new(EvalAltResult::ErrorInModule(path.to_owned(), error, pos)))?;
        module.build_index();
        Ok(module.into())
    }
}

impl Script {
    /// Runs the playbook on `engine`, which carries its run, input and modules.
    pub fn evaluate(&self, engine: &Engine) -> Result<rhai::Dynamic, Box<EvalAltResult>> {
        engine.eval_ast::<rhai::Dynamic>(&self.ast)
    }

    /// Runs it with the variables of `scope` and the functions of `before`, and leaves its own in both.
    pub fn evaluate_within(
        &self,
        engine: &Engine,
        scope: &mut Scope<'_>,
        before: &mut AST,
    ) -> Result<rhai::Dynamic, Box<EvalAltResult>> {
        let whole = before.clone_functions_only().merge(&self.ast);
        *before = whole.clone_functions_only();
        engine.eval_ast_with_scope::<rhai::Dynamic>(scope, &whole)
    }

    /// The imports of the text itself, outside of functions: the module, and the name it is given.
    pub fn imports(&self) -> Vec<(String, String)> {
        let import = |statement: &Stmt| match statement {
            Stmt::Import(import, _) => match &import.0 {
                Expr::StringConstant(path, _) => Some((path.to_string(), import.1.name.to_string())),
                _ => None,
            },
            _ => None,
        };
        self.ast.statements().iter().filter_map(import).collect()
    }

    /// Whether the playbook cleans up after itself: it has a function `cleanup` of one parameter.
    pub fn has_cleanup(&self) -> bool {
        let mut functions = self.ast.iter_functions();
        functions.any(|function| function.name == CLEANUP && function.params.len() == 1)
    }

    /// The functions of a test file that are its cases: those of no parameter whose names begin with `test_`.
    pub fn cases(&self) -> Vec<String> {
        let is_case = |function: &rhai::ScriptFnMetadata<'_>| {
            function.name.starts_with(CASE) && function.name.len() > CASE.len() && function.params.is_empty()
        };
        let mut cases: Vec<String> = self
            .ast
            .iter_functions()
            .filter(is_case)
            .map(|function| function.name.to_owned())
            .collect();
        cases.sort();
        cases
    }

    /// Runs what stands outside functions, and then calls the function `name`. What it returns is nobody's.
    pub fn call(&self, engine: &Engine, name: &str) -> Result<rhai::Dynamic, Box<EvalAltResult>> {
        let called = engine.call_fn::<rhai::Dynamic>(&mut Scope::new(), &self.ast, name, ());
        called.map(|_| rhai::Dynamic::UNIT)
    }

    /// Calls the playbook's `cleanup` with what became of the run.
    pub fn clean_up(&self, engine: &Engine, end: rhai::Dynamic) -> Result<rhai::Dynamic, Box<EvalAltResult>> {
        let options = rhai::CallFnOptions::new().eval_ast(false);
        engine.call_fn_with_options(options, &mut Scope::new(), &self.ast, CLEANUP, (end,))
    }
}

/// The function that is called after a run that did not succeed.
pub const CLEANUP: &str = "cleanup";

/// How the names of functions begin that are cases of a test file.
pub const CASE: &str = "test_";
