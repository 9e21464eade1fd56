//! Text that must not be printed.

use std::fmt;

/// Text that may say something about a patient: `Debug` and `Display` print `[redacted]`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Redacted(Box<str>);

impl Redacted {
    /// Wraps the text.
    pub fn new(text: impl Into<Box<str>>) -> Redacted {
        Redacted(text.into())
    }

    /// The text, for showing it to a person who may see it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Redacted {
    fn from(text: &str) -> Redacted {
        Redacted::new(text)
    }
}

impl From<String> for Redacted {
    fn from(text: String) -> Redacted {
        Redacted::new(text)
    }
}

impl fmt::Debug for Redacted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[redacted]")
    }
}

impl fmt::Display for Redacted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::Redacted;

    #[test]
    fn the_text_is_only_given_when_asked_for() {
        let text = Redacted::from("MRN-77");
        assert_eq!(format!("{text} {text:?}"), "[redacted] [redacted]");
        assert_eq!(text.expose(), "MRN-77");
    }
}
