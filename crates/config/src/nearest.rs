//! The nearest word of a list, for "did you mean".

/// Longer words are not compared: the edit distance costs the product of both lengths.
const WORD_CHARS_MAX: usize = 64;

/// The candidate that `word` was probably meant to be, or none when nothing comes close.
///
/// Case, and the difference between `-`, `_` and a space, do not count; a swapped pair of letters is one mistake; about
/// one mistake in three letters is allowed, and a word that the candidate begins or ends with is close, too.
pub fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let word = folded(word)?;
    let mistakes_max = (word.chars().count() / 3).max(1);
    let mut best: Option<(usize, &'c str)> = None;
    for candidate in candidates {
        let Some(other) = folded(candidate) else { continue };
        let mistakes = strsim::damerau_levenshtein(&word, &other);
        // One letter for another is a different word when there are only one or two.
        let short = word.chars().count().min(other.chars().count()) < 2;
        let rank = if mistakes == 0 || (mistakes <= mistakes_max && !short) {
            mistakes
        } else if is_part(&word, &other) || is_part(&other, &word) {
            mistakes_max + mistakes
        } else {
            continue;
        };
        if best.is_none_or(|(best_rank, _)| rank < best_rank) {
            best = Some((rank, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// Whether one word is a whole part of the other: `timeout` of `idle_timeout`, `host` of `hostname`.
fn is_part(part: &str, whole: &str) -> bool {
    part.chars().count() >= 4 && (whole.starts_with(part) || whole.ends_with(part))
}

fn folded(word: &str) -> Option<String> {
    let folded: String = word
        .chars()
        .take(WORD_CHARS_MAX + 1)
        .flat_map(char::to_lowercase)
        .map(|character| if matches!(character, '-' | ' ') { '_' } else { character })
        .collect();
    (!folded.is_empty() && folded.chars().count() <= WORD_CHARS_MAX).then_some(folded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(word: &str, expected: Option<&str>) {
        let keys =
            ["listen", "tls", "idle_timeout", "ack_timeout", "allow", "connect", "from", "to"];
        assert_eq!(nearest(word, keys), expected, "{word}");
    }

    #[test]
    fn typing_mistakes_find_their_word() {
        check("lisen", Some("listen"));
        check("lsiten", Some("listen"));
        check("Listen", Some("listen"));
        check("idle-timeout", Some("idle_timeout"));
        check("idletimeout", Some("idle_timeout"));
        check("idle", Some("idle_timeout"));
        check("form", Some("from"));
        check("ot", Some("to"));
    }

    #[test]
    fn other_words_find_nothing() {
        check("port", None);
        check("x", None);
        check("", None);
        check("description", None);
        check(&"l".repeat(5000), None);
    }
}
