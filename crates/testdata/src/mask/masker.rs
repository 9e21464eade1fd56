//! Masks one message after another.

use std::borrow::Cow;
use std::collections::HashSet;
use std::convert::Infallible;
use std::fmt;

use pipehat_dictionary::Version;
use pipehat_message::{
    Charset, CharsetRule, Delimiters, Header, HeaderError, Limits, Meaning, Message, ParseError,
    Piece, UnknownCharset, sequences,
};

use super::alphabet::Alphabets;
use super::check_digit::check_digit;
use super::date;
use super::key::Key;
use super::leaves::{Leaf, Leaves, Parts};
use super::rules::{Allowance, Rules, Treatment};
use super::secrets::Secrets;
use super::text::{Old, Reader};
use super::vocabulary::vocabulary;
use super::words::{Piece as Part, Words, pieces, words};

/// Purpose of the key.
const SHIFT: u8 = 3;

/// Dates move by at least and at most so many weeks.
const WEEKS_MIN: u64 = 5;
const WEEKS_MAX: u64 = 260;

/// Safe Harbor lets ages up to this one stand; the older ones are made one.
const AGE_OF_THE_OLD: i64 = 90;
const DAYS_OF_THE_OLD: i64 = AGE_OF_THE_OLD * 365 + AGE_OF_THE_OLD / 4;

/// Leaves of a message that are kept from the first reading to the last: all, of most messages. The rest is read anew
/// each time, so that a message costs little more than its size.
const LEAVES_KEPT: usize = 1_024;

/// Bytes of a message for each of its leaves, as it is in most.
const LEAF_BYTES: usize = 16;

/// Character sets remembered at once.
const CHARSETS_MAX: usize = 8;

/// Digits of a code that is in no table and is taken for somebody's number.
const CODE_DIGITS_MAX: usize = 5;

/// Digits in one word of what is kept otherwise.
const KEPT_DIGITS_MAX: usize = 8;

/// The three digits of postal codes where fewer than 20,000 people live, by the census of 2000 (guidance of the
/// Department of Health and Human Services on §164.514(b)).
const SPARSE_POSTAL_CODES: &[&str] = &[
    "036", "059", "063", "102", "203", "556", "692", "790", "821", "823", "830", "831", "878",
    "879", "884", "890", "893",
];

/// What becomes of free text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TextPolicy {
    /// Words and numbers that are known to tell nobody stay.
    #[default]
    Scrub,
    /// Every word becomes a pseudonym.
    Mask,
}

/// How to mask.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Places that stay, unless a word there says who the message is about.
    pub allow: Vec<Allowance>,
    /// What becomes of free text.
    pub text: TextPolicy,
    /// Words that may stay in free text, besides those that are known; in lower case.
    pub words: HashSet<String>,
    /// The character set, where MSH-18 is not to be believed.
    pub charset: CharsetRule,
}

/// Masks messages.
pub struct Masker {
    key: Key,
    options: Options,
    sets: Vec<Words>,
    secrets: Secrets,
    rules: Rules,
    /// Which allowances have met a value.
    used: Vec<bool>,
}

/// A masked message.
#[derive(Clone, PartialEq, Eq)]
pub struct Masked {
    /// Its bytes, in the character set it came in.
    pub bytes: Vec<u8>,
    /// How many of its values changed.
    pub changed: usize,
}

impl fmt::Debug for Masked {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Masked")
            .field("bytes", &self.bytes.len())
            .field("changed", &self.changed)
            .finish()
    }
}

