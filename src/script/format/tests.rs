//! What formatting promises: the same meaning, one style, and nothing more to do the second time.

use proptest::prelude::*;

use super::{Unformatted, format, said};
use crate::script::syntax::token::tokens;

#[track_caller]
fn formatted(text: &str) -> String {
    let once = format(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(format(&once).as_ref(), Ok(&once), "the second time it changes");
    once
}

#[test]
fn space_is_put_where_it_belongs() {
    let text = "let   x=1+2 *-3;let m=#{a:1,b : [1,2 ,3,],};\nm.a  =x- -1; if(x>1)&&! done{f( x )}else{g()}\n\
                for i in 0 .. 10{ print( i ) }  fn  add( a,b ){a+b}\nlet f=| a,b |a*b;let g=||42;  x!in [1];a ?. b ?[ 0 ];lib :: f( 1 );";
    insta::assert_snapshot!(formatted(text), @"
    let x = 1 + 2 * -3;
    let m = #{ a: 1, b: [1, 2, 3] };
    m.a = x - -1;
    if (x > 1) && !done { f(x) } else { g() }
    for i in 0..10 { print(i) }
    fn add(a, b) { a + b }
    let f = |a, b| a * b;
    let g = || 42;
    x !in [1];
    a?.b?[0];
    lib::f(1);
    ");
}

#[test]
fn a_list_that_does_not_fit_or_was_broken_has_one_item_per_line() {
    let text = r#"let short = [
1, 2];
store::put("clips", newest.id, #{ title: newest.title, caption: caption.text, simulated: caption.simulated, a: 1 });
let long = [one_long_name_for_a_thing, another_long_name_for_a_thing, yet_another_long_name_for_a_thing];
let newest = feed.items.reduce(|best, item| { if best == () || item.published > best.published { item } else { best } });
some_function_with_a_name(the_first_argument_that_is_long, the_second_argument_that_is_long, "the third");
let all = items.filter(|item| item.is_good)
.map(|item| {
item.name })
    .len();
"#;
    insta::assert_snapshot!(formatted(text), @r#"
    let short = [
        1,
        2,
    ];
    store::put("clips", newest.id, #{
        title: newest.title,
        caption: caption.text,
        simulated: caption.simulated,
        a: 1,
    });
    let long = [
        one_long_name_for_a_thing,
        another_long_name_for_a_thing,
        yet_another_long_name_for_a_thing,
    ];
    let newest = feed.items.reduce(|best, item| {
        if best == () || item.published > best.published { item } else { best }
    });
    some_function_with_a_name(
        the_first_argument_that_is_long,
        the_second_argument_that_is_long,
        "the third",
    );
    let all = items.filter(|item| item.is_good)
        .map(|item| {
            item.name
        })
        .len();
    "#);
}

#[test]
fn comments_and_single_blank_lines_stay_where_they_are() {
    let text = r#"//! The header.


const PLAYBOOK = #{ // said first
    uses: ["openai"],          // who may be written to

    // above
    timeout: "5m" // last
    // below
};
let x = 1; // beside
/* a block */ let y = /* within */ 2;


fn f(a) {

    // alone
    a
    // at the end

}
let z = a // first
    && b;
switch x { // cases
    1 => { 2 } // one
    // two
    2 | 3 if y > 1 => 4,
    _ => 5 }
// the end
"#;
    insta::assert_snapshot!(formatted(text), @r#"
    //! The header.

    const PLAYBOOK = #{
        // said first
        uses: ["openai"], // who may be written to

        // above
        timeout: "5m", // last
        // below
    };
    let x = 1; // beside
    /* a block */ let y = /* within */ 2;

    fn f(a) {
        // alone
        a
        // at the end
    }
    let z = a // first
        && b;
    switch x {
        // cases
        1 => { 2 } // one
        // two
        2 | 3 if y > 1 => 4,
        _ => 5,
    }
    // the end
    "#);
}

#[test]
fn blocks_on_one_line_stay_there_when_they_fit_and_the_others_are_broken() {
    let text = "if a { b }\nif a {\nb } else if c { d; e } else\n{ f }\ntry { x() } catch(e) { y(e) }\nwhile x<1\n{ x+=1 }\nloop { break; }\ndo { x } until y;\nif a { one_long_name_for_a_thing(another_long_name_for_a_thing); yet_another_long_name_for_a_thing() }";
    insta::assert_snapshot!(formatted(text), @"
    if a { b }
    if a {
        b
    } else if c { d; e } else { f }
    try { x() } catch (e) { y(e) }
    while x < 1 { x += 1 }
    loop { break; }
    do { x } until y;
    if a {
        one_long_name_for_a_thing(another_long_name_for_a_thing);
        yet_another_long_name_for_a_thing()
    }
    ");
}

#[test]
fn texts_templates_and_the_kind_of_line_ends_are_left_as_they_are() {
    let text = "let t = `a  ${ b+c }\r\n  d`;\r\nlet s=#\"raw  \"x\"\"#;\r\nlet l = \"a\\\r\n   b\";";
    assert_eq!(
        formatted(text),
        "let t = `a  ${ b+c }\r\n  d`;\r\nlet s = #\"raw  \"x\"\"#;\r\nlet l = \"a\\\r\n   b\";\r\n"
    );
    assert_eq!(formatted(""), "");
    assert_eq!(formatted(" \n\n"), "");
    assert_eq!(formatted("\n\n// only\n\n\n"), "// only\n");
}

#[test]
fn what_is_not_understood_is_left_alone() {
    for text in ["let x = ;", "f(1", "if x { ", "let t = `a ${ b", "a b"] {
        assert!(matches!(format(text), Err(Unformatted::Syntax(_))), "{text}");
    }
    assert_eq!(format(&" ".repeat(600_000)), Err(Unformatted::TooLarge(600_000)));
}

fn compiles(text: &str) -> bool {
    let mut engine = rhai::Engine::new_raw();
    engine.set_optimization_level(rhai::OptimizationLevel::None);
    engine.set_max_expr_depths(48, 48);
    engine.compile(text).is_ok()
}

/// A script grown from small parts, with space and comments anywhere between its tokens.
fn scripts() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec!["a", "b", "item", "input_of", "x1"]);
    let leaf = prop_oneof![
        name.clone().prop_map(str::to_owned),
        (0..1000i64).prop_map(|number| number.to_string()),
        prop::sample::select(vec![
            "1.5",
            "2.",
            "'c'",
            "\"t\"",
            "`a ${b} c`",
            "`two\nlines`",
            "()",
            "true",
            "0xff",
            "#\"r\"#"
        ])
        .prop_map(str::to_owned),
    ];
    let expr = leaf.prop_recursive(4, 40, 5, move |inner| {
        let list = prop::collection::vec(inner.clone(), 0..5);
        let op = prop::sample::select(vec![
            "+", "-", "*", "&&", "||", "==", "<", "??", "in", "!in", "|", "<<", "..",
        ]);
        let sign = prop::sample::select(vec!["-", "!", "+"]);
        let comma = prop::sample::select(vec!["", " ,"]);
        prop_oneof![
            (inner.clone(), op, inner.clone()).prop_map(|(left, op, right)| format!("{left} {op} {right}")),
            (sign, inner.clone()).prop_map(|(sign, value)| format!("{sign} ( {value} )")),
            (sign_of(), inner.clone()).prop_map(|(sign, value)| format!("( {sign} {value} )")),
            (list.clone(), comma.clone()).prop_map(|(items, comma)| match items.is_empty() {
                true => "[ ]".to_owned(),
                false => format!("[ {} {comma} ]", items.join(" , ")),
            }),
            list.clone().prop_map(|items| format!("f ( {} )", items.join(" , "))),
            list.clone().prop_map(|items| {
                let entries: Vec<String> = items
                    .iter()
                    .enumerate()
                    .map(|(at, item)| format!("k{at} : {item}"))
                    .collect();
                format!("#{{ {} }}", entries.join(" , "))
            }),
            (inner.clone(), list).prop_map(|(target, items)| format!("( {target} ) . m ( {} )", items.join(" , "))),
            inner.clone().prop_map(|body| format!("f ( | p , q | {body} )")),
            inner.clone().prop_map(|body| format!("f ( 1 , | | {{ {body} }} )")),
            (inner.clone(), inner.clone()).prop_map(|(target, index)| format!("( {target} ) [ {index} ] . field")),
            (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(is, then, other)| format!("if {is} {{ {then} }} else {{ {other} ; }}")),
            (inner.clone(), inner.clone())
                .prop_map(|(value, body)| format!("switch {value} {{ 1 | 2 => {{ {body} }} , _ => {value} }}")),
            inner.prop_map(|value| format!("( {value} )")),
        ]
    });
    let stmt = (
        prop::sample::select(vec![
            "let x = {} ;",
            "{} ;",
            "return {} ;",
            "fn g ( p ) {{ {} ; p }}",
            "for i in {} {{ continue ; }}",
            "while {} {{ break ; }}",
            "try {{ {} ; }} catch ( e ) {{ e }}",
            "x += {} ;",
            "throw {} ;",
            "loop {{ {} ; break }}",
        ]),
        expr,
    )
        .prop_map(|(shape, value)| shape.replace("{{", "{").replace("}}", "}").replace("{}", &value));
    prop::collection::vec(stmt, 1..6).prop_map(|stmts| stmts.join(" "))
}

