//! Infers a profile from traffic, in one pass and in bounded memory.
//!
//! # Which values may stand in a learned profile
//! A file that is passed around must not hold a patient. So nothing but codes is ever written, and of those only these:
//!
//! 1. The place is typed as a code by the standard: `ID`, `IS`, the identifier and the coding system of `CE`, `CWE`,
//!    `CNE`, `CF`, or the name space of `HD` and `EI` (so that the assigning authority of PID-3.4 is seen). In a segment
//!    or field of the partner's own, which the standard does not type, it is a place whose values are all capital
//!    letters, digits, `-` or `_`, at most [`LOCAL_CODE_BYTES_MAX`] of them, and not a number of more than two digits.
//! 2. The place is none that names, numbers, dates, or addresses: never XPN, XCN, CX.1, XAD but country and type, XTN but use
//!    and equipment, ST, TX, FT, NM, dates and times, and nothing of OBX-5, OBR-20, OBR-21 and NTE.
//! 3. There are at most [`CODES_MAX`] different codes (in a place the standard does not type [`LOCAL_CODES_MAX`]), each at
//!    most [`CODE_BYTES_MAX`] bytes of printable ASCII.
//! 4. A code that stands in the place's table of the standard may be told. Any other was seen with at least
//!    [`PATIENTS_MIN`] different patients (PID-3, else PID-2, PID-4 or PID-5; a message without one counts by itself), and
//!    does not begin with a date.
//!
//! A place with a code that may not be told gets no value set, only the number of such codes. All else in a profile is
//! counts, lengths, precisions and names of segments.

mod codes;
mod infer;
mod tally;

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};

use pipehat_message::{Charset, Header, Message, SegmentName, Severity, Value};

use super::constraint::MessageType;
use super::constraints::place_of;
use super::place::Place;
use tally::{Context, SegmentTally, Slots};

use crate::validation::{Level, Rule, Standard, Validator};
use crate::version::Version;

/// The most different codes of a place that are kept apart; a place with more is no value set.
pub const CODES_MAX: usize = 64;

/// The same for a place that the standard does not type.
pub const LOCAL_CODES_MAX: usize = 20;

/// The longest code that is kept.
pub const CODE_BYTES_MAX: usize = 20;

/// The longest code of a place that the standard does not type.
pub const LOCAL_CODE_BYTES_MAX: usize = 8;

/// With how many patients a code was seen that may be told though the standard does not list it.
pub const PATIENTS_MIN: usize = 5;

/// So often something has to be seen before it is said that it is always so.
pub const SEEN_MIN: u64 = 10;

/// The most different segments; further ones are counted as messages only.
pub const SEGMENTS_MAX: usize = 256;

/// The most fields and parts of fields that are counted, in all segments together.
pub const ELEMENTS_MAX: usize = 15_000;

/// The most places whose codes are kept apart.
pub const CODED_ELEMENTS_MAX: usize = 5_000;

/// The most different message types; further ones are counted as `other`.
pub const TYPES_MAX: usize = 128;

/// The most different departures from the standard; messages with more are another standard's.
pub const DEPARTURES_MAX: usize = 1_000;

/// The most different names of versions and character sets.
const NAMES_MAX: usize = 32;

/// What is counted under no name of its own.
const OTHER: &str = "other";

/// Counts what messages have.
pub struct Learner {
    segments: Vec<SegmentTally>,
    by_name: HashMap<SegmentName, usize>,
    types: Vec<TypeTally>,
    type_numbers: HashMap<MessageType, usize>,
    messages: u64,
    unreadable: u64,
    not_ascii: u64,
    not_utf8: u64,
    versions: BTreeMap<String, u64>,
    charsets: BTreeMap<String, u64>,
    slots: Slots,
    hasher: RandomState,
    version: Option<Version>,
    validator: Validator,
    departures: Vec<Departure>,
}

/// How often messages depart from a rule of the standard at a place.
struct Departure {
    rule: Rule,
    at: Option<Place>,
    seen: u64,
}

/// Counts of a message type.
struct TypeTally {
    /// None: all that have no number of their own.
    message_type: Option<MessageType>,
    messages: u64,
}

impl Default for Learner {
    fn default() -> Self {
        Self::new(None)
    }
}

impl Learner {
    /// Begins. With a version, messages are read by that one, whatever MSH-12 says.
    pub fn new(version: Option<Version>) -> Self {
        Self {
            segments: Vec::new(),
            by_name: HashMap::new(),
            types: vec![TypeTally { message_type: None, messages: 0 }],
            type_numbers: HashMap::new(),
            messages: 0,
            unreadable: 0,
            not_ascii: 0,
            not_utf8: 0,
            versions: BTreeMap::new(),
            charsets: BTreeMap::new(),
            slots: Slots::default(),
            hasher: RandomState::new(),
            version,
            validator: match version {
                Some(version) => Validator::new(Level::Standard).with_version(version),
                None => Validator::new(Level::Standard),
            },
            departures: Vec::new(),
        }
    }

    /// Messages so far.
    pub fn messages(&self) -> u64 {
        self.messages
    }

    /// Counts something that could not be read as a message.
    pub fn unreadable(&mut self) {
        self.unreadable += 1;
    }

