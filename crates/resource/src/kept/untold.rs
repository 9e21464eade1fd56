//! All elements that a writer does not tell: `*`, or `hospitalization.*`.
//!
//! What another part of the mark names is decided there, an element of a choice is told by any of its types, and not by one that
//! says only that it is not known (R4 §2.1.5.1.2 data-absent-reason: a writer that does not tell what R4 requires). A narrative
//! goes: it may tell of what was before. What is contained stays for as long as something refers to it (FHIR R4 dom-3).
//! Members keep the order in which they stand, so that the same told again is the same.

use super::{Keeps, found, found_mut};
use crate::definitions::TypeDefinition;
use crate::json::{Object, Value};

/// The extension that says why there is no value.
const DATA_ABSENT_REASON: &str = "http://hl7.org/fhir/StructureDefinition/data-absent-reason";

impl Keeps {
    /// Has in `told` the elements of `standing` that are not told.
    pub(super) fn take_over_untold(&self, standing: &Value, told: &mut Value) {
        let is_whole = self.elements().any(|own| own == "*");
        // What is within an element first: it is told then.
        for above in self.elements().filter_map(|own| own.strip_suffix(".*")) {
            let Some(kept) = found(standing, above).and_then(Value::as_object) else { continue };
            let is_kept = |name: &str| !self.is_named(&format!("{above}.{name}"));
            let definition = definition_at(standing, above);
            if found(told, above).is_none() {
                super::put(told, above, Value::Object(Object::new()));
            }
            let Some(own) = found_mut(told, above).and_then(Value::as_object_mut) else { continue };
            add(kept, own, definition, &is_kept);
            if own.is_empty() {
                super::take_out(told, above);
            }
        }
        if !is_whole {
            return;
        }
        let Some(kept) = standing.as_object() else { return };
        let is_kept = |name: &str| {
            !matches!(name, "resourceType" | "id" | "meta" | "implicitRules" | "text" | "contained")
                && !self.is_named(name)
        };
        let definition = standing.resource_type().and_then(TypeDefinition::named);
        let Some(own) = told.as_object_mut() else { return };
        add(kept, own, definition, &is_kept);
        add_contained(standing, told);
    }

    /// Has the members of what `*` is about in the order in which they stand.
    pub(super) fn order(&self, standing: &Value, told: &mut Value) {
        for path in self.elements() {
            let (standing, told) = match path.strip_suffix('*') {
                None => continue,
                Some("") => (Some(standing), Some(&mut *told)),
                Some(above) => {
                    let above = above.trim_end_matches('.');
                    (found(standing, above), found_mut(told, above))
                }
            };
            let told = told.and_then(Value::as_object_mut);
            if let Some((standing, told)) = standing.and_then(Value::as_object).zip(told) {
                order_as(standing, told);
            }
        }
    }

    /// Whether a part of the mark is about an element, or about one within it.
    fn is_named(&self, path: &str) -> bool {
        let is_it = |own: &str| {
            own.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.elements().chain(self.told()).any(is_it)
            || self.items.iter().any(|items| is_it(&items.element))
    }
}

fn definition_at(resource: &Value, path: &str) -> Option<&'static TypeDefinition> {
    let root = TypeDefinition::named(resource.resource_type()?)?;
    path.split('.')
        .try_fold(root, |own, name| own.member(name).map(|member| member.element_type.definition()))
}

fn add(
    kept: &Object,
    told: &mut Object,
    definition: Option<&'static TypeDefinition>,
    is_kept: &impl Fn(&str) -> bool,
) {
    let goes = |name: &str, value: &Value| {
        let base = name.strip_prefix('_').unwrap_or(name);
        is_absent(name, value, told) && is_told(kept, base, definition) && is_kept(base)
    };
    let absent = told.iter().filter(|(name, value)| goes(name, value));
    let absent: Vec<Box<str>> = absent.map(|(name, _)| name.into()).collect();
    for name in absent {
        told.remove(&name);
    }
    let mut news = Vec::new();
    for (name, value) in kept.iter() {
        let base = name.strip_prefix('_').unwrap_or(name);
        if is_kept(base) && !is_told(told, base, definition) {
            news.push((name, value));
        }
    }
    for (name, value) in news {
        told.set(name, value.clone());
    }
}

/// Whether a member says only that the element is not known.
fn is_absent(name: &str, value: &Value, told: &Object) -> bool {
    let is_bare = name.strip_prefix('_').is_none_or(|name| told.get(name).is_none());
    let is_reason = |own: &Value| own.text("url") == Some(DATA_ABSENT_REASON);
    let reasons = value.items("extension");
    let has_more = value.as_object().is_none_or(|own| own.len() > 1);
    is_bare && !has_more && !reasons.is_empty() && reasons.iter().all(is_reason)
}

