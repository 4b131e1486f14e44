//! How much of what was typed belongs together: an entry goes on while something in it is open.

/// Whether `text` ends within brackets, a string on several lines, or a comment.
pub fn is_open(text: &str) -> bool {
    let mut scan = Scan {
        letters: text.chars().peekable(),
        brackets: 0,
        depth: 0,
    };
    scan.code(false).is_err() || scan.brackets > 0
}

/// Templates within templates that are followed; what is deeper is refused by whoever compiles it.
const DEPTH_MAX: usize = 100;

/// Something does not end.
struct Open;

struct Scan<'t> {
    letters: std::iter::Peekable<std::str::Chars<'t>>,
    brackets: i64,
    /// Of templates.
    depth: usize,
}

impl Scan<'_> {
    /// Reads code: to its end, or within a template to the brace that ends it.
    fn code(&mut self, in_template: bool) -> Result<(), Open> {
        let mut braces = 0;
        while let Some(letter) = self.letters.next() {
            match letter {
                '"' | '\'' => self.quoted(letter),
                '`' => self.template()?,
                '/' if self.letters.peek() == Some(&'/') => self.line_comment(),
                '/' if self.letters.next_if_eq(&'*').is_some() => self.comment()?,
                '{' if in_template => braces += 1,
                '}' if in_template && braces == 0 => return Ok(()),
                '}' if in_template => braces -= 1,
                '(' | '[' | '{' => self.brackets += 1,
                ')' | ']' | '}' => self.brackets -= 1,
                _ => {}
            }
        }
        if in_template { Err(Open) } else { Ok(()) }
    }

    /// A string on one line; one that does not end there is a mistake, and nothing to wait for.
    fn quoted(&mut self, quote: char) {
        while let Some(letter) = self.letters.next() {
            match letter {
                '\\' => {
                    // A backslash at the end of a line carries the string over to the next.
                    self.letters.next();
                }
                '\n' => return,
                letter if letter == quote => return,
                _ => {}
            }
        }
    }

    fn template(&mut self) -> Result<(), Open> {
        while let Some(letter) = self.letters.next() {
            match letter {
                '`' if self.letters.next_if_eq(&'`').is_none() => return Ok(()),
                '$' if self.depth < DEPTH_MAX && self.letters.next_if_eq(&'{').is_some() => {
                    self.depth += 1;
                    self.code(true)?;
                    self.depth -= 1;
                }
                _ => {}
            }
        }
        Err(Open)
    }

    fn line_comment(&mut self) {
        while self.letters.next_if(|letter| *letter != '\n').is_some() {}
    }

    fn comment(&mut self) -> Result<(), Open> {
        let mut depth = 1;
        while let Some(letter) = self.letters.next() {
            match letter {
                '*' if self.letters.next_if_eq(&'/').is_some() => depth -= 1,
                '/' if self.letters.next_if_eq(&'*').is_some() => depth += 1,
                _ => {}
            }
            if depth == 0 {
                return Ok(());
            }
        }
        Err(Open)
    }
}

#[cfg(test)]
mod tests {
    use super::is_open;

    #[test]
    fn an_entry_goes_on_while_something_in_it_is_open() {
        for open in [
            "fn f(a) {",
            "[1,\n2",
            "let x = #{ a: 1",
            "`two\nlines",
            "/* a",
            "`a ${ f(",
            "/* a /* b */",
            "f(`}` , {",
        ] {
            assert!(is_open(open), "{open:?}");
        }
    }

    #[test]
    fn templates_in_templates_without_end_do_not_end_the_program() {
        assert!(is_open(&"`${".repeat(200_000)));
        assert!(is_open(&"`${ (".repeat(200_000)));
    }

    #[test]
    fn brackets_in_texts_and_comments_are_no_brackets() {
        for closed in [
            "1 + 1",
            "\"(\"",
            "'{'",
            "// (\n",
            "/* ( */ 1",
            "`(`",
            "`${ \"}\" }`",
            "\"\\\"(\"",
            "f(|x| { x })",
            "\"open (",
            "}",
        ] {
            assert!(!is_open(closed), "{closed:?}");
        }
    }
}
