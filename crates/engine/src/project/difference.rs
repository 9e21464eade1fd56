//! What a case shows of the places where two messages differ: `pipehat-message` compares them.

use std::fmt;

use pipehat_dictionary::path_name;
use pipehat_message::{Message, Side};

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

/// Where two messages differ, in message order. How segments end does not count.
pub fn differences(expected: &[u8], actual: &[u8]) -> Vec<Difference> {
    let (Ok(one), Ok(other)) = (Message::parse(expected), Message::parse(actual)) else {
        if lines(expected).eq(lines(actual)) {
            return Vec::new();
        }
        return vec![Difference {
            place: "the message".to_owned(),
            name: None,
            expected: Some(text(expected)),
            actual: Some(text(actual)),
        }];
    };
    let value = |side: &Side<'_>| side.value.map(|value| text(value.raw()));
    pipehat_message::differences(&one, &other)
        .iter()
        .map(|found| Difference {
            place: place(found),
            name: name(found, &one, &other),
            expected: value(&found.left),
            actual: value(&found.right),
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

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end_matches(['\r', '\n']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::differences;

    fn check(expected: &str, actual: &str, differences_expected: &[&str]) {
        let header = "MSH|^~\\&|A|B\r";
        let found = differences(
            format!("{header}{expected}").as_bytes(),
            format!("{header}{actual}").as_bytes(),
        );
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
        let found = differences(b"no message", b"another");
        let [found] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!(found.to_string(), "the message: expected `no message`, found `another`");
        assert!(differences(b"no message\n", b"no message\r\n").is_empty());
    }
}