    /// Counts a message.
    pub fn learn(&mut self, message: &Message<'_>) {
        self.messages += 1;
        let version = self.header(message);
        let message_type = self.message_type(message);
        let context = Context {
            version,
            patient: self.patient(message),
            message: self.messages,
            message_type,
            delimiters: message.delimiters(),
        };
        let mut before = SegmentName::MSH;
        for segment in message.segments() {
            let Some(name) = segment.segment_name() else { continue };
            let Some(index) = self.segment(name) else { continue };
            if let Some(tally) = self.segments.get_mut(index) {
                tally.count(segment, before, &context, &mut self.slots);
            }
            before = name;
        }
        self.departures(message);
    }

    /// What the standard has to say about the message. The most frequent stand roughly first.
    fn departures(&mut self, message: &Message<'_>) {
        for finding in self.validator.validate(message, &Standard) {
            if finding.severity == Severity::Information {
                continue;
            }
            let (rule, at) = (finding.rule, place_of(finding));
            let known = self.departures.iter().position(|one| one.rule == rule && one.at == at);
            match known {
                Some(index) => {
                    let Some(departure) = self.departures.get_mut(index) else { continue };
                    departure.seen += 1;
                    if index > 0 {
                        self.departures.swap(index, index - 1);
                    }
                }
                None if self.departures.len() < DEPARTURES_MAX => {
                    self.departures.push(Departure { rule, at, seen: 1 });
                }
                None => {}
            }
        }
    }

    fn segment(&mut self, name: SegmentName) -> Option<usize> {
        if let Some(&index) = self.by_name.get(&name) {
            return Some(index);
        }
        if self.segments.len() >= SEGMENTS_MAX {
            return None;
        }
        self.segments.push(SegmentTally::new(name));
        self.by_name.insert(name, self.segments.len() - 1);
        Some(self.segments.len() - 1)
    }

    fn header(&mut self, message: &Message<'_>) -> Version {
        let bytes = message.as_bytes();
        let header = Header::read(bytes).ok();
        let version_id = header.as_ref().map(|header| header.version_id()).unwrap_or_default();
        let named = Version::named(if version_id == b"2.9" { b"2.9.1" } else { version_id });
        let shown =
            named.map_or(if version_id.is_empty() { "none" } else { OTHER }, Version::as_str);
        bump(&mut self.versions, shown);
        let charset = header.as_ref().map(|header| header.character_set()).unwrap_or_default();
        let charset = charset.split(|&byte| byte == message.delimiters().repetition).next();
        let charset = charset.and_then(|name| std::str::from_utf8(name).ok()).unwrap_or(OTHER);
        let known = Charset::from_name(charset);
        let shown = match known {
            _ if charset.is_empty() => "none",
            Some(_) => charset,
            None => OTHER,
        };
        bump(&mut self.charsets, shown);
        if !bytes.is_ascii() {
            self.not_ascii += 1;
            let names_utf8 = known.is_some_and(|charset| charset.name() == "UNICODE UTF-8");
            self.not_utf8 += u64::from(names_utf8 && std::str::from_utf8(bytes).is_err());
        }
        self.version.or(named).unwrap_or(Version::V2_5_1)
    }

    /// The number of the message's type.
    fn message_type(&mut self, message: &Message<'_>) -> usize {
        let field = message.segment_at(0).and_then(|header| header.field(9));
        let mut names = field.map(|field| field.components()).into_iter().flatten();
        let mut text = || names.next().and_then(|name| std::str::from_utf8(name.raw()).ok());
        let (code, trigger) = (text().unwrap_or_default(), text().unwrap_or_default());
        let written =
            if trigger.is_empty() { code.to_owned() } else { format!("{code}^{trigger}") };
        let number = MessageType::parse(&written).map_or(0, |message_type| {
            if let Some(&number) = self.type_numbers.get(&message_type) {
                return number;
            }
            if self.types.len() > TYPES_MAX {
                return 0;
            }
            let number = self.types.len();
            self.types.push(TypeTally { message_type: Some(message_type.clone()), messages: 0 });
            self.type_numbers.insert(message_type, number);
            number
        });
        if let Some(tally) = self.types.get_mut(number) {
            tally.messages += 1;
        }
        number
    }

    /// Stands for the patient of a message; of no use but to tell patients apart while the learner lives.
    fn patient(&self, message: &Message<'_>) -> u32 {
        const IDENTIFYING: [usize; 4] = [3, 2, 4, 5];
        let pid = message.segment("PID", 1);
        let valued = |value: &Value<'_>| !value.is_empty() && !value.is_null();
        let id = pid.and_then(|pid| {
            IDENTIFYING.into_iter().find_map(|position| pid.field(position).filter(valued))
        });
        let hash = match id.and_then(|field| field.components().next()) {
            Some(id) => self.hasher.hash_one(id.raw()),
            None => self.hasher.hash_one(self.messages),
        };
        hash as u32
    }
}

/// Shows how much was counted.
impl std::fmt::Debug for Learner {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Learner")
            .field("messages", &self.messages)
            .field("segments", &self.segments.len())
            .finish_non_exhaustive()
    }
}

fn bump(counts: &mut BTreeMap<String, u64>, name: &str) {
    if let Some(count) = counts.get_mut(name) {
        *count += 1;
    } else {
        let name = if counts.len() < NAMES_MAX { name } else { OTHER };
        *counts.entry(name.to_owned()).or_default() += 1;
    }
}
