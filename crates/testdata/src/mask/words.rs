//! Pseudonyms of words, and the words a message must not contain any more.

use std::collections::{HashMap, HashSet};

use pipehat_message::undecodable_byte;

use super::alphabet::{Alphabets, Kind};
use super::key::Key;
use super::permutation::Permutations;

/// Pseudonyms remembered at once; when there are more, they are worked out again.
const REMEMBERED_MAX: usize = 50_000;

/// Words shorter than this are not looked for elsewhere in a message: too many are the same by chance.
pub(super) const LETTERS_MIN: usize = 3;
/// The same for words of digits.
pub(super) const DIGITS_MIN: usize = 4;

/// Makes pseudonyms.
pub(super) struct Words {
    permutations: Permutations,
    alphabets: Alphabets,
    remembered: HashMap<String, String>,
}

impl Words {
    pub(super) fn new(key: Key, alphabets: Alphabets) -> Self {
        Self { permutations: Permutations::new(key), alphabets, remembered: HashMap::new() }
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
        if let Some(known) = self.remembered.get(word) {
            output.push_str(known);
            return;
        }
        let pseudonym = self.pseudonym(word);
        output.push_str(&pseudonym);
        if self.remembered.len() >= REMEMBERED_MAX {
            self.remembered.clear();
        }
        self.remembered.insert(word.to_owned(), pseudonym);
    }

    fn pseudonym(&mut self, word: &str) -> String {
        let mut places = Vec::with_capacity(word.len());
        for character in word.chars() {
            match self.alphabets.place(character) {
                Some(place) => places.push(place),
                // Undecodable bytes: nothing can be told of them.
                None => return word.chars().map(|_| 'x').collect(),
            }
        }
        let mut digits: Vec<u32> = places.iter().map(|place| place.digit).collect();
        let radices: Vec<u32> = places.iter().map(|place| place.radix).collect();
        let shape: Vec<u8> = places.iter().flat_map(|place| tag(place.kind)).collect();
        self.permutations.permute(&shape, &mut digits, &radices);
        places
            .into_iter()
            .zip(digits)
            .map(|(mut place, digit)| {
                place.digit = digit;
                self.alphabets.character(place)
            })
            .collect()
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

pub(super) fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let word = is_word(first);
        let end = rest.find(|character| is_word(character) != word).unwrap_or(rest.len());
        let (piece, after) = rest.split_at(end);
        rest = after;
        Some(if word { Piece::Word(piece) } else { Piece::Other(piece) })
    })
}

/// The words of a text.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    pieces(text).filter_map(|piece| match piece {
        Piece::Word(word) => Some(word),
        Piece::Other(_) => None,
    })
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || undecodable_byte(character).is_some()
}

/// What a message says of the people it is about.
#[derive(Default)]
pub(super) struct Secrets {
    words: HashSet<String>,
    values: Vec<String>,
    /// Which beginnings the values have: a text without one of them quotes none.
    beginnings: [u64; 4],
    /// A text in lower case, while it is looked through.
    lower: std::cell::RefCell<String>,
}

/// Whole values looked for; of a message with more, the words alone.
const VALUES_MAX: usize = 256;

/// Characters of a whole value that is looked for: the length of a beginning.
const VALUE_MIN: usize = 8;

/// Letters and digits among them.
const VALUE_LETTERS_MIN: usize = 6;

impl Secrets {
    /// Adds a value and its words, those left out that `harmless` says.
    pub(super) fn add(&mut self, value: &str, harmless: impl Fn(&str) -> bool) {
        for word in words(value).filter(|word| is_telling(word)) {
            let lower = word.to_lowercase();
            if !harmless(&lower) {
                if !lower.is_ascii() {
                    self.words.extend(spellings(&lower));
                }
                self.words.insert(lower);
            }
        }
        let value = value.trim();
        let letters = value.chars().filter(|character| character.is_alphanumeric()).count();
        let many = value.len() >= VALUE_MIN && letters >= VALUE_LETTERS_MIN;
        if !many || self.values.len() >= VALUES_MAX {
            return;
        }
        let lower = value.to_lowercase();
        if let Some(beginning) = lower.as_bytes().first_chunk()
            && !self.values.contains(&lower)
        {
            let (word, bit) = place(beginning);
            self.beginnings[word] |= bit;
            self.values.push(lower);
        }
    }

