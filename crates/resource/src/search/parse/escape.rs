//! The escapes of values (FHIR R4 §3.1.1.4.1), and the form of a query.

/// Splits at each `separator` that no backslash escapes. The parts keep their escapes.
pub(super) fn split(text: &str, separator: char) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut from = 0;
    let mut escaped = false;
    for (at, character) in text.char_indices() {
        if escaped {
            escaped = false;
        } else if character == '\\' {
            escaped = true;
        } else if character == separator {
            parts.push(text.get(from..at).unwrap_or_default());
            from = at + character.len_utf8();
        }
    }
    parts.push(text.get(from..).unwrap_or_default());
    parts
}

/// Splits at the first `separator` that no backslash escapes.
pub(super) fn split_once(text: &str, separator: char) -> Option<(&str, &str)> {
    let first = *split(text, separator).first()?;
    let rest = text.get(first.len() + separator.len_utf8()..)?;
    Some((first, rest))
}

/// Takes the escapes away. A backslash before anything but `,`, `|`, `$` and `\` is itself.
pub(super) fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let escaped = (character == '\\')
            .then(|| characters.next_if(|next| matches!(next, ',' | '|' | '$' | '\\')))
            .flatten();
        plain.push(escaped.unwrap_or(character));
    }
    plain
}

/// A value for a query: what separates values is escaped, and all that has a meaning in a URL or form percent-encoded.
pub fn query_value(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for character in value.chars() {
        if matches!(character, '\\' | ',' | '|' | '$') {
            text.push('\\');
        }
        text.push(character);
    }
    encoded(&text, |_| false)
}

/// A part of a query as a person writes it (`identifier=urn:a|1&active=true`), ready for a URL or form: what separates
/// stays, and so does `%`, which begins an escape.
pub fn query_text(written: &str) -> String {
    encoded(written, |byte| b"%&=:/?,$@!*();".contains(&byte))
}

fn encoded(text: &str, stays: impl Fn(u8) -> bool) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        let plain = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        if plain || stays(byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// The pairs of a query as a URL or a form has it (`application/x-www-form-urlencoded`), decoded. What is not
/// UTF-8 has replacement characters.
pub fn query_pairs(query: &str) -> Vec<(String, String)> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name), decoded(value))
        })
        .collect()
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        match (first, after) {
            (b'+', _) => bytes.push(b' '),
            (b'%', [high, low, behind @ ..]) => match (hexadecimal(*high), hexadecimal(*low)) {
                (Some(high), Some(low)) => {
                    bytes.push(high << 4 | low);
                    rest = behind;
                }
                _ => bytes.push(b'%'),
            },
            _ => bytes.push(*first),
        }
    }
    match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    }
}

fn hexadecimal(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_can_be_escaped() {
        assert_eq!(split(r"a\,b,c", ','), [r"a\,b", "c"]);
        assert_eq!(split(r"a\\,b", ','), [r"a\\", "b"]);
        assert_eq!(split("", ','), [""]);
        assert_eq!(split(r"a\", ','), [r"a\"]);
        assert_eq!(split_once(r"a\|b|c|d", '|'), Some((r"a\|b", "c|d")));
        assert_eq!(split_once(r"a\|b", '|'), None);
        assert_eq!(unescape(r"a\,b\|c\$d\\e\nf\"), r"a,b|c$d\e\nf\");
    }

    #[test]
    fn what_is_encoded_is_read_as_it_was() {
        for value in ["a", "1,2|3 ä&b", r"\", "100%", "a+b=c", "", "\u{0}\r\n", "urn:x#y?z", "$"] {
            let query = format!("{}={}", query_text("a:exact"), query_value(value));
            assert!(query.is_ascii() && !query.contains(['+', ' ', '#']), "{query}");
            let [(name, read)] = query_pairs(&query).try_into().expect("one pair");
            assert_eq!((name.as_str(), unescape(&read).as_str()), ("a:exact", value));
            assert_eq!((split(&read, ',').len(), split(&read, '|').len()), (1, 1), "{read}");
        }
        assert_eq!(query_text("a=urn:x|1%202&b=é"), "a=urn:x%7C1%202&b=%C3%A9");
    }

    #[test]
    fn queries_are_decoded() {
        let pairs = query_pairs("name=a+b%20c&&x&y=1%2B1=2&z=%zz%4&%C3%A9=%ff");
        let pairs: Vec<(&str, &str)> =
            pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(
            pairs,
            [("name", "a b c"), ("x", ""), ("y", "1+1=2"), ("z", "%zz%4"), ("é", "\u{fffd}")]
        );
    }
}
