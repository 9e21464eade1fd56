//! Writing JSON: compact for machines, indented for people.

use super::value::Value;

impl Value {
    /// The JSON text without white space.
    pub fn to_json(&self) -> String {
        let mut out = String::with_capacity(1024);
        self.write(&mut out);
        out
    }

    /// The JSON text on lines, indented by two spaces.
    pub fn to_pretty_json(&self) -> String {
        let mut out = String::with_capacity(2048);
        pretty(self, 0, &mut out);
        out
    }

    /// Appends the JSON text without white space.
    pub fn write(&self, out: &mut String) {
        match self {
            Self::Array(items) => {
                out.push('[');
                for (position, item) in items.iter().enumerate() {
                    if position > 0 {
                        out.push(',');
                    }
                    item.write(out);
                }
                out.push(']');
            }
            Self::Object(object) => {
                out.push('{');
                for (position, (name, value)) in object.iter().enumerate() {
                    if position > 0 {
                        out.push(',');
                    }
                    string(name, out);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
            scalar => write_scalar(scalar, out),
        }
    }
}

fn write_scalar(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(number) => out.push_str(number.as_str()),
        Value::String(text) => string(text, out),
        Value::Array(_) => out.push_str("[]"),
        Value::Object(_) => out.push_str("{}"),
    }
}

fn pretty(value: &Value, level: usize, out: &mut String) {
    match value {
        Value::Array(items) if !items.is_empty() => {
            out.push('[');
            for (position, item) in items.iter().enumerate() {
                next_line(position, level + 1, out);
                pretty(item, level + 1, out);
            }
            next_line(0, level, out);
            out.push(']');
        }
        Value::Object(object) if !object.is_empty() => {
            out.push('{');
            for (position, (name, value)) in object.iter().enumerate() {
                next_line(position, level + 1, out);
                string(name, out);
                out.push_str(": ");
                pretty(value, level + 1, out);
            }
            next_line(0, level, out);
            out.push('}');
        }
        scalar => write_scalar(scalar, out),
    }
}

fn next_line(position: usize, level: usize, out: &mut String) {
    if position > 0 {
        out.push(',');
    }
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", level));
}

fn string(text: &str, out: &mut String) {
    out.push('"');
    let mut rest = text;
    while let Some(at) = rest.bytes().position(|byte| byte < 0x20 || byte == b'"' || byte == b'\\')
    {
        let (plain, special) = rest.split_at(at);
        out.push_str(plain);
        let mut characters = special.chars();
        match characters.next() {
            Some('"') => out.push_str("\\\""),
            Some('\\') => out.push_str("\\\\"),
            Some('\n') => out.push_str("\\n"),
            Some('\r') => out.push_str("\\r"),
            Some('\t') => out.push_str("\\t"),
            Some(control) => out.push_str(&format!("\\u{:04x}", u32::from(control))),
            None => {}
        }
        rest = characters.as_str();
    }
    out.push_str(rest);
    out.push('"');
}
