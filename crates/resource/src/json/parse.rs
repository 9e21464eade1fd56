//! Reading JSON: RFC 8259 to the letter, in bounded depth.

use super::value::{Number, Object, Value};

/// How deep arrays and objects may stand in each other. FHIR's own resources stay below 30.
pub const DEPTH_MAX: usize = 100;

/// Above this many members, a set finds those that come twice.
const MEMBERS_COMPARED_MAX: usize = 24;

/// A text is not the JSON we take, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {problem}")]
pub struct JsonError {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong there.
    pub problem: JsonProblem,
}

/// What is wrong with a JSON text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JsonProblem {
    /// Nothing stands there.
    #[error("the text is empty, expected a JSON object")]
    Empty,
    /// The text ends too early.
    #[error("the text ends before the JSON does")]
    Incomplete,
    /// Something follows the value.
    #[error("something follows the end of the JSON")]
    Trailing,
    /// No value begins like this.
    #[error("expected a value")]
    ValueExpected,
    /// No member begins like this.
    #[error("expected a member's name in double quotes")]
    NameExpected,
    /// The colon is missing.
    #[error("expected `:` behind the member's name")]
    ColonExpected,
    /// Neither a comma nor the end of an object.
    #[error("expected `,` or `}}`")]
    MemberEndExpected,
    /// Neither a comma nor the end of an array.
    #[error("expected `,` or `]`")]
    ItemEndExpected,
    /// Not the form of a number.
    #[error("this is not a JSON number")]
    Number,
    /// An escape that JSON does not have.
    #[error("unknown escape sequence in a string")]
    Escape,
    /// Half of a surrogate pair.
    #[error("half a surrogate pair in a string")]
    Surrogate,
    /// A control character.
    #[error("a control character in a string must be escaped")]
    Control,
    /// A member twice.
    #[error("a member of this name is there already")]
    MemberTwice,
    /// Too deep.
    #[error("nested deeper than {DEPTH_MAX} levels")]
    Depth,
    /// Not UTF-8.
    #[error("the text is not UTF-8")]
    Utf8,
}

/// Reads a whole text. A byte order mark at its start is passed over.
///
/// # Errors
/// What RFC 8259 does not allow, a member that comes twice, more than [`DEPTH_MAX`] levels.
pub fn parse(bytes: &[u8]) -> Result<Value, JsonError> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => return Err(error_at(bytes, error.valid_up_to(), JsonProblem::Utf8)),
    };
    let start = if text.starts_with('\u{feff}') { 3 } else { 0 };
    let mut parser = Parser { text, at: start, depth: 0 };
    parser.document().map_err(|problem| error_at(bytes, parser.at, problem))
}

fn error_at(bytes: &[u8], offset: usize, problem: JsonProblem) -> JsonError {
    let before = &bytes[..offset.min(bytes.len())];
    let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    JsonError {
        line: before.iter().filter(|byte| **byte == b'\n').count() + 1,
        column: String::from_utf8_lossy(&before[line_start..]).chars().count() + 1,
        problem,
    }
}

