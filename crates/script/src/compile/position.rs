//! From a place in the JavaScript that runs to the place in the file that the author wrote.

/// The map of one file. Lines and columns are counted from 1.
#[derive(Debug, Clone, Default)]
pub(crate) struct Positions {
    /// In order of the JavaScript; empty where nothing moved.
    tokens: Vec<Token>,
    /// By how many columns the first line was moved.
    first_line_moved: u32,
}

#[derive(Debug, Clone, Copy)]
struct Token {
    code: (u32, u32),
    source: (u32, u32),
}

impl Positions {
    /// Of a file that runs as it was written.
    pub(crate) fn same() -> Self {
        Self::default()
    }

    /// Of a file before whose first line something was put.
    pub(crate) fn after(prefix: &str) -> Self {
        let first_line_moved = u32::try_from(prefix.chars().count()).unwrap_or(0);
        Self { tokens: Vec::new(), first_line_moved }
    }

    /// Of the tokens of a source map, which count from 0: line and column of the JavaScript, then of the source.
    pub(crate) fn of_tokens(tokens: impl Iterator<Item = [u32; 4]>) -> Self {
        let one_based = |line: u32, column: u32| (line.saturating_add(1), column.saturating_add(1));
        let token = |[line, column, source_line, source_column]: [u32; 4]| Token {
            code: one_based(line, column),
            source: one_based(source_line, source_column),
        };
        let mut tokens: Vec<Token> = tokens.map(token).collect();
        tokens.sort_by_key(|token| token.code);
        Self { tokens, first_line_moved: 0 }
    }

    /// Where a place of the JavaScript was written; none for what was added.
    pub(crate) fn source(&self, line: u32, column: u32) -> Option<(u32, u32)> {
        if self.tokens.is_empty() {
            let moved = if line == 1 { self.first_line_moved } else { 0 };
            return Some((line, column.checked_sub(moved)?));
        }
        let after = self.tokens.partition_point(|token| token.code <= (line, column));
        let before = self.tokens.get(..after)?.last().filter(|token| token.code.0 == line);
        let first = || self.tokens.get(after).filter(|token| token.code.0 == line);
        before.or_else(first).map(|token| token.source)
    }
}
