//! Free text: what is known to tell nobody stays, all else becomes pseudonyms.

use std::collections::HashSet;

use super::date;
use super::words::{Piece, Secrets, Words, pieces, words};

/// So many digits close together are a number somebody has: of a telephone, an account, a record.
const TELLING_DIGITS: usize = 7;

/// A longer number alone.
const NUMBER_DIGITS: usize = 4;

/// Ages that Safe Harbor lets stand end here.
const AGE_MAX: u32 = 89;
const AGE_CEILING: u32 = 130;

const TITLES: &[&str] = &[
    "mr",
    "mrs",
    "ms",
    "miss",
    "dr",
    "doctor",
    "prof",
    "professor",
    "herr",
    "frau",
    "sr",
    "sra",
    "srta",
    "don",
    "doña",
    "mme",
    "mlle",
    "monsieur",
    "madame",
    "sig",
    "nurse",
    "rn",
    "md",
];

const AGE_BEFORE: &[&str] = &["age", "aged", "alter", "âge", "edad"];

const AGE_WORDS: &[&str] =
    &["y", "yo", "yr", "yrs", "year", "years", "jahre", "jähriger", "jährige", "ans", "años"];

/// What free text is read against.
pub(super) struct Reader<'a> {
    pub(super) vocabulary: &'a HashSet<String>,
    pub(super) extra: &'a HashSet<String>,
    pub(super) secrets: &'a Secrets,
    pub(super) shift_days: i64,
    /// The patient, if over 89.
    pub(super) old: Option<&'a Old>,
}

/// Somebody whose age must not be told, and what is told instead.
pub(super) struct Old {
    /// The day of birth.
    pub(super) born: i64,
    /// Its year, as it is written.
    pub(super) born_year: String,
    /// `YYYYMMDD` of the birth that is told.
    pub(super) made: String,
    /// The true age in years.
    pub(super) age: u32,
}

impl Reader<'_> {
    /// Writes the text with what could tell a person replaced.
    pub(super) fn scrub(&self, text: &str, masks: &mut Words, output: &mut String) {
        let tokens: Vec<&str> = split(text).collect();
        let numbers = telling_runs(&tokens);
        let mut after = After::Nothing;
        let mut before = Before::default();
        for (at, token) in tokens.iter().enumerate() {
            if token.starts_with(char::is_whitespace) {
                output.push_str(token);
                continue;
            }
            if numbers.get(at).copied().unwrap_or(false) {
                self.number(token, masks, output);
                after = After::Nothing;
            } else if is_address(token) {
                masks.mask(token, output);
                after = After::Nothing;
            } else {
                let next = tokens.get(at + 2).copied().unwrap_or_default();
                after = self.token(token, next, (after, &before), masks, output);
            }
            before = Before::of(token);
        }
    }

    /// A telling number: a date is moved, anything else masked.
    fn number(&self, token: &str, masks: &mut Words, output: &mut String) {
        let trimmed = token.trim_end_matches(['.', ',', ';', ')']);
        let rest = token.get(trimmed.len()..).unwrap_or_default();
        match self.moved(trimmed) {
            Some(moved) if moved.len() == trimmed.len() => {
                output.push_str(&moved);
                output.push_str(rest);
            }
            _ => masks.mask(token, output),
        }
    }

    /// A date as `20260131`, `2026-01-31` or `31.01.2026`, moved in the same form.
    fn moved(&self, text: &str) -> Option<String> {
        if text.len() == 8 {
            return self.moved_day(text);
        }
        let parts: Vec<&str> = text.split(['-', '.']).collect();
        match parts[..] {
            [year, month, day] if text.contains('-') && lengths(&parts) == [4, 2, 2] => {
                let moved = self.moved_day(&format!("{year}{month}{day}"))?;
                Some(format!("{}-{}-{}", moved.get(..4)?, moved.get(4..6)?, moved.get(6..8)?))
            }
            [day, month, year] if text.contains('.') && lengths(&parts) == [2, 2, 4] => {
                let moved = self.moved_day(&format!("{year}{month}{day}"))?;
                Some(format!("{}.{}.{}", moved.get(6..8)?, moved.get(4..6)?, moved.get(..4)?))
            }
            _ => None,
        }
    }

    fn moved_day(&self, digits: &str) -> Option<String> {
        if !date::is_plausible(digits) {
            return None;
        }
        match self.old {
            Some(old) if date::day_of(digits) == Some(old.born) => Some(old.made.clone()),
            _ => date::shifted(digits, self.shift_days),
        }
    }

    fn token(
        &self,
        token: &str,
        next: &str,
        (mut after, before): (After, &Before),
        masks: &mut Words,
        output: &mut String,
    ) -> After {
        let inner: Vec<Piece<'_>> = pieces(token).collect();
        for (at, piece) in inner.iter().enumerate() {
            let word = match piece {
                Piece::Word(word) => *word,
                Piece::Other(other) => {
                    output.push_str(other);
                    continue;
                }
            };
            let following = inner[at + 1..]
                .iter()
                .find_map(|piece| if let Piece::Word(word) = piece { Some(*word) } else { None })
                .unwrap_or_else(|| words(next).next().unwrap_or_default());
            let lower = word.to_lowercase();
            let titled = is_title_case(word);
            if TITLES.contains(&lower.as_str()) && !self.secrets.contains(word) {
                output.push_str(word);
                after = After::Title;
            } else if let Some(year) = self.year_of_birth(word) {
                output.push_str(year);
                after = After::Nothing;
            } else if self.is_age(word, following, before) {
                output.push_str(if word.len() == 2 { "90" } else { "090" });
                after = After::Nothing;
            } else if self.is_known(word, &lower)
                && !(titled
                    && (after != After::Nothing || self.begins_name(word, following, before)))
            {
                output.push_str(word);
                after = After::Nothing;
            } else {
                masks.mask_word(word, output);
                after = if titled && after != After::Name { After::Name } else { After::Nothing };
            }
        }
        after
    }

    /// The year that is told for that of a birth long ago.
    fn year_of_birth(&self, word: &str) -> Option<&str> {
        let old = self.old.filter(|old| old.born_year == word)?;
        old.made.get(..4)
    }

    /// Whether a number is an age that must not be told.
    fn is_age(&self, word: &str, following: &str, before: &Before) -> bool {
        let Ok(age) = word.parse::<u32>() else { return false };
        let is_told = AGE_WORDS.contains(&following.to_lowercase().as_str()) || before.tells_age;
        let is_own = self.old.is_some_and(|old| age.abs_diff(old.age) <= 1);
        age > AGE_MAX && age <= AGE_CEILING && (is_told || is_own)
    }

    /// Whether a common word is part of a name: within a sentence, before a name, as in `call Will Adler`.
    fn begins_name(&self, word: &str, following: &str, before: &Before) -> bool {
        !before.ends_sentence
            && word.chars().count() > 1
            && is_title_case(following)
            && !self.is_known(following, &following.to_lowercase())
    }

    /// Whether a word may stay.
    fn is_known(&self, word: &str, lower: &str) -> bool {
        if self.secrets.contains(word) {
            return false;
        }
        let length = word.chars().count();
        let digits = word.chars().filter(char::is_ascii_digit).count();
        if digits == length {
            return length < NUMBER_DIGITS || is_year(word);
        }
        if length == 1 || self.vocabulary.contains(lower) || self.extra.contains(lower) {
            return true;
        }
        digits > 0 && length <= 3
    }
}

