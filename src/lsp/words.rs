//! Words of headers and of the language, with what they mean: what no registry of functions knows.

/// The keys of a header: what each is, and an example of its value as a snippet.
pub const HEADER_KEYS: &[(&str, &str, &str)] = &[
    ("title", "What people call the playbook.", "\"$1\""),
    ("description", "What it does, for whoever reads about it.", "\"$1\""),
    (
        "uses",
        "The providers, with or without an account (`\"instagram:main\"`), whose live writes it may make. The gate refuses \
         the rest.",
        "[\"$1\"]",
    ),
    (
        "inputs",
        "What it wants to be told, by name. Inputs are flags of `host run`, and are checked before the run begins.",
        "#{ $1 }",
    ),
    (
        "timeout",
        "How long a run may be at work: `\"45m\"`. Waiting does not count.",
        "\"${1:45m}\"",
    ),
    (
        "deadline",
        "How long after its beginning a run must be over, waits included: `\"2d\"`.",
        "\"${1:1d}\"",
    ),
    (
        "on_failure",
        "`\"incident\"` opens an incident when a run fails.",
        "\"incident\"",
    ),
    (
        "schedule",
        "When it starts by itself: five fields as in crontab(5), `\"0 7 * * *\"`, seconds as an optional sixth.",
        "\"${1:0 7 * * *}\"",
    ),
    (
        "every",
        "How long from one start to the next: `\"15m\"`.",
        "\"${1:15m}\"",
    ),
    (
        "timezone",
        "The zone that `schedule` is meant in: `\"America/New_York\"`.",
        "\"${1:UTC}\"",
    ),
    (
        "missed",
        "What to do about starts that were missed: catch up `\"latest\"`, `\"all\"` or `\"none\"` of them.",
        "\"${1|latest,all,none|}\"",
    ),
    (
        "horizon",
        "How far back missed starts are caught up: `\"24h\"`.",
        "\"${1:24h}\"",
    ),
    (
        "metrics",
        "What it counts, there at 0 from the start: `#{ clips: #{ type: \"counter\", help: \"…\" } }`.",
        "#{ ${1:name}: #{ type: \"${2|counter,gauge,histogram|}\", help: \"${3}\" } }",
    ),
    ("jitter", "Spreads starts over so long: `\"5m\"`.", "\"${1:5m}\""),
    (
        "overlap",
        "What to do when the run before is not over: `\"skip\"`, `\"queue\"`, `\"allow\"` or `\"cancel_previous\"`.",
        "\"${1|skip,queue,allow,cancel_previous|}\"",
    ),
    (
        "concurrency",
        "How many of its runs may be at work at the same time.",
        "${1:1}",
    ),
    (
        "files",
        "Files whose arrival starts it: `\"inbox/*.mp4\"`.",
        "\"${1:inbox/*.mp4}\"",
    ),
    (
        "after",
        "The playbook after whose success it starts: `\"daily/fetch\"`.",
        "\"$1\"",
    ),
    ("startup", "Whether it starts with the host.", "true"),
    (
        "http",
        "The route that starts it: `#{ method: \"POST\", path: \"/clips\" }`.",
        "#{ method: \"${1:POST}\", path: \"${2:/}\" }",
    ),
    (
        "webhook",
        "What a service sends starts it: `#{ path: \"/hooks/github\", scheme: \"github\", secret: \"GITHUB_WEBHOOK_SECRET\" }`.",
        "#{ path: \"${1:/hooks/}\", scheme: \"${2:github}\", secret: \"${3:GITHUB_WEBHOOK_SECRET}\" }",
    ),
    ("queue", "The queue whose jobs it takes.", "\"$1\""),
    ("event", "The event that starts it.", "\"$1\""),
];

/// What the header says of one input.
pub const INPUT_KEYS: &[(&str, &str, &str)] = &[
    (
        "type",
        "`\"string\"` (unless said otherwise), `\"int\"`, `\"float\"`, `\"bool\"`, `\"array\"` or `\"map\"`.",
        "\"${1|string,int,float,bool,array,map|}\"",
    ),
    ("required", "Whether a run cannot begin without it.", "true"),
    ("preset", "What it is when it is not given.", "$1"),
    ("help", "What it is about, for `host run NAME --help`.", "\"$1\""),
    ("choices", "The only values that are allowed.", "[$1]"),
    ("min", "The least number, or the fewest characters.", "$1"),
    ("max", "The greatest number, or the most characters.", "$1"),
];

/// The values that a key of the header or of an input may have.
pub const VALUES: &[(&str, &[&str])] = &[
    ("type", &["string", "int", "float", "bool", "array", "map"]),
    ("on_failure", &["incident"]),
    ("missed", &["latest", "all", "skip"]),
    ("overlap", &["skip", "queue", "allow"]),
    (
        "timezone",
        &[
            "UTC",
            "Europe/London",
            "Europe/Berlin",
            "America/New_York",
            "America/Los_Angeles",
            "Asia/Tokyo",
        ],
    ),
];

/// What an error that was caught has.
pub const ERROR_FIELDS: &[(&str, &str)] = &[
    ("code", "What happened, as a stable name: `\"HTTP_TIMEOUT\"`."),
    ("message", "What happened, in words."),
    ("provider", "The provider it came from, if from one."),
    ("status", "The status of the answer, if there was one."),
    (
        "retry_after",
        "How long the provider asked to be left alone, in seconds.",
    ),
    (
        "landed",
        "Whether a write was done: `true`, `false`, or `()` where nobody knows.",
    ),
    ("details", "What else is known."),
];

/// Whole statements, offered where one may begin.
pub const SNIPPETS: &[(&str, &str, &str)] = &[
    ("if", "if …", "if $1 {\n    $0\n}"),
    ("else", "else …", "else {\n    $0\n}"),
    ("for", "for … in …", "for ${1:item} in ${2:items} {\n    $0\n}"),
    ("while", "while …", "while $1 {\n    $0\n}"),
    ("switch", "switch …", "switch $1 {\n    $2 => $3,\n    _ => $0,\n}"),
    (
        "try",
        "try … catch …, errors told apart",
        "try {\n    $1\n} catch (error) {\n    if error.code != \"$2\" { throw error; }\n    $0\n}",
    ),
    ("fn", "fn …", "fn ${1:name}($2) {\n    $0\n}"),
    ("let", "let …", "let ${1:name} = $0;"),
    ("import", "import … as …", "import \"$1\" as ${2:name};"),
    (
        "PLAYBOOK",
        "the header",
        "const PLAYBOOK = #{\n    title: \"$1\",\n    uses: [$2],\n    inputs: #{\n        $3\n    },\n};\n$0",
    ),
];

/// Words that stand alone.
pub const KEYWORDS: &[&str] = &[
    "const", "continue", "break", "return", "throw", "loop", "do", "true", "false", "this", "export",
];

pub fn find<'w>(words: &'w [(&'w str, &'w str, &'w str)], name: &str) -> Option<&'w str> {
    words
        .iter()
        .find(|(word, ..)| *word == name)
        .map(|(_, about, _)| *about)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::script::{header, inputs};

    #[test]
    fn the_words_of_headers_are_those_that_are_read() {
        let names = |words: &[(&str, &str, &str)]| {
            words
                .iter()
                .map(|(name, ..)| (*name).to_owned())
                .collect::<BTreeSet<_>>()
        };
        let known = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<BTreeSet<_>>();
        assert_eq!(
            names(HEADER_KEYS),
            known(&[&header::KEYS[..], &header::TRIGGER_KEYS[..]].concat())
        );
        assert_eq!(names(INPUT_KEYS), known(&inputs::KEYS));
    }
}
