//! Which segments of two messages belong together.
//!
//! Three methods, each for what the one before leaves over: segments that stand exactly once in both messages hold the
//! alignment (patience); between them the best alignment is searched; where that would take too long, names decide.

use std::collections::HashMap;
use std::ops::Range;

use super::Line;

/// The most pairs of segments that are weighed at once: a million fit 4 MB and take a few milliseconds.
const PAIRS_WEIGHED_MAX: usize = 1_000_000;
/// How far the name of a segment is looked for where pairs are not weighed.
const NAMES_AHEAD_MAX: usize = 64;

/// A pair outweighs any number of half alike ones that it crosses only if it is exact: weights are far apart.
const WEIGHT_EXACT: u32 = 400;
const WEIGHT_ALIKE: u32 = 100;
const WEIGHT_NAME: u32 = 10;

/// Indices of segments that belong together, or of one that belongs to none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) left: Option<usize>,
    pub(super) right: Option<usize>,
}

/// All segments of both messages, each once, the pairs in the order of both.
pub(super) fn pairs(left: &[Line<'_>], right: &[Line<'_>]) -> Vec<Pair> {
    let mut alignment = Alignment { left, right, pairs: Vec::new() };
    let mut from = (0, 0);
    for (left, right) in anchors(left, right) {
        alignment.between(from.0..left, from.1..right);
        alignment.push(Some(left), Some(right));
        from = (left.saturating_add(1), right.saturating_add(1));
    }
    alignment.between(from.0..left.len(), from.1..right.len());
    alignment.pairs
}

/// Pairs of equal segments that stand once in each message, as many as keep both orders; the headers are one.
fn anchors(left: &[Line<'_>], right: &[Line<'_>]) -> Vec<(usize, usize)> {
    let unique = unique(right);
    let mut candidates: Vec<(usize, usize)> = self::unique(left)
        .into_iter()
        .filter_map(|(raw, left)| unique.get(raw).map(|&right| (left, right)))
        .collect();
    candidates.sort_unstable();
    longest_rising(&candidates)
}

fn unique<'m>(lines: &[Line<'m>]) -> HashMap<&'m [u8], usize> {
    let mut seen: HashMap<&[u8], Option<usize>> = HashMap::with_capacity(lines.len());
    for (index, line) in lines.iter().enumerate() {
        let once = seen.entry(line.segment.raw());
        once.and_modify(|index| *index = None).or_insert(Some(index));
    }
    seen.into_iter().filter_map(|(raw, index)| Some((raw, index?))).collect()
}

/// The longest part of `candidates`, sorted by their left, whose rights rise as well.
fn longest_rising(candidates: &[(usize, usize)]) -> Vec<(usize, usize)> {
    // For each length, the candidate with the lowest right that ends a series of that length.
    let mut ends: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = Vec::with_capacity(candidates.len());
    let right = |index: usize| candidates.get(index).map(|candidate| candidate.1);
    for (index, candidate) in candidates.iter().enumerate() {
        let length = ends.partition_point(|&end| right(end) < Some(candidate.1));
        before.push(length.checked_sub(1).and_then(|shorter| ends.get(shorter).copied()));
        match ends.get_mut(length) {
            Some(end) => *end = index,
            None => ends.push(index),
        }
    }
    let mut series = Vec::with_capacity(ends.len());
    let mut next = ends.last().copied();
    while let Some(index) = next {
        series.extend(candidates.get(index).copied());
        next = before.get(index).copied().flatten();
    }
    series.reverse();
    series
}

struct Alignment<'a, 'm> {
    left: &'a [Line<'m>],
    right: &'a [Line<'m>],
    pairs: Vec<Pair>,
}

impl Alignment<'_, '_> {
    fn push(&mut self, left: Option<usize>, right: Option<usize>) {
        self.pairs.push(Pair { left, right });
    }

