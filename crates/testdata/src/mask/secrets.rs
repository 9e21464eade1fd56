//! What a message must not hold any more after masking: the words and values that say who it is about.

use std::cell::RefCell;
use std::hash::BuildHasher as _;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::words::words;

/// Words shorter than this are not looked for elsewhere in a message: too many are the same by chance.
const LETTERS_MIN: usize = 3;
/// The same for words of digits.
const DIGITS_MIN: usize = 4;

/// Whole values looked for; of a message with more, the words alone.
const VALUES_MAX: usize = 256;

/// Characters of a whole value that is looked for: the length of a beginning.
const VALUE_MIN: usize = 8;

/// Letters and digits among them.
const VALUE_LETTERS_MIN: usize = 6;

/// What a message says of the people it is about.
#[derive(Default)]
pub(super) struct Secrets {
    /// The words, each with an end: many small pieces of memory would be several times as large.
    text: String,
    /// Where each begins.
    words: HashTable<u32>,
    hasher: DefaultHashBuilder,
    values: Vec<String>,
    /// Which beginnings the values have: a text without one of them quotes none.
    beginnings: Beginnings,
    /// A text in lower case, while it is looked through.
    lower: RefCell<String>,
}

/// No word holds it.
const END: char = '\n';

/// Text that is kept for the next message's words.
const TEXT_BYTES_KEPT: usize = 64 * 1024;

impl Secrets {
    /// Adds a value and its words, those left out that `harmless` says.
    pub(super) fn add(&mut self, value: &str, harmless: impl Fn(&str) -> bool) {
        let mut lower = std::mem::take(self.lower.get_mut());
        for word in words(value).filter(|word| is_telling(word)) {
            lower_into(word, &mut lower);
            if !harmless(&lower) {
                if !lower.is_ascii() {
                    spellings(&lower).iter().for_each(|spelling| self.add_word(spelling));
                }
                self.add_word(&lower);
            }
        }
        self.add_value(value.trim(), &mut lower);
        *self.lower.get_mut() = lower;
    }

    fn add_word(&mut self, word: &str) {
        let hash = self.hasher.hash_one(word);
        if self.find(hash, word) {
            return;
        }
        // Messages have limits far below; a word that could not be noted is one too many to go on with.
        let start = u32::try_from(self.text.len()).expect("a message is smaller than 4 GB");
        self.text.push_str(word);
        self.text.push(END);
        let (text, hasher) = (&self.text, &self.hasher);
        self.words.insert_unique(hash, start, |&start| hasher.hash_one(word_at(text, start)));
    }

    fn find(&self, hash: u64, word: &str) -> bool {
        self.words.find(hash, |&start| word_at(&self.text, start) == word).is_some()
    }

    fn add_value(&mut self, value: &str, lower: &mut String) {
        if value.len() < VALUE_MIN || self.values.len() >= VALUES_MAX {
            return;
        }
        let mut letters = value.chars().filter(|character| character.is_alphanumeric());
        if letters.nth(VALUE_LETTERS_MIN - 1).is_none() {
            return;
        }
        lower_into(value, lower);
        if let Some(beginning) = lower.as_bytes().first_chunk()
            && !self.values.contains(lower)
        {
            self.beginnings.add(beginning);
            self.values.push(lower.clone());
        }
    }

    /// Whether this word is one of them.
    pub(super) fn contains(&self, word: &str) -> bool {
        if self.words.is_empty() || !is_telling(word) {
            return false;
        }
        let mut lower = self.lower.borrow_mut();
        lower_into(word, &mut lower);
        let has = |word: &str| self.find(self.hasher.hash_one(word), word);
        has(&lower) || !lower.is_ascii() && spellings(&lower).iter().any(|spelling| has(spelling))
    }

    /// Whether a whole value stands in the text.
    pub(super) fn are_quoted(&self, text: &str) -> bool {
        if text.len() < VALUE_MIN || self.values.is_empty() {
            return false;
        }
        let mut lower = self.lower.borrow_mut();
        lower_into(text, &mut lower);
        lower.as_bytes().array_windows().enumerate().any(|(at, beginning)| {
            let rest = || lower.as_bytes().get(at..).unwrap_or_default();
            self.beginnings.may_have(beginning)
                && self.values.iter().any(|value| rest().starts_with(value.as_bytes()))
        })
    }

    pub(super) fn clear(&mut self) {
        self.values.clear();
        self.beginnings = Beginnings::default();
        self.words.clear();
        self.text.clear();
        if self.text.capacity() > TEXT_BYTES_KEPT {
            (self.text, self.words) = (String::new(), HashTable::new());
        }
        if self.lower.get_mut().capacity() > TEXT_BYTES_KEPT {
            *self.lower.get_mut() = String::new();
        }
    }
}

fn word_at(text: &str, start: u32) -> &str {
    let rest = text.get(start as usize..).unwrap_or_default();
    rest.find(END).and_then(|end| rest.get(..end)).unwrap_or_default()
}

/// A set of beginnings that may say it has one which it has not.
#[derive(Clone, Default)]
struct Beginnings([u64; 32]);

impl Beginnings {
    fn place(beginning: &[u8; VALUE_MIN]) -> (usize, u64) {
        let hash = u64::from_le_bytes(*beginning).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 53;
        ((hash >> 6) as usize, 1 << (hash & 63))
    }

    fn add(&mut self, beginning: &[u8; VALUE_MIN]) {
        let (word, bit) = Self::place(beginning);
        self.0[word] |= bit;
    }

    fn may_have(&self, beginning: &[u8; VALUE_MIN]) -> bool {
        let (word, bit) = Self::place(beginning);
        self.0[word] & bit != 0
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
    if !word.is_ascii() {
        return word.chars().nth(1).is_some();
    }
    let digits = word.bytes().all(|byte| byte.is_ascii_digit());
    word.len() >= if digits { DIGITS_MIN } else { LETTERS_MIN }
}

#[cfg(test)]
mod tests {
    use super::*;

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
