//! Code tables: what a code of one side is called on the other.
//!
//! A table is a CSV file with a heading. The first column holds the codes that are looked up, the
//! second what each becomes; `column: NAME` in a step takes another one. Codes are compared
//! exactly, as HL7 codes are (`m` is not `M`).

use std::collections::HashMap;
use std::sync::Arc;

/// A mistake in a table's file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TableMistake {
    /// Which line, from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: &'static str,
}

/// A code table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    name: Arc<str>,
    columns: Vec<String>,
    rows: HashMap<String, Vec<String>>,
}

impl Table {
    /// The most rows of a table: it is held in memory by every running revision.
    pub const ROWS_MAX: usize = 1_000_000;

    /// Reads a table; tells every mistake in it.
    ///
    /// # Errors
    /// When there is no heading, a row has too few or too many columns, or a code stands twice.
    pub fn parse(name: &str, text: &str) -> Result<Self, Vec<TableMistake>> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .trim(csv::Trim::All)
            .from_reader(text.as_bytes());
        let mut columns: Vec<String> = Vec::new();
        let mut rows: HashMap<String, Vec<String>> = HashMap::new();
        let mut lines: HashMap<String, usize> = HashMap::new();
        let mut mistakes = Vec::new();
        let mut mistake = |line: usize, message: String, help: &'static str| {
            mistakes.push(TableMistake { line, message, help });
        };
        for record in reader.records() {
            let record = match record {
                Ok(record) => record,
                Err(error) => {
                    let line = error.position().map_or(1, |position| first_line(text, position));
                    mistake(line, "this line can't be read".to_owned(), "check its quotes");
                    continue;
                }
            };
            let line = record.position().map_or(1, |position| first_line(text, position));
            let mut cells = record.iter().map(str::to_owned);
            if columns.is_empty() {
                columns = cells.collect();
                if columns.len() < 2 {
                    mistake(
                        line,
                        "a table has at least two columns: the code, and what it becomes"
                            .to_owned(),
                        "separate the columns with a comma",
                    );
                    break;
                }
                continue;
            }
            if record.len() != columns.len() {
                mistake(
                    line,
                    format!(
                        "this line has {} where the heading has {}",
                        columns_in_words(record.len()),
                        columns_in_words(columns.len())
                    ),
                    if record.len() > columns.len() {
                        "put quotes around a value that has a comma in it"
                    } else {
                        "add what is missing; look for a quote that is never closed"
                    },
                );
                continue;
            }
            let Some(code) = cells.next() else { continue };
            if code.is_empty() {
                mistake(
                    line,
                    "the code in the first column is missing".to_owned(),
                    "fill it in, or remove the line: an empty field is never looked up",
                );
                continue;
            }
            if let Some(first) = lines.get(&code) {
                mistake(
                    line,
                    format!("this code already stands in line {first}"),
                    "keep one of the two lines",
                );
                continue;
            }
            if rows.len() >= Self::ROWS_MAX {
                mistake(
                    line,
                    format!("a table has at most {} rows", Self::ROWS_MAX),
                    "split it into several tables",
                );
                break;
            }
            lines.insert(code.clone(), line);
            rows.insert(code, cells.collect());
        }
        if columns.is_empty() && mistakes.is_empty() {
            mistakes.push(TableMistake {
                line: 1,
                message: "this table is empty".to_owned(),
                help: "begin with a heading, such as `code,becomes`",
            });
        }
        if mistakes.is_empty() {
            Ok(Self { name: name.into(), columns, rows })
        } else {
            Err(mistakes)
        }
    }

    /// Its name: the file's, without `.csv`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The heading, the column of codes first.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The codes of the first column.
    pub fn codes(&self) -> impl Iterator<Item = &str> {
        self.rows.keys().map(String::as_str)
    }

    /// What a code becomes by the second column.
    pub fn becomes(&self, code: &str) -> Option<&str> {
        self.rows.get(code)?.first().map(String::as_str)
    }

    /// The number of a column that can be asked for, by its heading.
    pub(super) fn column(&self, heading: &str) -> Option<TableColumn> {
        let position = self.columns.iter().skip(1).position(|column| column == heading)?;
        Some(TableColumn(position))
    }

    /// What a code becomes.
    pub(super) fn look_up(&self, code: &str, column: TableColumn) -> Option<&str> {
        self.rows.get(code)?.get(column.0).map(String::as_str)
    }
}

/// A column that holds answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TableColumn(usize);

impl TableColumn {
    /// The second column of the file.
    pub(super) const FIRST: Self = Self(0);
}

/// The line a record begins in, from 1. The reader says where the record before it ended, which is
/// ahead of the LF of a CRLF and of blank lines.
fn first_line(text: &str, position: &csv::Position) -> usize {
    let line = usize::try_from(position.line()).unwrap_or(usize::MAX);
    let rest = usize::try_from(position.byte()).ok().and_then(|at| text.get(at..)).unwrap_or("");
    let ends = rest.bytes().take_while(|byte| matches!(byte, b'\r' | b'\n'));
    line.saturating_add(ends.filter(|byte| *byte == b'\n').count())
}

fn columns_in_words(count: usize) -> String {
    if count == 1 { "1 column".to_owned() } else { format!("{count} columns") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(text: &str) -> Vec<(usize, String)> {
        Table::parse("gender", text)
            .expect_err("the table has mistakes")
            .into_iter()
            .map(|mistake| (mistake.line, mistake.message))
            .collect()
    }

    #[test]
    fn the_second_column_answers_unless_another_is_named() {
        let text = "\u{feff}code,fhir,note\r\nM,male,\r\n\"F\", female ,\"a, b\"\r\n";
        let table = Table::parse("gender", text).expect("a table");
        assert_eq!(table.look_up("M", TableColumn::FIRST), Some("male"));
        assert_eq!(table.look_up("F", TableColumn::FIRST), Some("female"));
        assert_eq!(table.look_up("m", TableColumn::FIRST), None);
        let note = table.column("note").expect("a column");
        assert_eq!(table.look_up("F", note), Some("a, b"));
        assert_eq!(table.look_up("M", note), Some(""));
        assert_eq!(table.column("code"), None, "the codes themselves are no answer");
    }

    #[test]
    fn every_mistake_is_told_with_its_line() {
        assert_eq!(mistakes(""), [(1, "this table is empty".to_owned())]);
        assert_eq!(mistakes("code\nM\n").len(), 1);
        assert_eq!(
            mistakes("a,b\nM,1\nF\n,3\nM,2\n"),
            [
                (3, "this line has 1 column where the heading has 2 columns".to_owned()),
                (4, "the code in the first column is missing".to_owned()),
                (5, "this code already stands in line 2".to_owned()),
            ]
        );
    }

    #[test]
    fn lines_are_counted_as_editors_count_them() {
        for text in [
            "a,b\n\nM,1\nF,\"2\n3\"\n\nM,2\n",
            "a,b\r\n\r\nM,1\r\nF,\"2\r\n3\"\r\n\r\nM,2\r\n",
            "\u{feff}a,b\r\n\r\nM,1\r\nF,\"2\r\n3\"\r\n\r\nM,2",
        ] {
            let expected = [(7, "this code already stands in line 3".to_owned())];
            assert_eq!(mistakes(text), expected, "{text:?}");
        }
    }
}