struct Parser<'a> {
    text: &'a str,
    /// The offset of the next byte; where a problem is, after one.
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    fn document(&mut self) -> Result<Value, JsonProblem> {
        self.space();
        if self.peek().is_none() {
            return Err(JsonProblem::Empty);
        }
        let value = self.value()?;
        self.space();
        match self.peek() {
            None => Ok(value),
            Some(_) => Err(JsonProblem::Trailing),
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn value(&mut self) -> Result<Value, JsonProblem> {
        match self.peek() {
            None => Err(JsonProblem::Incomplete),
            Some(b'{') => self.nested(Self::object),
            Some(b'[') => self.nested(Self::array),
            Some(b'"') => self.string().map(Value::String),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'n') => self.word("null", Value::Null),
            Some(_) => Err(JsonProblem::ValueExpected),
        }
    }

    fn nested(
        &mut self,
        read: fn(&mut Self) -> Result<Value, JsonProblem>,
    ) -> Result<Value, JsonProblem> {
        if self.depth == DEPTH_MAX {
            return Err(JsonProblem::Depth);
        }
        self.depth += 1;
        self.at += 1;
        let value = read(self)?;
        self.depth -= 1;
        Ok(value)
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, JsonProblem> {
        if !self.text[self.at..].starts_with(word) {
            return Err(JsonProblem::ValueExpected);
        }
        self.at += word.len();
        Ok(value)
    }

    fn object(&mut self) -> Result<Value, JsonProblem> {
        let mut object = Object::new();
        let mut seen = std::collections::HashSet::new();
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Value::Object(object));
        }
        loop {
            self.space();
            let name_at = self.at;
            match self.peek() {
                Some(b'"') => {}
                None => return Err(JsonProblem::Incomplete),
                Some(_) => return Err(JsonProblem::NameExpected),
            }
            let name: Box<str> = self.string()?.into();
            if self.comes_twice(&object, &mut seen, &name) {
                self.at = name_at;
                return Err(JsonProblem::MemberTwice);
            }
            self.space();
            self.expect(b':', JsonProblem::ColonExpected)?;
            self.space();
            let value = self.value()?;
            object.push(name, value);
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(Value::Object(object));
                }
                None => return Err(JsonProblem::Incomplete),
                Some(_) => return Err(JsonProblem::MemberEndExpected),
            }
        }
    }

    fn comes_twice(
        &self,
        object: &Object,
        seen: &mut std::collections::HashSet<Box<str>>,
        name: &str,
    ) -> bool {
        if object.len() < MEMBERS_COMPARED_MAX {
            return object.get(name).is_some();
        }
        if seen.is_empty() {
            seen.extend(object.iter().map(|(name, _)| Box::from(name)));
        }
        !seen.insert(name.into())
    }

    fn array(&mut self) -> Result<Value, JsonProblem> {
        let mut items = Vec::new();
        self.space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Value::Array(items));
        }
        loop {
            self.space();
            items.push(self.value()?);
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(Value::Array(items));
                }
                None => return Err(JsonProblem::Incomplete),
                Some(_) => return Err(JsonProblem::ItemEndExpected),
            }
        }
    }

    fn expect(&mut self, byte: u8, problem: JsonProblem) -> Result<(), JsonProblem> {
        match self.peek() {
            Some(found) if found == byte => {
                self.at += 1;
                Ok(())
            }
            None => Err(JsonProblem::Incomplete),
            Some(_) => Err(problem),
        }
    }

    fn number(&mut self) -> Result<Value, JsonProblem> {
        let rest = &self.text[self.at..];
        let length = rest
            .bytes()
            .take_while(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'))
            .count();
        let digits = &rest[..length];
        if !is_number(digits.as_bytes()) {
            return Err(JsonProblem::Number);
        }
        self.at += length;
        Ok(Value::Number(Number::of_checked(digits)))
    }

    fn string(&mut self) -> Result<String, JsonProblem> {
        self.at += 1;
        let plain = self.plain();
        let mut text = plain.to_owned();
        loop {
            match self.peek() {
                None => return Err(JsonProblem::Incomplete),
                Some(b'"') => {
                    self.at += 1;
                    return Ok(text);
                }
                Some(b'\\') => text.push(self.escape()?),
                Some(_) => return Err(JsonProblem::Control),
            }
            text.push_str(self.plain());
        }
    }

    /// The characters up to a quote, a backslash or a control character.
    fn plain(&mut self) -> &str {
        let rest = &self.text[self.at..];
        let length = rest
            .bytes()
            .position(|byte| byte < 0x20 || byte == b'"' || byte == b'\\')
            .unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    fn escape(&mut self) -> Result<char, JsonProblem> {
        let escaped =
            self.text.as_bytes().get(self.at + 1).copied().ok_or(JsonProblem::Incomplete)?;
        let character = match escaped {
            b'"' | b'\\' | b'/' => char::from(escaped),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode(),
            _ => return Err(JsonProblem::Escape),
        };
        self.at += 2;
        Ok(character)
    }

    fn unicode(&mut self) -> Result<char, JsonProblem> {
        let first = self.hexadecimal(self.at + 2)?;
        let (code, length) = match first {
            0xd800..=0xdbff => {
                if !self.text[self.at + 6..].starts_with("\\u") {
                    return Err(JsonProblem::Surrogate);
                }
                match self.hexadecimal(self.at + 8)? {
                    second @ 0xdc00..=0xdfff => {
                        (0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00), 12)
                    }
                    _ => return Err(JsonProblem::Surrogate),
                }
            }
            code => (code, 6),
        };
        let character = char::from_u32(code).ok_or(JsonProblem::Surrogate)?;
        self.at += length;
        Ok(character)
    }

    fn hexadecimal(&self, at: usize) -> Result<u32, JsonProblem> {
        let digits = self.text.as_bytes().get(at..at + 4).ok_or(JsonProblem::Incomplete)?;
        digits.iter().try_fold(0, |code, digit| {
            char::from(*digit)
                .to_digit(16)
                .map(|digit| code * 16 + digit)
                .ok_or(JsonProblem::Escape)
        })
    }
}

