//! Which lines of scripts were run.
//!
//! Before each statement of a script, and before what a closure or a case of a `switch` computes, a mark is put: a call
//! that notes the line. Rhai could tell the lines itself if it were built with its debugger, but then it would ask for
//! every operation of every run whether somebody debugs; so only those who want to know pay, with a second text of the
//! script. A mark moves what follows on its line; [`Coverage::restore`] moves it back.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rhai::Engine;

use super::source::Text;
use super::syntax::{Expr, ExprKind, Lines, Node, Span, StmtKind, parse, walk};
use crate::effect::Place;

/// What a mark calls. No script has a reason for such a name.
const MARK: &str = "host_line_was_run";

/// Lines of scripts, and how often each was run.
#[derive(Default)]
pub struct Coverage(Mutex<State>);

#[derive(Default)]
struct State {
    files: BTreeMap<String, File>,
    /// By the numbers of marks: a file and a line of it.
    marks: Vec<(String, u32)>,
}

#[derive(Default)]
struct File {
    /// The mark of each line that has one, and how often it was reached.
    lines: BTreeMap<u32, (usize, u64)>,
    /// What was put into each line: before which column, and how many characters.
    inserted: BTreeMap<u32, Vec<(u32, u32)>>,
}

impl Coverage {
    /// The text with marks in it.
    pub fn mark(&self, source: &Text) -> String {
        let places = places(&source.text);
        let lines = Lines::of(&source.text);
        let mut state = self.state();
        let mut inserts: Vec<(u32, String)> = Vec::new();
        for (span, is_bare) in places {
            let (line, _) = lines.place(&source.text, span.start);
            let number = state.number(&source.file, line);
            match is_bare {
                true => {
                    inserts.push((span.start, format!("{{{MARK}({number});")));
                    inserts.push((span.end, "}".to_owned()));
                }
                false => inserts.push((span.start, format!("{MARK}({number});"))),
            }
        }
        // Where one ends and another begins, the end comes first; of those that begin together, the outer one.
        inserts.sort_by_key(|(at, text)| (*at, text != "}"));
        let file = state.files.entry(source.file.clone()).or_default();
        file.inserted.clear();
        let mut marked = String::with_capacity(source.text.len() * 2);
        let mut from = 0;
        for (at, text) in inserts {
            marked.push_str(&source.text[from..at as usize]);
            marked.push_str(&text);
            from = at as usize;
            let (line, column) = lines.place(&source.text, at);
            let count = text.chars().count() as u32;
            file.inserted.entry(line).or_default().push((column, count));
        }
        marked.push_str(&source.text[from..]);
        marked
    }

    /// Lets scripts of `engine` note their lines.
    pub(super) fn watch(self: &std::sync::Arc<Self>, engine: &mut Engine) {
        let coverage = self.clone();
        engine.register_fn(MARK, move |number: i64| coverage.reach(number));
    }

    fn reach(&self, number: i64) {
        let mut state = self.state();
        let mark = usize::try_from(number)
            .ok()
            .and_then(|number| state.marks.get(number).cloned());
        if let Some((file, line)) = mark
            && let Some((_, count)) = state.files.get_mut(&file).and_then(|file| file.lines.get_mut(&line))
        {
            *count += 1;
        }
    }

    /// Moves a place in the marked text of `file`, or of a module, to where it stands in its own.
    pub fn restore(&self, file: &str, place: &mut Place) {
        let file = match &place.module {
            Some(module) => format!("playbooks/{module}.rhai"),
            None => file.to_owned(),
        };
        let state = self.state();
        let Some(inserted) = state.files.get(&file).and_then(|file| file.inserted.get(&place.line)) else {
            return;
        };
        let mut moved = 0;
        for (column, count) in inserted {
            if place.column >= column + moved + count {
                moved += count;
            }
        }
        place.column -= moved;
    }

