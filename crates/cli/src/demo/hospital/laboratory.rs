//! The laboratory's results: several groups in one message, corrections, remarks.
//!
//! It writes `$` between components and `%` between repetitions, flags as `+` and `--`, and one
//! time as 2026-01-31 12:00.

use std::time::{Duration, Instant};

use pipehat_message::AcknowledgmentCode;

use super::ControlIds;
use super::people::Hospital;
use crate::demo::dialect::{Dialect, DialectCharset, HeaderFields, Writer};
use crate::demo::random::Random;
use crate::demo::sending::{Arrival, Fate, Order, Sending};
use crate::demo::system::System;

const DIALECT: Dialect = Dialect {
    application: "LABOR",
    facility: "LABORATORY",
    version: "2.5",
    encoding_characters: ['$', '%', '\\', '&'],
    segment_end: "\r",
    charset: DialectCharset::Utf8,
};

/// A flag as the laboratory writes it, and as table 0078 does.
const FLAGS: [(u32, (&str, &str)); 6] = [
    (70, ("", "")),
    (10, ("+", "H")),
    (10, ("-", "L")),
    (3, ("++", "HH")),
    (3, ("--", "LL")),
    (4, ("!", "A")),
];

const REMARKS: &[&str] = &[
    "Sample hemolysed & repeated | see 10^9/l",
    "Called to the ward at once: costs $5, 100% sure",
    "Line one\nline two \\ end",
];

/// The laboratory.
#[derive(Debug)]
pub(crate) struct Laboratory {
    random: Random,
    ids: ControlIds,
}

/// How a result message goes wrong, now and then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slip {
    None,
    NoPatient,
    NoOrder,
}

impl Laboratory {
    /// The laboratory of this seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self { random: Random::of(seed, "laboratory"), ids: ControlIds::new("LAB") }
    }

    /// Results of an order that was received some time ago, if some are there.
    pub(crate) fn next(&mut self, hospital: &mut Hospital) -> Option<Sending> {
        let now = Instant::now();
        let mut order = hospital.take_from_worklist(now)?;
        let slip = match self.random.below(250) {
            0 | 1 => Slip::NoPatient,
            2 => Slip::NoOrder,
            _ => Slip::None,
        };
        let sending = self.report(&order, slip);
        // What went wrong is not sent again, so that it stays parked for everyone to see.
        if slip == Slip::None && self.random.once_in(6) {
            order.reported += 1;
            let pause = Duration::from_millis(u64::from(self.random.between(1500, 5000)));
            hospital.put_on_worklist(now + pause, order);
        }
        Some(sending)
    }

    fn report(&mut self, order: &Order, slip: Slip) -> Sending {
        let d = &DIALECT;
        let control_id = self.ids.next();
        let header = HeaderFields {
            kind: &["ORU", "R01", "ORU_R01"],
            control_id: &control_id,
            receiver: "WARDS",
            acknowledgments: None,
        };
        let mut writer = Writer::new(d, header);
        let number = if slip == Slip::NoPatient { "" } else { &order.patient };
        writer.segment(
            "PID",
            &[
                (1, "1".to_owned()),
                (3, d.components(&[number, "", "", "GENERAL", "MR"])),
                (5, d.components(&[&order.family, &order.given])),
            ],
        );
        let mut arrivals = Vec::new();
        for (at, test) in order.tests.iter().enumerate() {
            let part = if order.tests.len() == 1 {
                control_id.clone()
            } else {
                format!("{control_id}.{}", at + 1)
            };
            let arrival = Arrival::new(System::Ward, &part).with("PID-5.1", &order.family);
            arrivals.push(self.group(&mut writer, order, slip, (at, test), arrival));
            if matches!(*test, "SARS2" | "MEASLES") {
                let registry = Arrival::new(System::Registry, &part)
                    .with("MSH-5", "REGISTRY")
                    .with("PID-3.1", &order.patient)
                    .with("PID-5", "")
                    .with("OBX-3.1", test);
                arrivals.push(registry);
            }
        }
        let (acknowledgment, fate) = match slip {
            Slip::None => (AcknowledgmentCode::Aa, Fate::Arrives(arrivals)),
            Slip::NoPatient => {
                let why = "the laboratory left the patient's number out";
                (AcknowledgmentCode::Ae, Fate::Parked { code: "program.park", why })
            }
            Slip::NoOrder => (AcknowledgmentCode::Ae, Fate::Rejected),
        };
        Sending {
            channel: "lab-results",
            control_id,
            bytes: writer.finish(),
            lanes: vec![number.to_owned()],
            acknowledgment,
            fate,
        }
    }

    /// One test's OBR with its OBX, and what must arrive of it at the ward.
    fn group(
        &mut self,
        writer: &mut Writer<'_>,
        order: &Order,
        slip: Slip,
        (at, test): (usize, &&'static str),
        arrival: Arrival,
    ) -> Arrival {
        let d = &DIALECT;
        let status = if order.reported == 0 { "F" } else { "C" };
        let placer = if slip == Slip::NoOrder { "" } else { &order.number };
        let (hour, minute) = (self.random.between(0, 23), self.random.between(0, 59));
        writer.segment("ORC", &[(1, "RE".to_owned()), (2, placer.to_owned())]);
        writer.segment(
            "OBR",
            &[
                (1, (at + 1).to_string()),
                (2, placer.to_owned()),
                (3, format!("F{}", order.number)),
                (4, d.components(&[test])),
                (22, format!("2026-03-02 {hour:02}:{minute:02}")),
                (25, status.to_owned()),
            ],
        );
        let analytes: &[(&str, &str, &str)] = match *test {
            "CBC" => &[
                ("WBC", "10^9/l", "4-10"),
                ("HGB", "g/l", "120-160"),
                ("PLT", "10^9/l", "150-400"),
            ],
            "NAKCL" => &[("NA", "mmol/l", "135-145"), ("K", "mmol/l", "3.5-5.1")],
            "CRP" => &[("CRP", "mg/l", "0-5")],
            "GLU" => &[("GLU", "mmol/l", "3.9-5.6")],
            "SARS2" => &[("SARS2", "", "")],
            _ => &[("MEASLES", "", "")],
        };
        let mut last = ("", String::new());
        for (at, (analyte, unit, range)) in analytes.iter().enumerate() {
            let flag = self.random.weighted(&FLAGS);
            let value = format!("{}.{}", self.random.between(1, 180), self.random.between(0, 9));
            writer.segment(
                "OBX",
                &[
                    (1, (at + 1).to_string()),
                    (2, "NM".to_owned()),
                    (3, d.components(&[analyte])),
                    (5, value.clone()),
                    (6, d.value(unit)),
                    (7, (*range).to_owned()),
                    (8, flag.0.to_owned()),
                    (11, status.to_owned()),
                ],
            );
            last = (flag.1, value);
        }
        let mut arrival = arrival
            .with("PID-3.1", &order.patient)
            .with("OBR-2.1", &order.number)
            .with("OBR-4.1", test)
            .with("OBR-22", format!("20260302{hour:02}{minute:02}"))
            .with("OBR-25", status)
            .with("OBX(last)-8", last.0)
            .with("OBX(last)-5", last.1);
        if self.random.once_in(4) {
            let remark = self.random.pick(REMARKS);
            writer.segment("NTE", &[(1, "1".to_owned()), (3, d.value(remark))]);
            // A line break is written as `\.br\`, which decoding leaves as it is.
            arrival = arrival.with("NTE-3", remark.replace('\n', "\\.br\\"));
        }
        arrival
    }
}
