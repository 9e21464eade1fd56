//! Places that no version of HL7 v2 has: a path to one is read, for dialects have their own, and warned of.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use pipehat_config::nearest;
use pipehat_dictionary::Version;
use pipehat_message::{Path, SegmentName};

/// A path whose place no version has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UnknownPlace {
    /// The path as it is written.
    pub(super) written: Box<str>,
    pub(super) message: String,
    pub(super) suggestion: Option<String>,
}

/// The segments of all versions.
static SEGMENTS: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let all = Version::ALL.into_iter().flat_map(Version::segments);
    all.map(|it| it.name().as_str().to_owned()).collect()
});

/// What no version has of a path, if anything: its segment, its field, its component.
pub(super) fn unknown_place(path: &Path, written: &str) -> Option<UnknownPlace> {
    let name = path.segment();
    // Those of a site, of batches, and of messages that go on in another.
    if matches!(name.as_bytes(), [b'Z', ..] | b"ADD" | b"DSC") || name.declares_delimiters() {
        return None;
    }
    let told = |message: String, suggestion: Option<String>| {
        Some(UnknownPlace { written: written.into(), message, suggestion })
    };
    let definitions: Vec<_> =
        Version::ALL.into_iter().filter_map(|version| version.segment(name)).collect();
    if definitions.is_empty() {
        let near = nearest_segment(name);
        let suggestion =
            near.map(|near| format!("write `{}`", written.replacen(name.as_str(), near, 1)));
        return told(format!("no version of HL7 v2 has a segment `{}`", name.as_str()), suggestion);
    }
    let position = usize::from(path.field()?.get());
    let most = definitions.iter().map(|it| it.field_count()).max().unwrap_or_default();
    if position > usize::from(most) {
        let name = name.as_str();
        return told(
            format!("no version's {name} has a field {position}: it has {most} at most"),
            None,
        );
    }
    let component = path.component()?.get();
    let fields = definitions.iter().filter_map(|it| it.field(position));
    let mut most = 0;
    for field in fields.filter(|field| !field.is_unused()) {
        // Of a field of any type nothing is known.
        most = most.max(field.data_type()?.component_count());
    }
    if most > 0 && component > most {
        let name = name.as_str();
        let parts =
            if most == 1 { "one component".to_owned() } else { format!("{most} components") };
        return told(format!("no version's {name}-{position} has more than {parts}"), None);
    }
    None
}

/// The segment that was meant: letters in another order first.
fn nearest_segment(name: SegmentName) -> Option<&'static str> {
    let letters = |text: &str| {
        let mut bytes = text.as_bytes().to_vec();
        bytes.sort_unstable();
        bytes
    };
    let own = letters(name.as_str());
    let mut all = SEGMENTS.iter().map(String::as_str);
    let same = all.find(|other| letters(other) == own);
    same.or_else(|| nearest(name.as_str(), SEGMENTS.iter().map(String::as_str)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, expected: &str) {
        let read = Path::parse(path).expect("a path");
        let told = unknown_place(&read, path).map_or_else(String::new, |it| match it.suggestion {
            Some(suggestion) => format!("{}; {suggestion}", it.message),
            None => it.message,
        });
        assert_eq!(told, expected, "{path}");
    }

    #[test]
    fn places_that_no_version_has_are_told() {
        check("PDI-3.1", "no version of HL7 v2 has a segment `PDI`; write `PID-3.1`");
        check("PID-3[*].1", "");
        check("PID-39", "");
        check("PID-77", "no version's PID has a field 77: it has 40 at most");
        check("PID-3.99", "no version's PID-3 has more than 12 components");
        check("OBX-5.40", "");
        check("ZPI-99.7", "");
        check("MSH-9.3", "");
        check("MSH-26", "");
        check("MSA-2", "");
        check("NTE-3", "");
        check("PID", "");
        check("PIF-3", "no version of HL7 v2 has a segment `PIF`; write `PID-3`");
    }
}
