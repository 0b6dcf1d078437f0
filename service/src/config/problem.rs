//! What may be said about a configuration error: the parts of a message that cannot hold a value from the file.
//!
//! serde's messages have known forms. Of each form the part that comes from the program is kept and the part that comes
//! from the file is left out, except names of keys. A message of no known form is not shown.

use std::fmt;

/// What is wrong with a configuration, in words that hold no value from the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem(String);

/// How serde begins messages that quote a value, and what is said instead.
const QUOTING: [(&str, &str); 4] = [
    ("invalid type: ", "a value of the wrong type"),
    ("invalid value: ", "a value that is not possible"),
    ("invalid length ", "the wrong number of elements"),
    ("unknown variant ", "a name that is not known"),
];

/// How serde begins messages that quote the name of a key, in backticks.
const NAMING: [&str; 3] = ["unknown field ", "missing field ", "duplicate field "];

/// What separates the file's part of a message from the program's.
const EXPECTED: &str = ", expected ";

impl Problem {
    /// From the parser, whose messages are fixed texts: it knows what it expected, and only the position of the rest.
    pub(super) fn of_syntax(message: &str) -> Self {
        Self(printable(message))
    }

    /// From serde or a `Deserialize` of ours.
    pub(super) fn of_value(message: &str) -> Self {
        Self::known(message).unwrap_or_else(|| Self("the value is not accepted".to_owned()))
    }

    fn known(message: &str) -> Option<Self> {
        // The last one: a value may hold the same words, and it comes before.
        let expected = message.rsplit_once(EXPECTED).map(|(_, expected)| expected);
        let with_expectation = |what: &str| {
            Some(Self(match expected {
                Some(expected) => format!("{what}{EXPECTED}{}", printable(expected)),
                None => what.to_owned(),
            }))
        };
        if let Some((_, what)) = QUOTING.iter().find(|(form, _)| message.starts_with(form)) {
            return with_expectation(what);
        }
        let form = NAMING.iter().find(|form| message.starts_with(*form))?;
        // A key's name may hold a backtick; then only the form is left.
        let (name, rest) = message.strip_prefix(form)?.strip_prefix('`')?.split_once('`')?;
        match rest.is_empty() || rest.starts_with(',') {
            true => with_expectation(&format!("{form}`{}`", printable(name))),
            false => Some(Self(form.trim_end().to_owned())),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// One line, whatever a key is called.
fn printable(text: &str) -> String {
    text.chars()
        .map(|character| if character.is_control() { ' ' } else { character })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_value(message: &str) -> String {
        Problem::of_value(message).to_string()
    }

    #[test]
    fn what_was_found_is_left_out() {
        assert_eq!(
            of_value(r#"invalid type: string "hunter2", expected u16"#),
            "a value of the wrong type, expected u16"
        );
        assert_eq!(
            of_value("invalid value: integer `4242`, expected at most 5 minutes"),
            "a value that is not possible, expected at most 5 minutes"
        );
        assert_eq!(
            of_value("unknown variant `hunter2`, expected `info` or `warn`"),
            "a name that is not known, expected `info` or `warn`"
        );
        assert_eq!(of_value("invalid value: hunter2"), "a value that is not possible");
    }

    #[test]
    fn a_value_that_looks_like_the_end_is_left_out_too() {
        assert_eq!(
            of_value(r#"invalid type: string "x, expected hunter2", expected a boolean"#),
            "a value of the wrong type, expected a boolean"
        );
    }

    #[test]
    fn names_of_keys_stay() {
        assert_eq!(of_value("missing field `listen`"), "missing field `listen`");
        assert_eq!(
            of_value("unknown field `listne`, expected `listen` or `log`"),
            "unknown field `listne`, expected `listen` or `log`"
        );
        assert_eq!(of_value("unknown field `a`b`, expected `c`"), "unknown field");
        assert_eq!(
            of_value("unknown field `a\nb`, expected `c`"),
            "unknown field `a b`, expected `c`"
        );
    }

    #[test]
    fn a_message_of_another_form_is_not_shown() {
        for message in [
            "hunter2 is no address",
            "the token hunter2, expected hex",
            "missing field hunter2",
            "",
        ] {
            assert_eq!(of_value(message), "the value is not accepted");
        }
    }
}
