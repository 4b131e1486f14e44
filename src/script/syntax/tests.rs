//! What the tree promises: no byte is lost, nothing panics, and it agrees with Rhai about what parses.

use proptest::prelude::*;

use super::scopes::Wanted;
use super::token::tokens;
use super::{ExprKind, Lines, Node, Scopes, StmtKind, parse};

fn problems(text: &str) -> Vec<String> {
    let tree = parse(text);
    let lines = Lines::of(text);
    let told = tree.problems.iter().map(|problem| {
        let (line, column) = lines.place(text, problem.span.start);
        format!("{line}:{column} {}", problem.message)
    });
    told.collect()
}

fn engine() -> rhai::Engine {
    let mut engine = rhai::Engine::new_raw();
    engine.set_max_expr_depths(64, 64);
    engine
}

/// Scripts with everything the language has.
const RICH: &[&str] = &[
    "let x = 1_000; const Y = 0xff; let z; x += 2; x **= 3; x <<= 1;",
    "fn add(a, b) { a + b } private fn one() { 1 } add(1, 2); let f = |a, b| a * b; let g = || 42; f.call(1, 2)",
    "if a > 1 { b } else if c { d } else { e }",
    "let x = if a { 1 } else { 2 }; let y = switch x { 1 | 2 => `a`, 3..5 if x > 1 => { 4 } _ => 5 };",
    "while x < 3 { x += 1; if x == 2 { continue; } break; } loop { break 5; } do { x -= 1; } until x <= 0; do { } while x",
    "for i in 0..10 { print(i); } for (item, n) in [1, 2,] { } for x in range(0, 5) {}",
    "try { throw #{ code: \"X\" }; } catch (e) { e.code } try { a() } catch { }",
    "import \"lib/x\" as lib; let y = lib::f(1, 2); lib::sub::CONST; export let q = 1; export y as z;",
    "let t = `a ${b + `nested ${c}`} d ${ #{ x: 1 }.x } `` \\${no} $`; let u = \"q\\n\\\"\"\" \\u2764\"; let r = #\"raw \"here\"#;",
    "a.b?.c[1]?[2].d(3)?.e(); a[-1] = -b ** 2; !a && b || c ?? d; 1 in [1]; x !in y; a..b; a..=b; (1 + 2) * 3;",
    "let m = #{ \"quoted key\": 1, plain: #{ deep: [1, 2, #{ a: () }] }, }; m.plain.deep[0] = 'c'; let e = #{};",
    "fn int.double() { this * 2 } 5.double(); 1.5.floor(); 1e10; 2.5e-3; 1..3; { let x = 1; x }; return;",
    "// a comment\n/* b /* nested */ c */ let x = 1; /// doc\nfn f() { } //! end",
    "let c = |x| { return x; }; let d = |x| x += 1; f!(1); Fn(\"a\"); let n = -5; let p = +n;",
    "let x = { let y = 1; y + 1 }; if x is_ok { }",
];

#[test]
fn the_tokens_are_the_text_again() {
    for text in RICH {
        let joined: String = tokens(text).iter().map(|token| token.span.of(text)).collect();
        assert_eq!(&joined, text);
    }
}

#[test]
fn what_rhai_compiles_has_no_problems_and_what_it_refuses_has() {
    let engine = engine();
    for text in RICH {
        let compiles = engine.compile(text);
        let problems = problems(text);
        assert_eq!(
            compiles.is_ok(),
            problems.is_empty(),
            "{text}\n{compiles:?}\n{problems:?}"
        );
    }
}