/// Why a message was not masked. Nothing of it may be given away then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MaskError {
    /// Its header can't be read.
    #[error("the header can't be read: {0}")]
    Header(#[from] HeaderError),
    /// It can't be read.
    #[error("the message can't be read: {0}")]
    Parse(#[from] ParseError),
    /// Its character set is not known.
    #[error("{0}; name the character set that it is in")]
    Charset(#[from] UnknownCharset),
    /// The result does not have the shape of the message.
    #[error("masking would change the structure of the message")]
    Shape,
    /// A value is in the result still.
    #[error("a value survived in {segment}-{field} (segment {line} of the message)")]
    Leak {
        /// The segment's name, or `?` for a line that is none.
        segment: String,
        /// Its place in the message, from 1.
        line: usize,
        /// The field, from 1.
        field: usize,
    },
}

impl Masker {
    /// A masker whose pseudonyms depend on `key`.
    pub fn new(key: Key, options: Options) -> Self {
        let used = vec![false; options.allow.len()];
        let (secrets, rules) = (Secrets::default(), Rules::default());
        Self { key, options, sets: Vec::new(), secrets, rules, used }
    }

    /// The allowances that have met no value so far, by their place in the options: perhaps misspelt.
    pub fn unused_allowances(&self) -> impl Iterator<Item = usize> {
        self.used.iter().enumerate().filter(|(_, used)| !**used).map(|(place, _)| place)
    }

    /// Masks one message.
    ///
    /// # Errors
    /// A message that can't be read, and one in whose result a value was found.
    pub fn mask(&mut self, message: &[u8]) -> Result<Masked, MaskError> {
        let charset = match (self.options.charset, Charset::detect_wide(message)) {
            (CharsetRule::Declared, Some(wide)) => wide,
            (rule, _) => rule.resolve(Header::read(message)?.character_set(), message)?,
        };
        let text = charset.transcode(message).text;
        let version = version_of(text.as_bytes());
        let parsed = Message::parse_with(text.as_bytes(), &Limits::DEFAULT)?;
        let mut words = self.words_of(charset);
        let mut secrets = std::mem::take(&mut self.secrets);
        let parts = Parts::new(&text, &parsed);
        let mut leaves = Leaves::new(parts, version, &self.options.allow, &mut self.rules);
        let mut gather = |leaf: &Leaf<'_>| {
            gather(leaf, &mut secrets);
            if let Some(used) = leaf.allowed.and_then(|place| self.used.get_mut(place)) {
                *used = true;
            }
        };
        let mut kept = Vec::with_capacity(LEAVES_KEPT.min(text.len() / LEAF_BYTES));
        kept.extend(leaves.by_ref().take(LEAVES_KEPT).inspect(&mut gather));
        let rest = leaves.rest();
        leaves.for_each(|leaf| gather(&leaf));
        let shift_days = shift(&self.key, &parsed);
        let sent = date::day_of(header_date(&parsed));
        let run = Run {
            text: &text,
            kept: &kept,
            rest,
            version,
            options: &self.options,
            delimiters: parsed.delimiters(),
            secrets: &secrets,
            shift_days,
            sent,
            old: old(&parsed, sent, shift_days),
        };
        let (output, changed) = run.write(&mut words, &mut self.rules);
        let result = run.check(&output, &mut self.rules).and_then(|()| {
            let encoded = match charset.encode(&output).map_err(|_| MaskError::Shape)? {
                Cow::Borrowed(_) => None,
                Cow::Owned(bytes) => Some(bytes),
            };
            Ok(Masked { bytes: encoded.unwrap_or_else(|| output.into_bytes()), changed })
        });
        secrets.clear();
        self.secrets = secrets;
        self.sets.push(words);
        result
    }

    /// Masks what stands around the messages of a file: the headers and trailers of files and batches, and lines that
    /// belong to no message.
    ///
    /// # Errors
    /// As [`Masker::mask`].
    pub fn mask_envelope(&mut self, lines: &[u8]) -> Result<Masked, MaskError> {
        if !lines.iter().any(u8::is_ascii_alphanumeric) && lines.is_ascii() {
            return Ok(Masked { bytes: lines.to_vec(), changed: 0 });
        }
        // A header of its own makes a message of them.
        let start = lines.iter().position(|&byte| matches!(byte, b'F' | b'B')).unwrap_or_default();
        let declared = lines.get(start..).and_then(|line| match line {
            [b'F' | b'B', b'H', b'S', separator, rest @ ..] if separator.is_ascii_punctuation() => {
                let end = rest.iter().position(|byte| byte == separator || *byte == b'\r');
                line.get(b"BHS".len()..b"BHS|".len() + end.unwrap_or(rest.len()))
            }
            _ => None,
        });
        let header = [b"MSH", declared.unwrap_or(b"|^~\\&"), b"\r"].concat();
        let mut masked = self.mask(&[&header, lines].concat())?;
        if masked.bytes.len() < header.len() {
            return Err(MaskError::Shape);
        }
        masked.bytes.drain(..header.len());
        Ok(masked)
    }

    /// The pseudonyms of a character set, taken out of those that are remembered.
    fn words_of(&mut self, charset: Charset) -> Words {
        let known = self.sets.iter().position(|words| words.alphabets().charset() == charset);
        match known {
            Some(at) => self.sets.swap_remove(at),
            None => {
                if self.sets.len() >= CHARSETS_MAX {
                    self.sets.remove(0);
                }
                Words::new(self.key.clone(), Alphabets::new(charset))
            }
        }
    }
}

/// The version a message says it is of, else the one most are.
fn version_of(text: &[u8]) -> Version {
    let stated = Header::read(text).ok().map(|header| header.component(12, 1));
    stated.and_then(Version::named).unwrap_or(Version::V2_5_1)
}

fn header_date<'m>(message: &'m Message<'_>) -> &'m str {
    let segment = message.segment_at(0);
    let date = segment.and_then(|segment| segment.field(7)).map(|value| value.raw());
    date.and_then(|date| std::str::from_utf8(date).ok()).unwrap_or_default()
}

/// By how many days the dates of this message's patient move.
fn shift(key: &Key, message: &Message<'_>) -> i64 {
    let patient =
        patient_of(message).map(|identifier| identifier.to_lowercase()).unwrap_or_default();
    let bytes = key.derive(SHIFT, &[patient.as_bytes()]);
    let number = bytes.first_chunk().copied().map_or(0, u64::from_le_bytes);
    let weeks = WEEKS_MIN + number % (WEEKS_MAX - WEEKS_MIN + 1);
    i64::try_from(weeks * 7).unwrap_or(7)
}

/// The identifier a patient is known by: the medical record number among PID-3, else its first, else PID-2.
fn patient_of<'m>(message: &'m Message<'_>) -> Option<&'m str> {
    let pid = message.segment("PID", 1)?;
    let component = |value: pipehat_message::Value<'m>, position: usize| {
        value.components().nth(position - 1).map(|component| component.raw()).unwrap_or_default()
    };
    let mut first = None;
    let list = pid.field(3).into_iter().flat_map(|field| field.repetitions());
    let record =
        list.filter(|repetition| !component(*repetition, 1).is_empty()).find(|repetition| {
            first.get_or_insert(*repetition);
            component(*repetition, 5) == b"MR"
        });
    let chosen = record.or(first).or_else(|| pid.field(2))?;
    std::str::from_utf8(component(chosen, 1)).ok().map(str::trim).filter(|text| !text.is_empty())
}

