//! A path into a value: `items[0].title`. Pure.

use std::borrow::Cow;

use rhai::Dynamic;

use crate::effect::Failure;

/// The longest path.
pub const PATH_BYTES_MAX: usize = 1024;

/// One step of a path.
#[derive(Debug, PartialEq)]
pub enum Step {
    Field(String),
    /// Counted from the end when below 0.
    Item(i64),
}

impl Step {
    pub fn from(&self, value: &Dynamic) -> Option<Dynamic> {
        match self {
            Step::Field(name) => value.as_map_ref().ok()?.get(name.as_str()).cloned(),
            Step::Item(at) => {
                let items = value.as_array_ref().ok()?;
                let at = if *at < 0 {
                    at.checked_add(items.len() as i64)?
                } else {
                    *at
                };
                items.get(usize::try_from(at).ok()?).cloned()
            }
        }
    }
}

/// Reads a path.
pub fn steps(path: &str) -> Result<Vec<Step>, Failure> {
    let bad = |reason: &str| {
        let shown: String = path.chars().take(60).collect();
        Failure::new(
            "JSON_PATH",
            format!("{shown:?} is no path: {reason}; write it like \"items[0].title\""),
        )
    };
    if path.len() > PATH_BYTES_MAX {
        return Err(bad(&format!(
            "it has {} bytes, and at most {PATH_BYTES_MAX} are allowed",
            path.len()
        )));
    }
    let mut steps = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(quoted) = rest.strip_prefix("[\"") {
            let (name, after) = quoted
                .split_once("\"]")
                .ok_or_else(|| bad("a quoted name has no end"))?;
            steps.push(Step::Field(name.to_owned()));
            rest = after;
        } else if let Some(open) = rest.strip_prefix('[') {
            let (place, after) = open.split_once(']').ok_or_else(|| bad("a bracket is not closed"))?;
            steps.push(Step::Item(
                place
                    .parse()
                    .map_err(|_| bad("between brackets stands a whole number"))?,
            ));
            rest = after;
        } else {
            let named = if steps.is_empty() {
                Some(rest)
            } else {
                rest.strip_prefix('.')
            };
            let named = named.ok_or_else(|| bad("after a bracket comes a dot or another bracket"))?;
            let end = named.find(['.', '[']).unwrap_or(named.len());
            if end == 0 {
                return Err(bad("a name is empty"));
            }
            steps.push(Step::Field(named[..end].to_owned()));
            rest = &named[end..];
        }
    }
    Ok(steps)
}

/// A place in a value as a path, out of the tokens of a JSON pointer.
pub fn written<'t>(tokens: impl Iterator<Item = Token<'t>>) -> String {
    let mut path = String::new();
    for token in tokens {
        match token {
            Token::Item(at) => path.push_str(&format!("[{at}]")),
            Token::Field(name) if name.is_empty() || name.contains(['.', '[', ']', '"']) => {
                path.push_str(&format!("[\"{name}\"]"));
            }
            Token::Field(name) => {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(&name);
            }
        }
    }
    path
}

/// One part of a place.
pub enum Token<'t> {
    Field(Cow<'t, str>),
    Item(usize),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_read_step_by_step() {
        let field = |name: &str| Step::Field(name.to_owned());
        assert_eq!(
            steps(r#"a.b[0][-1]["c.d"].e"#),
            Ok(vec![
                field("a"),
                field("b"),
                Step::Item(0),
                Step::Item(-1),
                field("c.d"),
                field("e")
            ])
        );
        assert_eq!(steps("[2].x"), Ok(vec![Step::Item(2), field("x")]));
        assert_eq!(steps(""), Ok(vec![]));
    }

    #[test]
    fn a_path_of_another_form_is_refused_by_name() {
        let reason = |path: &str| steps(path).expect_err("refused").message;
        assert_eq!(
            reason("a[x]"),
            r#""a[x]" is no path: between brackets stands a whole number; write it like "items[0].title""#
        );
        assert!(reason("a..b").contains("a name is empty"));
        assert!(reason("a.").contains("a name is empty"));
        assert!(reason("a[0").contains("not closed"));
        assert!(reason("a[\"b").contains("has no end"));
        assert!(reason("a[0]b").contains("comes a dot"));
        assert!(reason(&"a.".repeat(600)).contains("1200 bytes"));
    }

    #[test]
    fn a_place_is_written_as_it_is_read() {
        let place = [
            Token::Field("a".into()),
            Token::Item(2),
            Token::Field("b.c".into()),
            Token::Field("d".into()),
        ];
        let path = written(place.into_iter());
        assert_eq!(path, r#"a[2]["b.c"].d"#);
        assert_eq!(steps(&path).map(|steps| steps.len()), Ok(4));
    }
}