fn sign_of() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["-", "!", "- -", "! !"])
}

/// Puts space and comments in the place of single blanks, outside of texts.
fn spaced(script: &str, fillings: &[usize]) -> String {
    const FILLINGS: [&str; 9] = [
        " ",
        "\n",
        "  ",
        " // c\n",
        " /* c */ ",
        "\n\n\n",
        "\n// own\n",
        " ",
        "\t\r\n",
    ];
    let mut fillings = fillings.iter().cycle();
    let found = tokens(script);
    let pieces = found.iter().map(|token| match token.span.of(script) {
        " " if token.kind == crate::script::syntax::TokenKind::Whitespace => {
            FILLINGS[fillings.next().expect("it is endless") % FILLINGS.len()]
        }
        words => words,
    });
    pieces.collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn formatting_keeps_every_token_changes_nothing_twice_and_compiles_as_before(
        script in scripts(), fillings in prop::collection::vec(0..9usize, 1..40)
    ) {
        let script = spaced(&script, &fillings);
        match format(&script) {
            Ok(once) => {
                prop_assert_eq!(said(&once, &tokens(&once)), said(&script, &tokens(&script)));
                let twice = format(&once);
                prop_assert_eq!(twice.as_ref(), Ok(&once), "not the same twice: {}", &script);
                prop_assert_eq!(compiles(&script), compiles(&once), "{}\n---\n{}", &script, &once);
            }
            Err(Unformatted::Syntax(problem)) => prop_assert!(!compiles(&script), "{:?}: {}", problem, &script),
            Err(other) => prop_assert!(false, "{}: {}", other, &script),
        }
    }

    #[test]
    fn nothing_that_is_typed_makes_it_panic(text in "[a-c(){}\\[\\]|#\"`$;,.:=<>!+*/\\-\r\n 𝄞0-9]{0,80}") {
        if let Ok(once) = format(&text) {
            prop_assert_eq!(format(&once), Ok(once));
        }
    }
}
