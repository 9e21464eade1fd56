//! One of a hospital's systems: what it tells of, and how it writes.

use std::sync::Arc;

use pipehat_dictionary::Version;
use pipehat_dictionary::profile::Profile;
use pipehat_message::Charset;

use crate::generator::SettingsError;

/// What a system tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Topic {
    /// Who comes, is moved, changes, leaves and turns out to be known twice: ADT.
    Admissions,
    /// What is ordered from the laboratory, and cancelled: ORM or OML.
    LaboratoryOrders,
    /// Images that are ordered: ORM or OMG.
    ImagingOrders,
    /// Medication that is ordered: RDE.
    Prescriptions,
    /// What the laboratory found, preliminary, final and corrected: ORU.
    LaboratoryResults,
    /// What was seen in images: ORU.
    ImagingReports,
    /// Medication that the pharmacy gave out: RDS.
    Dispenses,
    /// Letters and notes: MDM.
    Documents,
    /// What is to be paid for: DFT.
    Charges,
    /// Vaccines that were given: VXU.
    Vaccinations,
    /// Appointments that are booked, moved, cancelled and not kept: SIU.
    Appointments,
}

/// One system of a [`Hospital`](crate::Hospital).
///
/// ```
/// use pipehat_dictionary::Version;
/// use pipehat_testdata::{System, Topic};
///
/// let laboratory = System {
///     application: "LIS".to_owned(),
///     control_id_prefix: "LAB".to_owned(),
///     encoding_characters: *b"$%\\&",
///     ..System::new(Version::V2_5, &[Topic::LaboratoryResults])
/// };
/// # let _ = laboratory;
/// ```
#[derive(Debug, Clone)]
pub struct System {
    /// What it tells of. Of systems with the same topic the first one tells.
    pub topics: Vec<Topic>,
    /// The version of the standard.
    pub version: Version,
    /// MSH-18, as in [`Settings`](crate::Settings). What the character set lacks is written as `?`.
    pub charset: Option<String>,
    /// MSH-3; what is usual for the type of message when it is empty, as in the three below.
    pub application: String,
    /// MSH-4.
    pub facility: String,
    /// MSH-5.
    pub receiving_application: String,
    /// MSH-6.
    pub receiving_facility: String,
    /// What its control ids begin with; seven digits or more follow.
    pub control_id_prefix: String,
    /// MSH-15 and MSH-16 (table 0155), for a system that asks for enhanced mode.
    pub acknowledgments: Option<(&'static str, &'static str)>,
    /// MSH-2: what separates components and repetitions, escapes, and separates subcomponents.
    pub encoding_characters: [u8; 4],
    /// What follows each segment.
    pub segment_end: SegmentEnd,
    /// A profile whose dialect its messages have.
    pub profile: Option<Arc<Profile>>,
}

/// What follows a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SegmentEnd {
    /// A carriage return, as the standard has it (HL7 v2.5.1 §2.5.4).
    #[default]
    CarriageReturn,
    /// A line feed, as some old systems do.
    LineFeed,
    /// Both.
    Both,
}

/// The encoding characters that nearly everyone uses.
const USUAL: [u8; 4] = *b"^~\\&";

/// Control ids have at most 20 characters in most versions, of which numbers take some.
const PREFIX_BYTES_MAX: usize = 12;

impl System {
    /// A system that writes as most do.
    pub fn new(version: Version, topics: &[Topic]) -> Self {
        Self {
            topics: topics.to_vec(),
            version,
            charset: None,
            application: String::new(),
            facility: String::new(),
            receiving_application: String::new(),
            receiving_facility: String::new(),
            control_id_prefix: "G".to_owned(),
            acknowledgments: None,
            encoding_characters: USUAL,
            segment_end: SegmentEnd::default(),
            profile: None,
        }
    }

    /// Whether its messages can be written so that they can be read again.
    pub(crate) fn check(&self, charset: Option<&Charset>) -> Result<(), SettingsError> {
        if self.control_id_prefix.len() > PREFIX_BYTES_MAX
            || !self.control_id_prefix.bytes().all(|byte| byte.is_ascii_alphanumeric())
        {
            return Err(SettingsError::ControlIdPrefix);
        }
        let characters = self.encoding_characters;
        let is_sound = characters.iter().enumerate().all(|(at, byte)| {
            byte.is_ascii_punctuation()
                && !matches!(byte, b'|' | b'.' | b'-' | b'+')
                && !characters.iter().take(at).any(|before| before == byte)
        });
        let hidden = charset.is_some_and(Charset::hides_delimiters);
        if !is_sound || (hidden && self.spelling().is_some()) {
            return Err(SettingsError::EncodingCharacters);
        }
        Ok(())
    }