    fn between(&mut self, left: Range<usize>, right: Range<usize>) {
        if left.is_empty() || right.is_empty() {
            left.for_each(|index| self.push(Some(index), None));
            right.for_each(|index| self.push(None, Some(index)));
        } else if left.len().saturating_mul(right.len()) <= PAIRS_WEIGHED_MAX {
            self.by_weight(left, right);
        } else {
            self.by_name(left, right);
        }
    }

    /// The alignment with the greatest sum of weights.
    fn by_weight(&mut self, left: Range<usize>, right: Range<usize>) {
        let columns = right.len().saturating_add(1);
        let mut best = vec![0_u32; left.len().saturating_add(1).saturating_mul(columns)];
        let cell = |row: usize, column: usize| row.saturating_mul(columns).saturating_add(column);
        let value = |best: &[u32], row, column| best.get(cell(row, column)).copied().unwrap_or(0);
        for row in (0..left.len()).rev() {
            for column in (0..right.len()).rev() {
                let weight = self.weight(left.start + row, right.start + column);
                let paired = weight
                    .map_or(0, |weight| weight.saturating_add(value(&best, row + 1, column + 1)));
                let skipped = value(&best, row + 1, column).max(value(&best, row, column + 1));
                if let Some(place) = best.get_mut(cell(row, column)) {
                    *place = paired.max(skipped);
                }
            }
        }
        let (mut row, mut column) = (0, 0);
        while row < left.len() && column < right.len() {
            let (left, right) = (left.start + row, right.start + column);
            let here = value(&best, row, column);
            let paired = self
                .weight(left, right)
                .map(|weight| weight.saturating_add(value(&best, row + 1, column + 1)));
            if paired == Some(here) {
                self.push(Some(left), Some(right));
                (row, column) = (row + 1, column + 1);
            } else if value(&best, row + 1, column) == here {
                self.push(Some(left), None);
                row += 1;
            } else {
                self.push(None, Some(right));
                column += 1;
            }
        }
        (left.start + row..left.end).for_each(|index| self.push(Some(index), None));
        (right.start + column..right.end).for_each(|index| self.push(None, Some(index)));
    }

    /// How much two segments belong together; `None` if they don't.
    fn weight(&self, left: usize, right: usize) -> Option<u32> {
        let (left, right) = (self.left.get(left)?, self.right.get(right)?);
        if left.segment.segment_name() != right.segment.segment_name() {
            return None;
        }
        if left.segment.raw() == right.segment.raw() {
            return Some(WEIGHT_EXACT);
        }
        let valued = |line: &Line<'_>| line.fields.iter().filter(|field| !field.is_empty()).count();
        let equal = left.fields.iter().zip(&right.fields);
        let equal = equal.filter(|(left, right)| !left.is_empty() && left.raw() == right.raw());
        let hundredths = equal.count().saturating_mul(100) / valued(left).max(valued(right)).max(1);
        let hundredths = u32::try_from(hundredths).unwrap_or(0);
        Some(WEIGHT_NAME + WEIGHT_ALIKE * hundredths.saturating_mul(hundredths) / 10_000)
    }

    /// Pairs what has the same name, looking a little ahead for it.
    fn by_name(&mut self, left: Range<usize>, right: Range<usize>) {
        let (mut row, mut column) = (left.start, right.start);
        let name = |lines: &[Line<'_>], index: usize| {
            lines.get(index).and_then(|line| line.segment.segment_name())
        };
        while row < left.end && column < right.end {
            let wanted = name(self.left, row);
            let ahead = (column..right.end).take(NAMES_AHEAD_MAX);
            match ahead.into_iter().find(|&index| name(self.right, index) == wanted) {
                Some(found) => {
                    (column..found).for_each(|index| self.push(None, Some(index)));
                    self.push(Some(row), Some(found));
                    column = found + 1;
                }
                None => self.push(Some(row), None),
            }
            row += 1;
        }
        (row..left.end).for_each(|index| self.push(Some(index), None));
        (column..right.end).for_each(|index| self.push(None, Some(index)));
    }
}
