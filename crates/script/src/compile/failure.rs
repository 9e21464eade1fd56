//! Why a script cannot be compiled: all that is wrong in it, at once.

use std::fmt;

/// Why a script cannot be compiled, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptError {
    /// The file, relative to the project.
    pub file: String,
    /// The line, from 1; 0 where the whole file is meant.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// The line itself.
    pub excerpt: Option<String>,
}

/// A place in a text, both from 1, the column in characters.
pub(super) struct Place {
    pub(super) line: u32,
    pub(super) column: u32,
}

impl Place {
    /// Of a byte.
    pub(super) fn of(source: &str, offset: usize) -> Self {
        let before = source.get(..offset.min(source.len())).unwrap_or(source);
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = before.matches('\n').count() + 1;
        let column = before.get(start..).unwrap_or_default().chars().count() + 1;
        let number = |number| u32::try_from(number).unwrap_or(u32::MAX);
        Self { line: number(line), column: number(column) }
    }
}

/// How much of a line is shown.
const EXCERPT_CHARACTERS_MAX: usize = 160;

impl ScriptError {
    /// One about the whole of a file.
    pub(crate) fn of_file(file: &str, message: impl Into<String>) -> Self {
        let (file, message) = (file.to_owned(), message.into());
        Self { file, line: 0, column: 0, message, help: None, excerpt: None }
    }

    /// One about a place in a file, counted in bytes.
    pub(crate) fn at(file: &str, source: &str, offset: usize, message: impl Into<String>) -> Self {
        let place = Place::of(source, offset);
        Self::at_place(file, source, (place.line, place.column), message)
    }

    /// One about a line and a column of a file, both from 1.
    pub(crate) fn at_place(
        file: &str,
        source: &str,
        (line, column): (u32, u32),
        message: impl Into<String>,
    ) -> Self {
        let before = usize::try_from(line).unwrap_or(usize::MAX).saturating_sub(1);
        let whole = source.split('\n').nth(before).unwrap_or_default().trim_end_matches('\r');
        Self {
            line,
            column,
            excerpt: Some(whole.chars().take(EXCERPT_CHARACTERS_MAX).collect()),
            ..Self::of_file(file, message)
        }
    }

    pub(crate) fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// As a compiler prints it: the place, what is wrong, the line with a mark, what to do.
impl fmt::Display for ScriptError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, column, message, .. } = self;
        match line {
            0 => write!(formatter, "{file}: {message}")?,
            _ => write!(formatter, "{file}:{line}:{column}: {message}")?,
        }
        if let Some(excerpt) = &self.excerpt {
            let width = (*column as usize).saturating_sub(1);
            write!(formatter, "\n  {excerpt}\n  {:width$}^", "")?;
        }
        match &self.help {
            Some(help) => write!(formatter, "\n  help: {help}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ScriptError {}

/// All that is wrong with a script; at least one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptErrors(Vec<ScriptError>);

/// How many mistakes are told: the rest follows from them, or is found the next time.
const ERRORS_MAX: usize = 50;

impl ScriptErrors {
    /// None where there are none.
    pub(crate) fn of(errors: Vec<ScriptError>) -> Option<Self> {
        let errors: Vec<_> = errors.into_iter().take(ERRORS_MAX).collect();
        (!errors.is_empty()).then_some(Self(errors))
    }

    /// In the order in which the files are read, and the lines of each.
    pub fn iter(&self) -> impl Iterator<Item = &ScriptError> {
        self.0.iter()
    }
}

impl From<ScriptError> for ScriptErrors {
    fn from(error: ScriptError) -> Self {
        Self(vec![error])
    }
}

impl fmt::Display for ScriptErrors {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, error) in self.0.iter().enumerate() {
            let between = if number == 0 { "" } else { "\n" };
            write!(formatter, "{between}{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ScriptErrors {}
