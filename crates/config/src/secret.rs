//! Secrets: a reference in the file, a text that never shows itself in memory.

use std::fmt;

use zeroize::Zeroize;

use crate::environment::Environment;
use crate::source::Span;

/// What a reference to a secret starts with in a file.
pub(crate) const SECRET_PREFIX: &str = "secret:";

/// `secret:adt-key` in a file: the name of a secret, not the secret. The caller resolves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretReference {
    name: String,
    span: Span,
}

impl SecretReference {
    /// Reads `secret:NAME`; a name has letters, digits, `-`, `_`, `.` and `/`.
    pub(crate) fn read(text: &str, span: &Span) -> Option<Self> {
        let name = text.strip_prefix(SECRET_PREFIX)?.trim();
        let lawful =
            |character: char| character.is_ascii_alphanumeric() || "-_./".contains(character);
        (!name.is_empty() && name.chars().all(lawful))
            .then(|| Self { name: name.to_owned(), span: span.clone() })
    }

    /// The name, without `secret:`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where the reference stands.
    pub fn span(&self) -> &Span {
        &self.span
    }

    /// Asks for the secret. `None` when the environment does not have it.
    pub fn resolve(&self, environment: &dyn Environment) -> Option<SecretText> {
        environment.secret(&self.name)
    }
}

/// As in the file: `secret:adt-key`.
impl fmt::Display for SecretReference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{SECRET_PREFIX}{}", self.name)
    }
}

/// The text of a secret. `Debug` and `Display` print `[redacted]`; the memory is wiped when it is dropped.
#[derive(Clone)]
pub struct SecretText(String);

impl SecretText {
    /// Takes a secret in.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself. Call this only where it is used, and never keep the result.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl Drop for SecretText {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[redacted]")
    }
}

impl fmt::Display for SecretText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_shows_nothing_of_itself() {
        let secret = SecretText::new("opensesame");
        assert_eq!(
            format!("{secret} {secret:?} {:?}", Some(&secret)),
            "[redacted] [redacted] Some([redacted])"
        );
        assert_eq!(secret.expose(), "opensesame");
    }
}
