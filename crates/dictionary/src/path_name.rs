//! What the standard calls the place that a path names.

use pipehat_message::{Header, Message, Path};

use crate::naming::Naming;
use crate::profile::Profile;
use crate::resolve::resolve;

/// What the standard calls a place of this message, from the field downwards, as in `Patient Name, Family Name`; for a
/// path of a segment alone, the segment's title. `None` for what the message's version does not define.
pub fn path_name(message: &Message<'_>, path: &Path) -> Option<String> {
    path_name_in(message, path, None)
}

/// The same, with the names that a profile has for what the standard does not define.
pub fn path_name_in(
    message: &Message<'_>,
    path: &Path,
    profile: Option<&Profile>,
) -> Option<String> {
    let version = resolve(&Header::read(message.as_bytes()).ok()?).version;
    let naming = Naming::of(version, profile);
    let Some(position) = path.field() else {
        return naming.segment(path.segment()).map(str::to_owned);
    };
    let position = usize::from(position.get());
    let declared = declared_type(message, path);
    let mut named = naming.field(path.segment(), position, declared);
    let mut names = vec![named.name()?];
    for position in [path.component(), path.subcomponent()].into_iter().flatten() {
        let position = usize::from(position.get());
        let is_whole = named.is_its_own_part(position);
        let is_typed = named.data_type().is_some();
        named = named.part(position);
        match named.name() {
            Some(_) if is_whole => {}
            Some(name) => names.push(name),
            None if is_typed => return None,
            // Without a type nothing is known of its parts.
            None => break,
        }
    }
    Some(names.join(", "))
}

/// The type of OBX-5 is what OBX-2 says (HL7 v2.5.1 §7.4.2.2).
fn declared_type<'m>(message: &'m Message<'_>, path: &Path) -> Option<&'m [u8]> {
    let is_result =
        path.segment().as_str() == "OBX" && path.field().is_some_and(|field| field.get() == 5);
    let declared = Path::of_segment(path.segment()).with_occurrence(path.occurrence());
    let declared = declared.with_field(2.try_into().ok()?);
    message.get(&declared).filter(|_| is_result).map(|value| value.raw())
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
