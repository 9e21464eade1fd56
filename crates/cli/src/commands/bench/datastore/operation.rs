//! What clients ask for, as requests that are ready to be sent.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use pipehat_testdata::resources::{Case, FIRST_YEAR, RECORD_SYSTEM, YEARS};

use super::fill::{Known, RESOURCES_EACH, SEED};
use super::server::Target;

/// How many different bodies of creates are written to the bare disk, one after the other.
const BODIES: u64 = 1024;

/// What is made while measuring has numbers of its own, of this run.
static FRESH: AtomicU64 = AtomicU64::new(1_000_000_000);

/// What a client does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Operation {
    Read,
    Identifier,
    Name,
    Dates,
    Chain,
    Create,
    Update,
    Transaction,
}

impl Operation {
    pub(super) const ALL: [Self; 8] = [
        Self::Read,
        Self::Identifier,
        Self::Name,
        Self::Dates,
        Self::Chain,
        Self::Create,
        Self::Update,
        Self::Transaction,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Identifier => "by identifier",
            Self::Name => "by name prefix",
            Self::Dates => "by dates, sorted",
            Self::Chain => "by chain",
            Self::Create => "create",
            Self::Update => "update",
            Self::Transaction => "transaction of 20",
        }
    }

    /// What must stand in an answer that found something.
    pub(super) fn must_hold(self) -> Option<&'static [u8]> {
        match self {
            Self::Identifier | Self::Chain => Some(b"\"fullUrl\""),
            Self::Name | Self::Dates => Some(b"searchset"),
            Self::Read | Self::Create | Self::Update | Self::Transaction => None,
        }
    }
}

/// Makes requests, each unlike those before.
#[derive(Clone)]
pub(super) struct Maker {
    operation: Operation,
    known: Arc<Known>,
    path: String,
    headers: String,
    state: u64,
    address: std::net::SocketAddr,
    body: String,
}

impl Maker {
    pub(super) fn new(target: &Target, operation: Operation, known: Arc<Known>) -> Self {
        Self {
            operation,
            known,
            path: target.path.clone(),
            headers: target.headers(),
            state: FRESH.fetch_add(1, Ordering::Relaxed),
            address: target.address,
            body: String::new(),
        }
    }

    /// One that goes other ways.
    pub(super) fn another(&self, number: u64) -> Self {
        let state = self.state.wrapping_add((number + 1).wrapping_mul(0x1234_5678_9ABC_DEF1));
        Self { state, ..self.clone() }
    }

    pub(super) fn operation(&self) -> Operation {
        self.operation
    }

    pub(super) fn address(&self) -> std::net::SocketAddr {
        self.address
    }

    /// Writes the next request.
    pub(super) fn next(&mut self, out: &mut Vec<u8>) {
        out.clear();
        let pick = self.random();
        match self.operation {
            Operation::Read => {
                let observations = &self.known.observations;
                let (name, id) = match pick.is_multiple_of(2) || observations.is_empty() {
                    true => ("Patient", self.known.patient(pick / 2).0.as_str()),
                    false => ("Observation", at(observations, pick / 2).map_or("", String::as_str)),
                };
                get(out, &self.path, format_args!("{name}/{id}"), &self.headers);
            }
            Operation::Identifier => {
                let number = pick % self.known.all_patients;
                let of = format_args!("Patient?identifier={RECORD_SYSTEM}%7C{number:08}");
                get(out, &self.path, of, &self.headers);
            }
            Operation::Name => {
                let family = Case::new(SEED, pick % self.known.all_patients).family();
                let start: String = family.chars().take(5).collect();
                let start = percent_encoded(&start);
                get(
                    out,
                    &self.path,
                    format_args!("Patient?family={start}&_count=20"),
                    &self.headers,
                );
            }
            Operation::Dates => {
                let year = FIRST_YEAR.unsigned_abs() + pick % YEARS;
                let (month, day) = (pick / 16 % 12 + 1, pick / 256 % 21 + 1);
                let to = day + 7;
                let of = format_args!(
                    "Observation?date=ge{year}-{month:02}-{day:02}&date=lt{year}-{month:02}-{to:02}\
                     &_sort=-date&_count=20"
                );
                get(out, &self.path, of, &self.headers);
            }
            Operation::Chain => {
                let number = pick % self.known.all_patients;
                let of = format_args!(
                    "Observation?subject:Patient.identifier={RECORD_SYSTEM}%7C{number:08}"
                );
                get(out, &self.path, of, &self.headers);
            }
            Operation::Create => {
                let number = FRESH.fetch_add(1, Ordering::Relaxed);
                let subject = format!("Patient/{}", self.known.patient(pick).0);
                self.body.clear();
                let name = create_body(number, &subject, &mut self.body);
                self.send(out, "POST", name);
            }
            Operation::Update => {
                let (id, number) = self.known.patient(pick);
                let id = id.clone();
                self.body.clear();
                let round = FRESH.fetch_add(1, Ordering::Relaxed);
                Case::new(SEED, *number).patient(Some(&id), round, &mut self.body);
                self.send(out, "PUT", &format!("Patient/{id}"));
            }
            Operation::Transaction => {
                let first = FRESH.fetch_add(2, Ordering::Relaxed);
                self.body.clear();
                bundle(first..first + 20 / RESOURCES_EACH, &mut self.body);
                self.send(out, "POST", "");
            }
        }
    }

