//! Control ids (MSH-10) of our own, for acknowledgments and for messages sent anew.

/// Digits that are not mistaken for each other when read aloud.
const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// MSH-10 had twenty characters until v2.7.
const LENGTH: usize = 20;
/// How many of them count; the rest tells this run from others.
const COUNTING: usize = 8;

/// Control ids that are unique: a random part for each run of the program, and a counter.
#[derive(Debug)]
pub(crate) struct ControlIds {
    run: u64,
    counter: u64,
}

impl ControlIds {
    /// Starts a new series.
    pub(crate) fn new() -> Result<Self, getrandom::Error> {
        Ok(Self::of_run(getrandom::u64()?))
    }

    fn of_run(run: u64) -> Self {
        Self { run, counter: 0 }
    }

    /// The next one.
    pub(crate) fn next_id(&mut self) -> [u8; LENGTH] {
        self.counter = self.counter.wrapping_add(1);
        let mut id = [b'0'; LENGTH];
        let (run, counting) = id.split_at_mut(LENGTH - COUNTING);
        write_digits(self.run, run);
        write_digits(self.counter, counting);
        id
    }

    /// The next one, as text.
    pub(crate) fn next_text(&mut self) -> String {
        self.next_id().iter().copied().map(char::from).collect()
    }
}

/// The lowest digits of a number, the lowest last.
fn write_digits(mut number: u64, digits: &mut [u8]) {
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS.get((number % 32) as usize).copied().unwrap_or(b'0');
        number /= 32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_ids_count_up_within_a_run() {
        let mut ids = ControlIds::of_run(u64::MAX);
        assert_eq!(ids.next_text(), "ZZZZZZZZZZZZ00000001");
        assert_eq!(ids.next_text(), "ZZZZZZZZZZZZ00000002");
        ids.counter = 31;
        assert_eq!(ids.next_text(), "ZZZZZZZZZZZZ00000010");
    }
}
