//! Typed readers: what a node means, or an error at its place.
//!
//! Each reader takes exactly one way of writing a thing and says how to write the others. An error shows the place in
//! the file and never a value that a variable put in.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::address::{Address, NotAnAddress};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::nearest::nearest;
use crate::node::{Map, Node, Scalar, ScalarStyle, Value};
use crate::quantity::{NotAQuantity, duration_text, read_bytes, read_duration, read_integer};
use crate::secret::{SECRET_PREFIX, SecretReference};

/// A duration, or one of some words such as `never`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DurationOrWord<'c> {
    /// A duration.
    Duration(Duration),
    /// The word.
    Word(&'c str),
}

impl Node {
    /// A text. What YAML elsewhere reads as a number or a yes/no is a text here, exactly as written.
    pub fn text(&self, diagnostics: &mut Diagnostics) -> Option<&str> {
        let scalar = self.scalar("a text", diagnostics)?;
        let plain = scalar.style() == ScalarStyle::Plain && !scalar.is_substituted();
        if plain && matches!(scalar.text(), "~" | "null" | "Null" | "NULL") {
            let word = scalar.text();
            diagnostics.push(
                Diagnostic::error("config.null", &self.span, format!("`{word}` without quotes is no text"))
                    .with_help(format!("write `\"\"` for an empty text, or `\"{word}\"` if you mean the word; or remove the line")),
            );
            return None;
        }
        Some(scalar.text())
    }

    /// A text that is not empty.
    pub fn text_not_empty(&self, diagnostics: &mut Diagnostics) -> Option<&str> {
        let text = self.text(diagnostics)?;
        if text.trim().is_empty() {
            let error = self.wrong("config.expected-text", "this must not be empty");
            diagnostics.push(error);
            return None;
        }
        Some(text)
    }

    /// A whole number within a range.
    pub fn integer(
        &self,
        range: RangeInclusive<i64>,
        diagnostics: &mut Diagnostics,
    ) -> Option<i64> {
        const CODE: &str = "config.expected-integer";
        let scalar = self.scalar("a whole number", diagnostics)?;
        let (least, most) = (range.start(), range.end());
        let out_of_range = || {
            let message = match (*least, *most) {
                (i64::MIN, most) => format!("this number must not be above {most}"),
                (least, i64::MAX) => format!("this number must not be below {least}"),
                (least, most) => format!("this number must be between {least} and {most}"),
            };
            self.wrong("config.out-of-range", message)
        };
        let error = match read_integer(scalar.text()) {
            Ok(number) if range.contains(&number) => return Some(number),
            Ok(_) | Err(NotAQuantity::TooLarge) => out_of_range(),
            Err(NotAQuantity::Perhaps(guess)) => {
                self.not(scalar, CODE, "a whole number in digits", Some(&guess))
            }
            Err(NotAQuantity::UnitMissing | NotAQuantity::Other) => self
                .not(scalar, CODE, "a whole number", None)
                .with_help("write it in digits, such as `10`"),
        };
        diagnostics.push(error);
        None
    }

    /// `true` or `false`.
    pub fn boolean(&self, diagnostics: &mut Diagnostics) -> Option<bool> {
        let scalar = self.scalar("`true` or `false`", diagnostics)?;
        let guess = match scalar.text() {
            "true" => return Some(true),
            "false" => return Some(false),
            other => match other.to_ascii_lowercase().as_str() {
                "true" | "yes" | "y" | "on" | "1" | "enabled" => Some("true"),
                "false" | "no" | "n" | "off" | "0" | "disabled" => Some("false"),
                other => nearest(other, ["true", "false"]),
            },
        };
        diagnostics.push(self.not(scalar, "config.expected-boolean", "`true` or `false`", guess));
        None
    }

    /// A duration with its unit: `250ms`, `30s`, `5m`, `2h`, `1d`, `1h30m`.
    pub fn duration(&self, diagnostics: &mut Diagnostics) -> Option<Duration> {
        match self.duration_or_word(&[], diagnostics)? {
            DurationOrWord::Duration(duration) => Some(duration),
            DurationOrWord::Word(_) => None,
        }
    }

