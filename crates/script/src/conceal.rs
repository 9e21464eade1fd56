//! Keeps the secrets that a bot was given out of what is recorded and shown of its runs.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;

/// Shorter ones are replaced only where they stand alone: `x` is a part of any word.
const PART_BYTES_MIN: usize = 6;

/// The secrets of a bot, each of which is shown as `[secret NAME]`.
#[derive(Clone, Default)]
pub struct Concealed {
    /// How a secret may be written in a text, and its name; the longest first.
    forms: Vec<(String, String)>,
    /// As they are, by their names.
    plain: Vec<(String, String)>,
}

impl Concealed {
    /// Those of a bot.
    pub fn of(secrets: &BTreeMap<String, String>) -> Self {
        let mut forms: Vec<(String, String)> = Vec::new();
        let mut plain = Vec::new();
        for (name, secret) in secrets {
            let secret = secret.trim_end_matches(['\r', '\n']);
            if secret.is_empty() {
                continue;
            }
            let in_json = Value::from(secret).to_string();
            let in_json = in_json.get(1..in_json.len() - 1).unwrap_or_default().to_owned();
            for form in [secret.to_owned(), in_json, percent(secret, "%20"), percent(secret, "+")] {
                if forms.iter().all(|(known, _)| *known != form) {
                    forms.push((form, name.clone()));
                }
            }
            plain.push((name.clone(), secret.to_owned()));
        }
        forms.sort_by_key(|(form, _)| std::cmp::Reverse(form.len()));
        Self { forms, plain }
    }

    /// A text without them.
    pub fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut shown = Cow::Borrowed(text);
        for (form, name) in &self.forms {
            if shown.contains(form.as_str()) {
                shown = Cow::Owned(replaced(&shown, form, &mark(name)));
            }
        }
        match self.basic(&shown) {
            Some(basic) => Cow::Owned(basic),
            None => shown,
        }
    }

    /// The texts of a value without them.
    pub fn value(&self, value: &mut Value) {
        if self.forms.is_empty() {
            return;
        }
        match value {
            Value::String(text) => {
                if let Cow::Owned(shown) = self.text(text) {
                    *text = shown;
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.value(item)),
            Value::Object(members) => members.values_mut().for_each(|member| self.value(member)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// A value that was written with the marks, with the secrets again.
    pub fn reveal(&self, value: &mut Value) {
        match value {
            Value::String(text) => {
                for (name, secret) in &self.plain {
                    *text = text.replace(&mark(name), secret);
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.reveal(item)),
            Value::Object(members) => members.values_mut().for_each(|member| self.reveal(member)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// RFC 7617 §2: user and password in base64.
    fn basic(&self, text: &str) -> Option<String> {
        let (scheme, rest) = text.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let bytes = BASE64.decode(rest.trim()).ok()?;
        let pair = String::from_utf8(bytes).ok()?;
        let (_, name) = self.forms.iter().find(|(form, _)| pair.contains(form.as_str()))?;
        Some(format!("{scheme} {}", mark(name)))
    }
}

/// Without its values.
impl std::fmt::Debug for Concealed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = self.plain.iter().map(|(name, _)| name);
        formatter.debug_list().entries(names).finish()
    }
}

fn mark(name: &str) -> String {
    format!("[secret {name}]")
}

fn replaced(text: &str, form: &str, mark: &str) -> String {
    if form.len() >= PART_BYTES_MIN {
        return text.replace(form, mark);
    }
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(form) {
        let (before, found) = rest.split_at(at);
        let after = found.get(form.len()..).unwrap_or_default();
        let last = before.chars().next_back().or_else(|| shown.chars().next_back());
        let alone = !last.is_some_and(char::is_alphanumeric)
            && !after.chars().next().is_some_and(char::is_alphanumeric);
        shown.push_str(before);
        shown.push_str(if alone { mark } else { form });
        rest = after;
    }
    shown.push_str(rest);
    shown
}

/// As a URL or a form has it.
fn percent(text: &str, space: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' ' => shown.push_str(space),
            b'-' | b'.' | b'_' | b'~' | b'*' => shown.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => shown.push(char::from(byte)),
            _ => shown.push_str(&format!("%{byte:02X}")),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn concealed() -> Concealed {
        let secrets = [("KEY", "pass word\"1"), ("PIN", "12"), ("LONG", "abcdef\n"), ("NONE", "")];
        Concealed::of(
            &secrets.into_iter().map(|(name, text)| (name.to_owned(), text.to_owned())).collect(),
        )
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(concealed().text(text), expected);
    }

    #[test]
    fn secrets_are_shown_by_their_names() {
        check("nothing", "nothing");
        check("key=pass word\"1;", "key=[secret KEY];");
        check(r#"{"a":"pass word\"1"}"#, r#"{"a":"[secret KEY]"}"#);
        check(
            "https://a/?k=pass%20word%221&l=abcdefg",
            "https://a/?k=[secret KEY]&l=[secret LONG]g",
        );
        check("k=pass+word%221", "k=[secret KEY]");
        check("pin 12, 123, 412", "pin [secret PIN], 123, 412");
        check(&format!("Basic {}", BASE64.encode("me:abcdef")), "Basic [secret LONG]");
        check("Basic care", "Basic care");
    }

    #[test]
    fn values_are_concealed_and_revealed() {
        let mut value = json!({ "a": ["x abcdef", 1], "b": { "c": "12" } });
        let written = value.clone();
        concealed().value(&mut value);
        assert_eq!(value, json!({ "a": ["x [secret LONG]", 1], "b": { "c": "[secret PIN]" } }));
        concealed().reveal(&mut value);
        assert_eq!(value, written);
    }

    #[test]
    fn its_own_text_names_no_secret() {
        assert!(!format!("{:?}", concealed()).contains("abcdef"));
    }
}
