//! Universal identifiers (HL7 v2.5.1 §2.A.33, table 0301).

/// Whether a universal ID can be one of its type. A type of which the form is not known allows anything.
pub(super) fn is_universal_id(id: &[u8], kind: &[u8]) -> bool {
    match kind {
        b"ISO" => is_oid(id),
        b"UUID" | b"GUID" => is_uuid(id),
        b"DNS" => is_host_name(id),
        b"URI" => is_uri(id),
        _ => true,
    }
}

/// Digits in arcs; the first arc is 0, 1 or 2.
fn is_oid(id: &[u8]) -> bool {
    let mut arcs = 0;
    for arc in id.split(|&byte| byte == b'.') {
        let leading_zero = arc.len() > 1 && arc.first() == Some(&b'0');
        if arc.is_empty() || leading_zero || !arc.iter().all(u8::is_ascii_digit) {
            return false;
        }
        if arcs == 0 && !matches!(arc, b"0" | b"1" | b"2") {
            return false;
        }
        arcs += 1;
    }
    arcs >= 2
}

/// 8-4-4-4-12 hexadecimal digits; braces around it, as some write a GUID, are let pass.
fn is_uuid(id: &[u8]) -> bool {
    let id = id.strip_prefix(b"{").and_then(|rest| rest.strip_suffix(b"}")).unwrap_or(id);
    id.len() == 36
        && id.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

fn is_host_name(id: &[u8]) -> bool {
    !id.is_empty()
        && id.len() <= 253
        && id.split(|&byte| byte == b'.').all(|label| {
            !label.is_empty()
                && label.len() <= 63
                && label
                    .iter()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        })
}

fn is_uri(id: &[u8]) -> bool {
    let scheme = id.iter().position(|&byte| byte == b':').unwrap_or(0);
    scheme > 0
        && id.first().is_some_and(u8::is_ascii_alphabetic)
        && !id.iter().any(|byte| byte.is_ascii_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_have_the_form_of_their_type() {
        for (kind, id, expected) in [
            ("ISO", "2.16.840.1.113883.19.4.6", true),
            ("ISO", "1.2", true),
            ("ISO", "2", false),
            ("ISO", "3.1", false),
            ("ISO", "2.16..840", false),
            ("ISO", "2.016.1", false),
            ("ISO", "urn:oid:1.2.3", false),
            ("UUID", "123e4567-e89b-12d3-a456-426614174000", true),
            ("GUID", "{123E4567-E89B-12D3-A456-426614174000}", true),
            ("UUID", "123e4567e89b12d3a456426614174000", false),
            ("DNS", "lab.example.org", true),
            ("DNS", "lab example", false),
            ("URI", "http://example.org/id", true),
            ("URI", "example", false),
            ("L", "anything", true),
            ("CLIA", "05D0642827", true),
        ] {
            assert_eq!(is_universal_id(id.as_bytes(), kind.as_bytes()), expected, "{kind} {id}");
        }
    }
}
