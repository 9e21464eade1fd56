//! Versions of HL7 v2 as arguments name them (HL7 table 0104).

use pipehat_dictionary::Version;

/// A version to read by; 2.9 is read as its revision 2.9.1.
pub(crate) fn read_by(text: &str) -> Result<Version, String> {
    exactly(if text == "2.9" { "2.9.1" } else { text })
}

/// A version as MSH-12 is to say it: 2.9 is none, for what is written would say 2.9.1.
pub(crate) fn exactly(text: &str) -> Result<Version, String> {
    Version::named(text.as_bytes()).ok_or_else(|| {
        let known = Version::ALL.map(Version::as_str);
        format!("the versions are {}", known.join(", "))
    })
}
