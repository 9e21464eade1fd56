//! The pages that are made from the code, and whether the stored ones are current.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::{code_pages, connector_pages, validation_page};

/// One page.
pub(crate) struct Page {
    /// The command that makes it.
    pub(crate) command: &'static str,
    /// Where it is, seen from the root of the repository.
    pub(crate) path: &'static str,
    /// Makes its text.
    pub(crate) text: fn() -> String,
}

/// All of them.
pub(crate) const PAGES: &[Page] = &[
    Page { command: "docs", path: "docs/connectors.md", text: connector_pages::text },
    Page { command: "docs", path: "docs/codes.md", text: code_pages::text },
    Page { command: "docs", path: "docs/validation.md", text: validation_page::text },
    Page { command: "openapi", path: "docs/openapi.json", text: openapi },
];

impl Page {
    fn file(&self) -> PathBuf {
        root().join(self.path)
    }

    /// Writes it.
    pub(crate) fn write(&self) -> Result<()> {
        fs::write(self.file(), (self.text)()).with_context(|| format!("writing {}", self.path))
    }

    /// Whether the stored one is what the code says today.
    pub(crate) fn is_current(&self) -> Result<bool> {
        let stored =
            fs::read_to_string(self.file()).with_context(|| format!("reading {}", self.path))?;
        Ok(stored == (self.text)())
    }
}

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn openapi() -> String {
    let mut text = pipehat_server::openapi();
    text.push('\n');
    text
}

/// A text within a table: no line ends, and no bars that would end the cell.
pub(crate) fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pages_are_current() {
        for page in PAGES {
            let current = page.is_current().expect("the page is there");
            assert!(current, "{} is not current: run `cargo xtask {}`", page.path, page.command);
        }
    }

    #[test]
    fn a_bar_does_not_end_a_cell() {
        assert_eq!(cell("a | b\nc"), "a \\| b c");
    }
}
