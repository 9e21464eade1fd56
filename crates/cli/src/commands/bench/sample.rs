//! The messages of the bench: the samples of `pipehat_testdata`, of which each differs here from all others.
//!
//! Each sender has its own and changes it in place: control id, patient and every measured value or number.
//! The control id says when the message was sent, so that whoever receives it knows how long it was under way.

use std::ops::Range;
use std::time::Instant;

use pipehat_message::{Message, Path, Value};
use pipehat_testdata::samples::{ADMISSION, RESULT};

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(super) enum Kind {
    /// A laboratory result, ORU^R01, of 2 KB
    #[default]
    Oru,
    /// An admission, ADT^A01, of 1 KB
    Adt,
}

impl Kind {
    pub(super) fn bytes(self) -> usize {
        match self {
            Self::Oru => RESULT.len(),
            Self::Adt => ADMISSION.len(),
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Oru => "ORU^R01",
            Self::Adt => "ADT^A01",
        }
    }
}

/// Time since the bench began, in nanoseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    start: Instant,
}

impl Clock {
    pub(super) fn new() -> Self {
        Self { start: Instant::now() }
    }

    pub(super) fn now(self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// Digits of a control id: three for the sender, thirteen for the time, in hexadecimal.
const CONTROL_ID_BYTES: usize = 16;
const SENDER_BYTES: usize = 3;

/// Patients take turns at random among so many.
const PATIENTS: u64 = 100_000;

const START: u8 = 0x0b;
const END: [u8; 2] = [0x1c, 0x0d];

/// One sender's message, framed for MLLP.
#[derive(Debug, Clone)]
pub(super) struct Sample {
    frame: Vec<u8>,
    control_id: usize,
    patient: Range<usize>,
    /// Where digits stand that differ from message to message.
    digits: Vec<usize>,
    random: u64,
}

impl Sample {
    pub(super) fn new(kind: Kind, sender: usize) -> Self {
        let (payload, varied): (&[u8], &[&str]) = match kind {
            Kind::Oru => (RESULT, &["OBX(*)-5", "OBX(*)-14", "OBX(*)-19", "OBR(*)-3.1", "SPM-2.2"]),
            Kind::Adt => (ADMISSION, &["PID-13", "PID-18.1", "PV1-19.1", "PV1-44"]),
        };
        let message = Message::parse(payload).expect("the samples are messages");
        let places = |path: &str| -> Vec<Range<usize>> {
            let path = Path::parse(path).expect("the paths are fixed texts");
            let start = payload.as_ptr().addr();
            let place = |value: Value<'_>| {
                let at = value.raw().as_ptr().addr() - start;
                at..at + value.raw().len()
            };
            message.values(&path).map(place).collect()
        };
        let first = |path| places(path).first().cloned().unwrap_or_default();
        let (id, patient, sex) = (first("MSH-10"), first("PID-3.1"), first("PID-8"));
        let digits = varied.iter().flat_map(|path| places(path)).flatten();
        let is_digit = |at: &usize| payload.get(*at).is_some_and(u8::is_ascii_digit);
        let mut frame = vec![START];
        frame.extend_from_slice(payload);
        frame.extend_from_slice(&END);
        let control_id = 1 + id.start;
        let sender_digits = format!("{:03x}", sender & 0xfff);
        if let Some(place) = frame.get_mut(control_id..control_id + SENDER_BYTES) {
            place.copy_from_slice(sender_digits.as_bytes());
        }
        // An old code for the sex: the relay example has something to map.
        if let Some(sex) = frame.get_mut(1 + sex.start) {
            *sex = b'2';
        }
        let random = (sender as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        Self {
            frame,
            control_id,
            patient: 1 + patient.start..1 + patient.end,
            digits: digits.filter(is_digit).map(|at| at + 1).collect(),
            random,
        }
    }

    /// The next message, sent now.
    pub(super) fn next(&mut self, now: u64) -> &[u8] {
        let time = self.control_id + SENDER_BYTES..self.control_id + CONTROL_ID_BYTES;
        write_number(self.frame.get_mut(time), now, 16);
        let patient = self.next_random() % PATIENTS;
        write_number(self.frame.get_mut(self.patient.clone()), patient, 10);
        let mut random = 0;
        for (index, &digit) in self.digits.iter().enumerate() {
            if index % 16 == 0 {
                self.random = xorshift(self.random);
                random = self.random;
            }
            if let Some(byte) = self.frame.get_mut(digit) {
                *byte = b'0' + u8::try_from((random & 0xf) % 10).unwrap_or(0);
            }
            random >>= 4;
        }
        &self.frame
    }

    /// The present message in its frame.
    pub(super) fn frame(&self) -> &[u8] {
        &self.frame
    }

    /// The present message without its frame.
    pub(super) fn payload(&self) -> &[u8] {
        self.frame.get(1..self.frame.len() - END.len()).unwrap_or_default()
    }

    fn next_random(&mut self) -> u64 {
        self.random = xorshift(self.random);
        self.random
    }
}

fn xorshift(mut state: u64) -> u64 {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    state
}

/// Writes the lowest digits of a number.
fn write_number(place: Option<&mut [u8]>, mut number: u64, base: u64) {
    for byte in place.into_iter().flatten().rev() {
        let digit = u8::try_from(number % base).unwrap_or(0);
        *byte = if digit < 10 { b'0' + digit } else { b'a' + digit - 10 };
        number /= base;
    }
}

/// The control id in a framed message's tenth field.
pub(super) fn control_id(frame: &[u8]) -> &[u8] {
    frame.split(|&byte| byte == b'|').nth(9).unwrap_or_default()
}

/// When the message with this control id was sent.
pub(super) fn sent_at(control_id: &[u8]) -> Option<u64> {
    let digits = control_id.get(SENDER_BYTES..CONTROL_ID_BYTES)?;
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn value(payload: &[u8], path: &str) -> Vec<u8> {
        let message = Message::parse(payload).unwrap();
        let path = Path::parse(path).unwrap();
        message.values(&path).map(|value| value.raw().to_vec()).next().unwrap_or_default()
    }

    #[test]
    fn messages_have_their_size_and_all_differ() {
        for kind in [Kind::Oru, Kind::Adt] {
            let mut sample = Sample::new(kind, 31);
            let mut seen = HashSet::new();
            for now in [0, 7, 123_456_789_012] {
                let frame = sample.next(now).to_vec();
                assert_eq!(sent_at(control_id(&frame)), Some(now));
                let payload = sample.payload();
                assert_eq!(payload.len(), kind.bytes());
                assert_eq!(value(payload, "MSH-10"), control_id(&frame));
                assert_eq!(value(payload, "MSH-9.1"), &kind.name().as_bytes()[..3]);
                assert_eq!(value(payload, "PID-3.1").len(), 6);
                assert_eq!(value(payload, "PID-8"), b"2");
                assert!(seen.insert(frame));
            }
        }
    }

    #[test]
    fn senders_never_use_one_control_id() {
        let mut one = Sample::new(Kind::Oru, 1);
        let mut other = Sample::new(Kind::Oru, 2);
        assert_ne!(control_id(one.next(5)), control_id(other.next(5)));
    }
}
