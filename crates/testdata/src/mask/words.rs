//! Pseudonyms of words.

use hashbrown::HashMap;
use pipehat_message::undecodable_byte;

use super::alphabet::{Alphabets, Kind, Place};
use super::key::Key;
use super::permutation::Permutations;

/// Pseudonyms remembered at once; when there are more, they are worked out again.
const REMEMBERED_MAX: usize = 50_000;

/// Longer words are worked out each time.
const REMEMBERED_BYTES_MAX: usize = 64;

/// Purpose of the key.
const BLOCK: u8 = 4;

/// Characters of a word permuted at once. What follows is permuted by itself, in a way that depends on all before it:
/// the effort grows with the square of the length otherwise.
const BLOCK_CHARACTERS: usize = 32_768;

/// Makes pseudonyms.
pub(super) struct Words {
    key: Key,
    permutations: Permutations,
    alphabets: Alphabets,
    remembered: HashMap<String, String>,
    block: Block,
}

/// The word at hand, in parallel lists.
#[derive(Default)]
struct Block {
    places: Vec<Place>,
    digits: Vec<u32>,
    radices: Vec<u32>,
    shape: Vec<u8>,
}

impl Words {
    pub(super) fn new(key: Key, alphabets: Alphabets) -> Self {
        let permutations = Permutations::new(key.clone());
        let (remembered, block) = (HashMap::new(), Block::default());
        Self { key, permutations, alphabets, remembered, block }
    }

    pub(super) fn alphabets(&self) -> &Alphabets {
        &self.alphabets
    }

    /// Writes a text with each of its words replaced by its pseudonym.
    pub(super) fn mask(&mut self, text: &str, output: &mut String) {
        for piece in pieces(text) {
            match piece {
                Piece::Word(word) => self.mask_word(word, output),
                Piece::Other(other) => output.push_str(other),
            }
        }
    }

    /// Writes the pseudonym of one word.
    pub(super) fn mask_word(&mut self, word: &str, output: &mut String) {
        if word.len() > REMEMBERED_BYTES_MAX {
            return self.write_pseudonym(word, output);
        }
        if let Some(known) = self.remembered.get(word) {
            return output.push_str(known);
        }
        let start = output.len();
        self.write_pseudonym(word, output);
        if self.remembered.len() >= REMEMBERED_MAX {
            self.remembered.clear();
        }
        let pseudonym = output.get(start..).unwrap_or_default();
        self.remembered.insert(word.to_owned(), pseudonym.to_owned());
    }

    fn write_pseudonym(&mut self, word: &str, output: &mut String) {
        let mut before = Vec::new();
        let mut rest = word;
        loop {
            let end = rest.char_indices().nth(BLOCK_CHARACTERS).map_or(rest.len(), |(at, _)| at);
            let (block, after) = rest.split_at(end);
            if !self.read_block(block) {
                // Undecodable bytes: nothing can be told of them.
                output.extend(block.chars().map(|_| 'x'));
                before = self.key.derive(BLOCK, &[&before, block.as_bytes()]).to_vec();
            } else {
                let Block { places, digits, radices, shape } = &mut self.block;
                let next = || {
                    let digits: Vec<u8> = digits.iter().flat_map(|d| d.to_le_bytes()).collect();
                    self.key.derive(BLOCK, &[&before, shape, &digits]).to_vec()
                };
                let next = if after.is_empty() { Vec::new() } else { next() };
                self.permutations.permute(shape, digits, radices, &before);
                before = next;
                for (place, &digit) in places.iter().zip(digits.iter()) {
                    output.push(self.alphabets.character(Place { digit, ..*place }));
                }
            }
            if after.is_empty() {
                return self.block.forget();
            }
            rest = after;
        }
    }

    /// Whether each character has a place.
    fn read_block(&mut self, text: &str) -> bool {
        let Block { places, digits, radices, shape } = &mut self.block;
        places.clear();
        for character in text.chars() {
            let Some(place) = self.alphabets.place(character) else { return false };
            places.push(place);
        }
        digits.clear();
        digits.extend(places.iter().map(|place| place.digit));
        radices.clear();
        radices.extend(places.iter().map(|place| place.radix));
        shape.clear();
        shape.extend(places.iter().flat_map(|place| tag(place.kind)));
        true
    }
}

impl Block {
    /// Gives the room for a long word back.
    fn forget(&mut self) {
        if self.places.capacity() > REMEMBERED_BYTES_MAX {
            *self = Self::default();
        }
    }
}

fn tag(kind: Kind) -> [u8; 5] {
    let (tag, block) = match kind {
        Kind::Digit => (0, 0),
        Kind::Letter => (1, 0),
        Kind::Cased(block) => (2, block),
        Kind::Uncased(block) => (3, block),
    };
    let [a, b, c, d] = block.to_le_bytes();
    [tag, a, b, c, d]
}

/// A text in pieces: runs of letters and digits, and what is between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    Word(&'a str),
    Other(&'a str),
}

/// The pieces of a text.
#[derive(Clone)]
pub(super) struct Pieces<'a> {
    rest: &'a str,
}

pub(super) fn pieces(text: &str) -> Pieces<'_> {
    Pieces { rest: text }
}