/// What is said of a patient over 89 instead of the truth.
fn old(message: &Message<'_>, sent: Option<i64>, shift_days: i64) -> Option<Old> {
    let birth = message.segment("PID", 1)?.field(7)?;
    let birth = std::str::from_utf8(birth.components().next()?.raw()).ok()?;
    let (born, sent) = (date::day_of(birth)?, sent?);
    (sent - born >= DAYS_OF_THE_OLD).then(|| Old {
        born,
        born_year: birth.get(..4).unwrap_or_default().to_owned(),
        made: date::years_before(sent - shift_days, AGE_OF_THE_OLD, "00000000"),
        age: u32::try_from((sent - born) * 4 / 1_461).unwrap_or_default(),
    })
}

/// Gathers what says who the message is about.
fn gather(leaf: &Leaf<'_>, secrets: &mut Secrets) {
    match leaf.treatment {
        _ if is_object_identifier(leaf.value) => {}
        Treatment::Name => secrets.add(leaf.value, |_| false),
        Treatment::Identifier | Treatment::PostalCode | Treatment::BirthDate => {
            secrets.add(leaf.value, |word| vocabulary().contains(word));
        }
        Treatment::Structural
        | Treatment::Keep
        | Treatment::Number
        | Treatment::Age
        | Treatment::Unknown
        | Treatment::Code
        | Treatment::Catalog
        | Treatment::CheckDigit
        | Treatment::Date
        | Treatment::Text
        | Treatment::Document => {}
    }
}