/// Whether an element is told, by any type of a choice.
fn is_told(told: &Object, name: &str, definition: Option<&'static TypeDefinition>) -> bool {
    let has = |name: &str| told.get(name).is_some() || told.get(&format!("_{name}")).is_some();
    let element = definition.and_then(|own| own.element(name)).map(|(element, _)| element);
    has(name)
        || element
            .filter(|element| element.is_choice())
            .is_some_and(|element| element.types().iter().any(|own| has(own.member())))
}

/// Adds what is contained in the one that stands and still referred to.
fn add_contained(standing: &Value, told: &mut Value) {
    let mut left: Vec<&Value> = standing.items("contained").iter().collect();
    let has =
        |told: &Value, id: &str| told.items("contained").iter().any(|own| own.id() == Some(id));
    left.retain(|own| own.id().is_some_and(|id| !has(told, id)));
    loop {
        let is_used = |own: &&Value| own.id().is_some_and(|id| refers_to(told, id));
        let (used, rest): (Vec<&Value>, Vec<&Value>) = left.into_iter().partition(is_used);
        if used.is_empty() {
            return;
        }
        let mut contained = told.items("contained").to_vec();
        contained.extend(used.into_iter().cloned());
        super::put(told, "contained", Value::Array(contained));
        left = rest;
    }
}

/// Whether `#id` is referred to.
fn refers_to(value: &Value, id: &str) -> bool {
    match value {
        Value::Array(items) => items.iter().any(|own| refers_to(own, id)),
        Value::Object(object) => {
            let is_it = |text: &str| text.strip_prefix('#') == Some(id);
            value.text("reference").is_some_and(is_it)
                || object.iter().any(|(_, own)| refers_to(own, id))
        }
        _ => false,
    }
}