    /// How often each line of a file was run, of those that can be.
    pub fn lines(&self, file: &str) -> BTreeMap<u32, u64> {
        let state = self.state();
        let lines = state.files.get(file).map(|file| &file.lines);
        lines
            .into_iter()
            .flatten()
            .map(|(line, (_, count))| (*line, *count))
            .collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn number(&mut self, file: &str, line: u32) -> usize {
        let next = self.marks.len();
        let lines = &mut self.files.entry(file.to_owned()).or_default().lines;
        let (number, _) = *lines.entry(line).or_insert((next, 0));
        if number == next {
            self.marks.push((file.to_owned(), line));
        }
        number
    }
}

/// What can be marked, and whether it is an expression that has no block around it.
fn places(text: &str) -> Vec<(Span, bool)> {
    let tree = parse(text);
    let mut found = Vec::new();
    if !tree.problems.is_empty() {
        return found;
    }
    walk::walk(Node::Block(&tree.root), &mut |node| {
        match node {
            Node::Stmt(stmt) => match &stmt.kind {
                StmtKind::Fn(_) | StmtKind::Empty => {}
                _ => found.push((stmt.span, false)),
            },
            Node::Expr(expr) => match &expr.kind {
                ExprKind::Closure { body, .. } => found.extend(bare(body)),
                ExprKind::Switch { arms, .. } => found.extend(arms.iter().filter_map(|arm| bare(&arm.body))),
                // What is computed within a text stands on the text's own line.
                ExprKind::Template(_) => return false,
                _ => {}
            },
            Node::Block(_) => {}
        }
        true
    });
    found
}

fn bare(body: &Expr) -> Option<(Span, bool)> {
    match body.kind {
        ExprKind::Block(_) => None,
        _ => Some((body.span, true)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// The lines of `text` that were run and those that were not, and where its last error stands.
    fn run(text: &str) -> (Vec<u32>, Vec<u32>, Option<(u32, u32)>) {
        let coverage = Arc::new(Coverage::default());
        let source = Text::new("a.rhai", text);
        let mut engine = Engine::new();
        coverage.watch(&mut engine);
        let result = engine.eval::<rhai::Dynamic>(&coverage.mark(&source));
        let place = result.err().map(|error| {
            let mut place = crate::script::error::place_of(error.position(), None);
            coverage.restore("a.rhai", &mut place);
            (place.line, place.column)
        });
        let (run, not): (Vec<_>, Vec<_>) = coverage.lines("a.rhai").into_iter().partition(|(_, count)| *count > 0);
        let names = |lines: Vec<(u32, u64)>| lines.into_iter().map(|(line, _)| line).collect();
        (names(run), names(not), place)
    }

    #[test]
    fn lines_are_run_or_not_also_in_functions_closures_and_cases() {
        let text = "let a = 1;\nif a == 2 {\n  a = 3;\n} else {\n  a = 4;\n}\nfn f() {\n  7\n}\nlet b = [1].map(|x|\n  x + 1);\n\
                    switch a {\n  4 =>\n    f(),\n  _ =>\n    9,\n}";
        let (run, not, place) = run(text);
        assert_eq!(place, None);
        assert_eq!(run, [1, 2, 5, 8, 10, 11, 12, 14]);
        assert_eq!(not, [3, 16]);
    }

    #[test]
    fn errors_stand_where_they_stood_without_marks() {
        for text in [
            "let a = 1; let b = nothing;",
            "[1].map(|x| x + 1).map(|y| { let z = y; oh_no(z) })",
            "let é = \"é\"; if true { let c = 1; throw c }",
            "switch 1 { 1 => missing(2), _ => 3 }",
            "let f = |x| |y| x.nope(y); f.call(1).call(2)",
        ] {
            let plain = Engine::new().eval::<rhai::Dynamic>(text).unwrap_err();
            let plain = crate::script::error::place_of(plain.position(), None);
            assert_eq!(run(text).2, Some((plain.line, plain.column)), "{text}");
        }
    }
}
