//! How strictly a message is looked at.

use std::fmt;

/// How strictly a message is looked at. The rules are the same; how bad a departure is differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Level {
    /// Only what makes a message unusable.
    Lenient,
    /// What breaks receivers is an error, what irritates them a warning.
    #[default]
    Standard,
    /// To the letter: for those who test what they send.
    Strict,
}

impl Level {
    /// All, the mildest first.
    pub const ALL: [Self; 3] = [Self::Lenient, Self::Standard, Self::Strict];

    /// As it is written in settings.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lenient => "lenient",
            Self::Standard => "standard",
            Self::Strict => "strict",
        }
    }

    /// The level of this name; `default` is another name of the standard one.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "default" => Some(Self::Standard),
            _ => Self::ALL.into_iter().find(|level| level.as_str() == name),
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}