/// Puts the members in the order in which they stand, new ones behind them.
fn order_as(standing: &Object, told: &mut Object) {
    let mut ordered = Object::with_capacity(told.len());
    for (name, _) in standing.iter() {
        if let Some(value) = told.remove(name) {
            ordered.set(name, value);
        }
    }
    for (name, value) in std::mem::take(told).iter() {
        ordered.set(name, value.clone());
    }
    *told = ordered;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::parse;
    use crate::kept::{At, Items, Others};

    fn read(text: &str) -> Value {
        parse(text.as_bytes()).expect("it is JSON")
    }

    /// What comes of a Patient's told elements over those that stand, and of the same told once more.
    #[track_caller]
    fn check(goes: &[&str], standing: &str, told: &str, expected: &str) {
        let mut keeps = Keeps::default();
        keeps.keep("*");
        goes.iter().for_each(|own| keeps.tell(*own));
        let by = ["system|assigner.reference+type.coding", "system|assigner.reference+value"];
        let by = by.map(|own| At::of(own).expect("a place"));
        keeps.keep_items(Items {
            element: "identifier".into(),
            by: by.to_vec(),
            others: Others::All,
            ..Items::default()
        });
        let of = |own: &str| read(&format!(r#"{{"resourceType":"Patient",{own}}}"#));
        let mut merged = of(told);
        keeps.take_over(&of(standing), &mut merged, &|_| None);
        assert_eq!(merged, of(expected), "{told} over {standing}");
        assert_eq!(merged.to_json(), of(expected).to_json());
        let mut again = of(told);
        keeps.take_over(&merged, &mut again, &|_| None);
        assert_eq!(again.to_json(), merged.to_json(), "once more");
        let mut request = Object::new();
        request.set("extension", Value::Array(vec![keeps.mark()]));
        assert_eq!(Keeps::of_request(&Value::Object(request)), Ok(Some(keeps)));
    }

    #[test]
    fn what_is_not_told_stays() {
        check(
            &[],
            r#""active":true,"name":[{"text":"A"}],"_gender":{"id":"x"},"text":{"div":"old"}"#,
            r#""name":[{"text":"B"}],"birthDate":"1980""#,
            r#""active":true,"name":[{"text":"B"}],"_gender":{"id":"x"},"birthDate":"1980""#,
        );
        check(
            &["telecom"],
            r#""telecom":[{"value":"1"}],"photo":[{}]"#,
            r#""gender":"male""#,
            r#""photo":[{}],"gender":"male""#,
        );
        check(
            &[],
            r#""deceasedDateTime":"2026""#,
            r#""deceasedBoolean":false"#,
            r#""deceasedBoolean":false"#,
        );
    }

    #[test]
    fn what_is_only_not_known_is_not_told() {
        let absent = r#"{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/data-absent-reason","valueCode":"unknown"}]}"#;
        let told = format!(r#""gender":"male","_birthDate":{absent},"maritalStatus":{absent}"#);
        let standing = r#""birthDate":"1980","maritalStatus":{"text":"M"}"#;
        check(&[], standing, &told, &format!(r#"{standing},"gender":"male""#));
        // Of a choice, whichever type stands; and where nothing does, that it is not known.
        let told = format!(r#""_deceasedDateTime":{absent}"#);
        check(&[], r#""deceasedBoolean":true"#, &told, r#""deceasedBoolean":true"#);
        check(&[], r#""gender":"male""#, &told, &format!(r#""gender":"male",{told}"#));
        // Nor where a field takes it away.
        let told = format!(r#""_birthDate":{absent}"#);
        check(
            &["birthDate"],
            standing,
            &told,
            &format!(r#""maritalStatus":{{"text":"M"}},{told}"#),
        );
        let more = r#"{"extension":[{"url":"urn:x"}]}"#;
        let told = format!(r#""maritalStatus":{more}"#);
        check(&[], standing, &told, &format!(r#""birthDate":"1980",{told}"#));
    }

    #[test]
    fn what_is_contained_stays_with_what_refers_to_it() {
        let contained = r##""contained":[{"resourceType":"Practitioner","id":"a"},{"resourceType":"Practitioner","id":"b"}]"##;
        let refers = r##""generalPractitioner":[{"reference":"#a"}]"##;
        check(
            &[],
            &format!("{contained},{refers}"),
            r#""gender":"male""#,
            &format!(
                r#""contained":[{{"resourceType":"Practitioner","id":"a"}}],{refers},"gender":"male""#
            ),
        );
        check(
            &["generalPractitioner"],
            &format!("{contained},{refers}"),
            r#""gender":"male""#,
            r#""gender":"male""#,
        );
    }

    #[test]
    fn numbers_of_one_authority_and_kind_are_told_together() {
        let number = |system: &str, kind: &str, value: &str| {
            let kind = match kind {
                "" => String::new(),
                kind => format!(r#""type":{{"coding":[{{"system":"v2","code":"{kind}"}}]}},"#),
            };
            format!(r#"{{{kind}"system":"{system}","value":"{value}"}}"#)
        };
        let check = |standing: &[&str], told: &[&str], expected: &[&str]| {
            let list = |own: &[&str]| {
                let own: Vec<String> = own
                    .iter()
                    .map(|own| {
                        let mut parts = own.split(' ');
                        let mut next = || parts.next().unwrap_or_default();
                        number(next(), next().trim_matches('-'), next())
                    })
                    .collect();
                format!(r#""identifier":[{}]"#, own.join(","))
            };
            check(&[], &list(standing), &list(told), &list(expected));
        };
        check(&["k MR 1", "m PI 9"], &["k MR 1"], &["k MR 1", "m PI 9"]);
        // Another number of the authority and the kind: the one before was wrong.
        check(&["k MR 1", "m PI 9"], &["k MR 1", "m PI 8"], &["k MR 1", "m PI 8"]);
        check(&["k MR 1", "k VN 5"], &["k MR 2"], &["k VN 5", "k MR 2"]);
        check(&["k - 1", "m PI 9"], &["k MR 2"], &["m PI 9", "k MR 2"]);
        check(&["k MR 1", "m PI 9"], &["k - 1"], &["m PI 9", "k - 1"]);
        check(&["k OLD 1", "m PI 9"], &["k MR 1"], &["m PI 9", "k MR 1"]);
    }

    #[test]
    fn a_number_without_a_system_is_known_by_who_assigned_it() {
        let number = |by: &str, value: &str| {
            format!(r#"{{"assigner":{{"reference":"{by}"}},"value":"{value}"}}"#)
        };
        let list = |own: &[String]| format!(r#""identifier":[{}]"#, own.join(","));
        let (one, other) = (number("Organization/1", "5"), number("Organization/2", "6"));
        let bare = r#"{"value":"7"}"#.to_owned();
        let standing = list(&[one, other.clone(), bare.clone()]);
        let told = number("Organization/1", "8");
        check(
            &[],
            &standing,
            &list(std::slice::from_ref(&told)),
            &list(&[other, bare.clone(), told.clone()]),
        );
        check(&[], &standing, &list(std::slice::from_ref(&bare)), &standing);
    }
}
