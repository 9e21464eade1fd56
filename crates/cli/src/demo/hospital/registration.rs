//! The registration system: who comes, moves, goes, and who two people turn out to be.
//!
//! It writes birth dates as 31.12.1980, sexes as w, m and d, several identifiers for a person, and
//! a segment of its own (ZPI) with the insurance number.

use pipehat_message::AcknowledgmentCode;

use super::ControlIds;
use super::people::{Hospital, Patient, WARDS};
use crate::demo::dialect::{Dialect, DialectCharset, HeaderFields, USUAL, Writer};
use crate::demo::random::Random;
use crate::demo::sending::{Arrival, Fate, Sending};
use crate::demo::system::System;

const DIALECT: Dialect = Dialect {
    application: "REGIS",
    facility: "FRONT DESK",
    version: "2.5.1",
    encoding_characters: USUAL,
    segment_end: "\r",
    charset: DialectCharset::Utf8,
};

/// What happens at the front desk, and how often.
const EVENTS: [(u32, &str); 10] = [
    (14, "A01"),
    (14, "A04"),
    (14, "A02"),
    (16, "A03"),
    (22, "A08"),
    (3, "A11"),
    (5, "A28"),
    (6, "A31"),
    (3, "A40"),
    (3, "A60"),
];

/// So many patients stay at most.
const VISITING_MAX: usize = 200;

/// Below so many patients nobody is sent home.
const VISITING_MIN: usize = 20;

/// The registration system.
#[derive(Debug)]
pub(crate) struct Registration {
    random: Random,
    ids: ControlIds,
}

impl Registration {
    /// The system of this seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self { random: Random::of(seed, "registration"), ids: ControlIds::new("REG") }
    }

    /// What happens next.
    pub(crate) fn next(&mut self, hospital: &mut Hospital) -> Option<Sending> {
        let visiting = hospital.visiting();
        let event = match self.random.weighted(&EVENTS) {
            "A03" | "A11" if visiting < VISITING_MIN => "A01",
            "A01" | "A04" if visiting > VISITING_MAX => "A03",
            event => event,
        };
        match event {
            "A01" | "A04" => self.arrive(hospital, event),
            "A28" => {
                let at = hospital.welcome();
                self.tell(hospital.patient_mut(at)?.clone(), event, None)
            }
            "A31" => {
                let at = hospital.find(&mut self.random, false)?;
                self.tell(hospital.patient_mut(at)?.clone(), event, None)
            }
            "A40" => self.merge(hospital),
            _ => self.visit_event(hospital, event),
        }
    }

    fn arrive(&mut self, hospital: &mut Hospital, event: &str) -> Option<Sending> {
        let known = self.random.once_in(3).then(|| hospital.find(&mut self.random, false));
        let at = known.flatten().unwrap_or_else(|| hospital.welcome());
        let class = match event {
            "A01" => "I",
            _ if self.random.once_in(3) => "E",
            _ => "O",
        };
        let visit = hospital.new_visit(class);
        let patient = hospital.patient_mut(at)?;
        patient.visit = Some(visit);
        let patient = patient.clone();
        self.tell(patient, event, None)
    }

    fn visit_event(&mut self, hospital: &mut Hospital, event: &str) -> Option<Sending> {
        let at = hospital.find(&mut self.random, true)?;
        let (ward, bed) = (self.random.pick(WARDS), self.random.between(1, 30));
        let patient = hospital.patient_mut(at)?;
        match (event, &mut patient.visit) {
            ("A02", Some(visit)) => (visit.ward, visit.bed) = (ward, bed),
            ("A08", _) if patient.insurance.is_none() => {
                patient.insurance = Some(format!("B{:09}", self.random.between(1, 999_999_999)));
            }
            _ => {}
        }
        let told = patient.clone();
        if matches!(event, "A03" | "A11") {
            patient.visit = None;
        }
        self.tell(told, event, None)
    }

    /// Two numbers turn out to be one person.
    fn merge(&mut self, hospital: &mut Hospital) -> Option<Sending> {
        let at = hospital.find(&mut self.random, false)?;
        let gone = hospital.forget(at)?;
        let patient = hospital.anyone(&mut self.random)?;
        self.tell(patient, "A40", Some(&gone.number))
    }

    fn tell(&mut self, patient: Patient, event: &str, merged: Option<&str>) -> Option<Sending> {
        let control_id = self.ids.next();
        let bytes = write(&patient, event, &control_id, merged);
        let lanes = std::iter::once(patient.number.clone()).chain(merged.map(str::to_owned));
        let fate = if event == "A60" {
            Fate::Filtered
        } else {
            Fate::Arrives(arrivals(&patient, event, &control_id, merged))
        };
        Some(Sending {
            channel: "admissions",
            control_id,
            bytes,
            lanes: lanes.collect(),
            acknowledgment: AcknowledgmentCode::Aa,
            fate,
        })
    }
}

