//! Whether a payload is what a channel of JSON messages takes.

use pipehat_resource::json;

/// Larger payloads are taken by how they begin, and judged by whoever gets them: to read one takes several times its
/// size in memory.
const CHECKED_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Checks that it is a JSON object.
///
/// # Errors
/// What is wrong with it and where, without content.
pub(super) fn check(bytes: &[u8]) -> Result<(), String> {
    if bytes.len() > CHECKED_BYTES_MAX {
        let begins = bytes.trim_ascii_start().first() == Some(&b'{');
        return if begins { Ok(()) } else { Err("it is no JSON object".to_owned()) };
    }
    match json::parse(bytes) {
        Ok(value) if value.as_object().is_some() => Ok(()),
        Ok(value) => Err(format!("a JSON object is expected, and it is {}", value.kind())),
        Err(error) => Err(format!("it is no JSON: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_taken() {
        assert_eq!(check(br#" {"resourceType": "Patient"}"#), Ok(()));
        let large = |begin: &str| format!("{begin}{}", " ".repeat(CHECKED_BYTES_MAX)).into_bytes();
        assert_eq!(check(&large(" {")), Ok(()));
        let refused = |bytes: &[u8], expected: &str| {
            let why = check(bytes).expect_err("it is refused");
            assert!(why.contains(expected), "{why}");
        };
        refused(&large("MSH|"), "no JSON object");
        refused(b"[]", "an array");
        refused(b"{\"a\": }", "line 1, column 7");
        refused(b"MSH|^~\\&|", "no JSON");
        refused(b"", "no JSON");
    }
}
