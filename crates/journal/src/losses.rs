//! What repairs had to give up, kept for as long as the journal is: whoever keeps books by the
//! journal must know which records it will never see again.
//!
//! The file `losses` has one line for each range: the second (Unix time) of the repair, the first
//! and the last position. It is written before the chunk that lacks the records takes its place,
//! so that no record is ever missing without a note; a repair that was interrupted in between and
//! runs again notes nothing twice.

use std::{
    fs::{self, File},
    io::{self, Write},
    ops::RangeInclusive,
    path::Path,
};

use crate::{Position, disk};

const FILE: &str = "losses";

/// Removed by the next opening, should the repair die.
const TEMPORARY: &str = "spare.losses";

/// Consecutive records that a repair gave up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// When, in seconds of Unix time.
    pub at: u64,
    /// Which.
    pub positions: RangeInclusive<Position>,
}

impl Loss {
    /// How many records.
    pub fn records(&self) -> u64 {
        self.positions.end().get() - self.positions.start().get() + 1
    }

    fn parse(line: &str) -> Option<Loss> {
        let mut numbers = line.split(' ').map(str::parse::<u64>);
        let mut next = || numbers.next()?.ok();
        let (at, first, last) = (next()?, Position::new(next()?)?, Position::new(next()?)?);
        (first <= last && numbers.next().is_none()).then_some(Loss { at, positions: first..=last })
    }
}

/// The losses noted in a directory, in the order of their positions.
pub(crate) fn read(directory: &Path) -> io::Result<Vec<Loss>> {
    let text = match fs::read_to_string(directory.join(FILE)) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut losses = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        losses.push(Loss::parse(line).ok_or_else(|| {
            let error = format!("line {number} of the file `{FILE}` is not one of a repair");
            io::Error::new(io::ErrorKind::InvalidData, error)
        })?);
    }
    losses.sort_by_key(|loss| *loss.positions.start());
    Ok(losses)
}

/// Adds what is lost now to what was noted before.
pub(crate) fn note(directory: &Path, at: u64, lost: &[RangeInclusive<Position>]) -> io::Result<()> {
    let mut losses = read(directory)?;
    let before = losses.len();
    for positions in lost {
        let unknown = unknown(positions, &losses);
        losses.extend(unknown.into_iter().map(|positions| Loss { at, positions }));
        losses.sort_by_key(|loss| *loss.positions.start());
    }
    if losses.len() == before {
        return Ok(());
    }
    let temporary = directory.join(TEMPORARY);
    let mut file = File::create(&temporary)?;
    for Loss { at, positions } in &losses {
        writeln!(file, "{at} {} {}", positions.start().get(), positions.end().get())?;
    }
    file.sync_all()?;
    fs::rename(&temporary, directory.join(FILE))?;
    disk::sync_directory(directory)
}

/// The parts of a range that no loss has yet.
fn unknown(positions: &RangeInclusive<Position>, losses: &[Loss]) -> Vec<RangeInclusive<Position>> {
    let mut parts = Vec::new();
    let mut from = *positions.start();
    for loss in losses {
        let (first, last) = (*loss.positions.start(), *loss.positions.end());
        if last < from || first > *positions.end() {
            continue;
        }
        if let Some(end) = Position::new(first.get() - 1).filter(|end| *end >= from) {
            parts.push(from..=end);
        }
        from = last.next();
    }
    if from <= *positions.end() {
        parts.push(from..=*positions.end());
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range((first, last): (u64, u64)) -> RangeInclusive<Position> {
        let position = |number| Position::new(number).expect("positions start at 1");
        position(first)..=position(last)
    }

    #[track_caller]
    fn check(repairs: &[(u64, &[(u64, u64)])], expected: &[(u64, u64, u64)]) {
        let directory = tempfile::tempdir().expect("a directory");
        for (at, lost) in repairs {
            let lost: Vec<_> = lost.iter().copied().map(range).collect();
            note(directory.path(), *at, &lost).expect("notes");
        }
        let noted: Vec<_> = read(directory.path())
            .expect("reads")
            .into_iter()
            .map(|loss| (loss.at, loss.positions.start().get(), loss.positions.end().get()))
            .collect();
        assert_eq!(noted, expected);
    }

    #[test]
    fn what_was_noted_is_not_noted_again() {
        check(&[], &[]);
        check(&[(1, &[(4, 6)]), (2, &[(4, 6)])], &[(1, 4, 6)]);
        check(&[(1, &[(4, 6)]), (2, &[(1, 9)])], &[(2, 1, 3), (1, 4, 6), (2, 7, 9)]);
        check(&[(1, &[(1, 2), (5, 6)]), (2, &[(2, 5)])], &[(1, 1, 2), (2, 3, 4), (1, 5, 6)]);
        check(&[(1, &[(5, 5)]), (2, &[(1, 1)])], &[(2, 1, 1), (1, 5, 5)]);
    }

    #[test]
    fn a_line_that_is_none_of_ours_is_refused() {
        for text in ["x", "1 2", "1 0 3", "1 5 4", "1 2 3 4"] {
            let directory = tempfile::tempdir().expect("a directory");
            fs::write(directory.path().join(FILE), text).expect("writes");
            let refused = read(directory.path()).expect_err(text);
            assert_eq!(refused.kind(), io::ErrorKind::InvalidData, "{text}");
        }
    }
}
