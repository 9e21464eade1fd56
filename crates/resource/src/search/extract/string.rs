//! Texts: names and addresses by all their parts (FHIR R4 §3.1.1.4.8).

use super::super::entry::IndexValue;
use super::super::fold::fold;
use super::path::Found;
use crate::json::Value;

const NAME_PARTS: [&str; 5] = ["family", "given", "text", "prefix", "suffix"];
const ADDRESS_PARTS: [&str; 7] =
    ["line", "city", "district", "state", "postalCode", "country", "text"];

pub(super) fn of(found: Found<'_>, add: &mut dyn FnMut(IndexValue)) {
    let parts: &[&str] = match found.type_name {
        "HumanName" => &NAME_PARTS,
        "Address" => &ADDRESS_PARTS,
        "CodeableConcept" => &["text"],
        "Coding" => &["display"],
        "ContactPoint" | "Identifier" => &["value"],
        "Annotation" => &["text"],
        _ => &[],
    };
    for text in parts.iter().flat_map(|part| found.value.items(part)).filter_map(Value::as_str) {
        of_text(text).into_iter().for_each(&mut *add);
    }
    match found.value {
        Value::String(text) => of_text(text).into_iter().for_each(add),
        Value::Number(number) => of_text(number.as_str()).into_iter().for_each(add),
        Value::Bool(_) | Value::Object(_) | Value::Array(_) | Value::Null => {}
    }
}

pub(super) fn of_text(text: &str) -> Option<IndexValue> {
    let folded = fold(text);
    (!folded.is_empty()).then(|| IndexValue::String { exact: text.to_owned(), folded })
}