    /// Whether this word is one of them.
    pub(super) fn contains(&self, word: &str) -> bool {
        if self.words.is_empty() || !is_telling(word) {
            return false;
        }
        let mut lower = self.lower.borrow_mut();
        lower_into(word, &mut lower);
        self.words.contains(lower.as_str())
            || !lower.is_ascii()
                && spellings(&lower).iter().any(|spelling| self.words.contains(spelling))
    }

    /// Whether a whole value stands in the text.
    pub(super) fn are_quoted(&self, text: &str) -> bool {
        if text.len() < VALUE_MIN || self.values.is_empty() {
            return false;
        }
        let mut lower = self.lower.borrow_mut();
        lower_into(text, &mut lower);
        lower.as_bytes().array_windows().enumerate().any(|(at, beginning)| {
            let (word, bit) = place(beginning);
            let rest = lower.as_bytes().get(at..).unwrap_or_default();
            self.beginnings[word] & bit != 0
                && self.values.iter().any(|value| rest.starts_with(value.as_bytes()))
        })
    }

    pub(super) fn clear(&mut self) {
        self.words.clear();
        self.values.clear();
        self.beginnings = [0; 4];
    }
}

/// How a name is spelled where its letters are not at hand: Müller as Mueller and as Muller.
fn spellings(lower: &str) -> [String; 2] {
    let (mut long, mut short) = (String::new(), String::new());
    for character in lower.chars() {
        let (of_two, of_one) = match character {
            'ä' | 'æ' => ("ae", "a"),
            'ö' | 'ø' | 'œ' => ("oe", "o"),
            'ü' => ("ue", "u"),
            'å' => ("aa", "a"),
            'ß' => ("ss", "s"),
            'à' | 'á' | 'â' | 'ã' | 'ą' | 'ă' => ("a", "a"),
            'ç' | 'ć' | 'č' => ("c", "c"),
            'è' | 'é' | 'ê' | 'ë' | 'ę' | 'ě' => ("e", "e"),
            'ì' | 'í' | 'î' | 'ï' | 'ı' => ("i", "i"),
            'ł' => ("l", "l"),
            'ñ' | 'ń' | 'ň' => ("n", "n"),
            'ò' | 'ó' | 'ô' | 'õ' | 'ő' => ("o", "o"),
            'ř' => ("r", "r"),
            'ś' | 'š' | 'ş' => ("s", "s"),
            'ù' | 'ú' | 'û' | 'ů' | 'ű' => ("u", "u"),
            'ý' | 'ÿ' => ("y", "y"),
            'ź' | 'ż' | 'ž' => ("z", "z"),
            other => {
                long.push(other);
                short.push(other);
                continue;
            }
        };
        long.push_str(of_two);
        short.push_str(of_one);
    }
    [long, short]
}

/// Where the beginning of a value is noted.
fn place(beginning: &[u8; VALUE_MIN]) -> (usize, u64) {
    let hash = u64::from_le_bytes(*beginning).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56;
    ((hash >> 6) as usize, 1 << (hash & 63))
}

fn lower_into(text: &str, lower: &mut String) {
    lower.clear();
    if text.is_ascii() {
        lower.push_str(text);
        lower.make_ascii_lowercase();
    } else {
        lower.push_str(&text.to_lowercase());
    }
}

/// Whether a word is long enough for its appearance elsewhere to mean something. A single character of a script
/// that writes words with one or two is.
fn is_telling(word: &str) -> bool {
    let characters = word.chars().count();
    if word.chars().all(|character| character.is_ascii_digit()) {
        characters >= DIGITS_MIN
    } else if word.is_ascii() {
        characters >= LETTERS_MIN
    } else {
        characters >= 2
    }
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
    fn secrets_are_found_whatever_their_case() {
        let mut secrets = Secrets::default();
        secrets.add("O'Brien 12345 Li street", |word| word == "street");
        assert!(
            secrets.are_quoted("of o'BRIEN 12345 li street 7")
                && !secrets.are_quoted("O'Brien 12345")
        );
        assert!(!secrets.contains("street"));
        secrets.add("MUELLER Gérard", |_| false);
        assert!(secrets.contains("Müller") && secrets.contains("Gerard"));
        assert!(secrets.contains("BRIEN") && secrets.contains("12345"));
        assert!(!secrets.contains("Li") && !secrets.contains("O") && !secrets.contains("1234"));
    }
}
