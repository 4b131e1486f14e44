//! The providers of the simulated world, as `host.toml` declares them and as they really are.

use host::namespaces::DeclaredProvider;

/// One provider: its declaration, and its true nature.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    pub name: &'static str,
    pub toml: &'static str,
    /// How long it recognises a key.
    pub remembers_us: Option<u64>,
    /// How long it may take to show what landed.
    pub lag_max_us: u64,
    /// The time limit that its declaration gives a request: nothing it was sent arrives later than that.
    pub timeout_us: u64,
    /// What scripts add to a write's options.
    pub options: &'static str,
    /// How often one write may land at most, when nobody can tell: once more where the declaration says `repeat`.
    pub lands_max: usize,
}

const S: u64 = 1_000_000;

pub const KINDS: [Kind; 7] = [
    // Publishes under a key that it knows for a day.
    Kind {
        name: "keyed",
        toml: r#"
            base_url = "http://keyed.test/v1"
            idempotency = { header = "Idempotency-Key", lifetime = "24h" }
            lookup = { path = "/posts?key={key}", found = "items.0" }
            settle = "20s"
            timeout = "15s"
            publish = true
        "#,
        remembers_us: Some(24 * 3600 * S),
        lag_max_us: 20 * S,
        timeout_us: 15 * S,
        options: "",
        lands_max: 1,
    },
    // Forgets a key soon.
    Kind {
        name: "brief",
        toml: r#"
            base_url = "http://brief.test/"
            idempotency = { header = "X-Key", lifetime = "40s" }
            lookup = { path = "/posts?key={key}", found = "items.0" }
            settle = "5s"
            timeout = "10s"
            attempts = 5
        "#,
        remembers_us: Some(40 * S),
        lag_max_us: 5 * S,
        timeout_us: 10 * S,
        options: "",
        lands_max: 1,
    },
    // Stores a key for look-ups, and carries a repeated write out again.
    Kind {
        name: "tagged",
        toml: r#"
            base_url = "http://tagged.test/"
            idempotency = { header = "X-Reference" }
            lookup = { path = "/posts?key={key}", found = "items.0" }
            settle = "60s"
            timeout = "10s"
            publish = true
        "#,
        remembers_us: None,
        lag_max_us: 60 * S,
        timeout_us: 10 * S,
        options: "",
        lands_max: 1,
    },
    // Is asked by the playbook's own key, which the body carries.
    Kind {
        name: "asked",
        toml: r#"
            base_url = "http://asked.test/"
            lookup = { path = "/posts?key={key}", found = "items.0" }
            settle = "10s"
            timeout = "5s"
        "#,
        remembers_us: None,
        lag_max_us: 10 * S,
        timeout_us: 5 * S,
        options: ", #{ key: label }",
        lands_max: 1,
    },
    // Knows no keys and cannot be asked; a person decides.
    Kind {
        name: "plain",
        toml: r#"
            base_url = "http://plain.test/"
            timeout = "10s"
            publish = true
        "#,
        remembers_us: None,
        lag_max_us: 0,
        timeout_us: 10 * S,
        options: "",
        lands_max: 1,
    },
    // The same, where a second time does no harm.
    Kind {
        name: "maker",
        toml: r#"
            base_url = "http://maker.test/"
            timeout = "10s"
            on_unknown = "repeat"
        "#,
        remembers_us: None,
        lag_max_us: 0,
        timeout_us: 10 * S,
        options: "",
        lands_max: 2,
    },
    // The same, where it does not matter.
    Kind {
        name: "teller",
        toml: r#"
            base_url = "http://teller.test/"
            timeout = "10s"
            on_unknown = "assume_landed"
        "#,
        remembers_us: None,
        lag_max_us: 0,
        timeout_us: 10 * S,
        options: "",
        lands_max: 1,
    },
];

pub fn declared() -> Vec<DeclaredProvider> {
    let declare = |kind: &Kind| {
        let section = kind.toml.parse().expect("a table");
        DeclaredProvider::parse(kind.name, section).expect("a provider")
    };
    KINDS.iter().map(declare).collect()
}

pub fn kind(name: &str) -> &'static Kind {
    KINDS
        .iter()
        .find(|kind| kind.name == name)
        .expect("a provider of this world")
}