#[test]
fn all_shipped_playbooks_are_read_without_a_problem() {
    let shipped = [
        include_str!("../../../playbooks/demo.rhai"),
        include_str!("../../../playbooks/learn/errors.rhai"),
        include_str!("../../../playbooks/learn/incident.rhai"),
        include_str!("../../../playbooks/learn/store.rhai"),
    ];
    for text in shipped {
        assert_eq!(problems(text), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn half_typed_lines_leave_the_rest_readable() {
    let text =
        "let a = kv::;\nlet b = store::get(\"x\", \nlet c = b.\nfn f(x) { x + }\nlet d = #{ title: , uses: [ };\nf(c)";
    let tree = parse(text);
    let declared: Vec<_> = tree
        .root
        .stmts
        .iter()
        .filter_map(|stmt| match &stmt.kind {
            StmtKind::Let { name, .. } => Some(name.text.as_str()),
            StmtKind::Fn(function) => Some(function.name.text.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(declared, ["a", "b", "c", "f", "d"]);
    insta::assert_snapshot!(problems(text).join("
"), @r"
    1:13 a function of the namespace is missing here
    2:24 `)` is missing here
    3:11 a field or function is missing here
    4:14 a value is missing here
    5:18 a value is missing here
    5:28 `]` is missing here
    ");
}

#[test]
fn an_open_bracket_says_where_it_began() {
    let text = "if x {\n  f(1, 2;\n";
    let tree = parse(text);
    let open: Vec<_> = tree
        .problems
        .iter()
        .map(|problem| problem.related.map(|span| span.of(text)))
        .collect();
    assert_eq!(open, [Some("("), Some("{")]);
}

#[test]
fn a_cursor_finds_the_innermost_node() {
    let text = "let x = kv::get(`a${name}`);";
    let tree = parse(text);
    let offset = text.find("name").expect("it is there") as u32 + 2;
    let path = tree.path_to(offset);
    assert!(
        matches!(path.last(), Some(Node::Expr(expr)) if matches!(&expr.kind, ExprKind::Name(name) if name == "name"))
    );
    let is_call = |node: &Node<'_>| matches!(node, Node::Expr(expr) if matches!(expr.kind, ExprKind::Call { .. }));
    assert!(path.iter().any(is_call));
}

#[test]
fn names_mean_what_rhai_makes_of_them() {
    let text = "let x = 1; let x = x + 1; { let x = 3; x } fn f(x) { x + y } let y = 2; let g = |z| z + x + y; f(g);";
    let scopes = Scopes::of(&parse(text));
    let told: Vec<_> = scopes
        .references
        .iter()
        .map(|reference| {
            let to = reference.symbol.map(|at| scopes.symbols[at].name.span.start);
            format!("{}@{}→{to:?}", reference.name.text, reference.name.span.start)
        })
        .collect();
    insta::assert_snapshot!(told.join("
"), @r"
    x@19→Some(4)
    x@39→Some(32)
    x@53→Some(48)
    y@57→None
    z@84→Some(81)
    x@88→Some(15)
    y@92→Some(65)
    f@95→Some(46)
    g@97→Some(76)
    ");
    let is_function = |wanted| matches!(wanted, Wanted::Function { args: 1 });
    assert!(scopes.references.iter().any(|reference| is_function(reference.wanted)));
}

#[test]
fn hostile_depth_and_length_overflow_no_stack() {
    let deep = [
        "(",
        "[",
        "{",
        "#{a:",
        "|a|",
        "-",
        "a.b(",
        "if a {",
        "`${",
        "a=",
        "fn f(){",
        "switch a { b => ",
    ];
    for piece in deep {
        let text = piece.repeat(20_000);
        let tree = parse(&text);
        assert!(!tree.problems.is_empty(), "{piece}");
        Scopes::of(&tree);
        tree.path_to(text.len() as u32 / 2);
    }
    for piece in ["1+", "a.", "a[0]", "a;", "a ", "\"", "}", "/*", "a,"] {
        Scopes::of(&parse(&piece.repeat(100_000)));
    }
}

#[test]
fn lines_and_columns_go_both_ways() {
    let text = "a\r\nöb😀c\n\nz";
    let lines = Lines::of(text);
    for (offset, _) in text.char_indices().filter(|(_, letter)| !"\r\n".contains(*letter)) {
        let offset = offset as u32;
        let (line, column) = lines.place(text, offset);
        assert_eq!(lines.offset(text, line, column), offset);
        let (line, column) = lines.utf16(text, offset);
        assert_eq!(lines.offset_utf16(text, line, column), offset);
    }
    assert_eq!(lines.utf16(text, text.find('c').expect("it is there") as u32), (1, 4));
    assert_eq!(lines.offset_utf16(text, 99, 99), text.len() as u32);
}

/// A text made of pieces of scripts.
fn soup() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("let "),
        Just("x"),
        Just(" = "),
        Just("1"),
        Just(";"),
        Just("{"),
        Just("}"),
        Just("("),
        Just(")"),
        Just("#{"),
        Just("a: "),
        Just(","),
        Just("fn f"),
        Just("|"),
        Just("||"),
        Just("`"),
        Just("${"),
        Just("\""),
        Just("if "),
        Just("else "),
        Just("."),
        Just("::"),
        Just("\n"),
        Just("// c\n"),
        Just("/*"),
        Just("*/"),
        Just("switch "),
        Just("=>"),
        Just("for "),
        Just(" in "),
        Just("["),
        Just("]"),
        Just("-"),
        Just("try "),
        Just("catch "),
        Just("ö"),
        Just("\\"),
    ];
    proptest::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn whatever_is_typed_keeps_its_bytes_and_has_spans_within_each_other(text in soup()) {
        let tree = parse(&text);
        let joined: String = tree.tokens.iter().map(|token| token.span.of(&text)).collect();
        prop_assert_eq!(joined, text.clone());
        let mut wrong = Vec::new();
        tree.walk(&mut |node| {
            for child in node.children() {
                if !node.span().contains(child.span()) {
                    wrong.push(format!("{child:?} stands outside {node:?}"));
                }
            }
            true
        });
        prop_assert!(wrong.is_empty(), "{:?}", wrong);
        Scopes::of(&tree);
    }

    #[test]
    fn what_rhai_compiles_is_read_without_a_problem(text in soup()) {
        if engine().compile(&text).is_ok() {
            prop_assert_eq!(problems(&text), Vec::<String>::new());
        }
    }
}
