//! ISO IR 14 (JIS X 0201), ISO IR 87 (JIS X 0208) and ISO IR 159 (JIS X 0212), switched by ISO 2022 escapes
//! (HL7 v2.5.1 §2.15.9.20 and table 0356).
//!
//! Read tolerantly: any of the sets may be switched to, whichever were declared; katakana may stand in the high half.
//! 0x5C and 0x7E are `\` and `~` in the Roman set too, since HL7 text uses them as delimiters. CR and LF return to ASCII.

use std::sync::OnceLock;

use super::character_set::Unencodable;
use super::decoded::{Sink, undecodable_byte};

pub(super) const ESCAPE: u8 = 0x1B;

const TO_ASCII: &[u8] = b"\x1B(B";
const TO_ROMAN: &[u8] = b"\x1B(J";
const TO_KATAKANA: &[u8] = b"\x1B(I";
const TO_KATAKANA_HIGH: &[u8] = b"\x1B)I";
const TO_KANJI_1978: &[u8] = b"\x1B$@";
const TO_KANJI: &[u8] = b"\x1B$B";
const TO_KANJI_LONG: &[u8] = b"\x1B$(B";
const TO_SUPPLEMENTARY: &[u8] = b"\x1B$(D";

/// Half-width katakana: U+FF61 is 0x21 in the low half and 0xA1 in the high half.
const KATAKANA_FIRST: u32 = 0xFF61;

/// Which sets may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Japanese {
    /// ISO IR 14 is the default set: katakana are written as single high bytes.
    pub(super) katakana_high: bool,
    /// ISO IR 87 is declared.
    pub(super) kanji: bool,
    /// ISO IR 159 is declared.
    pub(super) supplementary: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shift {
    Ascii,
    Katakana,
    Kanji,
    Supplementary,
}

impl Shift {
    fn escape(self) -> &'static [u8] {
        match self {
            Self::Ascii => TO_ASCII,
            Self::Katakana => TO_KATAKANA,
            Self::Kanji => TO_KANJI,
            Self::Supplementary => TO_SUPPLEMENTARY,
        }
    }
}

pub(super) fn decode(bytes: &[u8], sink: &mut Sink) {
    let mut shift = Shift::Ascii;
    let mut at = 0;
    while let Some((&byte, behind)) = bytes.get(at..).and_then(<[u8]>::split_first) {
        let rest = bytes.get(at..).unwrap_or_default();
        if byte == ESCAPE {
            match shift_of(rest) {
                Some((next, length)) => {
                    shift = next.unwrap_or(shift);
                    at += length;
                }
                None => {
                    sink.undecodable(&[byte], at);
                    at += 1;
                }
            }
            continue;
        }
        if byte < 0x21 || byte == 0x7F {
            if matches!(byte, b'\r' | b'\n') {
                shift = Shift::Ascii;
            }
            sink.text.push(char::from(byte));
            at += 1;
            continue;
        }
        if byte >= 0x80 {
            match katakana(byte & 0x7F).filter(|_| byte >= 0xA1) {
                Some(character) => sink.text.push(character),
                None => sink.undecodable(&[byte], at),
            }
            at += 1;
            continue;
        }
        let (character, length) = match shift {
            Shift::Ascii => (Some(char::from(byte)), 1),
            Shift::Katakana => (katakana(byte), 1),
            Shift::Kanji | Shift::Supplementary => match behind.first() {
                Some(&second @ 0x21..=0x7E) => (double_byte(shift, byte, second), 2),
                _ => (None, 1),
            },
        };
        let spelling = rest.get(..length).unwrap_or(rest);
        match character {
            Some(character) => sink.character(character, spelling, at),
            None => {
                // The bytes mean something only in their set, and those of delimiters are among them.
                sink.kept(shift.escape());
                sink.undecodable(spelling, at);
                sink.kept(TO_ASCII);
            }
        }
        at += length;
    }
}

/// The ASCII of a line as text, all else as bytes.
fn keep_shifted(line: &[u8], line_start: usize, sink: &mut Sink) {
    let mut shift = Shift::Ascii;
    let mut at = 0;
    while let Some((&byte, _)) = line.get(at..).and_then(<[u8]>::split_first) {
        let rest = line.get(at..).unwrap_or_default();
        let escape = if byte == ESCAPE { shift_of(rest) } else { None };
        let is_text = shift == Shift::Ascii && byte.is_ascii() && byte != ESCAPE;
        let length = match escape {
            Some((next, length)) => {
                shift = next.unwrap_or(shift);
                length
            }
            None => 1,
        };
        if is_text || matches!(byte, b'\r' | b'\n') {
            sink.text.push(char::from(byte));
        } else {
            sink.undecodable(rest.get(..length).unwrap_or(rest), line_start + at);
        }
        at += length;
    }
}

/// The set an escape switches to (`None`: it changes nothing here) and the length of the escape.
fn shift_of(bytes: &[u8]) -> Option<(Option<Shift>, usize)> {
    let shifts = [
        (TO_ASCII, Some(Shift::Ascii)),
        (TO_ROMAN, Some(Shift::Ascii)),
        (TO_KATAKANA, Some(Shift::Katakana)),
        (TO_KATAKANA_HIGH, None),
        (TO_KANJI_1978, Some(Shift::Kanji)),
        (TO_KANJI, Some(Shift::Kanji)),
        (TO_KANJI_LONG, Some(Shift::Kanji)),
        (TO_SUPPLEMENTARY, Some(Shift::Supplementary)),
    ];
    shifts
        .into_iter()
        .find(|(escape, _)| bytes.starts_with(escape))
        .map(|(escape, shift)| (shift, escape.len()))
}

