//! What a case shows of the places where two messages differ: `pipehat-message` compares them.

use std::fmt;

use pipehat_dictionary::path_name;
use pipehat_message::{Charset, CharsetRule, Message, Side, undecodable_byte};

/// One place where two messages differ. It holds values: only for cases and other synthetic data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The path, or the number of a line that is no segment.
    pub place: String,
    /// What the standard calls the place.
    pub name: Option<String>,
    /// What was expected there; none where nothing was.
    pub expected: Option<String>,
    /// What is there; none where nothing is.
    pub actual: Option<String>,
}

/// `PID-8 (Administrative Sex): expected `male`, found `M``
impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { expected, actual, .. } = self;
        let place = self.named_place();
        match (expected, actual) {
            (Some(expected), Some(actual)) => {
                write!(formatter, "{place}: expected `{expected}`, found `{actual}`")
            }
            (Some(expected), None) => write!(formatter, "{place}: missing, expected `{expected}`"),
            (None, Some(actual)) => write!(formatter, "{place}: not expected, found `{actual}`"),
            (None, None) => write!(formatter, "{place}: differs"),
        }
    }
}

impl Difference {
    /// The path with its name, as in `PID-8 (Administrative Sex)`.
    pub fn named_place(&self) -> String {
        match &self.name {
            Some(name) => format!("{} ({name})", self.place),
            None => self.place.clone(),
        }
    }
}

/// Where two messages differ, in message order. How segments end does not count. Bytes are compared;
/// `charset` is for showing them.
pub fn differences(expected: &[u8], actual: &[u8], charset: CharsetRule) -> Vec<Difference> {
    let (Ok(one), Ok(other)) = (Message::parse(expected), Message::parse(actual)) else {
        if lines(expected).eq(lines(actual)) {
            return Vec::new();
        }
        return vec![Difference {
            place: "the message".to_owned(),
            name: None,
            expected: Some(text(expected, charset.of_message(expected))),
            actual: Some(text(actual, charset.of_message(actual))),
        }];
    };
    let sets = [expected, actual].map(|message| charset.of_message(message).of_values());
    pipehat_message::differences(&one, &other)
        .iter()
        .map(|found| {
            let [expected, actual] = values(&found.left, &found.right, sets);
            let name = name(found, &one, &other);
            Difference { place: place(found), name, expected, actual }
        })
        .collect()
}

/// What the standard calls the place, in the message whose path it is.
fn name(
    found: &pipehat_message::Difference<'_>,
    one: &Message<'_>,
    other: &Message<'_>,
) -> Option<String> {
    let sides = [(&found.left.path, one), (&found.right.path, other)];
    sides.into_iter().find_map(|(path, message)| path_name(message, path.as_ref()?))
}

/// What two places hold, each in the set of its message; bytes where they look alike in these.
fn values(expected: &Side<'_>, actual: &Side<'_>, sets: [Charset; 2]) -> [Option<String>; 2] {
    let raw = [expected, actual].map(|side| side.value.map(|value| value.raw()));
    let [(expected, set), (actual, other_set)] = [(raw[0], sets[0]), (raw[1], sets[1])];
    let shown = [expected.map(|raw| text(raw, set)), actual.map(|raw| text(raw, other_set))];
    if shown[0] == shown[1] {
        return raw.map(|raw| raw.map(|raw| text(raw, Charset::ASCII)));
    }
    shown
}

fn place(found: &pipehat_message::Difference<'_>) -> String {
    match found.path() {
        Some(path) => path.to_string(),
        None => {
            let line = found.left.segment_index.or(found.right.segment_index).unwrap_or(0);
            format!("line {}", line.saturating_add(1))
        }
    }
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|byte| matches!(byte, b'\r' | b'\n')).filter(|line| !line.is_empty())
}

