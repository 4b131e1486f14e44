//! The lints by code: what each says, and how much it weighs when nobody says otherwise.
//!
//! What is not listed here keeps a text from running at all and is always an error.

use super::Level;

/// One thing that `host check` looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lint {
    pub code: &'static str,
    pub level: Level,
    /// The word in `[check]` for it and its like.
    pub group: Option<&'static str>,
}

const fn error(code: &'static str) -> Lint {
    Lint {
        code,
        level: Level::Error,
        group: None,
    }
}

const fn warning(code: &'static str) -> Lint {
    Lint {
        code,
        level: Level::Warning,
        group: None,
    }
}

const fn unused(code: &'static str) -> Lint {
    Lint {
        code,
        level: Level::Warning,
        group: Some("unused"),
    }
}

/// Every lint whose level can be changed.
pub const LINTS: &[Lint] = &[
    // Names.
    error("UNKNOWN_FUNCTION"),
    error("UNKNOWN_FIELD"),
    error("UNKNOWN_OPTION"),
    error("UNKNOWN_PROVIDER"),
    error("UNDECLARED_INPUT"),
    error("PLAYBOOK_NOT_FOUND"),
    error("INPUT_UNKNOWN"),
    error("INPUT_MISSING"),
    warning("SHADOWED_VARIABLE"),
    // Calls.
    error("ARGUMENT_COUNT"),
    error("ARGUMENT_TYPE"),
    error("DURATION_INVALID"),
    error("TIME_ZONE"),
    // The header.
    error("NOT_IN_USES"),
    error("SCHEDULE_INVALID"),
    warning("SCHEDULE_NEVER"),
    error("ROUTE_INVALID"),
    error("METRIC_CONFLICT"),
    error("ROUTE_CONFLICT"),
    // Prompts.
    error("PROMPT_NOT_FOUND"),
    error("PROMPT_VARIABLE"),
    // What nobody uses.
    unused("UNUSED_VARIABLE"),
    unused("UNUSED_FUNCTION"),
    unused("UNUSED_IMPORT"),
    unused("UNUSED_INPUT"),
    unused("UNUSED_PROVIDER"),
    unused("UNUSED_PROMPT_VARIABLE"),
    unused("UNUSED_ALLOW"),
    // Flow.
    warning("UNREACHABLE"),
    warning("NO_EFFECT"),
    warning("CONSTANT_CONDITION"),
    warning("SWALLOWED_ERROR"),
    warning("CHILD_NOT_AWAITED"),
    error("EFFECT_IN_ORDER"),
    warning("NOT_FILLED_IN"),
    // What leaves the house.
    error("LITERAL_SECRET"),
    warning("PROVENANCE_MISSING"),
    // Form.
    warning("LINE_TOO_LONG"),
];

/// The lint with this code.
pub fn find(code: &str) -> Option<&'static Lint> {
    LINTS.iter().find(|lint| lint.code == code)
}

/// The level of `code` when nobody says otherwise.
pub fn level(code: &str) -> Level {
    find(code).map_or(Level::Error, |lint| lint.level)
}
