//! How long a save takes to go live with 1,000 playbooks. It prints, and asserts nothing: `HOST_MEASURE=1 cargo test
//! --release --test reload measure -- --nocapture`.

use std::time::{Duration, Instant};

use super::project::{Project, write};

#[test]
fn save_to_live_with_a_thousand_playbooks() {
    if std::env::var_os("HOST_MEASURE").is_none() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "host.toml", "");
    let body =
        "let items = [];\nfor i in 0..10 { items.push(#{ id: i, title: `item ${i}` }); }\nkv::put(\"items\", items);\n"
            .repeat(20);
    for number in 0..1_000 {
        let import = if number % 4 == 0 {
            "import \"lib/shared\" as common;\n"
        } else {
            ""
        };
        let header = format!(
            "const PLAYBOOK = #{{ title: \"Playbook {number}\", schedule: \"{} 7 * * *\", timezone: \"UTC\" }};\n",
            number % 60
        );
        let path = format!("playbooks/group{}/p{number}.rhai", number % 20);
        write(folder.path(), &path, &format!("{header}{import}{}", body));
    }
    write(folder.path(), "playbooks/lib/shared.rhai", "fn one() { 1 }");
    for number in 0..100 {
        write(folder.path(), &format!("prompts/p{number}.md"), "Say {{ what }}.");
    }
    let begun = Instant::now();
    let project = Project::in_folder(folder);
    println!(
        "first start: {:?}, {} playbooks",
        begun.elapsed(),
        project.edition().playbooks.len()
    );
    std::thread::sleep(Duration::from_secs(3));
    if let Some(fault) = project.versions()[0].faults.first() {
        println!("left out: {fault}");
    }
    println!("memory: {}", resident());
    let mut took = Vec::new();
    for number in 0..20 {
        let text = format!("// {number}\n1");
        let before = project.edition().number;
        let begun = Instant::now();
        project.save("playbooks/group1/p1.rhai", &text);
        while project.edition().number == before {
            std::thread::sleep(Duration::from_millis(1));
        }
        took.push(begun.elapsed());
    }
    took.sort();
    println!("a playbook: median {:?}, worst {:?}", took[10], took[19]);
    for (what, path, text) in [
        (
            "a module of 250 playbooks",
            "playbooks/lib/shared.rhai",
            "fn one() { 2 }",
        ),
        ("a prompt", "prompts/p1.md", "Tell {{ what }}."),
        ("host.toml", "host.toml", "[serve]\nguarded_runs = 5\n"),
        (
            "host.toml, the language",
            "host.toml",
            "[limits]\noperations = 1000000\n",
        ),
    ] {
        let before = project.edition().number;
        let begun = Instant::now();
        project.save(path, text);
        while project.edition().number == before {
            std::thread::sleep(Duration::from_millis(1));
        }
        println!("{what}: {:?}", begun.elapsed());
    }
}

fn resident() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS"));
    line.unwrap_or("unknown").to_owned()
}