    /// A duration within a range.
    pub fn duration_within(
        &self,
        range: RangeInclusive<Duration>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Duration> {
        let duration = self.duration(diagnostics)?;
        if range.contains(&duration) {
            return Some(duration);
        }
        let (least, most) = (duration_text(*range.start()), duration_text(*range.end()));
        let message = format!("this duration must be between {least} and {most}");
        diagnostics.push(self.wrong("config.out-of-range", message));
        None
    }

    /// A duration, or one of some words such as `never`.
    pub fn duration_or_word<'c>(
        &self,
        words: &[&'c str],
        diagnostics: &mut Diagnostics,
    ) -> Option<DurationOrWord<'c>> {
        const CODE: &str = "config.expected-duration";
        let expected = if words.is_empty() {
            "a duration".to_owned()
        } else {
            format!("a duration or {}", listed(words))
        };
        let scalar = self.scalar(&expected, diagnostics)?;
        if let Some(word) = words.iter().find(|word| **word == scalar.text()) {
            return Some(DurationOrWord::Word(word));
        }
        let help = "write a number and a unit: `250ms`, `30s` (seconds), `5m` (minutes), `2h` (hours), `1d` (days)";
        let error = match read_duration(scalar.text()) {
            Ok(duration) => return Some(DurationOrWord::Duration(duration)),
            Err(NotAQuantity::TooLarge) => {
                self.wrong("config.out-of-range", "this duration must not be above 10000d")
            }
            Err(NotAQuantity::UnitMissing) => {
                self.wrong(CODE, "this duration has no unit").with_help(help)
            }
            Err(NotAQuantity::Perhaps(guess)) => {
                self.not(scalar, CODE, &expected, Some(&guess)).with_help(help)
            }
            Err(NotAQuantity::Other) => {
                let guess = nearest(scalar.text(), words.iter().copied());
                self.not(scalar, CODE, &expected, guess).with_help(help)
            }
        };
        diagnostics.push(error);
        None
    }

    /// A size in bytes with its unit: `512B`, `64KiB`, `50MB`, `2GiB`.
    pub fn bytes(&self, diagnostics: &mut Diagnostics) -> Option<u64> {
        const CODE: &str = "config.expected-bytes";
        let scalar = self.scalar("a size", diagnostics)?;
        let help = "write a number and a unit: `512B`, `64KiB` (1024 bytes each), `50MB` (a million bytes each), `2GiB`";
        let error = match read_bytes(scalar.text()) {
            Ok(bytes) => return Some(bytes),
            Err(NotAQuantity::TooLarge) => {
                self.wrong("config.out-of-range", "this size must be below 16777216TiB")
            }
            Err(NotAQuantity::UnitMissing) => {
                self.wrong(CODE, "this size has no unit").with_help(help)
            }
            Err(NotAQuantity::Perhaps(guess)) => {
                self.not(scalar, CODE, "a size", Some(&guess)).with_help(help)
            }
            Err(NotAQuantity::Other) => self.not(scalar, CODE, "a size", None).with_help(help),
        };
        diagnostics.push(error);
        None
    }

    /// A size in bytes within a range.
    pub fn bytes_within(
        &self,
        range: RangeInclusive<u64>,
        diagnostics: &mut Diagnostics,
    ) -> Option<u64> {
        let bytes = self.bytes(diagnostics)?;
        if range.contains(&bytes) {
            return Some(bytes);
        }
        let message = format!("this size must be between {}B and {}B", range.start(), range.end());
        diagnostics.push(self.wrong("config.out-of-range", message));
        None
    }