/// One message on its way.
struct Run<'a> {
    text: &'a str,
    /// The first leaves.
    kept: &'a [Leaf<'a>],
    /// What comes after them.
    rest: Parts<'a>,
    version: Version,
    options: &'a Options,
    delimiters: Delimiters,
    secrets: &'a Secrets,
    shift_days: i64,
    sent: Option<i64>,
    /// The patient, if over 89.
    old: Option<Old>,
}

impl<'a> Run<'a> {
    fn try_each<E>(
        &self,
        rules: &mut Rules,
        mut each: impl FnMut(&Leaf<'a>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.kept.iter().try_for_each(&mut each)?;
        Leaves::new(self.rest.clone(), self.version, &self.options.allow, rules)
            .try_for_each(|leaf| each(&leaf))
    }

    /// The masked text, and how many of its values changed.
    fn write(&self, masks: &mut Words, rules: &mut Rules) -> (String, usize) {
        let mut output = String::with_capacity(self.text.len());
        let (mut done, mut changed) = (0, 0);
        let Ok(()) = self.try_each(rules, |leaf| {
            output.push_str(self.text.get(done..leaf.part.start).unwrap_or_default());
            let start = output.len();
            self.leaf(leaf, masks, &mut output);
            changed += usize::from(output.get(start..) != Some(leaf.value));
            done = leaf.part.end;
            Ok::<(), Infallible>(())
        });
        output.push_str(self.text.get(done..).unwrap_or_default());
        (output, changed)
    }

    fn leaf(&self, leaf: &Leaf<'_>, masks: &mut Words, output: &mut String) {
        let value = leaf.value;
        if leaf.allowed.is_some() {
            return self.keep(value, masks, output);
        }
        match leaf.treatment {
            Treatment::Structural => output.push_str(value),
            Treatment::Number if date::is_plausible(value) => self.date(value, masks, output),
            Treatment::Number => self.less_secrets(value, masks, output),
            Treatment::Age if value.parse::<f64>().is_ok_and(|age| age >= 90.0) => {
                output.push_str("90");
                output.extend(value.chars().skip(2).map(|c| if c == '.' { '.' } else { '0' }));
            }
            Treatment::Age => output.push_str(value),
            Treatment::Unknown if date::is_plausible(value) => self.date(value, masks, output),
            Treatment::Unknown => self.mask(value, masks, output),
            Treatment::Keep => self.keep(value, masks, output),
            Treatment::Code => self.code(leaf, value, masks, output),
            Treatment::Catalog if leaf.beside.first.is_empty() => self.free(value, masks, output),
            Treatment::Catalog => self.keep(value, masks, output),
            Treatment::Identifier | Treatment::Name => self.mask(value, masks, output),
            Treatment::CheckDigit => self.check_digit(leaf, value, masks, output),
            Treatment::Date => self.date(value, masks, output),
            Treatment::BirthDate => self.birth_date(value, masks, output),
            Treatment::PostalCode => self.postal_code(leaf, value, masks, output),
            Treatment::Text => self.free(value, masks, output),
            Treatment::Document => {
                output.extend(value.chars().map(|c| if c.is_alphanumeric() { 'A' } else { c }));
            }
        }
    }

    /// Writes a value text by text; escape sequences keep their form.
    fn pieces(&self, value: &str, output: &mut String, mut write: impl FnMut(&str, &mut String)) {
        let escape = self.delimiters.escape.filter(|&escape| value.as_bytes().contains(&escape));
        if escape.is_none() {
            return write(value, output);
        }
        for piece in sequences(value.as_bytes(), &self.delimiters) {
            match piece {
                Piece::Text(text) => write(std::str::from_utf8(text).unwrap_or_default(), output),
                Piece::Sequence(sequence) => {
                    let raw = std::str::from_utf8(sequence.raw).unwrap_or_default();
                    match sequence.meaning {
                        Meaning::Hexadecimal(digits) => hexadecimal(raw, digits, output),
                        Meaning::Local(_) | Meaning::Unknown => {
                            // The letter that makes it what it is stays; what follows is text.
                            let inner = raw.char_indices().nth(2).map_or(raw.len(), |(at, _)| at);
                            let end = raw.len().saturating_sub(1).max(inner);
                            output.push_str(raw.get(..inner).unwrap_or_default());
                            write(raw.get(inner..end).unwrap_or_default(), output);
                            output.push_str(raw.get(end..).unwrap_or_default());
                        }
                        _ => output.push_str(raw),
                    }
                }
            }
        }
    }

    fn mask(&self, value: &str, masks: &mut Words, output: &mut String) {
        self.pieces(value, output, |text, output| masks.mask(text, output));
    }

    /// Keeps a value, less the words that say who the message is about.
    fn keep(&self, value: &str, masks: &mut Words, output: &mut String) {
        if date::is_plausible(value) {
            return self.date(value, masks, output);
        }
        if is_long_number(value) {
            return self.mask(value, masks, output);
        }
        self.less_secrets(value, masks, output);
    }

    fn less_secrets(&self, value: &str, masks: &mut Words, output: &mut String) {
        let start = output.len();
        let telling = || words(value).any(|word| self.secrets.contains(word));
        if !is_object_identifier(value) && telling() {
            self.pieces(value, output, |text, output| {
                for piece in pieces(text) {
                    match piece {
                        Part::Word(word) if self.secrets.contains(word) => {
                            masks.mask_word(word, output)
                        }
                        Part::Word(other) | Part::Other(other) => output.push_str(other),
                    }
                }
            });
        } else {
            output.push_str(value);
        }
        self.mask_if_quoted(value, start, masks, output);
    }

    /// Common words together may be the name of an employer: then all of the value goes.
    fn mask_if_quoted(&self, value: &str, start: usize, masks: &mut Words, output: &mut String) {
        if output.get(start..).is_some_and(|written| self.secrets.are_quoted(written)) {
            output.truncate(start);
            self.mask(value, masks, output);
        }
    }

    fn code(&self, leaf: &Leaf<'_>, value: &str, masks: &mut Words, output: &mut String) {
        if leaf.table.is_some_and(|table| table.code(value.as_bytes()).is_some()) {
            return output.push_str(value);
        }
        let is_long = |word: &str| {
            leaf.table.is_some()
                && word.bytes().filter(u8::is_ascii_digit).count() > CODE_DIGITS_MAX
        };
        if words(value).any(is_long) {
            return self.mask(value, masks, output);
        }
        self.keep(value, masks, output);
    }

    fn free(&self, value: &str, masks: &mut Words, output: &mut String) {
        if self.options.text == TextPolicy::Mask {
            return self.mask(value, masks, output);
        }
        let reader = Reader {
            vocabulary: vocabulary(),
            extra: &self.options.words,
            secrets: self.secrets,
            shift_days: self.shift_days,
            old: self.old.as_ref(),
        };
        let start = output.len();
        self.pieces(value, output, |text, output| reader.scrub(text, masks, output));
        self.mask_if_quoted(value, start, masks, output);
    }

    fn check_digit(&self, leaf: &Leaf<'_>, value: &str, masks: &mut Words, output: &mut String) {
        let identifier = leaf.beside.first;
        let scheme = leaf.beside.second;
        let right = check_digit(identifier, scheme).filter(|digit| value.chars().eq([*digit]));
        if right.is_some() {
            let mut masked = String::new();
            masks.mask(identifier, &mut masked);
            if let Some(digit) = check_digit(&masked, scheme) {
                return output.push(digit);
            }
        }
        self.mask(value, masks, output);
    }

    fn date(&self, value: &str, masks: &mut Words, output: &mut String) {
        if let Some(old) = &self.old
            && value.get(..8).is_some_and(|day| date::day_of(day) == Some(old.born))
        {
            output.push_str(&old.made);
            return output.push_str(value.get(8..).unwrap_or_default());
        }
        match date::shifted(value, self.shift_days) {
            Some(moved) if moved.len() == value.len() => output.push_str(&moved),
            _ => self.mask(value, masks, output),
        }
    }

    fn birth_date(&self, value: &str, masks: &mut Words, output: &mut String) {
        if let (Some(sent), Some(born)) = (self.sent, date::day_of(value))
            && sent - born >= DAYS_OF_THE_OLD
        {
            let made = date::years_before(sent - self.shift_days, AGE_OF_THE_OLD, value);
            if made.len() == value.len() {
                return output.push_str(&made);
            }
        }
        self.date(value, masks, output);
    }

    fn postal_code(&self, leaf: &Leaf<'_>, value: &str, masks: &mut Words, output: &mut String) {
        let country = leaf.beside.first;
        let american =
            matches!(country.to_ascii_uppercase().as_str(), "" | "US" | "USA" | "UNITED STATES");
        let digits = value.bytes().filter(u8::is_ascii_digit).count();
        let form = value.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
        let Some(first) = value.get(..3).filter(|_| american && form && matches!(digits, 5 | 9))
        else {
            return self.mask(value, masks, output);
        };
        output.push_str(if SPARSE_POSTAL_CODES.contains(&first) { "000" } else { first });
        output.extend(value.chars().skip(3).map(|c| if c == '-' { '-' } else { '0' }));
    }

    /// Reads the result as anybody would, and looks for what must not be in it.
    fn check(&self, output: &str, rules: &mut Rules) -> Result<(), MaskError> {
        let parsed = Message::parse_with(output.as_bytes(), &Limits::DEFAULT)
            .map_err(|_| MaskError::Shape)?;
        let mut written = Parts::new(output, &parsed);
        self.try_each(rules, |leaf| {
            let part = written.next().filter(|part| part.is_beside(&leaf.part));
            let part = part.ok_or(MaskError::Shape)?;
            if !self.leaks(leaf, leaf.value, written.value(&part)) {
                return Ok(());
            }
            let segment = leaf.part.segment;
            Err(MaskError::Leak {
                segment: segment.map_or_else(|| "?".to_owned(), |name| name.to_string()),
                line: leaf.part.line + 1,
                field: leaf.part.field,
            })
        })?;
        if written.next().is_some() { Err(MaskError::Shape) } else { Ok(()) }
    }

    fn leaks(&self, leaf: &Leaf<'_>, before: &str, after: &str) -> bool {
        let same = before == after && before.chars().any(char::is_alphanumeric);
        let word_stayed = || {
            let mut pairs = words(before).zip(words(after));
            !is_object_identifier(before)
                && pairs.any(|(old, new)| old == new && self.secrets.contains(old))
        };
        if leaf.allowed.is_some() {
            return word_stayed() || self.secrets.are_quoted(after);
        }
        match leaf.treatment {
            Treatment::Structural
            | Treatment::CheckDigit
            | Treatment::PostalCode
            | Treatment::Age => false,
            // The pseudonym of an identifier may hold no word of it.
            Treatment::Identifier | Treatment::Name | Treatment::Unknown => {
                same || self.secrets.are_quoted(after)
            }
            Treatment::Date | Treatment::BirthDate => same && before.len() >= "YYYYMMDD".len(),
            Treatment::Document => same && before.chars().any(|c| c.is_alphanumeric() && c != 'A'),
            Treatment::Code
                if leaf.table.is_some_and(|table| table.code(after.as_bytes()).is_some()) =>
            {
                false
            }
            Treatment::Keep
            | Treatment::Number
            | Treatment::Code
            | Treatment::Catalog
            | Treatment::Text => word_stayed() || self.secrets.are_quoted(after),
        }
    }
}

/// Whether so many digits stand together that they may be somebody's number.
fn is_long_number(value: &str) -> bool {
    !is_object_identifier(value)
        && words(value)
            .any(|word| word.bytes().filter(u8::is_ascii_digit).count() > KEPT_DIGITS_MAX)
}

/// Whether it is written as ISO's object identifiers are, which name systems and nobody.
fn is_object_identifier(value: &str) -> bool {
    value.bytes().filter(|&byte| byte == b'.').count() > 2
        && value.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
        && value.parse::<std::net::Ipv4Addr>().is_err()
}

/// `\Xhh..\`: control characters stay, others become the letter x.
fn hexadecimal(raw: &str, digits: &[u8], output: &mut String) {
    let (pairs, rest) = digits.as_chunks::<2>();
    output.extend(raw.chars().take(2));
    for pair in pairs {
        let pair = std::str::from_utf8(pair).unwrap_or("78");
        let control = u8::from_str_radix(pair, 16).is_ok_and(|byte| byte < 0x20);
        output.push_str(if control { pair } else { "78" });
    }
    output.extend(rest.iter().map(|_| '7'));
    output.extend(raw.chars().last());
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