/// The token before.
struct Before {
    ends_sentence: bool,
    tells_age: bool,
}

impl Default for Before {
    fn default() -> Self {
        Self { ends_sentence: true, tells_age: false }
    }
}

impl Before {
    fn of(token: &str) -> Self {
        let word = token.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
        Self {
            ends_sentence: token.ends_with(['.', ':', '!', '?', ';']),
            tells_age: AGE_BEFORE.contains(&word.as_str()),
        }
    }
}

/// What came just before a word.
#[derive(Clone, Copy, PartialEq, Eq)]
enum After {
    Nothing,
    /// A title: a name follows.
    Title,
    /// A word that was taken for a name: the next may be one that is also a common word, as Rose is.
    Name,
}

fn split(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let blank = first.is_whitespace();
        let end =
            rest.find(|character: char| character.is_whitespace() != blank).unwrap_or(rest.len());
        let (token, after) = rest.split_at(end);
        rest = after;
        Some(token)
    })
}

/// Which tokens belong to a number that somebody has: a telephone number may be written in several.
fn telling_runs(tokens: &[&str]) -> Vec<bool> {
    let mut telling = vec![false; tokens.len()];
    let mut run: Vec<usize> = Vec::new();
    let mut digits = 0;
    let mut close = |run: &mut Vec<usize>, digits: &mut usize| {
        if *digits >= TELLING_DIGITS {
            for &at in run.iter() {
                if let Some(telling) = telling.get_mut(at) {
                    *telling = true;
                }
            }
        }
        run.clear();
        *digits = 0;
    };
    for (at, token) in tokens.iter().enumerate() {
        if token.starts_with(char::is_whitespace) {
            continue;
        }
        let count = token.chars().filter(char::is_ascii_digit).count();
        let numeric = count > 0
            && token
                .chars()
                .all(|character| character.is_ascii_digit() || "()+-./,;:#".contains(character));
        if !numeric {
            close(&mut run, &mut digits);
            let mixed = count >= TELLING_DIGITS;
            if mixed || is_short_date(token) {
                run.push(at);
                digits = TELLING_DIGITS;
                close(&mut run, &mut digits);
            }
            continue;
        }
        if is_short_date(token) {
            close(&mut run, &mut digits);
            run.push(at);
            digits = TELLING_DIGITS;
            close(&mut run, &mut digits);
            continue;
        }
        // A comma or a full stop after a group ends a number; measured values have decimals and stand alone.
        if token.contains('.') && token.parse::<f64>().is_ok() && count < TELLING_DIGITS {
            close(&mut run, &mut digits);
            continue;
        }
        run.push(at);
        digits += count;
    }
    close(&mut run, &mut digits);
    telling
}

