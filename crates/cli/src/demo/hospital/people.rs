//! Patients and visits, as they come, stay, move and go. All of them are made up.

use std::collections::VecDeque;
use std::time::Instant;

use pipehat_testdata::Person;

use crate::demo::random::Random;
use crate::demo::sending::Order;

/// So many people are known at most; beyond it, people without a visit are forgotten.
const PATIENTS_MAX: usize = 400;

/// So many orders wait in the laboratory at most; it turns further ones down.
const WORKLIST_MAX: usize = 500;

const STREETS: &[&str] = &[
    "Rose & Crown Lane 4",
    "Hauptstraße 12",
    "Rue de l'Église 7",
    "Calle Ñuñoa 31",
    "Mill Road 5 | Flat 2",
    "Søndergade 18",
];

const CITIES: &[&str] = &["Norderstadt", "Östervik", "Saint-Aubin", "Vila Nova"];

/// The day on which the demo's people are as old as they are, in seconds since 1970: 2 March 2026.
const TODAY: i64 = 1_772_409_600;

/// The sex as registration writes it, and as table 0001 does.
fn sex(code: &'static str) -> (&'static str, &'static str) {
    match code {
        "F" => ("w", "F"),
        "M" => ("m", "M"),
        "O" => ("d", "O"),
        _ => ("?", "U"),
    }
}

/// A person.
#[derive(Debug, Clone)]
pub(crate) struct Patient {
    pub(super) number: String,
    pub(super) card: Option<String>,
    pub(super) insurance: Option<String>,
    pub(super) family: String,
    pub(super) given: &'static str,
    pub(super) sex: (&'static str, &'static str),
    /// Year, month, day.
    pub(super) born: (i64, i64, i64),
    pub(super) street: &'static str,
    pub(super) city: &'static str,
    pub(super) visit: Option<Visit>,
}

/// A stay, or a visit of hours.
#[derive(Debug, Clone)]
pub(crate) struct Visit {
    pub(super) number: String,
    /// PV1-2: I, O or E.
    pub(super) class: &'static str,
    pub(super) ward: &'static str,
    pub(super) bed: u32,
}

pub(super) const WARDS: &[&str] = &["SURG", "MED", "ICU", "PED", "OBS"];

/// Everyone who is known, and what waits to be done.
#[derive(Debug)]
pub(crate) struct Hospital {
    random: Random,
    patients: Vec<Patient>,
    last_patient: u32,
    last_visit: u32,
    worklist: VecDeque<(Instant, Order)>,
}

impl Hospital {
    /// A hospital on its first day.
    pub(crate) fn new(seed: u64) -> Self {
        let mut hospital = Self {
            random: Random::of(seed, "people"),
            patients: Vec::new(),
            last_patient: 100_000,
            last_visit: 500_000,
            worklist: VecDeque::new(),
        };
        for _ in 0..60 {
            let patient = hospital.new_patient();
            hospital.patients.push(patient);
        }
        for at in 0..40 {
            let visit = hospital.new_visit("I");
            if let Some(patient) = hospital.patients.get_mut(at) {
                patient.visit = Some(visit);
            }
        }
        hospital
    }

    fn new_patient(&mut self) -> Patient {
        let random = &mut self.random;
        self.last_patient += random.between(1, 9);
        let Person { family, given, sex: code, born } = Person::new(random.next(), TODAY);
        Patient {
            number: self.last_patient.to_string(),
            card: random.once_in(2).then(|| format!("N{}", random.between(10_000, 99_999))),
            insurance: random.once_in(3).then(|| format!("A{:09}", random.between(1, 999_999_999))),
            family,
            given,
            sex: sex(code),
            born,
            street: random.pick(STREETS),
            city: random.pick(CITIES),
            visit: None,
        }
    }

    pub(super) fn new_visit(&mut self, class: &'static str) -> Visit {
        self.last_visit += 1;
        Visit {
            number: format!("V{}", self.last_visit),
            class,
            ward: self.random.pick(WARDS),
            bed: self.random.between(1, 30),
        }
    }

    /// Someone who was not known before; where in the list.
    pub(super) fn welcome(&mut self) -> usize {
        if self.patients.len() >= PATIENTS_MAX {
            self.patients.retain(|patient| patient.visit.is_some());
        }
        let patient = self.new_patient();
        self.patients.push(patient);
        self.patients.len() - 1
    }

    /// Someone with or without a visit.
    pub(super) fn find(&mut self, random: &mut Random, visiting: bool) -> Option<usize> {
        let fitting = self.patients.iter().enumerate();
        let fitting: Vec<usize> = fitting
            .filter(|(_, patient)| patient.visit.is_some() == visiting)
            .map(|(at, _)| at)
            .collect();
        fitting.get(random.below(fitting.len())).copied()
    }

    /// Someone who is in the hospital.
    pub(super) fn inpatient(&mut self, random: &mut Random) -> Option<Patient> {
        let at = self.find(random, true)?;
        self.patients.get(at).cloned()
    }

    /// Anyone.
    pub(super) fn anyone(&mut self, random: &mut Random) -> Option<Patient> {
        self.patients.get(random.below(self.patients.len())).cloned()
    }

    pub(super) fn patient_mut(&mut self, at: usize) -> Option<&mut Patient> {
        self.patients.get_mut(at)
    }

    pub(super) fn visiting(&self) -> usize {
        self.patients.iter().filter(|patient| patient.visit.is_some()).count()
    }

    pub(super) fn forget(&mut self, at: usize) -> Option<Patient> {
        (at < self.patients.len()).then(|| self.patients.swap_remove(at))
    }

    /// The laboratory has an order, and will have results at that time.
    pub(crate) fn put_on_worklist(&mut self, due: Instant, order: Order) {
        if self.worklist.len() < WORKLIST_MAX {
            self.worklist.push_back((due, order));
        }
    }

    /// An order whose results are there.
    pub(super) fn take_from_worklist(&mut self, now: Instant) -> Option<Order> {
        let at = self.worklist.iter().position(|(due, _)| *due <= now)?;
        self.worklist.remove(at).map(|(_, order)| order)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_people() {
        let names = |seed| -> Vec<String> {
            let hospital = Hospital::new(seed);
            hospital.patients.iter().map(|patient| format!("{patient:?}")).collect()
        };
        assert_eq!(names(3), names(3));
        assert_ne!(names(3), names(4));
    }

    #[test]
    fn the_number_of_people_is_bounded() {
        let mut hospital = Hospital::new(1);
        for _ in 0..3 * PATIENTS_MAX {
            hospital.welcome();
            assert!(hospital.patients.len() <= PATIENTS_MAX);
        }
        assert_eq!(hospital.visiting(), 40);
    }
}
