//! How many terminal columns a character takes, so that carets stand under what they mean.

/// A tab is shown as this many spaces in an excerpt.
pub(crate) const TAB_WIDTH: usize = 4;

/// Characters that take no column of their own: combining marks, joiners, variation selectors.
const ZERO: &[(u32, u32)] = &[
    (0x0300, 0x036f),
    (0x0483, 0x0489),
    (0x0591, 0x05bd),
    (0x0610, 0x061a),
    (0x064b, 0x065f),
    (0x0e34, 0x0e3a),
    (0x0e47, 0x0e4e),
    (0x1ab0, 0x1aff),
    (0x1dc0, 0x1dff),
    (0x200b, 0x200f),
    (0x202a, 0x202e),
    (0x2060, 0x2069),
    (0x20d0, 0x20ff),
    (0xfe00, 0xfe0f),
    (0xfe20, 0xfe2f),
    (0xfeff, 0xfeff),
    (0xe0100, 0xe01ef),
];

/// Characters that take two columns: East Asian wide and full-width forms, and pictographs.
const WIDE: &[(u32, u32)] = &[
    (0x1100, 0x115f),
    (0x231a, 0x231b),
    (0x2e80, 0x303e),
    (0x3041, 0x33ff),
    (0x3400, 0x4dbf),
    (0x4e00, 0x9fff),
    (0xa000, 0xa4cf),
    (0xa960, 0xa97f),
    (0xac00, 0xd7a3),
    (0xf900, 0xfaff),
    (0xfe30, 0xfe6f),
    (0xff00, 0xff60),
    (0xffe0, 0xffe6),
    (0x1f300, 0x1f64f),
    (0x1f680, 0x1f6ff),
    (0x1f900, 0x1f9ff),
    (0x20000, 0x3fffd),
];

/// The columns of one character that is shown as itself.
pub(crate) fn width(character: char) -> usize {
    let code = u32::from(character);
    if code < 0x300 {
        1
    } else if within(ZERO, code) {
        0
    } else if within(WIDE, code) {
        2
    } else {
        1
    }
}

/// Adds a character to an excerpt as it can safely be shown, and returns the columns it takes. Control characters
/// (a terminal would obey them) and marks that reorder text become `\u{fffd}`.
pub(crate) fn push_shown(shown: &mut String, character: char) -> usize {
    match character {
        '\t' => {
            shown.extend(std::iter::repeat_n(' ', TAB_WIDTH));
            TAB_WIDTH
        }
        '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{2069}'
        | '\u{feff}' => {
            shown.push('\u{fffd}');
            1
        }
        _ if character.is_control() => {
            shown.push('\u{fffd}');
            1
        }
        _ => {
            shown.push(character);
            width(character)
        }
    }
}

/// A text made safe to show on one line.
pub(crate) fn shown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        push_shown(&mut shown, character);
    }
    shown
}

fn within(table: &[(u32, u32)], code: u32) -> bool {
    let index = table.partition_point(|(_, last)| *last < code);
    table.get(index).is_some_and(|(first, _)| *first <= code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_take_the_columns_a_terminal_gives_them() {
        let widths = ['a', 'ß', '\u{301}', '山', '𠮷', 'あ', '가', '🏥', '\u{3ff}'].map(width);
        assert_eq!(widths, [1, 1, 0, 2, 2, 2, 2, 2, 1]);
    }

    #[test]
    fn nothing_that_a_terminal_obeys_is_shown() {
        assert_eq!(
            shown("a\u{1b}[31m\u{202e}b\tc\r\n"),
            "a\u{fffd}[31m\u{fffd}b    c\u{fffd}\u{fffd}"
        );
    }

    #[test]
    fn the_tables_are_sorted() {
        for table in [ZERO, WIDE] {
            let bounds: Vec<u32> =
                table.iter().flat_map(|(first, last)| [*first, *last + 1]).collect();
            assert!(bounds.is_sorted());
        }
    }
}
