//! Elements that the tables name: `participant[1].individual(Practitioner.identifier)`, as they are written.
//!
//! Only the form is read here; whether FHIR has such elements is for the plan to say.

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TargetStep {
    /// An element, and which of its instances.
    Element(Box<str>, Instance),
    /// `(Practitioner`: a resource that the element before refers to.
    Resource(Box<str>, Instance),
    /// `[2].use`: another instance of what the map is applied to.
    Another(Instance),
}

/// Which instance of an element or a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Instance {
    /// Not said.
    Plain,
    /// `[2]`
    Numbered(u16),
    /// `[=2]`: for all maps that write to the resource.
    Shared(u16),
    /// `[each]`, `[n]`, `[1..n]`
    Each,
    /// `[1-3]`
    Range(u16, u16),
}

/// A target: where to, and a text that is assigned with it (`status="finished"`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) steps: Vec<TargetStep>,
    pub(crate) assigned: Option<Box<str>>,
}

/// Reads a target; nothing where it is none. `$this` and `$value` are the target without steps.
pub(crate) fn parse_target(text: &str) -> Option<Target> {
    let (path, assigned) = match text.split_once('=') {
        // `[=2]` is no assignment.
        Some((before, _)) if before.ends_with('[') => (text, None),
        Some((path, value)) => {
            let value = value.trim().strip_prefix('"')?.strip_suffix('"')?;
            (path.trim(), Some(value.into()))
        }
        None => (text, None),
    };
    if matches!(path, "$this" | "$value") {
        return Some(Target { steps: Vec::new(), assigned });
    }
    let mut steps = Vec::new();
    let mut rest = path;
    let mut is_resource = false;
    while !rest.is_empty() {
        let length = rest.find(|sign: char| !sign.is_ascii_alphanumeric()).unwrap_or(rest.len());
        let (name, after) = rest.split_at_checked(length)?;
        let (instance, after) = instance(after)?;
        steps.push(match (name.is_empty(), is_resource) {
            (true, false) if steps.is_empty() && instance != Instance::Plain => {
                TargetStep::Another(instance)
            }
            (true, _) => return None,
            (false, true) => TargetStep::Resource(name.into(), instance),
            (false, false) => TargetStep::Element(name.into(), instance),
        });
        (is_resource, rest) = match after.as_bytes().first() {
            None => (false, ""),
            Some(b'.') => (false, after.get(1..).filter(|rest| !rest.is_empty())?),
            Some(b'(') => (true, after.get(1..).filter(|rest| !rest.is_empty())?),
            // Some are closed too rarely, none too early.
            Some(b')') if after.bytes().all(|byte| byte == b')') => (false, ""),
            Some(_) => return None,
        };
    }
    (!steps.is_empty()).then_some(Target { steps, assigned })
}

/// Reads `[2]` where it stands.
fn instance(text: &str) -> Option<(Instance, &str)> {
    let Some(inner) = text.strip_prefix('[') else { return Some((Instance::Plain, text)) };
    let (inner, rest) = inner.split_once(']')?;
    let instance = match inner {
        "each" | "n" | "1..n" => Instance::Each,
        _ => match (inner.strip_prefix('='), inner.split_once('-')) {
            (Some(shared), _) => Instance::Shared(shared.parse().ok()?),
            (None, Some((from, to))) => Instance::Range(from.parse().ok()?, to.parse().ok()?),
            (None, None) => Instance::Numbered(inner.parse().ok()?),
        },
    };
    Some((instance, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let read = parse_target(text).map(|target| {
            let steps = target.steps.iter().map(|step| match step {
                TargetStep::Element(name, Instance::Plain) => format!(".{name}"),
                TargetStep::Element(name, instance) => format!(".{name} {instance:?}"),
                TargetStep::Resource(name, Instance::Plain) => format!("({name}"),
                TargetStep::Resource(name, instance) => format!("({name} {instance:?}"),
                TargetStep::Another(instance) => format!("{instance:?}"),
            });
            let assigned = target.assigned.iter().map(|text| format!(" ={text}"));
            steps.chain(assigned).collect::<String>()
        });
        assert_eq!(read.as_deref().unwrap_or("unread"), expected, "{text}");
    }

    #[test]
    fn targets_are_read_as_they_are_written() {
        check("birthDate", ".birthDate");
        check("extension[4].extension[1].url", ".extension Numbered(4).extension Numbered(1).url");
        check(
            "participant[1].individual(Practitioner)",
            ".participant Numbered(1).individual(Practitioner",
        );
        check(
            "requester(PractitionerRole.organization(Organization.address))",
            ".requester(PractitionerRole.organization(Organization.address",
        );
        check(
            "diagnosis.condition(Condition.asserter(Practitioner)",
            ".diagnosis.condition(Condition.asserter(Practitioner",
        );
        check("[2].use", "Numbered(2).use");
        check("$value", "");
        check("status=\"finished\"", ".status =finished");
        check("line[1-3]", ".line Range(1, 3)");
        check("dosageInstruction[=1].route", ".dosageInstruction Shared(1).route");
        check("component[each].code", ".component Each.code");
        for text in ["extension??-poc", "coding[3.version", "meta.", "a(b)c", "#ext-x#"] {
            check(text, "unread");
        }
    }
}
