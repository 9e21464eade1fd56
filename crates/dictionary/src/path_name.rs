//! What the standard calls the place that a path names.

use std::str;

use pipehat_message::{Header, Message, Path};

use crate::data_type::DataType;
use crate::element::Element;
use crate::resolve::resolve;
use crate::version::Version;

/// What the standard calls a place of this message, from the field downwards, as in `Patient Name, Family Name`; for a
/// path of a segment alone, the segment's title. `None` for what the message's version does not define.
pub fn path_name(message: &Message<'_>, path: &Path) -> Option<String> {
    let version = resolve(&Header::read(message.as_bytes()).ok()?).version;
    let definition = version.segment(path.segment())?;
    let Some(position) = path.field() else { return Some(definition.title().to_owned()) };
    let field = definition.field(usize::from(position.get()))?;
    let mut names = vec![defined(field)?.name()];
    let mut data_type = type_of(message, path, field, version);
    for position in [path.component(), path.subcomponent()].into_iter().flatten() {
        let position = usize::from(position.get());
        let Some(outer) = data_type else { break };
        if outer.is_primitive() && position == 1 {
            continue;
        }
        let component = defined(outer.component(position)?)?;
        names.push(component.name());
        data_type = component.data_type();
    }
    Some(names.join(", "))
}

fn defined(element: Element) -> Option<Element> {
    Some(element).filter(|element| !element.is_unused())
}

/// The type of OBX-5 is what OBX-2 says (HL7 v2.5.1 §7.4.2.2).
fn type_of(
    message: &Message<'_>,
    path: &Path,
    field: Element,
    version: Version,
) -> Option<DataType> {
    if path.segment().as_str() != "OBX" || field.position() != 5 {
        return field.data_type();
    }
    let declared = Path::of_segment(path.segment()).with_occurrence(path.occurrence());
    let value = message.get(&declared.with_field(2.try_into().ok()?))?;
    version.data_type(str::from_utf8(value.raw()).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, expected: Option<&str>) {
        let bytes = b"MSH|^~\\&|A||||||ORU^R01|1|P|2.5.1\rPID|1\rOBX|1|NM\rOBX|2|CWE\rZPI|1\r";
        let message = Message::parse(bytes).expect("a message");
        let path = path.parse().expect("a path");
        assert_eq!(path_name(&message, &path).as_deref(), expected, "{path}");
    }

    #[test]
    fn places_have_the_standards_names() {
        check("PID", Some("Patient Identification"));
        check("PID-8", Some("Administrative Sex"));
        check("PID-5.1.2", Some("Patient Name, Family Name, Own Surname Prefix"));
        check("PID-3[2].4.1", Some("Patient Identifier List, Assigning Authority, Namespace ID"));
        check("PID-8.1", Some("Administrative Sex"));
        check("OBX-5", Some("Observation Value"));
        check("OBX-5.2", None);
        check("OBX(2)-5.2", Some("Observation Value, Text"));
    }

    #[test]
    fn what_is_not_defined_has_none() {
        check("ZPI-1", None);
        check("PID-90", None);
        check("PID-8.2", None);
    }
}
