//! Names of channels, destinations and tables.

use pipehat_config::{Diagnostic, Diagnostics, Span};

/// The longest name: it stands in metrics, file names and tables of the console.
pub(super) const NAME_CHARS_MAX: usize = 64;

/// Whether a text may be a name: small letters, digits, `-` and `_`, beginning with a letter or
/// digit.
pub(super) fn is_name(text: &str) -> bool {
    let lawful = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    text.chars().all(lawful)
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.len() <= NAME_CHARS_MAX
}

/// Reports a text that is no name, with one that is.
pub(super) fn check_name(
    text: &str,
    what: &str,
    span: &Span,
    diagnostics: &mut Diagnostics,
) -> bool {
    if is_name(text) {
        return true;
    }
    let mut likely: String = text
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' })
        .collect();
    likely.truncate(NAME_CHARS_MAX);
    let likely = likely.trim_matches(['-', '_']).to_owned();
    let error =
        Diagnostic::error("project.name", span, format!("this can't be the name of {what}"));
    let error =
        if is_name(&likely) { error.with_suggestion(format!("write `{likely}`")) } else { error };
    diagnostics.push(error.with_help(format!(
        "a name has small letters, digits, `-` and `_`, at most {NAME_CHARS_MAX} of them"
    )));
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_and_short() {
        for good in ["adt-in", "a", "7b", "lab_2", &"a".repeat(NAME_CHARS_MAX)] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", "ADT", "-a", "_a", "a b", "a.b", "ä", &"a".repeat(NAME_CHARS_MAX + 1)] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