    fn random(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn send(&self, out: &mut Vec<u8>, method: &str, below: &str) {
        post(out, method, &self.path, below, &self.headers, &self.body);
    }
}

fn at<T>(list: &[T], pick: u64) -> Option<&T> {
    list.get((pick % list.len().max(1) as u64) as usize)
}

impl Known {
    fn patient(&self, pick: u64) -> &(String, u64) {
        static NONE: (String, u64) = (String::new(), 0);
        at(&self.patients, pick).unwrap_or(&NONE)
    }
}

fn get(out: &mut Vec<u8>, path: &str, below: std::fmt::Arguments<'_>, headers: &str) {
    use std::io::Write as _;
    // A Vec takes whatever is written.
    let _ = write!(out, "GET {path}/{below} HTTP/1.1\r\n{headers}\r\n");
}

/// A request with a resource.
pub(super) fn post(
    out: &mut Vec<u8>,
    method: &str,
    path: &str,
    below: &str,
    headers: &str,
    body: &str,
) {
    use std::io::Write as _;
    let slash = if below.is_empty() { "" } else { "/" };
    let length = body.len();
    let _ = write!(
        out,
        "{method} {path}{slash}{below} HTTP/1.1\r\n{headers}Content-Type: application/fhir+json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    );
}

/// A transaction that creates these cases.
pub(super) fn bundle(cases: std::ops::Range<u64>, body: &mut String) {
    body.push_str(r#"{"resourceType":"Bundle","type":"transaction","entry":["#);
    for (at, number) in cases.enumerate() {
        if at > 0 {
            body.push(',');
        }
        Case::new(SEED, number).entries(body);
    }
    body.push_str("]}");
}

/// One of four is a Patient, the others are Observations.
fn create_body(number: u64, subject: &str, body: &mut String) -> &'static str {
    let case = Case::new(SEED, number);
    match number % 4 {
        0 => {
            case.patient(None, 0, body);
            "Patient"
        }
        at => {
            case.observation(at, None, subject, None, body);
            "Observation"
        }
    }
}

/// Bodies of creates, as they are sent.
pub(super) fn create_bodies() -> Vec<Vec<u8>> {
    let one = |number| {
        let mut body = String::new();
        create_body(number, "Patient/0123456789abcdef", &mut body);
        body.into_bytes()
    };
    (0..BODIES).map(one).collect()
}

fn percent_encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => encoded.push(char::from(byte)),
            _ => {
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use pipehat_resource::json::parse;
    use pipehat_resource::validate::{Checks, validate};

    use super::*;

    #[test]
    fn what_is_sent_is_valid() {
        let mut all = String::new();
        bundle(0..20, &mut all);
        let bundle = parse(all.as_bytes()).unwrap();
        let findings = validate(&bundle, Checks::All);
        let errors: Vec<_> = findings.iter().filter(|issue| issue.is_error()).collect();
        assert!(errors.is_empty(), "{errors:?}");
        for body in create_bodies() {
            let findings = validate(&parse(&body).unwrap(), Checks::All);
            let errors: Vec<_> = findings.iter().filter(|issue| issue.is_error()).collect();
            assert!(errors.is_empty(), "{errors:?}");
        }
    }
}
