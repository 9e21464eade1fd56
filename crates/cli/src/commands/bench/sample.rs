//! The messages of the bench: believable ones of a fixed size, of which each differs from all others.
//!
//! A message is made once for each sender and then changed in place: control id, patient and every measured value.
//! The control id says when the message was sent, so that whoever receives it knows how long it was under way.

use std::fmt::Write as _;
use std::time::Instant;

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
            Self::Oru => 2048,
            Self::Adt => 1024,
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
    patient: usize,
    /// Where digits stand that differ from message to message.
    digits: Vec<usize>,
    random: u64,
}

impl Sample {
    pub(super) fn new(kind: Kind, sender: usize) -> Self {
        let mut text = String::from(char::from(START));
        let (code, application) = match kind {
            Kind::Oru => ("ORU^R01^ORU_R01", "LAB"),
            Kind::Adt => ("ADT^A01^ADT_A01", "REGISTRATION"),
        };
        text.push_str(&format!(
            "MSH|^~\\&|{application}|NORTH|CLINIC|NORTH|20260105093000||{code}|"
        ));
        let control_id = text.len();
        let sender_digits = format!("{:03x}", sender & 0xfff);
        text.push_str(&sender_digits);
        text.push_str("0000000000000|P|2.5.1\r");
        if kind == Kind::Adt {
            text.push_str("EVN|A01|20260105092900||||20260105092500\r");
        }
        text.push_str("PID|1||");
        let patient = text.len();
        text.push_str(
            "00000000^^^NORTH^MR~778123^^^OLD^PI||Sample^Anna^Beate||19800229|2|||\
             1 Example Street^^Sampleton^^00001^^H||555-0100^PRN^PH|||S||V000000^^^NORTH^VN\r\
             PV1|1|I|2W^201^A^NORTH||||1234^Doctor^Dora^^^Dr.|||MED||||1|||1234^Doctor^Dora^^^Dr.|IN\r",
        );
        let mut digits = Vec::new();
        let size = kind.bytes() + 1;
        match kind {
            Kind::Oru => {
                text.push_str(
                    "ORC|RE|500100^CLINIC|900100^LAB||CM\r\
                     OBR|1|500100^CLINIC|900100^LAB|24323-8^Metabolic panel^LN|||20260105091000|||||||||\
                     1234^Doctor^Dora||||||20260105092900||CH|F\r",
                );
                observations(&mut text, &mut digits, size - 130);
            }
            Kind::Adt => {
                text.push_str(
                    "NK1|1|Sample^Bernd|SPO^Spouse|1 Example Street^^Sampleton^^00001|555-0101\r",
                );
                insurances(&mut text, &mut digits, size - 200);
            }
        }
        text.push_str("NTE|1|L|");
        while text.len() < size - 1 {
            text.push(char::from(b'a' + u8::try_from(text.len() % 23).unwrap_or(0)));
        }
        text.truncate(size - 1);
        text.push('\r');
        let mut frame = text.into_bytes();
        frame.extend_from_slice(&END);
        let random = (sender as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        Self { frame, control_id, patient, digits, random }
    }

    /// The next message, sent now.
    pub(super) fn next(&mut self, now: u64) -> &[u8] {
        let time = self.control_id + SENDER_BYTES..self.control_id + CONTROL_ID_BYTES;
        write_number(self.frame.get_mut(time), now, 16);
        let patient = self.next_random() % PATIENTS;
        let place = self.patient..self.patient + 8;
        write_number(self.frame.get_mut(place), patient, 10);
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

    /// The present message without its frame.
    pub(super) fn payload(&self) -> &[u8] {
        self.frame.get(1..self.frame.len() - END.len()).unwrap_or_default()
    }

    fn next_random(&mut self) -> u64 {
        self.random = xorshift(self.random);
        self.random
    }
}

fn observations(text: &mut String, digits: &mut Vec<usize>, until: usize) {
    const NAMES: [&str; 6] = ["Glucose", "Sodium", "Potassium", "Creatinine", "Calcium", "Urea"];
    for (index, name) in NAMES.iter().cycle().enumerate() {
        if text.len() >= until {
            break;
        }
        let _ = write!(text, "OBX|{}|NM|", index + 1);
        push_digits(text, digits, 4);
        let _ = write!(text, "-{}^{name}^LN||", index % 10);
        push_digits(text, digits, 3);
        text.push('.');
        push_digits(text, digits, 2);
        text.push_str("|mmol/L^millimole per litre^UCUM|3.90-5.80|N|||F|||2026010509");
        push_digits(text, digits, 4);
        text.push_str("||20\r");
    }
}

fn insurances(text: &mut String, digits: &mut Vec<usize>, until: usize) {
    for index in 1.. {
        if text.len() >= until {
            break;
        }
        let _ = write!(text, "IN1|{index}|PLAN");
        push_digits(text, digits, 5);
        text.push_str("|INSURER");
        push_digits(text, digits, 4);
        text.push_str("|Sample Insurance|2 Example Street^^Sampleton^^00001|||||||20260101|||||Sample^Anna|SEL|19800229\r");
    }
}

fn push_digits(text: &mut String, digits: &mut Vec<usize>, count: usize) {
    for _ in 0..count {
        digits.push(text.len());
        text.push('0');
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

    use pipehat_message::{Message, Path};

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
                assert_eq!(value(payload, "PID-3.1").len(), 8);
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
