//! Playbooks made up by chance: each replays as it ran, and the store holds what their journals say.

use host::testing::TestHost;
use proptest::prelude::*;

use crate::ledger::audit;

#[derive(Clone, Debug)]
enum Action {
    Put(u8, i64),
    PutText(u8),
    Get(u8),
    Increment(u8, i64),
    Remove(u8),
    List,
    PutDocument(u8),
    GetDocument(u8),
    DeleteDocument(u8),
    Random,
    Time,
    /// An effect that fails whatever the state.
    Refused,
    Try(Vec<Action>),
    Loop(u8, Vec<Action>),
    OnChance(Vec<Action>),
}

impl Action {
    fn write(&self, script: &mut String) {
        let block = |actions: &[Action]| {
            let mut inner = String::new();
            actions.iter().for_each(|action| action.write(&mut inner));
            inner
        };
        *script += &match self {
            Action::Put(key, value) => format!("kv::put(\"k{key}\", {value});\n"),
            Action::PutText(key) => format!("kv::put(\"k{key}\", `seen ${{seen}}`);\n"),
            Action::Get(key) => format!("seen.push(kv::get(\"k{key}\"));\n"),
            Action::Increment(key, by) => format!("seen.push(kv::increment(\"k{key}\", {by}));\n"),
            Action::Remove(key) => format!("seen.push(kv::remove(\"k{key}\"));\n"),
            Action::List => "seen.push(kv::list(\"k\").len());\n".to_owned(),
            Action::PutDocument(id) => format!("seen.push(store::put(\"c\", \"d{id}\", #{{ n: seen.len() }}));\n"),
            Action::GetDocument(id) => format!("seen.push(store::read(\"c\", \"d{id}\"));\n"),
            Action::DeleteDocument(id) => format!("seen.push(store::delete(\"c\", \"d{id}\"));\n"),
            Action::Random => "seen.push(random::int(0, 1000000)); seen.push(random::float());\n".to_owned(),
            Action::Time => "seen.push(time::now_ms());\n".to_owned(),
            Action::Refused => "kv::get(\"\");\n".to_owned(),
            Action::Try(actions) => {
                format!(
                    "try {{ {} }} catch (error) {{ seen.push(error.code); }}\n",
                    block(actions)
                )
            }
            Action::Loop(times, actions) => format!("for i in 0..{times} {{ {} }}\n", block(actions)),
            Action::OnChance(actions) => format!("if random::int(0, 1) == 1 {{ {} }}\n", block(actions)),
        };
    }
}

fn any_action() -> impl Strategy<Value = Action> {
    let key = || 0..4u8;
    let leaf = prop_oneof![
        (key(), -5..5i64).prop_map(|(key, value)| Action::Put(key, value)),
        key().prop_map(Action::PutText),
        key().prop_map(Action::Get),
        (key(), -5..5i64).prop_map(|(key, by)| Action::Increment(key, by)),
        key().prop_map(Action::Remove),
        Just(Action::List),
        key().prop_map(Action::PutDocument),
        key().prop_map(Action::GetDocument),
        key().prop_map(Action::DeleteDocument),
        Just(Action::Random),
        Just(Action::Time),
        Just(Action::Refused),
    ];
    leaf.prop_recursive(3, 20, 6, |inner| {
        let block = proptest::collection::vec(inner, 1..6);
        prop_oneof![
            3 => block.clone().prop_map(Action::Try),
            1 => (1..4u8, block.clone()).prop_map(|(times, actions)| Action::Loop(times, actions)),
            1 => block.prop_map(Action::OnChance),
        ]
    })
}

fn script(actions: &[Action]) -> String {
    let mut script = "let seen = [];\n".to_owned();
    actions.iter().for_each(|action| action.write(&mut script));
    script + "seen.len()"
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(24) })]

    #[test]
    fn whatever_a_playbook_keeps_its_replay_equals_its_run_and_the_store_its_journals(
        scripts in proptest::collection::vec(proptest::collection::vec(any_action(), 1..12), 1..3),
    ) {
        let host = TestHost::default();
        for actions in &scripts {
            host.run(&script(actions));
            host.clock.advance(std::time::Duration::from_secs(1));
        }
        prop_assert_eq!(audit(&host.ground).len(), scripts.len());
        // Replays every run, and panics when one differs.
        drop(host);
    }
}
