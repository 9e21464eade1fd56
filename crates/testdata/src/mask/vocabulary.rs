//! Words that tell nobody: those the standard itself uses, and common ones.

use std::sync::OnceLock;

use hashbrown::HashSet;
use pipehat_dictionary::Version;

use super::words::words;

/// Tables whose names are full of names of people and places: manufacturers, coding systems, countries.
const TABLES_WITHOUT: [u16; 3] = [227, 396, 399];

/// Dates in words, which Safe Harbor counts among the identifiers.
const DATES: &[&str] = &[
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
    "jan",
    "feb",
    "mar",
    "apr",
    "jun",
    "jul",
    "aug",
    "sep",
    "sept",
    "oct",
    "nov",
    "dec",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];

/// Words in lower case.
pub(super) type Vocabulary = HashSet<String>;

/// All such words, in lower case; made once.
pub(super) fn vocabulary() -> &'static Vocabulary {
    static WORDS: OnceLock<Vocabulary> = OnceLock::new();
    WORDS.get_or_init(|| {
        let mut known = Vocabulary::new();
        let mut add = |text: &str| {
            known.extend(words(text).filter(|word| word.len() > 1).map(str::to_lowercase));
        };
        for version in [Version::V2_5_1, Version::V2_9_1] {
            for definition in version.segments() {
                definition.fields().for_each(|field| add(field.name()));
            }
            for table in version.tables() {
                if !TABLES_WITHOUT.contains(&table.number().get()) {
                    table.codes().for_each(|code| add(code.display()));
                }
            }
        }
        add(include_str!("vocabulary.txt"));
        for date in DATES {
            known.remove(*date);
        }
        known
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_and_clinical_words_are_known() {
        for word in ["the", "patient", "blood", "normal", "culture", "and", "mg"] {
            assert!(vocabulary().contains(word), "{word}");
        }
    }

    #[test]
    fn names_and_dates_are_not() {
        for word in ["schmidt", "garcia", "nguyen", "march", "smith", "johnson", "maria"] {
            assert!(!vocabulary().contains(word), "{word}");
        }
    }
}