/// The text; what is no character of the set stands there as `\xNN`.
fn text(bytes: &[u8], charset: Charset) -> String {
    let mut shown = String::with_capacity(bytes.len());
    for character in charset.decode(bytes).text.chars() {
        match undecodable_byte(character) {
            Some(byte) => shown.push_str(&format!("\\x{byte:02x}")),
            None => shown.push(character),
        }
    }
    shown.trim_end_matches(['\r', '\n']).to_owned()
}

#[cfg(test)]
mod tests {
    use pipehat_message::{Charset, CharsetRule};

    use super::differences;

    fn check(expected: &str, actual: &str, differences_expected: &[&str]) {
        check_bytes("", expected.as_bytes(), actual.as_bytes(), differences_expected);
    }

    fn check_bytes(msh18: &str, expected: &[u8], actual: &[u8], differences_expected: &[&str]) {
        let header = format!("MSH|^~\\&|A|B||||||||||||||{msh18}\r");
        let message = |rest: &[u8]| [header.as_bytes(), rest].concat();
        let found = differences(&message(expected), &message(actual), CharsetRule::Declared);
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(found, differences_expected);
    }

    #[test]
    fn the_smallest_place_is_named_with_both_values() {
        check(
            "PID|1||4711^^^H^MR",
            "PID|1||4711^^^G^MR",
            &["PID-3.4 (Patient Identifier List, Assigning Authority): expected `H`, found `G`"],
        );
        check(
            "PID|1||1~2",
            "PID|1||1",
            &["PID-3[2] (Patient Identifier List): missing, expected `2`"],
        );
        check("PID|1|", "PID|1", &["PID-2 (Patient ID): missing, expected ``"]);
        check(
            "OBX|1|A\rOBX|2|B\rNTE|x",
            "OBX|2|B\rNTE|x\rZZZ|9",
            &[
                "OBX (Observation/Result): missing, expected `OBX|1|A`",
                "ZZZ: not expected, found `ZZZ|9`",
            ],
        );
    }

    #[test]
    fn segment_ends_do_not_count_and_what_is_no_segment_is_named_by_its_line() {
        check("PID|1\nPV1|1\n", "PID|1\rPV1|1", &[]);
        check(
            "?",
            "PID|1",
            &[
                "line 2: missing, expected `?`",
                "PID (Patient Identification): not expected, found `PID|1`",
            ],
        );
        let found = differences(b"no message", b"another", CharsetRule::Declared);
        let [found] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!(found.to_string(), "the message: expected `no message`, found `another`");
        let ends = differences(b"no message\n", b"no message\r\n", CharsetRule::Declared);
        assert!(ends.is_empty());
    }

    #[test]
    fn values_are_shown_in_the_character_set_of_the_message() {
        let found = ["PID-5 (Patient Name): expected `Ü`, found `ü`"];
        check_bytes("8859/1", b"PID|||||\xDC", b"PID|||||\xFC", &found);
        check_bytes("", b"PID|||||\xDC", b"PID|||||\xFC", &found);
        check_bytes("UNICODE UTF-8", "PID|||||Ü".as_bytes(), "PID|||||ü".as_bytes(), &found);
        let found = ["PID-5 (Patient Name): expected `\\xdc`, found `ü`"];
        check_bytes("UNICODE UTF-8", b"PID|||||\xDC", "PID|||||ü".as_bytes(), &found);

        let rule = CharsetRule::Override(Charset::from_name("8859/2").expect("a known set"));
        let found = differences(b"MSH|^~\\&|\xA3", b"MSH|^~\\&|\xB3", rule);
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(found, ["MSH-3 (Sending Application): expected `Ł`, found `ł`"]);
    }

    #[test]
    fn what_looks_alike_is_told_apart_by_its_bytes() {
        let found = differences(b"MSH|^~\\&|\xFC", "MSH|^~\\&|ü".as_bytes(), CharsetRule::Declared);
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(found, ["MSH-3 (Sending Application): expected `\\xfc`, found `\\xc3\\xbc`"]);
    }
}
