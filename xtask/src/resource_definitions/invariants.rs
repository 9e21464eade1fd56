//! Invariants that FHIRPath decides.

use std::collections::HashSet;

use anyhow::{Result, ensure};

use super::elements::Tree;
use super::{Published, list, one_line};

/// Those left out, and why.
const OMITTED: &[(&str, &str)] = &[
    ("ele-1", "checked by structure"),
    ("ext-1", "checked by structure"),
    ("dom-2", "checked by structure"),
    ("dom-3", "checked by structure"),
    ("dom-4", "checked by structure"),
    ("dom-5", "checked by structure"),
    ("dom-6", "a good practice, not a rule: nearly no system sends narrative"),
    ("ref-1", "checked by structure"),
    ("txt-1", "checked by structure: the narrative's safe subset"),
    ("txt-2", "checked by structure: the narrative's safe subset"),
    ("evv-1", "not of R4: an addition to the published files"),
];

/// Those that say something else than they mean: a rule is broken unless it is true, and an expression without
/// a result is not. Some are so in R4's errata and in later releases.
const CORRECTED: &[(&str, &str)] = &[
    // `Boolean` would be FHIRPath's own type.
    (
        "operator = 'exists' implies (answer is Boolean)",
        "operator = 'exists' implies (answer is boolean)",
    ),
    // A CodeableConcept is never equal to a string.
    (
        "category.select($this='problem-list-item').empty()",
        "category.coding.where(system='http://terminology.hl7.org/CodeSystem/condition-category' and code='problem-list-item').empty()",
    ),
    // The name may be missing, and is meant as a whole.
    (
        "name.matches('[A-Z]([A-Za-z0-9_]){0,254}')",
        "name.empty() or name.matches('^[A-Z]([A-Za-z0-9_]){0,254}$')",
    ),
    // Dates of different precision, or quantities of different units, can't be compared: that breaks no rule.
    ("(start <= end)", "(start <= end) or (start <= end).empty()"),
    ("(low <= high)", "(low <= high) or (low <= high).empty()"),
    (
        "whenHandedOver >= whenPrepared",
        "whenHandedOver >= whenPrepared or (whenHandedOver >= whenPrepared).empty()",
    ),
    (
        "lastModified >= authoredOn",
        "lastModified >= authoredOn or (lastModified >= authoredOn).empty()",
    ),
    // There need not be one.
    (
        "probability is decimal implies (probability as decimal) <= 100",
        "probability.empty() or (probability is decimal implies (probability as decimal) <= 100)",
    ),
];

pub(super) fn text(published: &Published, tree: &Tree) -> Result<String> {
    let mut out = String::from(
        "# FHIR 4.0.1: type, element (of that type; empty: the type itself), key, severity, expression, rule.\n# Left out:\n",
    );
    for (key, why) in OMITTED {
        out.push_str(&format!("# {key}\t{why}\n"));
    }
    let mut seen = HashSet::new();
    for structure in &published.structures {
        for element in list(&structure["snapshot"], "element") {
            let path = super::text(element, "path");
            let (owner, member) = if tree.has_type(path) {
                (path, "")
            } else if let Some((owner, member)) = path.rsplit_once('.')
                && tree.has_element(owner, member)
            {
                (owner, member)
            } else {
                continue;
            };
            for constraint in list(element, "constraint") {
                let key = text_of(constraint, "key");
                if OMITTED.iter().any(|(omitted, _)| *omitted == key)
                    || !seen.insert((owner.to_owned(), member.to_owned(), key.clone()))
                    || (member.is_empty() && is_inherited(published, tree, owner, &key))
                {
                    continue;
                }
                let mut expression = text_of(constraint, "expression");
                for (published, corrected) in CORRECTED {
                    expression = expression.replace(published, corrected);
                }
                ensure!(!expression.is_empty(), "{path} {key} has no expression");
                let line = [
                    owner,
                    member,
                    &key,
                    super::text(constraint, "severity"),
                    &expression,
                    &text_of(constraint, "human"),
                ]
                .join("\t");
                out.push_str(&line);
                out.push('\n');
            }
        }
    }
    Ok(out)
}

/// Whether a type has a rule from one that it is based on.
fn is_inherited(published: &Published, tree: &Tree, owner: &str, key: &str) -> bool {
    let mut next = tree.base_of(owner);
    while let Some(base) = next {
        let has_it = published
            .structures
            .iter()
            .filter(|own| super::text(own, "type") == base)
            .filter_map(|own| list(&own["snapshot"], "element").first())
            .any(|root| list(root, "constraint").iter().any(|own| super::text(own, "key") == key));
        if has_it {
            return true;
        }
        next = tree.base_of(base);
    }
    false
}

fn text_of(constraint: &serde_json::Value, name: &str) -> String {
    one_line(super::text(constraint, name))
}
