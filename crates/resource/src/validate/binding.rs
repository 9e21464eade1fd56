//! Required bindings: codes that must be of a value set.

use super::structure::one_of;
use crate::definitions::{Binding, ValueSet};
use crate::json::Object;

/// Value sets with more codes are not written out.
const CODES_SHOWN_MAX: usize = 16;

/// Media types (RFC 6838), and the short names FHIR itself has for its formats.
const MEDIA_TYPES: &str = "http://hl7.org/fhir/ValueSet/mimetypes";
/// ISO 4217.
const CURRENCIES: &str = "http://hl7.org/fhir/ValueSet/currencies";

/// What is wrong with a code.
pub(super) fn problem_of_code(binding: Binding, code: &str) -> Option<String> {
    match binding.value_set {
        MEDIA_TYPES => {
            (!is_media_type(code)).then(|| "expected a media type as in application/pdf".to_owned())
        }
        CURRENCIES => (code.len() != 3 || !code.bytes().all(|byte| byte.is_ascii_uppercase()))
            .then(|| "expected a currency's three letters as in EUR (ISO 4217)".to_owned()),
        url => {
            // What is not carried can't be checked.
            let set = ValueSet::named(url)?;
            set.system_of(code).is_none().then(|| expected(set))
        }
    }
}

/// What is wrong with a Coding or a CodeableConcept: of its codings, one must be of the value set.
pub(super) fn problem_of_concept(
    binding: Binding,
    type_name: &str,
    concept: &Object,
) -> Option<String> {
    let set = ValueSet::named(binding.value_set)?;
    let fits = |coding: &Object| match (coding.get("system"), coding.get("code")) {
        (Some(system), Some(code)) => system
            .as_str()
            .zip(code.as_str())
            .is_none_or(|(system, code)| set.contains(system, code)),
        _ => false,
    };
    let is_fine = match type_name {
        "Coding" => fits(concept),
        "CodeableConcept" => concept
            .get("coding")
            .and_then(|codings| codings.as_array())
            .is_some_and(|codings| codings.iter().filter_map(|own| own.as_object()).any(fits)),
        _ => true,
    };
    // Why there is no code may be said by an extension (R4 §2.4.0.6, data-absent-reason).
    let is_explained = concept.get("extension").is_some();
    (!is_fine && !is_explained).then(|| expected(set))
}

fn expected(set: &ValueSet) -> String {
    let mut codes: Vec<&str> =
        set.codes().map(|(_, code)| code).take(CODES_SHOWN_MAX + 1).collect();
    codes.dedup();
    if codes.len() > CODES_SHOWN_MAX {
        return format!("expected a code of the value set {}", set.url());
    }
    let mut text = format!("expected {}", one_of(&codes));
    let mut systems: Vec<&str> = set.codes().map(|(system, _)| system).collect();
    systems.dedup();
    if let [system] = systems.as_slice() {
        text.push_str(&format!(" of {system}"));
    }
    text
}

/// `type/subtype` and what may follow; FHIR's own formats also go by a short name (R4 §3.1.0.1.11).
fn is_media_type(text: &str) -> bool {
    if matches!(text, "xml" | "json" | "ttl") {
        return true;
    }
    let essence = text.split(';').next().unwrap_or_default().trim_end();
    let is_token = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
    };
    essence.split_once('/').is_some_and(|(own, sub)| is_token(own) && is_token(sub))
}

#[cfg(test)]
mod tests {
    use super::is_media_type;

    #[test]
    fn media_types_have_a_form() {
        for good in
            ["application/pdf", "text/plain; charset=utf-8", "application/fhir+json", "json"]
        {
            assert!(is_media_type(good), "{good}");
        }
        for bad in ["", "pdf", "application/", "/pdf", "a/b/c", "application pdf"] {
            assert!(!is_media_type(bad), "{bad}");
        }
    }
}
