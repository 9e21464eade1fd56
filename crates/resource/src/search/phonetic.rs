//! What names sound like: American Soundex, for the parameters `phonetic` of R4, which leaves the way of comparing to
//! the server. Words of other alphabets sound like themselves.

use super::fold::words;

/// A letter and three digits.
const KEY_LENGTH: usize = 4;

/// What each word of a text sounds like.
pub(super) fn sounds(text: &str) -> impl Iterator<Item = String> {
    words(text).map(|word| soundex(&word).unwrap_or(word))
}

/// The key of a folded word; `None` where it has other characters than `a` to `z`.
fn soundex(word: &str) -> Option<String> {
    if !word.bytes().all(|byte| byte.is_ascii_lowercase()) {
        return None;
    }
    let mut letters = word.chars();
    let first = letters.next()?;
    let mut key = String::from(first);
    let mut before = digit(first);
    for letter in letters {
        let own = digit(letter);
        match own {
            // `h` and `w` part nothing, vowels do.
            None if matches!(letter, 'h' | 'w') => continue,
            Some(digit) if own != before && key.len() < KEY_LENGTH => key.push(digit),
            _ => {}
        }
        before = own;
    }
    while key.len() < KEY_LENGTH {
        key.push('0');
    }
    Some(key)
}

fn digit(letter: char) -> Option<char> {
    match letter {
        'b' | 'f' | 'p' | 'v' => Some('1'),
        'c' | 'g' | 'j' | 'k' | 'q' | 's' | 'x' | 'z' => Some('2'),
        'd' | 't' => Some('3'),
        'l' => Some('4'),
        'm' | 'n' => Some('5'),
        'r' => Some('6'),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_sound_alike_have_one_key() {
        let check = |text: &str, expected: &str| {
            assert_eq!(sounds(text).collect::<Vec<_>>().join(" "), expected, "{text}");
        };
        check("Robert", "r163");
        check("Rupert", "r163");
        check("Ashcraft", "a261");
        check("Tymczak", "t522");
        check("Pfister", "p236");
        check("Honeyman", "h555");
        check("Doe Doh", "d000 d000");
        check("Müller-Lüdenscheidt", "m460 l352");
        check("Иванов 3rd", "иванов 3rd");
        check("", "");
    }
}
