//! Errors across modules: the frame is of the text in which it went wrong, however it came there.

use crate::project::Project;

const B: &str = r#"// the module below
fn throwing() {
    throw "from b";
}
fn indexing(list) {
    list[9]
}
fn reading() {
    file::read_text("inbox/none.txt")
}
fn closure() {
    |x| x.method_of_none()
}
fn mapped(list) {
    list.map(|x| x.nope())
}
fn apply(f) {
    f.call(1)
}
fn applied(list, f) {
    list.map(f)
}
fn sorted(list, f) {
    list.sort(f); list
}
"#;

const A: &str = r#"import "lib/b" as b;
fn throwing() { b::throwing() }
fn indexing(list) { b::indexing(list) }
fn own(list) {
    list[9]
}
fn reading() { b::reading() }
fn mapped(list) { b::mapped(list) }
fn apply(f) { b::apply(f) }
fn local(x) { x }
"#;

/// What a run of a playbook that ends with `last` shows.
fn shown(last: &str) -> String {
    let playbook =
        format!("import \"lib/a\" as a;\nimport \"lib/b\" as b;\nfn local(x) {{\n    x.nothing()\n}}\n{last}\n");
    let project = Project::bare()
        .file("playbooks/lib/a.rhai", A)
        .file("playbooks/lib/b.rhai", B)
        .file("playbooks/p.rhai", &playbook);
    let answer = project.host(&["run", "p"]);
    assert_eq!(answer.code, 1, "{answer:?}");
    answer.stdout
}

#[track_caller]
fn assert_at(last: &str, place: &str, line: &str) {
    let shown = shown(last);
    assert!(
        shown.contains(&format!(" playbooks/{place}:")),
        "{last} is at {place}: {shown}"
    );
    assert!(shown.contains(line), "{last} has the line {line:?}: {shown}");
}

#[test]
fn in_a_function_of_a_module_and_of_a_module_that_it_imports() {
    assert_at("a::own([1]);", "lib/a.rhai:5", "list[9]");
    assert_at("a::throwing();", "lib/b.rhai:3", "throw \"from b\";");
    assert_at("a::indexing([1]);", "lib/b.rhai:6", "list[9]");
    assert_at("a::mapped([1]);", "lib/b.rhai:15", "list.map(|x| x.nope())");
    assert_at("a::reading();", "lib/b.rhai:9", "file::read_text(\"inbox/none.txt\")");
}

#[test]
fn in_a_function_or_closure_of_the_playbook_that_a_module_calls() {
    assert_at("a::apply(|x| x.mine());", "p.rhai:6", "|x| x.mine()");
    assert_at("b::applied([1], |x| x.mine());", "p.rhai:6", "|x| x.mine()");
    assert_at("b::applied([1], local);", "p.rhai:4", "x.nothing()");
    // The module in between has a function of the same name.
    assert_at("a::apply(local);", "p.rhai:4", "x.nothing()");
    assert_at("b::applied([1], |x| throw \"mine\");", "p.rhai:6", "throw \"mine\"");
    // An effect.
    assert_at(
        "b::applied([1], |x| file::read_text(\"inbox/none.txt\"));",
        "p.rhai:6",
        "|x| file::read_text",
    );
}

#[test]
fn in_a_module_that_is_called_from_a_closure_that_a_module_calls() {
    assert_at("[1].map(|x| b::indexing([x]));", "lib/b.rhai:6", "list[9]");
    assert_at("b::applied([1], |x| a::own([x]));", "lib/a.rhai:5", "list[9]");
    assert_at(
        "b::applied([1], |x| [x].map(|y| a::own([y])));",
        "lib/a.rhai:5",
        "list[9]",
    );
}

#[test]
fn where_it_is_thrown_again() {
    assert_at("try { a::throwing(); } catch (e) { throw e; }", "p.rhai:6", "throw e;");
}

#[test]
fn a_closure_that_left_its_module_is_explained_without_names_of_the_engine() {
    let shown = shown("let f = b::closure(); f.call(1);");
    assert!(shown.contains("this closure was made in another module"), "{shown}");
    assert!(!shown.contains("anon$"), "{shown}");
}

#[test]
fn in_the_statements_of_a_module_and_in_its_syntax() {
    let project = Project::bare()
        .file("playbooks/lib/a.rhai", "import \"lib/b\" as b;\n")
        .file("playbooks/lib/b.rhai", "const A = 1;\nlet list = [1];\nlist[3];\n")
        .file("playbooks/p.rhai", "import \"lib/a\" as a;\n");
    let failed = project.host(&["run", "p"]);
    assert!(failed.stdout.contains(" playbooks/lib/b.rhai:3:"), "{failed:?}");
    project.write("playbooks/lib/b.rhai", "const A = 1;\nlet list = [1;\n");
    let broken = project.host(&["run", "p"]);
    assert!(broken.stderr.contains(" playbooks/lib/b.rhai:2:"), "{broken:?}");
    assert_eq!(broken.stderr.matches("error[").count(), 1, "{broken:?}");
    project.write("playbooks/lib/b.rhai", "import \"lib/none\" as none;\n");
    let missing = project.host(&["run", "p"]);
    assert!(missing.stderr.contains(" playbooks/lib/b.rhai:1:"), "{missing:?}");
}