    /// How it writes, unless it is how everyone does.
    pub(crate) fn spelling(&self) -> Option<Spelling> {
        let spelling =
            Spelling { characters: self.encoding_characters, segment_end: self.segment_end };
        let is_usual =
            spelling.characters == USUAL && self.segment_end == SegmentEnd::CarriageReturn;
        (!is_usual).then_some(spelling)
    }
}

/// Delimiters and segment ends that are not the usual ones.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spelling {
    characters: [u8; 4],
    segment_end: SegmentEnd,
}

impl Spelling {
    /// Writes a message with usual delimiters in this way (HL7 v2.5.1 §2.7.1 for the escape sequences).
    pub(crate) fn write(&self, usual: &[u8], out: &mut Vec<u8>) {
        let mut rest = usual;
        while let Some((&byte, after)) = rest.split_first() {
            rest = after;
            match byte {
                b'\\' => {
                    // In MSH-2 the escape character escapes nothing.
                    let end = after.iter().position(|byte| *byte == b'\\');
                    let sequence = end.and_then(|end| after.split_at_checked(end));
                    match sequence {
                        Some((name, end)) if !name.iter().any(|byte| b"|\r".contains(byte)) => {
                            self.sequence(name, out);
                            rest = end.get(1..).unwrap_or_default();
                        }
                        _ => out.push(self.characters[2]),
                    }
                }
                b'^' => out.push(self.characters[0]),
                b'~' => out.push(self.characters[1]),
                b'&' => out.push(self.characters[3]),
                b'\r' => out.extend_from_slice(match self.segment_end {
                    SegmentEnd::CarriageReturn => b"\r",
                    SegmentEnd::LineFeed => b"\n",
                    SegmentEnd::Both => b"\r\n",
                }),
                byte => self.plain(byte, out),
            }
        }
    }

    /// An escape sequence: of a delimiter, which may be none here, or another one.
    fn sequence(&self, name: &[u8], out: &mut Vec<u8>) {
        match name {
            b"S" => self.plain(b'^', out),
            b"R" => self.plain(b'~', out),
            b"E" => self.plain(b'\\', out),
            b"T" => self.plain(b'&', out),
            name => {
                out.push(self.characters[2]);
                out.extend_from_slice(name);
                out.push(self.characters[2]);
            }
        }
    }

    /// A byte of a value, escaped where it is a delimiter here.
    fn plain(&self, byte: u8, out: &mut Vec<u8>) {
        let at = self.characters.iter().position(|character| *character == byte);
        match at.and_then(|at| b"SRET".get(at)) {
            Some(name) => out.extend_from_slice(&[self.characters[2], *name, self.characters[2]]),
            None => out.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(characters: &[u8; 4], segment_end: SegmentEnd, usual: &str, expected: &str) {
        let mut out = Vec::new();
        Spelling { characters: *characters, segment_end }.write(usual.as_bytes(), &mut out);
        assert_eq!(String::from_utf8_lossy(&out), expected);
    }

    #[test]
    fn delimiters_and_what_looks_like_them_change_places() {
        let ends = SegmentEnd::CarriageReturn;
        check(b"$%\\&", ends, "MSH|^~\\&|A^B\r", "MSH|$%\\&|A$B\r");
        check(
            b"$%\\&",
            ends,
            "OBX|1||5$ 3% a\\S\\b\\T\\\\F\\c",
            "OBX|1||5\\S\\ 3\\R\\ a^b\\T\\\\F\\c",
        );
        check(b"^~!&", ends, "FT|a\\.br\\b!\\E\\c~d", "FT|a!.br!b!E!\\c~d");
        check(b"^~\\&", SegmentEnd::LineFeed, "MSH|^~\\&|\rPID|\r", "MSH|^~\\&|\nPID|\n");
        check(b"^~\\&", SegmentEnd::Both, "MSH|^~\\&|\rPID|\r", "MSH|^~\\&|\r\nPID|\r\n");
    }

    #[test]
    fn what_could_not_be_read_again_is_refused() {
        let usual = System::new(Version::V2_5_1, &[Topic::Admissions]);
        assert!(usual.check(None).is_ok());
        for characters in [*b"^^\\&", *b"^|\\&", *b"a~\\&", *b"^~\r&", *b"^~.&"] {
            let system = System { encoding_characters: characters, ..usual.clone() };
            assert_eq!(system.check(None), Err(SettingsError::EncodingCharacters));
        }
        for prefix in ["A|", "ABCDEFGHIJKLM"] {
            let system = System { control_id_prefix: prefix.to_owned(), ..usual.clone() };
            assert_eq!(system.check(None), Err(SettingsError::ControlIdPrefix));
        }
        let shift_jis = Charset::from_name("shift_jis");
        let odd = System { encoding_characters: *b"$%\\&", ..usual };
        assert_eq!(odd.check(shift_jis.as_ref()), Err(SettingsError::EncodingCharacters));
    }
}
