//! Codes, identifiers, contact points (FHIR R4 §3.1.1.4.10).

use super::super::entry::TokenValue;
use super::super::fold::fold;
use super::path::Found;
use crate::json::Value;

pub(super) fn of(found: Found<'_>, add: &mut dyn FnMut(TokenValue)) {
    match found.type_name {
        "CodeableConcept" => of_concept(found.value, add),
        "Coding" => of_coding(found.value).into_iter().for_each(add),
        "Identifier" => of_identifier(found.value).into_iter().for_each(add),
        "ContactPoint" => found.value.text("value").and_then(plain).into_iter().for_each(add),
        "code" => {
            if let Some(code) = found.value.as_str().filter(|code| !code.is_empty()) {
                let system = found.value_set.and_then(|set| set.system_of(code));
                add(TokenValue {
                    system: system.map(str::to_owned),
                    code: Some(code.to_owned()),
                    ..TokenValue::default()
                });
            }
        }
        _ => match found.value {
            Value::String(text) => plain(text).into_iter().for_each(add),
            Value::Bool(value) => {
                plain(if *value { "true" } else { "false" }).into_iter().for_each(add)
            }
            Value::Number(number) => plain(number.as_str()).into_iter().for_each(add),
            Value::Object(_) | Value::Array(_) | Value::Null => {}
        },
    }
}

/// A code without a system.
pub(super) fn plain(code: &str) -> Option<TokenValue> {
    (!code.is_empty()).then(|| TokenValue { code: Some(code.to_owned()), ..TokenValue::default() })
}

fn of_concept(concept: &Value, add: &mut dyn FnMut(TokenValue)) {
    for coding in concept.items("coding") {
        of_coding(coding).into_iter().for_each(&mut *add);
    }
    if let Some(text) = text_of(concept.text("text")) {
        add(TokenValue { text: Some(text), ..TokenValue::default() });
    }
}

fn of_coding(coding: &Value) -> Option<TokenValue> {
    let token = TokenValue {
        system: owned(coding.text("system")),
        code: owned(coding.text("code")),
        text: text_of(coding.text("display")),
        of_type: Vec::new(),
    };
    (token != TokenValue::default()).then_some(token)
}

pub(super) fn of_identifier(identifier: &Value) -> Option<TokenValue> {
    let concept = identifier.get("type");
    let of_type =
        concept.map(|concept| concept.items("coding")).unwrap_or_default().iter().filter_map(
            |coding| {
                let system = coding.text("system").unwrap_or_default();
                Some((system.to_owned(), coding.text("code")?.to_owned()))
            },
        );
    let token = TokenValue {
        system: owned(identifier.text("system")),
        code: owned(identifier.text("value")),
        text: text_of(concept.and_then(|concept| concept.text("text"))),
        of_type: of_type.collect(),
    };
    (token.system.is_some() || token.code.is_some()).then_some(token)
}

fn owned(text: Option<&str>) -> Option<String> {
    text.filter(|text| !text.is_empty()).map(str::to_owned)
}

fn text_of(text: Option<&str>) -> Option<String> {
    text.map(fold).filter(|text| !text.is_empty())
}