/// Whether these bytes are a number by RFC 8259 §6.
pub(super) fn is_number(bytes: &[u8]) -> bool {
    let digits = |bytes: &[u8]| bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let bytes = bytes.strip_prefix(b"-").unwrap_or(bytes);
    let whole = digits(bytes);
    if whole == 0 || (whole > 1 && bytes[0] == b'0') {
        return false;
    }
    let mut rest = &bytes[whole..];
    if let Some(fraction) = rest.strip_prefix(b".") {
        let length = digits(fraction);
        if length == 0 {
            return false;
        }
        rest = &fraction[length..];
    }
    if let Some(exponent) = rest.strip_prefix(b"e").or_else(|| rest.strip_prefix(b"E")) {
        let exponent =
            exponent.strip_prefix(b"+").or_else(|| exponent.strip_prefix(b"-")).unwrap_or(exponent);
        let length = digits(exponent);
        return length > 0 && length == exponent.len();
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, expected: &str) {
        let found = match parse(text.as_bytes()) {
            Ok(value) => value.to_json(),
            Err(error) => error.to_string(),
        };
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn what_was_written_is_kept() {
        check(
            "{\"b\":1.50,\"a\":[-0.0,1e+5,null,true]}",
            "{\"b\":1.50,\"a\":[-0.0,1e+5,null,true]}",
        );
        check("\u{feff} { \"x\" : [ ] } ", "{\"x\":[]}");
        check(r#""\u00e9\ud83d\ude00\n\/""#, "\"é😀\\n/\"");
    }

    #[test]
    fn mistakes_have_a_place() {
        check("", "line 1, column 1: the text is empty, expected a JSON object");
        check("{\"a\":1,\n \"a\":2}", "line 2, column 2: a member of this name is there already");
        check("{\"é\" 1}", "line 1, column 6: expected `:` behind the member's name");
        check("[01]", "line 1, column 2: this is not a JSON number");
        check("[1.]", "line 1, column 2: this is not a JSON number");
        check("[1,]", "line 1, column 4: expected a value");
        check("{\"a\":1} x", "line 1, column 9: something follows the end of the JSON");
        check("{\"a\"", "line 1, column 5: the text ends before the JSON does");
        check(r#""\ud800x""#, "line 1, column 2: half a surrogate pair in a string");
        check("\"a\nb\"", "line 1, column 3: a control character in a string must be escaped");
        assert_eq!(parse(b"{\"a\":\"\xff\"}").unwrap_err().problem, JsonProblem::Utf8);
    }

    #[test]
    fn depth_has_a_limit() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(parse(nested(DEPTH_MAX).as_bytes()).is_ok());
        assert_eq!(
            parse(nested(DEPTH_MAX + 1).as_bytes()).unwrap_err().problem,
            JsonProblem::Depth
        );
    }

    #[test]
    fn a_member_twice_is_found_among_many() {
        let members: String = (0..100).map(|n| format!("\"m{n}\":{n},")).collect();
        assert!(parse(format!("{{{members}\"x\":1}}").as_bytes()).is_ok());
        let twice = parse(format!("{{{members}\"m7\":1}}").as_bytes()).unwrap_err();
        assert_eq!(twice.problem, JsonProblem::MemberTwice);
    }

    proptest! {
        #[test]
        fn no_input_panics(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn writing_and_reading_is_the_identity(value in values()) {
            prop_assert_eq!(&parse(value.to_json().as_bytes()).unwrap(), &value);
            prop_assert_eq!(&parse(value.to_pretty_json().as_bytes()).unwrap(), &value);
        }
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            "-?(0|[1-9][0-9]{0,5})([.][0-9]{1,4})?(e[+-]?[0-9]{1,2})?".prop_map(|text| {
                Value::Number(Number::new(&text).expect("the pattern of a number"))
            }),
            any::<String>().prop_map(Value::String),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::Array),
                proptest::collection::vec((any::<String>(), inner), 0..5)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }
}