    /// One of some words.
    pub fn one_of<'c>(
        &self,
        choices: &[&'c str],
        diagnostics: &mut Diagnostics,
    ) -> Option<&'c str> {
        let scalar = self.scalar(&listed(choices), diagnostics)?;
        if let Some(choice) = choices.iter().find(|choice| **choice == scalar.text()) {
            return Some(choice);
        }
        // What is near a value that a variable put in would tell the value.
        let text = if scalar.is_substituted() { "" } else { scalar.text() };
        let guess = nearest(text, choices.iter().copied());
        let mut error = Diagnostic::error(
            "config.not-a-choice",
            &self.span,
            expected_found(scalar, &listed(choices)),
        );
        if let Some(guess) = guess {
            error = error.with_nearest(Some(guess));
        }
        diagnostics.push(self.with_origin(error));
        None
    }

    /// `host:port`.
    pub fn address(&self, diagnostics: &mut Diagnostics) -> Option<Address> {
        let scalar = self.scalar("an address `host:port`", diagnostics)?;
        let why = match Address::read(scalar.text()) {
            Ok(address) => return Some(address),
            Err(why) => why,
        };
        let port = if scalar.is_substituted() { "2575" } else { scalar.text().trim_matches(':') };
        let (message, help) = match why {
            NotAnAddress::PortMissing => (
                "this address has no port",
                "write host and port, such as `lab.internal:2575`".to_owned(),
            ),
            NotAnAddress::OnlyAPort => (
                "this address has no host",
                format!("write `0.0.0.0:{port}` for all network interfaces, or `127.0.0.1:{port}` for this machine only"),
            ),
            NotAnAddress::HostMissing => (
                "this address has no host",
                format!("write `0.0.0.0:{port}` for all network interfaces, or `127.0.0.1:{port}` for this machine only"),
            ),
            NotAnAddress::Port => (
                "the port of this address is not a number between 0 and 65535",
                "write host and port, such as `lab.internal:2575`".to_owned(),
            ),
            NotAnAddress::Host => (
                "the host of this address is neither a host name nor an IP address",
                "write a host name (`lab.internal:2575`) or an IP address (`10.1.2.3:2575`, `[2001:db8::1]:2575`)".to_owned(),
            ),
            NotAnAddress::Url => (
                "this is a URL, not an address",
                "write host and port only, such as `lab.internal:2575`".to_owned(),
            ),
            NotAnAddress::Ipv6WithoutBrackets => (
                "this IPv6 address has no port",
                "put the IP address in brackets and the port after it: `\"[2001:db8::1]:2575\"`".to_owned(),
            ),
        };
        diagnostics.push(self.wrong("config.expected-address", message).with_help(help));
        None
    }

    /// A reference to a secret, `secret:NAME`. A secret that was written out is an error, and concealed in excerpts.
    pub fn secret(&self, diagnostics: &mut Diagnostics) -> Option<SecretReference> {
        let Value::Scalar(scalar) = &self.value else {
            self.scalar("a reference to a secret", diagnostics);
            diagnostics.conceal(&self.span);
            return None;
        };
        if scalar.is_unresolved() {
            return None;
        }
        if let Some(reference) = SecretReference::read(scalar.text(), &self.span) {
            return Some(reference);
        }
        let error = if scalar.text().starts_with(SECRET_PREFIX) && !scalar.is_substituted() {
            self.wrong("config.plain-secret", "this is not the name of a secret")
                .with_help("a name has letters, digits and `-`, `_`, `.`, `/`: `secret:adt-key`")
        } else {
            self.wrong("config.plain-secret", "a secret must not stand in a file")
                .with_suggestion("write `secret:NAME`")
                .with_help("keep the secret where secrets are kept, and give its name here: `secret:adt-key`")
        };
        diagnostics.conceal(&self.span);
        diagnostics.push(error);
        None
    }

    /// A list, each of whose elements is read by `read`. `None` when one of them could not be read.
    pub fn list_of<'n, T>(
        &'n self,
        diagnostics: &mut Diagnostics,
        mut read: impl FnMut(&'n Node, &mut Diagnostics) -> Option<T>,
    ) -> Option<Vec<T>> {
        let nodes = self.list(diagnostics)?;
        let read: Vec<Option<T>> = nodes.iter().map(|node| read(node, diagnostics)).collect();
        read.into_iter().collect()
    }

    /// The elements of a list.
    pub fn list(&self, diagnostics: &mut Diagnostics) -> Option<&[Node]> {
        if let Value::List(nodes) = &self.value {
            return Some(nodes);
        }
        let message = format!("expected a list, found {}", self.value.kind());
        let help = match &self.value {
            Value::Scalar(scalar) if !scalar.is_substituted() && is_short_word(scalar.text()) => {
                format!("a list of one is written in brackets: `[{}]`", as_element(scalar.text()))
            }
            Value::Null => {
                "write `[]` for an empty list, or lines that begin with `- ` below it".to_owned()
            }
            Value::Scalar(_) | Value::Map(_) | Value::List(_) => {
                "write the entries in brackets, `[a, b]`, or on lines that begin with `- `"
                    .to_owned()
            }
        };
        diagnostics
            .push(Diagnostic::error("config.expected-list", &self.span, message).with_help(help));
        None
    }

    /// A map. `name` is what it is called in errors.
    pub fn map(&self, name: &str, diagnostics: &mut Diagnostics) -> Option<&Map> {
        if let Value::Map(map) = &self.value {
            return Some(map);
        }
        let found = self.value.kind();
        let whole_file = self.span.start() == 0 && self.span.end() == 0;
        if self.is_null() && whole_file {
            diagnostics.push(
                Diagnostic::error("config.expected-map", &self.span, "this file is empty")
                    .with_help("write `key: value` lines; lines that begin with `#` do not count"),
            );
            return None;
        }
        let message = format!("expected `key: value` lines for `{name}`, found {found}");
        let help = match &self.value {
            Value::Null => {
                format!("indent the lines that belong to `{name}` below it, by two spaces")
            }
            Value::List(_) => {
                "remove the `- ` at the start of the lines, or the brackets".to_owned()
            }
            Value::Scalar(_) | Value::Map(_) => {
                "write `key: value` lines below it, or `{ key: value, key: value }`".to_owned()
            }
        };
        diagnostics
            .push(Diagnostic::error("config.expected-map", &self.span, message).with_help(help));
        None
    }

    /// The scalar, or the error that there is none.
    fn scalar(&self, expected: &str, diagnostics: &mut Diagnostics) -> Option<&Scalar> {
        if let Value::Scalar(scalar) = &self.value {
            return (!scalar.is_unresolved()).then_some(scalar);
        }
        let message = format!("expected {expected}, found {}", self.value.kind());
        let mut error = Diagnostic::error("config.expected-value", &self.span, message);
        error = match &self.value {
            Value::Null => error.with_help("give it a value, or remove the line"),
            Value::Map(_) if self.span.text().starts_with('{') => {
                error.with_help("put a text that begins with `{` in quotes")
            }
            Value::List(_) if self.span.text().starts_with('[') => {
                error.with_help("remove the brackets; or put a text that begins with `[` in quotes")
            }
            Value::Map(_) | Value::List(_) | Value::Scalar(_) => error,
        };
        diagnostics.push(error);
        None
    }

    /// An error about this value that does not hold it.
    fn wrong(&self, code: &'static str, message: impl Into<String>) -> Diagnostic {
        self.with_origin(Diagnostic::error(code, &self.span, message))
    }

    /// "expected …, found …", and how to write it when that can be told.
    fn not(
        &self,
        scalar: &Scalar,
        code: &'static str,
        expected: &str,
        guess: Option<&str>,
    ) -> Diagnostic {
        let mut error = Diagnostic::error(code, &self.span, expected_found(scalar, expected));
        if let (Some(guess), false) = (guess, scalar.is_substituted()) {
            error = error.with_suggestion(format!("write `{guess}`"));
        }
        self.with_origin(error)
    }

    /// Says that the value came from a variable, since the file does not show it.
    fn with_origin(&self, error: Diagnostic) -> Diagnostic {
        if self.as_scalar().is_some_and(Scalar::is_substituted) {
            error.with_suggestion("check the value of the variable")
        } else {
            error
        }
    }
}

