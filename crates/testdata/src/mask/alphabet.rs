//! Which characters may stand for which: those of the same script and kind that the character set has.

use std::collections::HashMap;

use pipehat_message::Charset;

/// What a character is one of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// `0` to `9`.
    Digit,
    /// `A` to `Z`, whatever the case.
    Letter,
    /// Letters with two cases in a block of Unicode.
    Cased(u32),
    /// Letters and digits without.
    Uncased(u32),
}

/// A character as a place of a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) kind: Kind,
    pub(super) digit: u32,
    pub(super) radix: u32,
    pub(super) upper: bool,
}

/// Blocks of Unicode in which a script has its letters together; elsewhere a block is 128 characters.
const BLOCKS: &[(u32, u32)] = &[
    (0x00C0, 0x00FF),
    (0x0100, 0x017F),
    (0x0180, 0x024F),
    (0x0370, 0x03FF),
    (0x0410, 0x044F),
    (0x0400, 0x04FF),
    (0x0530, 0x058F),
    (0x0590, 0x05FF),
    (0x0600, 0x06FF),
    (0x1E00, 0x1EFF),
    (0x3041, 0x3096),
    (0x30A1, 0x30FA),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xAC00, 0xD7A3),
    (0xFF66, 0xFF9D),
];

fn block(character: char) -> (u32, u32) {
    let code = u32::from(character);
    let first = code & !0x7F;
    BLOCKS
        .iter()
        .copied()
        .find(|(first, last)| (*first..=*last).contains(&code))
        .unwrap_or((first, first | 0x7F))
}

/// The alphabets of one character set, made when first needed.
#[derive(Debug)]
pub(super) struct Alphabets {
    charset: Charset,
    made: HashMap<Kind, Vec<char>>,
}

impl Alphabets {
    pub(super) fn new(charset: Charset) -> Self {
        Self { charset, made: HashMap::new() }
    }

    pub(super) fn charset(&self) -> Charset {
        self.charset
    }

    /// The character as a place of a word; `None` for one that is no letter and no digit.
    pub(super) fn place(&mut self, character: char) -> Option<Place> {
        if character.is_ascii_digit() {
            let digit = u32::from(character) - u32::from('0');
            return Some(Place { kind: Kind::Digit, digit, radix: 10, upper: false });
        }
        if character.is_ascii_alphabetic() {
            let digit = u32::from(character.to_ascii_lowercase()) - u32::from('a');
            let upper = character.is_ascii_uppercase();
            return Some(Place { kind: Kind::Letter, digit, radix: 26, upper });
        }
        if !character.is_alphanumeric() {
            return None;
        }
        let block = block(character);
        let lower = other_case(character, char::to_lowercase);
        for (kind, wanted) in [(Kind::Cased(block.0), lower), (Kind::Uncased(block.0), character)] {
            let alphabet = self.alphabet(kind, block, wanted);
            if let Ok(digit) = alphabet.binary_search(&wanted) {
                return Some(Place {
                    kind,
                    digit: u32::try_from(digit).unwrap_or_default(),
                    radix: u32::try_from(alphabet.len()).unwrap_or(1),
                    upper: matches!(kind, Kind::Cased(_)) && wanted != character,
                });
            }
        }
        // A letter the set does not have, as an escape sequence can bring in: nothing is like it.
        Some(Place { kind: Kind::Uncased(u32::from(character)), digit: 0, radix: 1, upper: false })
    }

    /// The character at a place.
    pub(super) fn character(&self, place: Place) -> char {
        let ascii = |base: char| char::from_u32(u32::from(base) + place.digit);
        let found = match place.kind {
            Kind::Digit => ascii('0'),
            Kind::Letter if place.upper => ascii('A'),
            Kind::Letter => ascii('a'),
            // Alone in its alphabet: anything but itself.
            _ if place.radix <= 1 => Some('x'),
            kind => self.made.get(&kind).and_then(|made| made.get(place.digit as usize)).copied(),
        };
        let found = found.unwrap_or('x');
        if place.upper && !found.is_ascii() { other_case(found, char::to_uppercase) } else { found }
    }

    fn alphabet(&mut self, kind: Kind, (first, last): (u32, u32), like: char) -> &[char] {
        let charset = self.charset;
        let length = |character: char| {
            let mut buffer = [0; 4];
            charset.encode(character.encode_utf8(&mut buffer)).map(|bytes| bytes.len()).ok()
        };
        self.made.entry(kind).or_insert_with(|| {
            let wanted = length(like);
            let fits = |character: char| wanted.is_some() && length(character) == wanted;
            (first..=last)
                .filter_map(char::from_u32)
                .filter(|&character| character.is_alphanumeric() && fits(character))
                .filter(|&character| {
                    let upper = other_case(character, char::to_uppercase);
                    let lower = other_case(upper, char::to_lowercase);
                    let paired = upper != character && lower == character;
                    let is_upper = other_case(character, char::to_lowercase) != character;
                    let cased = paired && fits(upper) && (first..=last).contains(&u32::from(upper));
                    match kind {
                        Kind::Cased(_) => cased,
                        _ => !cased && !is_upper,
                    }
                })
                .collect()
        })
    }
}

/// The single character of the other case; the character itself where that is not one.
fn other_case<I: Iterator<Item = char>>(character: char, case: impl Fn(char) -> I) -> char {
    let mut cased = case(character);
    match (cased.next(), cased.next()) {
        (Some(only), None) => only,
        _ => character,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(charset: Charset, character: char, radix: u32, upper: bool) {
        let mut alphabets = Alphabets::new(charset);
        let place = alphabets.place(character).expect("a letter");
        assert_eq!((place.radix, place.upper), (radix, upper), "{character}");
        assert_eq!(alphabets.character(place), character);
    }

    #[test]
    fn letters_belong_to_their_script_and_set() {
        check(Charset::UTF_8, '7', 10, false);
        check(Charset::UTF_8, 'Q', 26, true);
        check(Charset::LATIN_1, 'ü', 30, false);
        check(Charset::LATIN_1, 'Ü', 30, true);
        check(Charset::UTF_8, 'я', 32, false);
        check(Charset::UTF_8, '漢', 20_992, false);
        check(Charset::UTF_8, 'か', 86, false);
    }

    #[test]
    fn punctuation_is_no_letter() {
        let mut alphabets = Alphabets::new(Charset::UTF_8);
        for character in ['-', ' ', '\'', '.', '×', '÷', '€'] {
            assert_eq!(alphabets.place(character), None, "{character}");
        }
    }

    #[test]
    fn a_letter_without_companions_still_changes() {
        let mut alphabets = Alphabets::new(Charset::LATIN_1);
        let place = alphabets.place('я').expect("a letter");
        assert_eq!(alphabets.character(place), 'x');
    }
}
