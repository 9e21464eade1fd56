//! Text without what a search does not look at: case, accents, punctuation, white space
//! (FHIR R4 §3.1.1.4.8).

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

/// A text folded for comparison. Folding twice is folding once.
///
/// - Case and accents go, by Unicode's compatibility decomposition; so do the strokes of letters that have no
///   decomposition (`ø` is `o`, `ł` is `l`, `ß` is `ss`, `æ` is `ae`).
/// - Apostrophes and full stops go (`O'Brien` is `obrien`, `J.R.` is `jr`); hyphens, commas and the like are white
///   space (`Smith-Jones` is `smith jones`). Signs that mean something (`%`, `_`, `+`, `@`, `/` …) stay.
/// - Runs of white space are one space, and none stands at either end.
/// - What is nothing but punctuation stays, so that it does not find everything.
pub fn fold(text: &str) -> String {
    if let Some(folded) = fold_plain(text) {
        return folded;
    }
    let fold_with = if text.is_ascii() { fold_ascii } else { fold_unicode };
    let folded = fold_with(text, true);
    if folded.is_empty() { fold_with(text, false) } else { folded }
}

/// Most names: ASCII letters, digits and single spaces.
fn fold_plain(text: &str) -> Option<String> {
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b' ')
        && !text.starts_with(' ')
        && !text.ends_with(' ')
        && !text.contains("  ");
    plain.then(|| text.to_ascii_lowercase())
}

/// As [`fold_unicode`], for texts that have nothing to decompose.
fn fold_ascii(text: &str, drop_punctuation: bool) -> String {
    let mut folded = String::with_capacity(text.len());
    let mut space = false;
    for character in text.chars() {
        if drop_punctuation && is_dropped(character) {
            continue;
        }
        let white = character.is_whitespace() || character.is_control();
        if white || (drop_punctuation && separates(character)) {
            space = true;
            continue;
        }
        if space && !folded.is_empty() {
            folded.push(' ');
        }
        space = false;
        folded.push(character.to_ascii_lowercase());
    }
    folded
}

fn fold_unicode(text: &str, drop_punctuation: bool) -> String {
    let mut folded = String::with_capacity(text.len());
    let mut space = false;
    for decomposed in text.nfkd() {
        for character in decomposed.to_lowercase().nfkd() {
            if is_combining_mark(character) {
                continue;
            }
            let white = character.is_whitespace() || character.is_control();
            if drop_punctuation && is_dropped(character) {
                continue;
            }
            if white || (drop_punctuation && separates(character)) {
                space = true;
                continue;
            }
            if space && !folded.is_empty() {
                folded.push(' ');
            }
            space = false;
            match without_stroke(character) {
                Some(letters) => folded.push_str(letters),
                None => folded.push(character),
            }
        }
    }
    folded
}

fn is_dropped(character: char) -> bool {
    matches!(
        character,
        '\'' | '’' | '‘' | 'ʼ' | '`' | '´' | '.' | '"' | '“' | '”' | '„' | '\u{ad}' | '\u{200b}'
            ..='\u{200f}'
    )
}

fn separates(character: char) -> bool {
    matches!(
        character,
        '-' | '‐'
            ..='―' | ',' | ';' | ':' | '(' | ')' | '[' | ']' | '!' | '?' | '¡' | '¿' | '·' | '•'
    )
}

/// Letters that NFKD leaves whole although people leave their stroke away.
fn without_stroke(character: char) -> Option<&'static str> {
    Some(match character {
        'ß' => "ss",
        'æ' => "ae",
        'œ' => "oe",
        'ø' => "o",
        'ł' => "l",
        'đ' | 'ð' => "d",
        'þ' => "th",
        'ı' => "i",
        'ħ' => "h",
        'ŧ' => "t",
        'ς' => "σ",
        _ => return None,
    })
}

/// What is longer is no word.
const WORD_BYTES_MAX: usize = 64;

/// The words of a text, folded, for full text searches: runs of letters and digits.
pub(crate) fn words(text: &str) -> impl Iterator<Item = String> {
    let folded = fold(text);
    let words: Vec<String> = folded
        .split(|character: char| !character.is_alphanumeric())
        .filter(|word| (1..=WORD_BYTES_MAX).contains(&word.len()))
        .map(str::to_owned)
        .collect();
    words.into_iter()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(fold(text), expected, "{text}");
    }

    #[test]
    fn what_people_write_differently_is_the_same() {
        check("Müller", "muller");
        check("MÜLLER", "muller");
        check("Mu\u{308}ller", "muller");
        check("Straße", "strasse");
        check("STRASSE", "strasse");
        check("Łódź", "lodz");
        check("İstanbul", "istanbul");
        check("ﬁne", "fine");
        check("ΣΊΣΥΦΟΣ", "σισυφοσ");
        check("  van \t der\u{a0}Berg ", "van der berg");
        check("O’Brien", "obrien");
        check("O'Brien", "obrien");
        check("Smith-Jones", "smith jones");
        check("Smith - Jones, J.R.", "smith jones jr");
    }

    #[test]
    fn signs_stay() {
        check("50%", "50%");
        check("a_b", "a_b");
        check("\\", "\\");
        check("*", "*");
    }

    #[test]
    fn punctuation_alone_does_not_vanish() {
        check("-", "-");
        check(" .. ", "..");
        check("", "");
        check("  ", "");
    }

    #[test]
    fn words_are_found() {
        let found: Vec<String> = words("<Bone-marrow> METASTASES, 2x (é)").collect();
        assert_eq!(found, ["bone", "marrow", "metastases", "2x", "e"]);
        assert_eq!(words(&"x".repeat(64)).count(), 1);
        assert_eq!(words(&"x".repeat(65)).count(), 0);
    }

    proptest! {
        #[test]
        fn folding_twice_is_folding_once(text in any::<String>()) {
            let once = fold(&text);
            prop_assert_eq!(fold(&once), once);
        }

        #[test]
        fn ascii_has_a_way_of_its_own(text in "[\\x00-\\x7f]{0,20}", drop: bool) {
            prop_assert_eq!(fold_ascii(&text, drop), fold_unicode(&text, drop));
        }

        #[test]
        fn the_short_way_is_the_long_way(text in "[a-zA-Z0-9 ]{0,20}") {
            prop_assert_eq!(fold(&text), fold_unicode(&text, true));
        }
    }
}