fn katakana(byte: u8) -> Option<char> {
    let index = u32::from(byte).checked_sub(0x21).filter(|&index| index <= 0x3E)?;
    char::from_u32(KATAKANA_FIRST + index)
}

fn katakana_index(character: char) -> Option<u8> {
    let index = u32::from(character).checked_sub(KATAKANA_FIRST)?;
    u8::try_from(index).ok().filter(|&index| index <= 0x3E)
}

/// EUC-JP holds both double-byte sets, with the high bits set and the supplementary one behind 0x8F.
fn double_byte(shift: Shift, first: u8, second: u8) -> Option<char> {
    let euc = [0x8F, first | 0x80, second | 0x80];
    let euc = if shift == Shift::Supplementary { &euc[..] } else { &euc[1..] };
    let text = encoding_rs::EUC_JP.decode_without_bom_handling_and_without_replacement(euc)?;
    let mut characters = text.chars();
    let character = characters.next()?;
    characters.next().is_none().then_some(character)
}

/// The characters of JIS X 0212 in order, each with its two bytes: `encoding_rs` does not encode them.
fn supplementary_bytes(character: char) -> Option<[u8; 2]> {
    static TABLE: OnceLock<Vec<(char, [u8; 2])>> = OnceLock::new();
    let table = TABLE.get_or_init(|| {
        let mut table: Vec<_> = (0x21..=0x7E)
            .flat_map(|first| (0x21..=0x7E).map(move |second| [first, second]))
            .filter_map(|bytes @ [first, second]| {
                Some((double_byte(Shift::Supplementary, first, second)?, bytes))
            })
            .collect();
        table.sort_unstable();
        table
    });
    let index = table.binary_search_by_key(&character, |&(character, _)| character).ok()?;
    table.get(index).map(|&(_, bytes)| bytes)
}

impl Japanese {
    pub(super) fn encode(self, text: &str, bytes: &mut Vec<u8>) -> Result<(), Unencodable> {
        let mut shift = Shift::Ascii;
        for (at, character) in text.char_indices() {
            let (needed, spelling) = self.spell(character).ok_or(Unencodable { at })?;
            if needed != shift {
                bytes.extend_from_slice(self.escape_to(needed));
                shift = needed;
            }
            bytes.extend_from_slice(spelling.as_slice());
        }
        if shift != Shift::Ascii {
            bytes.extend_from_slice(self.escape_to(Shift::Ascii));
        }
        Ok(())
    }

    /// Text whose default set is the Roman one returns to that.
    fn escape_to(self, shift: Shift) -> &'static [u8] {
        if shift == Shift::Ascii && self.katakana_high { TO_ROMAN } else { shift.escape() }
    }

    /// Decodes line by line, since a line end returns to ASCII. A line that would be encoded otherwise keeps everything
    /// as bytes but its ASCII.
    pub(super) fn transcode(self, bytes: &[u8], sink: &mut Sink) {
        let mut at = 0;
        for line in bytes.split_inclusive(|byte| matches!(byte, b'\r' | b'\n')) {
            let mut decoded = Sink::default();
            decode(line, &mut decoded);
            let mut encoded = Vec::new();
            let same = self.encode(&decoded.text, &mut encoded).is_ok() && encoded == line;
            if same {
                sink.append(decoded, at);
            } else {
                keep_shifted(line, at, sink);
            }
            at += line.len();
        }
    }

    fn spell(self, character: char) -> Option<(Shift, Spelling)> {
        if let Some(byte) = undecodable_byte(character) {
            return Some((Shift::Ascii, Spelling::One([byte])));
        }
        if character.is_ascii() {
            let byte = u8::try_from(u32::from(character)).ok()?;
            return Some((Shift::Ascii, Spelling::One([byte])));
        }
        if let Some(index) = katakana_index(character) {
            return Some(if self.katakana_high {
                (Shift::Ascii, Spelling::One([0xA1 + index]))
            } else {
                (Shift::Katakana, Spelling::One([0x21 + index]))
            });
        }
        let mut utf8 = [0; 4];
        let (euc, _, unmappable) = encoding_rs::EUC_JP.encode(character.encode_utf8(&mut utf8));
        if let (true, false, &[first @ 0xA1..=0xFE, second @ 0xA1..=0xFE]) =
            (self.kanji, unmappable, &*euc)
        {
            return Some((Shift::Kanji, Spelling::Two([first & 0x7F, second & 0x7F])));
        }
        let bytes = supplementary_bytes(character).filter(|_| self.supplementary)?;
        Some((Shift::Supplementary, Spelling::Two(bytes)))
    }
}

enum Spelling {
    One([u8; 1]),
    Two([u8; 2]),
}

impl Spelling {
    fn as_slice(&self) -> &[u8] {
        match self {
            Self::One(bytes) => bytes,
            Self::Two(bytes) => bytes,
        }
    }
}
