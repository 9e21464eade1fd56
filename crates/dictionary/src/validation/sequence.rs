//! Set IDs: segments of a kind are numbered, from 1, within what they belong to.

/// Kinds of segments whose numbers are followed at once.
const KINDS_MAX: usize = 16;

/// The last set ID of each kind of segment.
#[derive(Debug, Default)]
pub(super) struct SetIds {
    last: [([u8; 3], u32); KINDS_MAX],
    kinds: usize,
}

impl SetIds {
    /// Whether the number may come after those before: it is the next, or starts anew at 1. A repetition of the last
    /// one does not.
    pub(super) fn follows(&mut self, name: [u8; 3], number: u32) -> bool {
        let known = self.last.iter_mut().take(self.kinds).find(|(kind, _)| *kind == name);
        let before = match known {
            Some((_, last)) => std::mem::replace(last, number),
            None => {
                if let Some(free) = self.last.get_mut(self.kinds) {
                    *free = (name, number);
                    self.kinds += 1;
                }
                0
            }
        };
        number == 1 || before.checked_add(1) == Some(number)
    }
}

/// The number a set ID is, if it is one.
pub(super) fn number(value: &[u8]) -> Option<u32> {
    if value.is_empty() || value.len() > 9 {
        return None;
    }
    value.iter().try_fold(0_u32, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| u32::from(byte - b'0'))?;
        Some(number * 10 + digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_count_up_or_start_anew() {
        let mut ids = SetIds::default();
        for (name, id, expected) in [
            (*b"OBR", 1, true),
            (*b"OBX", 1, true),
            (*b"OBX", 2, true),
            (*b"OBX", 2, false),
            (*b"OBX", 4, false),
            (*b"OBX", 5, true),
            (*b"OBR", 2, true),
            (*b"OBX", 1, true),
            (*b"NK1", 2, false),
        ] {
            assert_eq!(ids.follows(name, id), expected, "{id}");
        }
        assert_eq!((number(b"0012"), number(b"x"), number(b"")), (Some(12), None, None));
    }
}
