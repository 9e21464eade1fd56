//! The codes of one place, as long as they are few.

use pipehat_message::Timestamp;

use super::{CODE_BYTES_MAX, CODES_MAX, LOCAL_CODE_BYTES_MAX, LOCAL_CODES_MAX, PATIENTS_MIN};
use crate::table::Table;

/// Counts each code, and with how many patients it was seen.
pub(super) struct Codes {
    /// The most frequent roughly first.
    codes: Vec<CodeTally>,
    is_local: bool,
}

pub(super) struct CodeTally {
    pub(super) code: Box<[u8]>,
    pub(super) count: u64,
    patients: [u32; PATIENTS_MIN],
    patients_count: u8,
}

impl CodeTally {
    /// Whether the code may be told: the standard has it, or it belongs to no few patients.
    pub(super) fn may_be_told(&self, table: Option<Table>) -> bool {
        table.is_some_and(|table| table.code(&self.code).is_some())
            || (usize::from(self.patients_count) >= PATIENTS_MIN && !self.looks_like_date())
    }

    fn looks_like_date(&self) -> bool {
        self.code.get(..8).is_some_and(|date| Timestamp::parse(date).is_ok())
    }

    fn seen_with(&mut self, patient: u32) {
        self.count += 1;
        let seen = usize::from(self.patients_count);
        if seen >= PATIENTS_MIN {
            return;
        }
        if self.patients.iter().take(seen).any(|known| *known == patient) {
            return;
        }
        if let Some(slot) = self.patients.get_mut(seen) {
            *slot = patient;
            self.patients_count += 1;
        }
    }
}

/// Whether the codes of a place are still few enough, and codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Still {
    Codes,
    NoCodes,
}

impl Codes {
    pub(super) fn new(is_local: bool) -> Self {
        Self { codes: Vec::new(), is_local }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &CodeTally> {
        self.codes.iter()
    }

    /// Counts a code of a patient.
    pub(super) fn count(&mut self, code: &[u8], patient: u32) -> Still {
        let found = self.codes.iter().position(|known| *known.code == *code);
        if let Some(index) = found {
            let mut count = 0;
            if let Some(tally) = self.codes.get_mut(index) {
                tally.seen_with(patient);
                count = tally.count;
            }
            let before = index.checked_sub(1).and_then(|before| self.codes.get(before));
            if before.is_some_and(|before| before.count < count) {
                self.codes.swap(index, index - 1);
            }
            return Still::Codes;
        }
        let most = if self.is_local { LOCAL_CODES_MAX } else { CODES_MAX };
        if self.codes.len() >= most || !self.looks_like_code(code) {
            return Still::NoCodes;
        }
        let mut tally = CodeTally {
            code: code.into(),
            count: 0,
            patients: [0; PATIENTS_MIN],
            patients_count: 0,
        };
        tally.seen_with(patient);
        self.codes.push(tally);
        Still::Codes
    }

    fn looks_like_code(&self, code: &[u8]) -> bool {
        if !self.is_local {
            return code.len() <= CODE_BYTES_MAX
                && code.iter().all(|byte| (b' '..=b'~').contains(byte));
        }
        let is_number = code.iter().all(u8::is_ascii_digit);
        code.len() <= LOCAL_CODE_BYTES_MAX
            && !(is_number && code.len() > 2)
            && code.iter().all(|byte| {
                byte.is_ascii_uppercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_')
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_of_few_patients_is_not_told() {
        let mut codes = Codes::new(false);
        for patient in 0..PATIENTS_MIN as u32 - 1 {
            for _ in 0..10 {
                assert_eq!(codes.count(b"X1", patient), Still::Codes);
            }
        }
        let told = |codes: &Codes| codes.iter().all(|code| code.may_be_told(None));
        assert!(!told(&codes), "one patient fewer");
        codes.count(b"X1", 99);
        assert!(told(&codes));
    }

    #[test]
    fn codes_are_few_and_short() {
        let mut codes = Codes::new(false);
        for number in 0..CODES_MAX {
            assert_eq!(codes.count(format!("C{number}").as_bytes(), 1), Still::Codes);
        }
        assert_eq!(codes.count(b"C0", 1), Still::Codes);
        assert_eq!(codes.count(b"one more", 1), Still::NoCodes);
        let mut codes = Codes::new(false);
        assert_eq!(codes.count(&[b'x'; CODE_BYTES_MAX], 1), Still::Codes);
        assert_eq!(codes.count(&[b'x'; CODE_BYTES_MAX + 1], 1), Still::NoCodes);
        assert_eq!(Codes::new(false).count("é".as_bytes(), 1), Still::NoCodes);
    }

    #[test]
    fn what_the_standard_does_not_type_has_to_look_like_a_code() {
        let check = |code: &str, expected| {
            assert_eq!(Codes::new(true).count(code.as_bytes(), 1), expected, "{code}");
        };
        check("IN-1", Still::Codes);
        check("12", Still::Codes);
        check("123", Still::NoCodes);
        check("Miller", Still::NoCodes);
        check("TOOLONGFORACODE", Still::NoCodes);
        check("A B", Still::NoCodes);
    }
}