/// `3/14/21`, `14.3.2021`, `2021-03-14`: three groups of digits, as days are written.
fn is_short_date(token: &str) -> bool {
    let token = token.trim_matches(|character: char| !character.is_ascii_digit());
    ['/', '.', '-'].into_iter().any(|separator| {
        let groups: Vec<&str> = token.split(separator).collect();
        let numeric = groups.iter().all(|group| {
            (1..=4).contains(&group.len()) && group.bytes().all(|byte| byte.is_ascii_digit())
        });
        groups.len() == 3 && numeric
    })
}

fn lengths(parts: &[&str]) -> [usize; 3] {
    [0, 1, 2].map(|at| parts.get(at).map_or(0, |part| part.len()))
}

fn is_address(token: &str) -> bool {
    token.contains('@')
        || token.contains("://")
        || token.to_ascii_lowercase().starts_with("www.")
        || is_internet(token)
}

/// `192.0.2.7`: four small numbers.
fn is_internet(token: &str) -> bool {
    let groups: Vec<&str> = token.split('.').collect();
    groups.len() == 4 && groups.iter().all(|group| group.parse::<u8>().is_ok())
}

fn is_year(word: &str) -> bool {
    word.len() == 4 && word.parse::<u32>().is_ok_and(|year| (1900..2100).contains(&year))
}

fn is_title_case(word: &str) -> bool {
    let mut characters = word.chars();
    characters.next().is_some_and(char::is_uppercase)
        && characters.all(|character| !character.is_uppercase())
}

#[cfg(test)]
mod tests {
    use pipehat_message::Charset;

    use super::super::alphabet::Alphabets;
    use super::super::key::Key;
    use super::super::vocabulary::vocabulary;
    use super::*;

    /// Words that are masked show as `_`.
    #[track_caller]
    fn check(text: &str, expected: &str) {
        let mut secrets = Secrets::default();
        secrets.add("Weiss 887766", |_| false);
        let extra = HashSet::new();
        let reader = Reader {
            vocabulary: vocabulary(),
            extra: &extra,
            secrets: &secrets,
            shift_days: 7,
            old: None,
        };
        let mut masks = Words::new(Key::new([1; 32]), Alphabets::new(Charset::UTF_8));
        let mut output = String::new();
        reader.scrub(text, &mut masks, &mut output);
        assert_eq!(output.chars().count(), text.chars().count(), "{output}");
        let mut shown = String::new();
        for (before, after) in pieces(text).zip(pieces(&output)) {
            match (before, after) {
                (Piece::Word(before), Piece::Word(after)) if before == after => {
                    shown.push_str(after)
                }
                (Piece::Word(before), Piece::Word(after)) if is_moved(before, after) => {
                    shown.push_str(after)
                }
                (Piece::Word(_), _) => shown.push('_'),
                (Piece::Other(other), _) => shown.push_str(other),
            }
        }
        assert_eq!(shown, expected);
    }

    fn is_moved(before: &str, after: &str) -> bool {
        let expected = date::shifted(before, 7);
        before.len() >= 8 && expected.as_deref() == Some(after) || before == "95" && after == "90"
    }

    #[test]
    fn clinical_words_and_values_stay() {
        check("Glucose 5.4 mmol/L, normal.", "Glucose 5.4 mmol/L, normal.");
        check("BP 120/80, HR 72", "BP 120/80, HR 72");
        check("growth of E. coli in 2021", "growth of E. _ in 2021");
    }

    #[test]
    fn names_go_and_so_do_secrets_that_are_words() {
        check("Seen by Dr. Adler today", "Seen by Dr. _ today");
        check("Mrs Brown was called", "Mrs _ was called");
        check("WEISS was called", "_ was called");
        check("called Karla Rose about results", "called _ _ about results");
        check("please call Will Adler", "please call _ _");
        check("Patient was seen", "Patient was seen");
    }

    #[test]
    fn numbers_of_somebody_go() {
        check("call 555-0100 or (212) 555 0100 now", "call _-_ or (_) _ _ now");
        check("record 887766 and 1234", "record _ and _");
        check("mail a.b@example.org", "mail _._@_._");
        check("see http://example.org/x", "see _://_._/_");
        check("from 192.0.2.7", "from _._._._");
    }

    #[test]
    fn dates_move_or_go() {
        check("on 20240108", "on 20240101");
        check("on 2024-01-08", "on 2024-01-_");
        check("on 08.01.2024", "on _.01.2024");
        check("on 3/14/2021 at noon", "on _/_/_ at _");
        check("on 14 March", "on 14 _");
    }

    #[test]
    fn great_ages_are_one() {
        check("95 years old", "90 years old");
        check("45 years old", "45 years old");
        check("a man aged 95", "a man aged 90");
        check("pulse 95", "pulse 95");
    }
}
