//! Numbers whose digits JavaScript would not write again: `0.10`, and what a double cannot hold.

use pipehat_resource::json::{Number, Value, parse};

/// How many are told of one text: they are held outside of the script's memory.
const MOST: usize = 100_000;

/// Of a text of JSON the members that hold such numbers: `[path, digits]` of each. Numbers within lists are none: FHIR has none.
pub(super) fn digits(text: &str) -> Vec<Value> {
    let mut found = Vec::new();
    if has_some(text.as_bytes())
        && let Ok(value) = parse(text.as_bytes())
    {
        look(&value, &mut Vec::new(), &mut found);
    }
    found
}

/// Whether a text has such a number anywhere, as nearly none has: that is seen without reading it as a whole.
fn has_some(text: &[u8]) -> bool {
    let is_of_number =
        |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E');
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        rest = match first {
            b'"' => behind_string(after),
            b'-' | b'0'..=b'9' => {
                let end = rest.iter().position(|byte| !is_of_number(byte)).unwrap_or(rest.len());
                let (number, after) = rest.split_at(end);
                if !std::str::from_utf8(number).is_ok_and(is_written_so) {
                    return true;
                }
                after
            }
            _ => after,
        };
    }
    false
}

/// What stands behind a string, of which the first sign is taken.
fn behind_string(mut rest: &[u8]) -> &[u8] {
    loop {
        match rest.iter().position(|byte| matches!(byte, b'"' | b'\\')) {
            None => return &[],
            Some(at) if rest.get(at) == Some(&b'"') => {
                return rest.get(at + 1..).unwrap_or_default();
            }
            Some(at) => rest = rest.get(at + 2..).unwrap_or_default(),
        }
    }
}

fn look(value: &Value, path: &mut Vec<Value>, found: &mut Vec<Value>) {
    match value {
        Value::Object(object) => {
            for (name, member) in object.iter() {
                path.push(Value::string(name));
                match member {
                    Value::Number(_) if found.len() == MOST => {}
                    Value::Number(number) if !is_written_so(number.as_str()) => {
                        let digits = Value::string(number.as_str());
                        found.push(Value::Array(vec![Value::Array(path.clone()), digits]));
                    }
                    _ => look(member, path, found),
                }
                path.pop();
            }
        }
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                path.extend(Number::new(&at.to_string()).map(Value::Number));
                look(item, path, found);
                path.pop();
            }
        }
        _ => {}
    }
}

/// Whether JavaScript writes a number as it stands here, as far as one can say without it: never where it does not.
fn is_written_so(text: &str) -> bool {
    let Ok(number) = text.parse::<f64>() else { return false };
    let is_plain = text == "0" || (1e-6..1e21).contains(&number.abs());
    is_plain && number.to_string() == text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_numbers_that_would_change_are_told() {
        let text = r#"{"a":[{"value":0.10},{"value":0.1,"other":7}],"b":{"value":1e2},"c":-0,
            "d":12345678901234567890,"e":0.00000010,"f":-1.5,"g":"0.10","h":[1.0],"i":0,"j":1E400}"#;
        let told: Vec<String> = digits(text).iter().map(Value::to_json).collect();
        let expected = [
            r#"[["a",0,"value"],"0.10"]"#,
            r#"[["b","value"],"1e2"]"#,
            r#"[["c"],"-0"]"#,
            r#"[["d"],"12345678901234567890"]"#,
            r#"[["e"],"0.00000010"]"#,
            r#"[["j"],"1E400"]"#,
        ];
        assert_eq!(told, expected);
        for plain in [r#"{"a":"\\\"1.0","b":[0,1.5,-2],"c":true,"d\\":"0.10"}"#, r#""\"#, "{}", ""]
        {
            assert!(!has_some(plain.as_bytes()), "{plain}");
        }
        assert!(digits("no JSON").is_empty());
        let many = format!("[{}{{}}]", r#"{"a":1.0},"#.repeat(MOST + 1));
        assert_eq!(digits(&many).len(), MOST);
    }
}
