//! Free text: what is known to tell nobody stays, all else becomes pseudonyms.

use std::collections::HashSet;

use super::date;
use super::secrets::Secrets;
use super::vocabulary::Vocabulary;
use super::words::{Piece, Words, pieces, words};

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

/// The longest of them, with room for letters that are longer in upper case.
const AGE_BEFORE_BYTES_MAX: usize = 16;

const AGE_WORDS: &[&str] =
    &["y", "yo", "yr", "yrs", "year", "years", "jahre", "jähriger", "jährige", "ans", "años"];

/// What free text is read against.
pub(super) struct Reader<'a> {
    pub(super) vocabulary: &'a Vocabulary,
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
        let mut tokens = Tokens { rest: text };
        let mut number = Number::default();
        let mut after = After::Nothing;
        let mut before = Before::default();
        while let Some(token) = tokens.next() {
            if token.starts_with(char::is_whitespace) {
                output.push_str(token);
                continue;
            }
            if number.goes_on(token, tokens) {
                self.number(token, masks, output);
                after = After::Nothing;
            } else if is_address(token) {
                masks.mask(token, output);
                after = After::Nothing;
            } else {
                after = self.token(token, tokens, (after, &before), masks, output);
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
        if text.len() != "2026-01-31".len() {
            return None;
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
        rest: Tokens<'_>,
        (mut after, before): (After, &Before),
        masks: &mut Words,
        output: &mut String,
    ) -> After {
        let mut inner = pieces(token);
        while let Some(piece) = inner.next() {
            let word = match piece {
                Piece::Word(word) => word,
                Piece::Other(other) => {
                    output.push_str(other);
                    continue;
                }
            };
            let following = || {
                // Behind the token stands a blank, and then the next one.
                let next = || rest.clone().nth(1).and_then(|next| words(next).next());
                inner.clone().words().next().or_else(next).unwrap_or_default()
            };
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
    fn is_age<'t>(&self, word: &str, following: impl Fn() -> &'t str, before: &Before) -> bool {
        let age = word.parse::<u32>().ok().filter(|age| (AGE_MAX + 1..=AGE_CEILING).contains(age));
        age.is_some_and(|age| {
            self.old.is_some_and(|old| age.abs_diff(old.age) <= 1)
                || before.tells_age
                || AGE_WORDS.contains(&following().to_lowercase().as_str())
        })
    }

    /// Whether a common word is part of a name: within a sentence, before a name, as in `call Will Adler`.
    fn begins_name<'t>(
        &self,
        word: &str,
        following: impl Fn() -> &'t str,
        before: &Before,
    ) -> bool {
        !before.ends_sentence && word.chars().count() > 1 && {
            let following = following();
            is_title_case(following) && !self.is_known(following, &following.to_lowercase())
        }
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
        let word = token.trim_matches(|c: char| !c.is_alphanumeric());
        Self {
            ends_sentence: token.ends_with(['.', ':', '!', '?', ';']),
            tells_age: word.len() <= AGE_BEFORE_BYTES_MAX
                && AGE_BEFORE.contains(&word.to_lowercase().as_str()),
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

/// A text by its blanks: runs of blanks, and what is between them.
#[derive(Clone, Copy)]
struct Tokens<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Tokens<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let blank = self.rest.chars().next()?.is_whitespace();
        let end = self.rest.find(|character: char| character.is_whitespace() != blank);
        let (token, after) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = after;
        Some(token)
    }
}

/// Digits that stand close together, as a telephone number is written in several groups.
#[derive(Default)]
struct Number {
    /// Of the groups so far.
    digits: usize,
}

/// What a token is to a number.
enum Group {
    /// So many of its digits.
    Digits(usize),
    /// A number of its own that somebody has, or a date.
    Telling,
    /// Its end: another word, or a measured value.
    End,
}

impl Number {
    /// Whether this token belongs to a number that somebody has; `rest` is what follows.
    fn goes_on(&mut self, token: &str, rest: Tokens<'_>) -> bool {
        let digits = match group(token) {
            Group::Digits(digits) => digits,
            telling_or_end => {
                self.digits = 0;
                return matches!(telling_or_end, Group::Telling);
            }
        };
        self.digits += digits;
        let mut digits = self.digits;
        // Each group has a digit, so that a few of them decide.
        let mut following = rest.filter(|token| !token.starts_with(char::is_whitespace));
        while digits < TELLING_DIGITS
            && let Some(Group::Digits(more)) = following.next().map(group)
        {
            digits += more;
        }
        digits >= TELLING_DIGITS
    }
}

fn group(token: &str) -> Group {
    let count = token.bytes().filter(u8::is_ascii_digit).count();
    if count == 0 {
        return Group::End;
    }
    let numeric = token
        .chars()
        .all(|character| character.is_ascii_digit() || "()+-./,;:#".contains(character));
    if is_short_date(token) || !numeric && count >= TELLING_DIGITS {
        return Group::Telling;
    }
    // A comma or a full stop after a group ends a number; measured values have decimals and stand alone.
    let measured = token.contains('.') && count < TELLING_DIGITS && token.parse::<f64>().is_ok();
    if numeric && !measured { Group::Digits(count) } else { Group::End }
}

/// `3/14/21`, `14.3.2021`, `2021-03-14`: three groups of digits, as days are written.
fn is_short_date(token: &str) -> bool {
    const BYTES_MAX: usize = "2021-2021-2021".len();
    let token = token.trim_matches(|character: char| !character.is_ascii_digit());
    token.len() <= BYTES_MAX
        && ['/', '.', '-'].into_iter().any(|separator| {
            let numeric = token.split(separator).all(|group| {
                (1..=4).contains(&group.len()) && group.bytes().all(|byte| byte.is_ascii_digit())
            });
            numeric && token.split(separator).count() == 3
        })
}

fn lengths(parts: &[&str]) -> [usize; 3] {
    [0, 1, 2].map(|at| parts.get(at).map_or(0, |part| part.len()))
}

fn is_address(token: &str) -> bool {
    token.contains('@')
        || token.contains("://")
        || token.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("www."))
        || is_internet(token)
}

/// `192.0.2.7`: four small numbers.
fn is_internet(token: &str) -> bool {
    let groups = || token.split('.').take(5);
    groups().count() == 4 && groups().all(|group| group.parse::<u8>().is_ok())
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
