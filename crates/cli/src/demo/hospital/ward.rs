//! The wards: what they order from the laboratory and from the pharmacy.

use pipehat_message::AcknowledgmentCode;

use super::people::Hospital;
use super::{ControlIds, identity};
use crate::demo::dialect::{Dialect, DialectCharset, HeaderFields, USUAL, Writer};
use crate::demo::random::Random;
use crate::demo::sending::{Arrival, Fate, Order, Sending};
use crate::demo::system::System;

const DIALECT: Dialect = Dialect {
    application: "WARDS",
    facility: "GENERAL",
    version: "2.4",
    encoding_characters: USUAL,
    segment_end: "\r",
    charset: DialectCharset::Utf8,
};

/// A test as the wards call it, as the laboratory does, and in words.
const TESTS: [(u32, (&str, &str, &str)); 6] = [
    (30, ("BB", "CBC", "Complete blood count")),
    (25, ("ELEK", "NAKCL", "Electrolytes")),
    (20, ("CRP", "CRP", "C-reactive protein")),
    (15, ("GLUC", "GLU", "Glucose")),
    (8, ("CORO", "SARS2", "SARS-CoV-2 RNA")),
    (2, ("MASE", "MEASLES", "Measles virus IgM")),
];

/// Orders for the laboratory, in enhanced mode.
#[derive(Debug)]
pub(crate) struct LabOrders {
    random: Random,
    ids: ControlIds,
    numbers: ControlIds,
}

impl LabOrders {
    /// The wards of this seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            random: Random::of(seed, "lab orders"),
            ids: ControlIds::new("ORD"),
            numbers: ControlIds::new("L"),
        }
    }

    /// The next order.
    pub(crate) fn next(&mut self, hospital: &mut Hospital) -> Option<Sending> {
        let patient = hospital.inpatient(&mut self.random)?;
        let mut tests = vec![self.random.weighted(&TESTS)];
        while tests.len() < 3 && self.random.once_in(2) {
            let test = self.random.weighted(&TESTS);
            if !tests.contains(&test) {
                tests.push(test);
            }
        }
        let (control_id, number) = (self.ids.next(), self.numbers.next());
        let d = &DIALECT;
        let header = HeaderFields {
            kind: &["ORM", "O01"],
            control_id: &control_id,
            receiver: "ANY",
            acknowledgments: Some(("AL", "AL")),
        };
        let mut writer = Writer::new(d, header);
        writer.segment("PID", &identity(d, &patient));
        writer.segment("PV1", &[(1, "1".to_owned()), (2, "I".to_owned())]);
        for (at, (code, _, name)) in tests.iter().enumerate() {
            writer.segment("ORC", &[(1, "NW".to_owned()), (2, number.clone())]);
            let fields = [
                (1, (at + 1).to_string()),
                (2, number.clone()),
                (4, d.components(&[code, name, "WARD"])),
            ];
            writer.segment("OBR", &fields);
        }
        let mut arrival = Arrival::new(System::Laboratory, &control_id)
            .with("MSH-6", "LABORATORY")
            .with("PID-3.1", &patient.number)
            .with("PID-5.2", patient.given)
            .with("ORC-2", &number);
        let paths = [
            ("OBR(1)-4.1", "OBR(1)-4.2"),
            ("OBR(2)-4.1", "OBR(2)-4.2"),
            ("OBR(3)-4.1", "OBR(3)-4.2"),
        ];
        for ((code_at, name_at), (_, code, name)) in paths.into_iter().zip(&tests) {
            arrival = arrival.with(code_at, code).with(name_at, name);
        }
        arrival.order = Some(Box::new(Order {
            number,
            patient: patient.number.clone(),
            family: patient.family.clone(),
            given: patient.given.to_owned(),
            tests: tests.iter().map(|(_, code, _)| *code).collect(),
            reported: 0,
        }));
        Some(Sending {
            channel: "lab-orders",
            control_id,
            bytes: writer.finish(),
            lanes: vec![patient.number],
            acknowledgment: AcknowledgmentCode::Ca,
            fate: Fate::Arrives(vec![arrival]),
        })
    }
}

/// A medicine: its code, and its unit as the wards write it and as the pharmacy does.
const MEDICINES: [(u32, (&str, &str, &str)); 6] = [
    (30, ("PARACETAMOL", "Tbl", "TAB")),
    (25, ("IBUPROFEN", "Tbl", "TAB")),
    (15, ("MORPHINE", "mg", "MG")),
    (15, ("HEPARIN", "Amp", "AMP")),
    (15, ("AMOXICILLIN & CLAVULANIC ACID", "ml", "ML")),
    // The pharmacy has no such unit: a person must look.
    (1, ("VITAMIN K", "IE", "")),
];

/// Prescriptions for the pharmacy.
#[derive(Debug)]
pub(crate) struct Prescriptions {
    random: Random,
    ids: ControlIds,
}

impl Prescriptions {
    /// The wards of this seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self { random: Random::of(seed, "prescriptions"), ids: ControlIds::new("RXO") }
    }

    /// The next prescription.
    pub(crate) fn next(&mut self, hospital: &mut Hospital) -> Option<Sending> {
        let patient = hospital.inpatient(&mut self.random)?;
        let (medicine, unit, pharmacy_unit) = self.random.weighted(&MEDICINES);
        let amount = self.random.between(1, 12).to_string();
        let held = self.random.once_in(15);
        let control_id = self.ids.next();
        let d = &DIALECT;
        let header = HeaderFields {
            kind: &["RDE", "O11"],
            control_id: &control_id,
            receiver: "PHARMACY",
            acknowledgments: None,
        };
        let mut writer = Writer::new(d, header);
        writer.segment("PID", &identity(d, &patient));
        let control = if held { "HD" } else { "NW" };
        writer.segment("ORC", &[(1, control.to_owned()), (2, format!("P{control_id}"))]);
        let fields = [
            (1, d.components(&["1", "", "", "", "", "R"])),
            (2, d.components(&["", medicine])),
            (3, amount.clone()),
            (5, d.components(&[unit])),
            (7, d.components(&["", "with\nmeals"])),
        ];
        writer.segment("RXE", &fields);
        let (acknowledgment, fate) = if held {
            (AcknowledgmentCode::Aa, Fate::Filtered)
        } else if pharmacy_unit.is_empty() {
            let why = "the ward used a unit that is in no table";
            (AcknowledgmentCode::Ae, Fate::Parked { code: "program.map-no-match", why })
        } else {
            let arrival = Arrival::new(System::Pharmacy, &control_id)
                .with("PID-3.1", &patient.number)
                .with("RXE-2.2", medicine)
                .with("RXE-5.1", pharmacy_unit)
                .with("RXE-7.2", format!("{amount} {pharmacy_unit}"));
            (AcknowledgmentCode::Aa, Fate::Arrives(vec![arrival]))
        };
        Some(Sending {
            channel: "pharmacy-orders",
            control_id,
            bytes: writer.finish(),
            // Strict: all in one lane.
            lanes: vec!["all".to_owned()],
            acknowledgment,
            fate,
        })
    }
}
