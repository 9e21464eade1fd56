//! What `_text` and `_content` ask for: words, and `AND`, `OR`, `NOT`, parentheses and quotation marks between them (FHIR
//! R4 §3.1.1.4.13 wants a syntax of this kind, and leaves it to the server).
//!
//! ```text
//! or   = and {"OR" and}
//! and  = term {["AND"] term}
//! term = "NOT" term | "(" or ")" | '"' words '"' | word
//! ```
//!
//! Operators are written in capitals. The index knows which words occur, not where: a phrase means all of its words.

use super::super::fold::words;
use super::super::query::Filter;
use super::Reader;
use super::problem::{Problem, invalid, too_costly};

/// How deep parentheses may stand in each other, and `NOT` before each other.
const DEPTH_MAX: usize = 20;

impl Reader<'_> {
    /// The condition of one value.
    pub(super) fn text_asked(&mut self, text: &str, whole: bool) -> Result<Filter, Problem> {
        let pieces = pieces(text);
        let operates =
            pieces.iter().any(|piece| matches!(piece, Piece::And | Piece::Or | Piece::Not));
        // Where there are no operators, parentheses and quotation marks are no more than marks.
        let pieces = if operates { pieces } else { vec![Piece::Words(words(text).collect())] };
        let mut cursor = pieces.into_iter().peekable();
        let filter = self.text_or(&mut cursor, whole, 0)?;
        if cursor.next().is_some() {
            return Err(invalid("a parenthesis is closed that was not opened"));
        }
        Ok(filter)
    }

    fn text_or(
        &mut self,
        cursor: &mut Cursor,
        whole: bool,
        depth: usize,
    ) -> Result<Filter, Problem> {
        let mut filters = vec![self.text_and(cursor, whole, depth)?];
        while cursor.next_if_eq(&Piece::Or).is_some() {
            filters.push(self.text_and(cursor, whole, depth)?);
        }
        Ok(one_or(filters, Filter::Any))
    }

    fn text_and(
        &mut self,
        cursor: &mut Cursor,
        whole: bool,
        depth: usize,
    ) -> Result<Filter, Problem> {
        let mut filters = Vec::new();
        // Words that stand together are looked up together.
        let mut together: Vec<String> = Vec::new();
        loop {
            if let Some(Piece::Words(own)) =
                cursor.next_if(|piece| matches!(piece, Piece::Words(_)))
            {
                together.extend(own);
            } else {
                filters.push(self.text_term(cursor, whole, depth)?);
            }
            let goes_on = cursor.next_if_eq(&Piece::And).is_some()
                || !matches!(cursor.peek(), None | Some(Piece::Or | Piece::Close));
            if !goes_on {
                break;
            }
        }
        if !together.is_empty() {
            self.spend()?;
            filters.insert(0, Filter::FullText { whole, words: together });
        }
        match filters.len() {
            0 => Err(expected()),
            _ => Ok(one_or(filters, Filter::All)),
        }
    }

    fn text_term(
        &mut self,
        cursor: &mut Cursor,
        whole: bool,
        depth: usize,
    ) -> Result<Filter, Problem> {
        if depth > DEPTH_MAX {
            return Err(too_costly(format!("stands {DEPTH_MAX} parentheses deep at most")));
        }
        self.spend()?;
        match cursor.next() {
            Some(Piece::Not) => {
                let filter = match cursor.next_if(|piece| matches!(piece, Piece::Words(_))) {
                    Some(Piece::Words(words)) if !words.is_empty() => {
                        Filter::FullText { whole, words }
                    }
                    Some(_) => return Err(expected()),
                    None => self.text_term(cursor, whole, depth.saturating_add(1))?,
                };
                Ok(Filter::Not(Box::new(filter)))
            }
            Some(Piece::Open) => {
                let filter = self.text_or(cursor, whole, depth.saturating_add(1))?;
                match cursor.next() {
                    Some(Piece::Close) => Ok(filter),
                    _ => Err(invalid("a parenthesis is not closed")),
                }
            }
            _ => Err(expected()),
        }
    }
}

type Cursor = std::iter::Peekable<std::vec::IntoIter<Piece>>;

#[derive(Debug, Clone, PartialEq)]
enum Piece {
    And,
    Or,
    Not,
    Open,
    Close,
    Words(Vec<String>),
}

fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.trim_start().chars().next() {
        rest = rest.trim_start();
        let behind = rest.get(first.len_utf8()..).unwrap_or_default();
        let (piece, left) = match first {
            '(' => (Piece::Open, behind),
            ')' => (Piece::Close, behind),
            '"' => {
                let (phrase, left) = behind.split_once('"').unwrap_or((behind, ""));
                (Piece::Words(words(phrase).collect()), left)
            }
            _ => {
                let ends = |next: char| next.is_whitespace() || matches!(next, '(' | ')' | '"');
                let (word, left) = rest.split_at(rest.find(ends).unwrap_or(rest.len()));
                let piece = match word {
                    "AND" => Piece::And,
                    "OR" => Piece::Or,
                    "NOT" => Piece::Not,
                    word => Piece::Words(words(word).collect()),
                };
                (piece, left)
            }
        };
        pieces.push(piece);
        rest = left;
    }
    pieces
}

fn one_or(mut filters: Vec<Filter>, combine: fn(Vec<Filter>) -> Filter) -> Filter {
    match filters.len() {
        1 => filters.remove(0),
        _ => combine(filters),
    }
}

fn expected() -> Problem {
    invalid("expected words, with `AND`, `OR`, `NOT` and parentheses between them if wanted")
}
