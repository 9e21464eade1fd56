//! Lines and tables that fit a screen: columns that may be left out go before anything is cut.

use std::fmt::Display;

use crate::terminal::{Terminal, Tone, columns, fit};

/// One line, in pieces that each have a tone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Line(Vec<(String, Option<Tone>)>);

impl Line {
    /// Adds a piece.
    pub(crate) fn add(&mut self, text: impl Into<String>, tone: Option<Tone>) {
        self.0.push((text.into(), tone));
    }

    /// As much of it as so many columns hold.
    pub(crate) fn fit(self, width: usize) -> Self {
        let mut left = width;
        let mut pieces = Vec::new();
        for (text, tone) in self.0 {
            let used = columns(&text);
            if used > left {
                if left > 0 {
                    pieces.push((fit(&text, Some(left)), tone));
                }
                break;
            }
            left -= used;
            pieces.push((text, tone));
        }
        Self(pieces)
    }

    /// With colours, if the terminal has them.
    pub(crate) fn paint(&self, terminal: &Terminal) -> String {
        let paint = |(text, tone): &(String, Option<Tone>)| match tone {
            Some(tone) => terminal.paint(*tone, text),
            None => text.clone(),
        };
        self.0.iter().map(paint).collect()
    }

    /// Without.
    #[cfg(test)]
    pub(crate) fn text(&self) -> String {
        self.0.iter().map(|(text, _)| text.as_str()).collect()
    }
}

/// One cell.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    text: String,
    tone: Option<Tone>,
}

impl Cell {
    /// A cell without a tone.
    pub(crate) fn plain(value: impl Display) -> Self {
        Self { text: value.to_string(), tone: None }
    }

    /// A cell with one.
    pub(crate) fn toned(value: impl Display, tone: Tone) -> Self {
        Self { text: value.to_string(), tone: Some(tone) }
    }

    /// A cell with a tone if something is so.
    pub(crate) fn when(value: impl Display, so: bool, tone: Tone) -> Self {
        Self { text: value.to_string(), tone: so.then_some(tone) }
    }
}

/// One column.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    title: &'static str,
    /// None: all that is left.
    width: Option<usize>,
    /// As wide as it is, or should at least be.
    least: usize,
    to_the_right: bool,
    /// Columns with a higher number go first where there is no room; those with 0 stay.
    goes: u8,
}

impl Column {
    /// Text, so many columns wide.
    pub(crate) const fn text(title: &'static str, width: usize) -> Self {
        Self { title, width: Some(width), least: width, to_the_right: false, goes: 0 }
    }

    /// Numbers, so many columns wide.
    pub(crate) const fn number(title: &'static str, width: usize) -> Self {
        Self { title, width: Some(width), least: width, to_the_right: true, goes: 0 }
    }

    /// Text, as wide as there is room, and if possible so many columns. The last column.
    pub(crate) const fn rest(title: &'static str, least: usize) -> Self {
        Self { title, width: None, least, to_the_right: false, goes: 0 }
    }

    /// It may be left out.
    pub(crate) const fn may_go(mut self, order: u8) -> Self {
        self.goes = order;
        self
    }
}

/// A heading and its rows.
pub(crate) fn table(heading: &[Column], rows: Vec<Vec<Cell>>, width: usize) -> Vec<Line> {
    let mut shown: Vec<bool> = vec![true; heading.len()];
    let needed = |shown: &[bool]| -> usize {
        let widths = heading.iter().zip(shown).filter(|(_, shown)| **shown);
        widths.map(|(column, _)| column.least + 1).sum::<usize>()
    };
    for order in [2, 1] {
        if needed(&shown) > width + 1 {
            for (column, shown) in heading.iter().zip(&mut shown) {
                *shown &= column.goes < order;
            }
        }
    }
    let titles = heading.iter().map(|column| Cell::toned(column.title, Tone::Faint)).collect();
    let rows = std::iter::once(titles).chain(rows);
    rows.map(|cells| row(heading, &shown, &cells).fit(width)).collect()
}

fn row(heading: &[Column], shown: &[bool], cells: &[Cell]) -> Line {
    let mut line = Line::default();
    let visible = heading.iter().zip(shown).zip(cells).filter(|((_, shown), _)| **shown);
    for (at, ((column, _), cell)) in visible.enumerate() {
        if at > 0 {
            line.add(" ", None);
        }
        let Some(width) = column.width else {
            line.add(&cell.text, cell.tone);
            continue;
        };
        let text = fit(&cell.text, Some(width));
        let padding = " ".repeat(width.saturating_sub(columns(&text)));
        if column.to_the_right {
            line.add(padding, None);
            line.add(text, cell.tone);
        } else {
            line.add(text, cell.tone);
            line.add(padding, None);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(width: usize, expected: &[&str]) {
        let heading = [
            Column::text("name", 6),
            Column::number("one", 4).may_go(1),
            Column::number("two", 4).may_go(2),
            Column::rest("remark", 16),
        ];
        let row = ["山田太郎", "1", "22", "a remark that is long"];
        let rows = vec![row.iter().map(Cell::plain).collect()];
        let lines: Vec<String> = table(&heading, rows, width).iter().map(Line::text).collect();
        assert_eq!(lines, expected);
    }

    #[test]
    fn columns_go_before_anything_is_cut() {
        check(40, &["name    one  two remark", "山田…     1   22 a remark that is long"]);
        check(30, &["name    one remark", "山田…     1 a remark that is …"]);
        check(26, &["name   remark", "山田…  a remark that is l…"]);
        check(9, &["name   r…", "山田…  a…"]);
    }

    #[test]
    fn a_line_is_cut_in_the_piece_that_is_too_long() {
        let mut line = Line::default();
        line.add("abc", Some(Tone::Good));
        line.add("defgh", None);
        assert_eq!(line.clone().fit(8).text(), "abcdefgh");
        assert_eq!(line.clone().fit(6).text(), "abcde…");
        assert_eq!(line.clone().fit(3).text(), "abc");
        assert_eq!(line.fit(0).text(), "");
    }
}