impl<'a> Pieces<'a> {
    /// Only the words.
    pub(super) fn words(self) -> impl Iterator<Item = &'a str> {
        self.filter_map(|piece| match piece {
            Piece::Word(word) => Some(word),
            Piece::Other(_) => None,
        })
    }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        let word = is_word(self.rest.chars().next()?);
        let (piece, after) = self.rest.split_at(run(self.rest, word));
        self.rest = after;
        Some(if word { Piece::Word(piece) } else { Piece::Other(piece) })
    }
}

/// Bytes at the beginning that are all part of words, or all not.
fn run(text: &str, word: bool) -> usize {
    let like = if word { Byte::Word } else { Byte::Other };
    // Byte by byte as long as it is ASCII, for most of it is.
    for (at, &byte) in text.as_bytes().iter().enumerate() {
        let kind = BYTES[usize::from(byte)];
        if kind == Byte::NotAscii {
            let rest = text.get(at..).unwrap_or_default();
            let length = rest.find(|character| is_word(character) != word);
            return length.map_or(text.len(), |length| at + length);
        }
        if kind != like {
            return at;
        }
    }
    text.len()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Byte {
    Word,
    Other,
    NotAscii,
}

const BYTES: [Byte; 256] = {
    let mut bytes = [Byte::NotAscii; 256];
    let mut at = 0;
    while at < 128 {
        bytes[at] = if (at as u8).is_ascii_alphanumeric() { Byte::Word } else { Byte::Other };
        at += 1;
    }
    bytes
};

/// The words of a text.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    pieces(text).words()
}

fn is_word(character: char) -> bool {
    if character.is_ascii() {
        return character.is_ascii_alphanumeric();
    }
    // The letters of Latin scripts, which are most of the others, without the tables of Unicode.
    if ('\u{C0}'..='\u{24F}').contains(&character) {
        return !matches!(character, '×' | '÷');
    }
    character.is_alphanumeric() || undecodable_byte(character).is_some()
}

#[cfg(test)]
mod tests {
    use pipehat_message::Charset;

    use super::*;

    fn masked(charset: Charset, text: &str) -> String {
        let mut words = Words::new(Key::new([3; 32]), Alphabets::new(charset));
        let mut output = String::new();
        words.mask(text, &mut output);
        output
    }

    #[track_caller]
    fn check_shape(charset: Charset, text: &str) {
        let result = masked(charset, text);
        let encoded = charset.encode(&result).expect("of the same set");
        assert_eq!(encoded.len(), charset.encode(text).expect("of the set").len(), "{result}");
        for (before, after) in text.chars().zip(result.chars()) {
            assert_eq!(before.is_alphabetic(), after.is_alphabetic(), "{text} {result}");
            assert_eq!(before.is_uppercase(), after.is_uppercase(), "{text} {result}");
            assert!(before.is_alphanumeric() || before == after);
        }
        for word in words(text) {
            assert!(!words_of(&result).contains(&word), "{text} {result}");
        }
    }

    fn words_of(text: &str) -> Vec<&str> {
        words(text).collect()
    }

    #[test]
    fn letters_known_without_tables_are_those_of_the_tables() {
        for character in (0..=0x24F).filter_map(char::from_u32) {
            assert_eq!(is_word(character), character.is_alphanumeric(), "{character}");
            let (word, text) = (is_word(character), character.to_string().repeat(3));
            assert_eq!(pieces(&text).next().is_some_and(|p| matches!(p, Piece::Word(_))), word);
            assert_eq!(run(&text, word), text.len());
            assert_eq!(run(&text, !word), 0);
        }
    }

    #[test]
    fn shape_script_and_length_stay() {
        check_shape(Charset::UTF_8, "O'Brien-Smith, J");
        check_shape(Charset::LATIN_1, "Müller Ärzte 12");
        check_shape(Charset::UTF_8, "Müller ÄRZTE 12");
        check_shape(Charset::UTF_8, "Иванов Пётр");
        check_shape(Charset::UTF_8, "山田 太郎");
        check_shape(Charset::UTF_8, "MRN0012-34");
    }

    #[test]
    fn case_does_not_make_another_person() {
        let upper = masked(Charset::UTF_8, "MÜLLER");
        assert_eq!(masked(Charset::UTF_8, "Müller").to_uppercase(), upper);
        assert_eq!(masked(Charset::UTF_8, "müller").to_uppercase(), upper);
    }

    #[test]
    fn words_of_any_length_change_and_none_becomes_another() {
        let long = |end: &str| "ab1".repeat(30_000) + end;
        let (first, second) = (long("x"), long("y"));
        check_shape(Charset::UTF_8, &first);
        let (first, second) =
            (masked(Charset::UTF_8, &first), masked(Charset::UTF_8, &second.to_uppercase()));
        assert_ne!(first.to_uppercase(), second);
        let other = masked(Charset::UTF_8, &("xb1".to_owned() + &"ab1".repeat(29_999) + "x"));
        let ends = [&first, &other].map(|text| text.get(BLOCK_CHARACTERS..).expect("long words"));
        assert_ne!(ends[0], ends[1], "the second block depends on the first");
        let block = "ab1".repeat(BLOCK_CHARACTERS / 3);
        let longer = masked(Charset::UTF_8, &(block.clone() + "ab"));
        assert_eq!(longer.len(), BLOCK_CHARACTERS);
    }
}
