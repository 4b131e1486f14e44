//! Whatever is saved in whatever order: what is live was on the disk at once, and compiles.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::project::Project;

/// What a person does to one of three files.
#[derive(Clone, Debug)]
enum Edit {
    Good(usize, u16),
    Broken(usize),
    Importing(usize, usize),
    Remove(usize),
    Pause(u64),
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        4 => (0usize..3, any::<u16>()).prop_map(|(file, number)| Edit::Good(file, number)),
        1 => (0usize..3).prop_map(Edit::Broken),
        2 => (1usize..3, 0usize..1).prop_map(|(file, module)| Edit::Importing(file, module)),
        1 => (0usize..3).prop_map(Edit::Remove),
        3 => (0u64..260).prop_map(Edit::Pause),
    ]
}

type Disk = BTreeMap<String, String>;

/// As the host judges it, without the host: a text is good unless it says so, and imports must be there.
fn compiles(disk: &Disk) -> bool {
    let is_good = |text: &String| {
        let imports = text.strip_prefix("import \"").and_then(|rest| rest.split('"').next());
        !text.contains("= ;") && imports.is_none_or(|module| disk.contains_key(module))
    };
    disk.values().all(is_good)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, max_shrink_iters: 0, ..ProptestConfig::default() })]

    #[test]
    fn what_is_live_was_on_the_disk_and_in_the_end_it_is_the_last_that_compiles(edits in prop::collection::vec(edit(), 1..25)) {
        let project = Project::of(&[("playbooks/p0.rhai", "0")]);
        let mut disk: Disk = BTreeMap::from([("p0".to_owned(), "0".to_owned())]);
        let mut states = vec![disk.clone()];
        let live = |project: &Project| -> Disk {
            let edition = project.edition();
            let text = |name: &String| edition.app.library.playbook(name).expect("it compiles").source.text.to_string();
            edition.playbooks.keys().map(|name| (name.clone(), text(name))).collect()
        };
        for edit in edits {
            let name = |file: usize| format!("p{file}");
            let path = |file: usize| format!("playbooks/p{file}.rhai");
            let mut save = |file: usize, text: String| {
                project.save(&path(file), &text);
                disk.insert(name(file), text);
                states.push(disk.clone());
            };
            match edit {
                Edit::Good(file, number) => save(file, format!("{number}")),
                Edit::Broken(file) => save(file, "let x = ;".to_owned()),
                Edit::Importing(file, module) => save(file, format!("import \"p{module}\" as m; 1")),
                Edit::Remove(file) => {
                    if disk.remove(&name(file)).is_some() {
                        project.remove(&path(file));
                        states.push(disk.clone());
                    }
                }
                Edit::Pause(ms) => std::thread::sleep(std::time::Duration::from_millis(ms)),
            }
            let now = live(&project);
            prop_assert!(states.contains(&now), "never on the disk: {now:?}");
            prop_assert!(compiles(&now), "does not compile: {now:?}");
        }
        if compiles(&disk) {
            project.until("the last save is live", |project| live(project) == disk);
        } else {
            project.until("the last save is refused", |project| {
                let broken = project.status().broken;
                broken.is_some_and(|version| host::journal::edition::files_of(&*project.ground.store, version.number)
                    .is_ok_and(|files| files.iter().filter(|(path, _)| path.ends_with(".rhai")).count() == disk.len()))
            });
            prop_assert!(compiles(&live(&project)));
        }
    }
}
