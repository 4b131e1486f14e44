//! What a seed stands for: runs, their scripts, and how unkind the world is to them.

use crate::providers::{KINDS, Kind};
use crate::rng::Rng;
use crate::world::{Crash, Keep, Unkindness};

/// One run that somebody wants.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Names the run, and begins the labels of its writes.
    pub name: String,
    pub script: String,
    /// The script in pieces that stand for themselves, for whoever edits it.
    pub parts: Vec<String>,
    /// The life in which it is asked for first.
    pub from_life: u32,
}

#[derive(Clone, Debug)]
pub struct Scenario {
    pub seed: u64,
    pub wanted: Vec<Wanted>,
    pub unkindness: Unkindness,
    /// How each life ends; lives beyond these end in order.
    pub crashes: Vec<Crash>,
    /// Whether somebody sets the clock on the wall.
    pub jumps: bool,
    /// How often people look in during a life.
    pub people: u32,
    /// How often somebody cancels, retries or edits during a life.
    pub hands: u32,
}

impl Scenario {
    /// What the seed says: one to four runs of scripts made up by chance, troubles, up to three crashes.
    pub fn random(seed: u64) -> Scenario {
        let mut rng = Rng::new(seed ^ 0x5CE9_A210);
        let runs = rng.between(1, 4);
        let lives = rng.below(4);
        let wanted = (0..runs).map(|number| {
            let parts = parts(&mut rng);
            Wanted {
                name: format!("r{number}"),
                script: whole(&parts),
                parts,
                from_life: if rng.hits(800) {
                    1
                } else {
                    rng.between(1, lives + 1) as u32
                },
            }
        });
        let wanted: Vec<_> = wanted.collect();
        let crash = |rng: &mut Rng| Crash {
            at: rng.between(1, 12 + 30 * runs),
            keep: *rng.pick(&[Keep::Nothing, Keep::Everything, Keep::Some, Keep::Some]),
        };
        Scenario {
            seed,
            wanted,
            unkindness: Unkindness {
                net: *rng.pick(&[0, 100, 300, 600]),
                stall: *rng.pick(&[0, 0, 20]),
            },
            crashes: (0..lives).map(|_| crash(&mut rng)).collect(),
            jumps: rng.hits(300),
            people: 12,
            hands: 0,
        }
    }

    /// The same, with people who cancel, retry and edit; most playbooks clean up behind themselves.
    pub fn with_hands(seed: u64) -> Scenario {
        let mut scenario = Scenario::random(seed);
        let mut rng = Rng::new(seed ^ 0x4A2D_5EED);
        for wanted in &mut scenario.wanted {
            if rng.hits(150) {
                let at = rng.below(wanted.parts.len() as u64 + 1) as usize;
                wanted.parts.insert(at, "throw \"it is broken\";\n".to_owned());
            }
            if rng.hits(700) {
                let writes = rng.hits(500);
                wanted.parts.insert(0, cleanup(&wanted.name, writes));
            }
            wanted.script = whole(&wanted.parts);
        }
        scenario.hands = rng.between(2, 10) as u32;
        scenario
    }

    /// Small, for every crash point in turn: each of `kinds` written to once by one run.
    pub fn small(seed: u64, kinds: &[&str], net: u64) -> Scenario {
        let mut script = "let run = input.name;\n".to_owned();
        for (number, name) in kinds.iter().enumerate() {
            script += &local(number, false);
            script += &write(crate::providers::kind(name), number, false);
        }
        script += "kv::increment(`${run}/end`); \"end\"";
        Scenario {
            seed,
            wanted: vec![Wanted {
                name: "r0".to_owned(),
                script,
                parts: Vec::new(),
                from_life: 1,
            }],
            unkindness: Unkindness { net, stall: 0 },
            crashes: Vec::new(),
            jumps: false,
            people: 2,
            hands: 0,
        }
    }
}

/// A store change of step `number`: its own counter, and one that all share.
fn local(number: usize, shared: bool) -> String {
    let own = format!("kv::increment(`${{run}}/{number}`);\n");
    if shared {
        own + "kv::increment(\"shared\");\n"
    } else {
        own
    }
}

fn write(kind: &Kind, number: usize, catches: bool) -> String {
    let (name, options) = (kind.name, kind.options);
    let call = format!("{name}::post(\"/posts\", #{{ text: label }}{options})");
    let label = format!("let label = `${{run}}-{number}-{name}`;\n");
    match catches {
        true => format!("{label}try {{ {call}; }} catch (e) {{ kv::put(`${{run}}/error-{number}`, e.code); }}\n"),
        false => format!("{label}let answer = {call};\nkv::put(`${{run}}/id-{number}`, answer.status);\n"),
    }
}

/// What is done after a run that did not succeed.
fn cleanup(name: &str, writes: bool) -> String {
    let write = match writes {
        true => format!("keyed::post(\"/posts\", #{{ text: \"{name}-cleanup-keyed\" }});"),
        false => String::new(),
    };
    format!("fn cleanup(end) {{ kv::increment(\"cleaned\"); {write} kv::put(\"ended\", end.status); }}\n")
}

