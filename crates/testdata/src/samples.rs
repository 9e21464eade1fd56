//! Messages of an exact size, for measuring: believable ones, without filling.
//!
//! Benchmarks of all crates take the two that are kept as files, so that figures can be compared for as long as the
//! files stay as they are. A test holds them to what [`of_size`] makes.

use pipehat_dictionary::Version;

use crate::hospital::{Hospital, HospitalSettings};
use crate::selection::Selection;
use crate::system::System;

/// An admission, ADT^A01 in version 2.5.1, of 1 KB.
pub const ADMISSION: &[u8; 1024] = include_bytes!("../samples/admission.hl7");

/// Results of the laboratory, ORU^R01 in version 2.5.1, of 2 KB.
pub const RESULT: &[u8; 2048] = include_bytes!("../samples/result.hl7");

/// So many messages are made to find one of the size.
const TRIES_MAX: usize = 50_000;

/// The first message of seed 1 that is of this type, has exactly so many bytes and each of these texts in it.
///
/// It is in ASCII, and its control id has 16 characters: room for what a measurement may want to write there. `None` when no type of version 2.5.1 has this name, or no message the size.
///
/// ```
/// use pipehat_testdata::samples::of_size;
///
/// let message = of_size("SIU^S12", 1000, &["\rAIP|1|"]).unwrap();
/// assert_eq!(message.len(), 1000);
/// ```
pub fn of_size(message_type: &str, bytes: usize, with: &[&str]) -> Option<Vec<u8>> {
    let version = Version::V2_5_1;
    let selection = Selection::parse(message_type, version).ok()?;
    let system = System {
        charset: Some("ascii".to_owned()),
        control_id_prefix: "G00000000".to_owned(),
        ..System::new(version, &[])
    };
    let mut hospital = Hospital::new(&HospitalSettings::default(), vec![system]).ok()?;
    let mut message = Vec::new();
    for _ in 0..TRIES_MAX {
        message.clear();
        hospital.tell(0, &selection, &mut message)?;
        if message.len() == bytes
            && std::str::from_utf8(&message)
                .is_ok_and(|text| with.iter().all(|part| text.contains(part)))
        {
            return Some(message);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[track_caller]
    fn check(name: &str, kept: &[u8], message_type: &str, with: &[&str]) {
        let made = of_size(message_type, kept.len(), with).expect("a message of the size");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples").join(name);
            std::fs::write(path, &made).expect("the sample can be written");
        }
        let text = |bytes| String::from_utf8_lossy(bytes).replace('\r', "\n");
        assert_eq!(text(&made), text(kept), "UPDATE_GOLDEN=1 rewrites it, and figures with it");
    }

    #[test]
    fn the_samples_are_what_is_generated() {
        check("admission.hl7", ADMISSION, "ADT^A01", &["\rAL1|1|"]);
        check("result.hl7", RESULT, "ORU^R01", &["\rOBX|4|NM|"]);
    }
}
