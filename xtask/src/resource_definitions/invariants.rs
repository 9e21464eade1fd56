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

/// Those that say something else than they mean, as R4's errata and later releases have them.
const CORRECTED: &[(&str, &str)] = &[
    // `Boolean` would be FHIRPath's own type.
    ("que-7", "operator = 'exists' implies (answer is boolean)"),
    // A CodeableConcept is never equal to a string.
    (
        "con-3",
        "clinicalStatus.exists() or verificationStatus.coding.where(system='http://terminology.hl7.org/CodeSystem/condition-ver-status' and code = 'entered-in-error').exists() or category.coding.where(system='http://terminology.hl7.org/CodeSystem/condition-category' and code='problem-list-item').empty()",
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
                let inherited = tree.base_of(owner).is_some_and(|base| {
                    member.is_empty()
                        && seen.contains(&(base.to_owned(), String::new(), key.clone()))
                });
                if OMITTED.iter().any(|(omitted, _)| *omitted == key)
                    || !seen.insert((owner.to_owned(), member.to_owned(), key.clone()))
                    || inherited
                {
                    continue;
                }
                let expression =
                    CORRECTED.iter().find(|(corrected, _)| *corrected == key).map_or_else(
                        || text_of(constraint, "expression"),
                        |(_, own)| (*own).to_owned(),
                    );
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

fn text_of(constraint: &serde_json::Value, name: &str) -> String {
    one_line(super::text(constraint, name))
}
