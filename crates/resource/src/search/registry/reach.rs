//! Whether the expression of a search parameter can lead to anything, as far as it is a plain path.

use crate::definitions::{Element, ElementType, TypeDefinition};

/// Whether an expression names no element of a resource type, so that the parameter finds nothing. What is no plain path
/// may lead anywhere.
pub fn leads_nowhere(expression: &str, resource_type: &str) -> bool {
    let Some(definition) = TypeDefinition::named(resource_type) else { return false };
    split(expression, '|').iter().all(|path| nowhere(path, definition))
}

fn nowhere(path: &str, definition: &'static TypeDefinition) -> bool {
    let path = path.trim();
    // `(Observation.value as Quantity)`: the type behind the path is not looked at.
    let path = match path.strip_prefix('(').and_then(|path| path.strip_suffix(')')) {
        Some(inner) => inner.trim(),
        None => path,
    };
    let path = path.split(" as ").next().unwrap_or_default();
    let mut types = vec![definition];
    for (at, step) in split(path, '.').into_iter().enumerate() {
        let step = step.trim();
        if at == 0 && definition.is_a(step) {
            continue;
        }
        if !step.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            let name = step.split('(').next().unwrap_or_default();
            match name {
                // They go on from where they are.
                "where" | "first" | "last" | "exists" if at > 0 => continue,
                _ => return false,
            }
        }
        if at == 0 && TypeDefinition::named(step).is_some_and(|own| own.is_a("Resource")) {
            // A path of another type of resource.
            return true;
        }
        let elements = types.iter().filter_map(|own| own.element_named(step));
        types = elements.flat_map(Element::types).map(ElementType::definition).collect();
        if types.is_empty() {
            return true;
        }
    }
    false
}

/// The parts between separators that stand in no parentheses and no text.
fn split(text: &str, separator: char) -> Vec<&str> {
    let (mut depth, mut quoted, mut from, mut parts) = (0_usize, false, 0, Vec::new());
    for (at, character) in text.char_indices() {
        match character {
            '\'' => quoted = !quoted,
            '(' | '[' if !quoted => depth = depth.saturating_add(1),
            ')' | ']' if !quoted => depth = depth.saturating_sub(1),
            _ if character == separator && depth == 0 && !quoted => {
                parts.push(text.get(from..at).unwrap_or_default());
                from = at.saturating_add(separator.len_utf8());
            }
            _ => {}
        }
    }
    parts.push(text.get(from..).unwrap_or_default());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::Registry;

    #[test]
    fn a_path_is_followed_as_far_as_it_is_plain() {
        let check = |expression: &str, expected: bool| {
            assert_eq!(leads_nowhere(expression, "Patient"), expected, "{expression}");
        };
        check("Patient.nosuch", true);
        check("Patient.name.nosuch", true);
        check("nosuch", true);
        check("Observation.status", true);
        check("Patient.nosuch | Patient.alsonot", true);
        check("Patient.nosuch | Patient.active", false);
        check("Person.active | Patient.active", false);
        check("Patient.name.where(use = 'a.b').nosuch", true);
        check("Patient.name.where(use = 'official').family", false);
        check("Patient.extension.where(url = 'http://a|b').value", false);
        check("(Patient.deceased as boolean)", false);
        check("(Patient.nosuch as boolean)", true);
        check("Patient.deceased.exists() and Patient.deceased != false", false);
        check("iif(active, 'a', 'b')", false);
        check("Resource.meta.tag", false);
        check("id", false);
    }

    #[test]
    fn the_expressions_of_r4_lead_somewhere() {
        let registry = Registry::standard();
        let mut nowhere = Vec::new();
        for resource_type in registry.resource_types() {
            for parameter in registry.parameters(resource_type) {
                let expression = parameter.expression();
                if !expression.is_empty() && leads_nowhere(expression, resource_type) {
                    nowhere.push(expression);
                }
            }
        }
        // A mistake of R4's own: the element is of R5.
        assert_eq!(nowhere, ["DeviceDefinition.classification.type"]);
    }
}