/// Values longer than this are not repeated in a message: the excerpt shows them.
const REPEATED_CHARS_MAX: usize = 40;

fn is_short_word(text: &str) -> bool {
    text.chars().count() <= REPEATED_CHARS_MAX
        && !text.contains(['\n', ',', '[', ']', '{', '}', '#'])
}

/// A text as it stands in a list in brackets: in quotes where YAML would take it for something else.
fn as_element(text: &str) -> String {
    let plain = |character: char| character.is_alphanumeric() || "_-./+()".contains(character);
    let begins = text.starts_with(|first: char| first.is_alphanumeric() || "_./+(".contains(first));
    let is_url = text.split_once("://").is_some_and(|(scheme, rest)| {
        scheme.chars().all(char::is_alphanumeric)
            && !rest.is_empty()
            && !rest.ends_with(':')
            && rest.chars().all(|character| plain(character) || character == ':')
    });
    if begins && (is_url || text.chars().all(|character| plain(character) || character == ' ')) {
        return text.to_owned();
    }
    if text.contains(['"', '\\']) {
        return format!("'{}'", text.replace('\'', "''"));
    }
    format!("\"{text}\"")
}

fn expected_found(scalar: &Scalar, expected: &str) -> String {
    if scalar.is_substituted() {
        format!("the value put in here is not {expected}")
    } else if scalar.text().is_empty() {
        format!("expected {expected}, found an empty text")
    } else if is_short_word(scalar.text()) {
        format!("expected {expected}, found `{}`", scalar.text())
    } else {
        format!("expected {expected}, found another text")
    }
}

/// `a`, `b` or `c`
pub(crate) fn listed(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        None => "nothing".to_owned(),
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::as_element;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(as_element(text), expected);
        let file = crate::SourceFile::new("test", format!("[{expected}]"));
        let mut diagnostics = crate::Diagnostics::new();
        let node = crate::Node::parse(&file, &mut diagnostics).unwrap();
        let elements = node.list(&mut diagnostics).unwrap();
        assert_eq!(elements.len(), 1);
        assert_eq!(elements[0].as_scalar().map(|scalar| scalar.text()), Some(text));
    }

    #[test]
    fn what_is_proposed_as_an_element_is_yaml_for_it() {
        check("ADT", "ADT");
        check("10.0.0.1", "10.0.0.1");
        check("two words", "two words");
        check("https://app.example.org", "https://app.example.org");
        check("http://127.0.0.1:80", "http://127.0.0.1:80");
        check("*", "\"*\"");
        check("*.example.org", "\"*.example.org\"");
        check("@x", "\"@x\"");
        check("a: b", "\"a: b\"");
        check("- x", "\"- x\"");
        check("it's", "\"it's\"");
        check("say \"it's\"", "'say \"it''s\"'");
        check("a\\b", "'a\\b'");
    }
}