/// A script of `parts`.
pub fn whole(parts: &[String]) -> String {
    let parts = parts.concat();
    format!("let run = input.name;\n{parts}kv::increment(`${{run}}/end`); `end of ${{run}}`")
}

/// `parts` as somebody edits them: something is left out, moved, changed or new. `edit` makes new labels.
pub fn edited(parts: &[String], edit: u64, rng: &mut Rng) -> Vec<String> {
    let mut parts = parts.to_vec();
    parts.retain(|part| !part.starts_with("throw"));
    for turn in 0..rng.between(0, 2) as usize {
        let count = parts.len() as u64;
        let at = rng.below(count) as usize;
        match rng.below(5) {
            _ if parts.is_empty() => {}
            0 => drop(parts.remove(at)),
            1 => {
                let other = rng.below(count) as usize;
                parts.swap(at, other);
            }
            2 => parts.insert(
                at,
                write(rng.pick(&KINDS), (50 + edit as usize) * 10 + turn, rng.hits(500)),
            ),
            _ => {
                parts[at] = parts[at].replacen("let label = `${run}-", &format!("let label = `${{run}}-e{edit}."), 1);
            }
        }
    }
    if rng.hits(150) {
        parts.push("throw \"it is still broken\";\n".to_owned());
    }
    parts
}

/// Up to six steps by chance.
fn parts(rng: &mut Rng) -> Vec<String> {
    let mut parts = Vec::new();
    for number in 0..rng.between(1, 6) as usize {
        let n = number;
        let mut part = match rng.below(19) {
            0 | 1 => local(n, true),
            2 => format!("store::put(\"things\", `${{run}}-{n}`, #{{ at: time::now_ms(), by: random::int(1, 9) }});\n"),
            3 => LARGE.to_owned(),
            4 => read(rng, n),
            5 => "run::sleep(\"90s\");\n".to_owned(),
            6 => wait(rng, n),
            7 => start(rng, n),
            8 => map(rng, n),
            _ => write(rng.pick(&KINDS), n, rng.hits(500)),
        };
        if rng.hits(300) {
            part += &local(number + 100, rng.hits(500));
        }
        parts.push(part);
    }
    parts
}

/// A value that lies in a file of its own.
const LARGE: &str = "let big = \"\"; big.pad(70000, \"x\"); kv::put(`${run}/big`, big); kv::get(`${run}/big`);\n";

/// Refusals are answers.
const ANSWERS: &str = "#{ accept: [408, 422, 429, 400, 500, 502, 503] }";

fn read(rng: &mut Rng, n: usize) -> String {
    let ask = format!("plain::get(\"/feed\", {ANSWERS}).status");
    if rng.hits(500) {
        return format!("kv::put(`${{run}}/seen-{n}`, {ask});\n");
    }
    // It gets a value at some try, or never.
    let wanted = if rng.hits(700) { 200 } else { 503 };
    let attempt = format!("|| {{ let seen = {ask}; if seen == {wanted} {{ seen }} }}");
    let poll = format!("run::poll(\"5s\", \"60s\", {attempt})");
    format!("try {{ kv::put(`${{run}}/seen-{n}`, {poll}); }} catch (e) {{ kv::put(`${{run}}/seen-{n}`, e.code); }}\n")
}

/// For what may come in time.
fn wait(rng: &mut Rng, n: usize) -> String {
    match rng.hits(500) {
        true => format!("kv::put(`${{run}}/event-{n}`, run::wait_event(\"news\", #{{ timeout: \"100s\" }}));\n"),
        false => format!("kv::put(`${{run}}/answer-{n}`, run::ask(\"is it so?\", #{{ timeout: \"200s\" }}));\n"),
    }
}

/// A run of its own, waited for at once or later.
fn start(rng: &mut Rng, n: usize) -> String {
    let fails = rng.hits(200);
    let inputs = format!("#{{ name: `${{run}}.{n}`, fails: {fails} }}");
    let start = match rng.hits(500) {
        true => format!("playbook::run(\"child\", {inputs})"),
        false => format!(
            "let child = playbook::start(\"child\", {inputs}); kv::increment(`${{run}}/while-{n}`); \
             playbook::wait(child)"
        ),
    };
    format!("try {{ {start}; }} catch (e) {{ kv::put(`${{run}}/child-{n}`, e.code); }}\n")
}

/// Several at once.
fn map(rng: &mut Rng, n: usize) -> String {
    let count = rng.between(2, 4);
    let inputs: Vec<_> = (0..count)
        .map(|child| format!("#{{ name: `${{run}}.{n}.{child}`, fails: {} }}", rng.hits(150)))
        .collect();
    let on_error = rng.pick(&["stop", "collect"]);
    format!(
        "try {{ kv::put(`${{run}}/map-{n}`, playbook::map(\"child\", [{}], #{{ concurrency: {}, on_error: \"{on_error}\" \
         }}).len()); }} catch (e) {{ kv::put(`${{run}}/map-{n}`, e.code); }}\n",
        inputs.join(", "),
        rng.between(1, 3)
    )
}