fn write(patient: &Patient, event: &str, control_id: &str, merged: Option<&str>) -> Vec<u8> {
    let d = &DIALECT;
    let structure = match event {
        "A04" | "A08" => "ADT_A01",
        "A11" => "ADT_A09",
        "A28" | "A31" => "ADT_A05",
        "A40" => "ADT_A39",
        _ => "",
    };
    let kind = ["ADT", event, structure];
    let header =
        HeaderFields { kind: &kind, control_id, receiver: "HOSPITAL", acknowledgments: None };
    let mut writer = Writer::new(d, header);
    writer.segment("EVN", &[(1, event.to_owned())]);
    let mut identifiers = vec![d.components(&[&patient.number, "", "", "REG", "MR"])];
    if let Some(card) = &patient.card {
        identifiers.push(d.components(&[card, "", "", "STN", "PI"]));
    }
    let (year, month, day) = patient.born;
    writer.segment(
        "PID",
        &[
            (1, "1".to_owned()),
            (3, d.repetitions(&identifiers)),
            (5, d.components(&[&patient.family, patient.given])),
            (7, format!("{day:02}.{month:02}.{year}")),
            (8, d.value(patient.sex.0)),
            (11, d.components(&[patient.street, "", patient.city])),
        ],
    );
    if let Some(merged) = merged {
        writer.segment("MRG", &[(1, d.components(&[merged, "", "", "REG", "MR"]))]);
    } else if let Some(visit) = &patient.visit {
        writer.segment(
            "PV1",
            &[
                (1, "1".to_owned()),
                (2, visit.class.to_owned()),
                (3, d.components(&[visit.ward, &visit.bed.to_string()])),
                (19, visit.number.clone()),
            ],
        );
    } else {
        writer.segment("PV1", &[(1, "1".to_owned()), (2, "N".to_owned())]);
    }
    if let Some(insurance) = &patient.insurance {
        writer.segment("ZPI", &[(1, "1".to_owned()), (2, insurance.clone())]);
    }
    writer.finish()
}

fn arrivals(
    patient: &Patient,
    event: &str,
    control_id: &str,
    merged: Option<&str>,
) -> Vec<Arrival> {
    let (year, month, day) = patient.born;
    // The insurance number stands behind the number and, where there is one, the card.
    let insurance_at = if patient.card.is_some() { "PID-3[3].1" } else { "PID-3[2].1" };
    let known = |at: System| {
        let arrival = Arrival::new(at, control_id)
            .with("MSH-3", "PIPEHAT")
            .with("PID-3[1].1", &patient.number)
            .with("PID-3[1].4", "GENERAL")
            .with("PID-5.1", &patient.family)
            .with("PID-7", format!("{year}{month:02}{day:02}"))
            .with("PID-8", patient.sex.1)
            .with("PID-11.1", patient.street)
            .with("MRG-1.1", merged.unwrap_or_default())
            .with("MRG-1.4", if merged.is_some() { "GENERAL" } else { "" });
        match &patient.card {
            Some(card) => arrival.with("PID-3[2].1", card).with("PID-3[2].4", "NORTH CLINIC"),
            None => arrival,
        }
    };
    let insured = |arrival: Arrival| match &patient.insurance {
        Some(insurance) => arrival.with(insurance_at, insurance),
        None => arrival,
    };
    let mut arrivals = vec![insured(known(System::Laboratory))];
    let class = if merged.is_some() { None } else { patient.visit.as_ref().map(|one| one.class) };
    if matches!(class, Some("I" | "E")) {
        arrivals.push(insured(known(System::Pharmacy)).with("ZPI-2", ""));
    }
    if !matches!(event, "A28" | "A31") {
        let kind = match class {
            Some("I") => "STATIONARY",
            Some("O") => "AMBULANT",
            Some("E") => "EMERGENCY",
            _ => "",
        };
        arrivals.push(insured(known(System::Billing)).with("MSH-5", "BILLING").with("PV1-2", kind));
    }
    arrivals
}
