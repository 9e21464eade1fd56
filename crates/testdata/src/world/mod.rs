//! The hospital: who is known, who is in, what is ordered, and what an event does to them.
//!
//! An event that needs something which happened before finds it, or lets it happen without a message: a stream of
//! discharges is one of people who were admitted.

mod admission;
mod ordering;

pub(crate) use ordering::Goods;

use crate::catalogue::{DIAGNOSES, SERVICES};
use crate::moment::{DAY, HOUR, MINUTE, Moment};
use crate::people::{Culture, Patient, Practitioner, staff};
use crate::random::Random;
use crate::scene::{Appointment, Document, Order, Visit};
use std::collections::VecDeque;

/// So many people are known at most; then those who were seen least recently are forgotten.
const PATIENTS_MAX: usize = 4000;
/// So many are there at the start.
const PATIENTS_AT_START: usize = 160;
/// Of them, so many are in.
const INPATIENTS_AT_START: usize = 60;
/// So many people are looked at to find one who fits.
const TRIES_MAX: usize = 64;
/// So many orders wait for their results at most, and so many for their filler.
const OPEN_ORDERS_MAX: usize = 400;
/// So many appointments and documents are remembered.
const REMEMBERED_MAX: usize = 200;

/// Where a patient is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stay {
    /// Not here.
    Away,
    /// Expected.
    Expected,
    /// Here.
    Present,
    /// Left again; the visit can still be told about.
    Left,
}

/// A patient with the present or last visit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known {
    pub(crate) patient: Patient,
    pub(crate) visit: Visit,
    pub(crate) stay: Stay,
}

/// An order whose result is still to come.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OpenOrder {
    /// The patient's number.
    pub(crate) patient: u64,
    pub(crate) order: Order,
}

/// The hospital.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) random: Random,
    pub(crate) now: Moment,
    pub(crate) staff: Vec<Practitioner>,
    cultures: Vec<&'static Culture>,
    pub(crate) known: Vec<Known>,
    /// Their numbers, in the same order: looked through more often than the rest.
    numbers: Vec<u64>,
    /// Whose place is taken next when all are.
    oldest: usize,
    pub(crate) open: VecDeque<OpenOrder>,
    /// Orders that were sent and that their filler may not have yet.
    placed: VecDeque<OpenOrder>,
    pub(crate) appointments: VecDeque<(u64, Appointment)>,
    pub(crate) documents: VecDeque<(u64, Document)>,
    last_patient: u64,
    last_visit: u64,
    last_order: u64,
    last_appointment: u64,
    last_document: u64,
}

impl World {
    /// A hospital that has been open for some time.
    pub(crate) fn new(seed: u64, now: Moment, cultures: Vec<&'static Culture>) -> Self {
        let mut world = Self {
            random: Random::new(seed),
            now,
            staff: staff(seed ^ 0x57AF_F000, &cultures),
            cultures,
            known: Vec::with_capacity(PATIENTS_AT_START),
            numbers: Vec::with_capacity(PATIENTS_AT_START),
            oldest: 0,
            open: VecDeque::new(),
            placed: VecDeque::new(),
            appointments: VecDeque::new(),
            documents: VecDeque::new(),
            last_patient: 300_100,
            last_visit: 500_000,
            last_order: 700_000,
            last_appointment: 80_000,
            last_document: 60_000,
        };
        for at in 0..PATIENTS_AT_START {
            let index = world.welcome();
            if at < INPATIENTS_AT_START {
                let since = world.random.between(2 * HOUR, 5 * DAY);
                world.admit(index, "I", now.plus(-since));
            } else if at < INPATIENTS_AT_START + 30 {
                world.admit(index, "O", now.plus(-HOUR));
                world.leave(index);
            }
        }
        world
    }

    /// Somebody new; the index.
    pub(crate) fn welcome(&mut self) -> usize {
        self.last_patient += 1 + self.random.below(8) as u64;
        let number = crate::identifier::Scheme::Mod11.next_valid(self.last_patient);
        self.last_patient = number;
        let patient = Patient::new(self.random.next(), number, self.now, &self.cultures);
        let known = Known { patient, visit: self.new_visit("O", self.now), stay: Stay::Away };
        if self.known.len() < PATIENTS_MAX {
            self.known.push(known);
            self.numbers.push(number);
            return self.known.len() - 1;
        }
        for _ in 0..TRIES_MAX {
            self.oldest = (self.oldest + 1) % PATIENTS_MAX;
            if self.known[self.oldest].stay != Stay::Present {
                break;
            }
        }
        self.known[self.oldest] = known;
        self.numbers[self.oldest] = number;
        self.oldest
    }

    fn new_visit(&mut self, class: &'static str, at: Moment) -> Visit {
        self.last_visit += 1;
        let service = self.random.pick(&[0, 0, 0, 1, 1, 2, 3, 4]);
        let service = SERVICES.get(service).map_or("MED", |(name, _)| name);
        let mut bed = crate::content::bed_of(service, self.random.next());
        match class {
            "E" => bed.ward = "ED",
            "O" | "P" => (bed.ward, bed.room, bed.bed) = ("CLINIC", bed.room, 0),
            _ => {}
        }
        Visit {
            number: self.last_visit,
            class,
            bed,
            prior_bed: None,
            service,
            attending: self.random.below(100) as u16,
            admitted: at,
            discharged: None,
            diagnosis: self.random.below(DIAGNOSES.len()) as u8,
        }
    }

    /// Lets somebody in.
    pub(crate) fn admit(&mut self, index: usize, class: &'static str, at: Moment) {
        let visit = self.new_visit(class, at);
        if let Some(known) = self.known.get_mut(index) {
            known.visit = visit;
            known.stay = Stay::Present;
        }
    }

    /// Lets somebody go.
    pub(crate) fn leave(&mut self, index: usize) {
        let now = self.now;
        let mortal = self.random.percent(1);
        if let Some(known) = self.known.get_mut(index) {
            known.visit.discharged =
                Some(now.plus(-5 * MINUTE).max(known.visit.admitted.plus(MINUTE)));
            known.stay = Stay::Left;
            if mortal && known.visit.class == "I" && known.patient.age(now) > 60 {
                known.patient.died = known.visit.discharged.map(|at| at.plus(-2 * HOUR));
            }
        }
    }

    /// Somebody for whom this is so, if a few tries find one.
    pub(crate) fn find(&mut self, fits: impl Fn(&Known) -> bool) -> Option<usize> {
        let count = self.known.len();
        let start = self.random.below(count);
        (0..count.min(TRIES_MAX))
            .map(|at| (start + at) % count)
            .find(|&at| self.known.get(at).is_some_and(&fits))
    }

    /// Somebody who is in as this class; one is admitted when there is none.
    pub(crate) fn present(&mut self, class: &'static str) -> usize {
        let alive = |known: &Known| known.stay == Stay::Present && known.visit.class == class;
        self.find(alive).unwrap_or_else(|| {
            let index = self.away();
            let since = self.random.between(HOUR, 2 * DAY);
            self.admit(index, class, self.now.plus(-since));
            index
        })
    }

    /// Somebody who is not in and lives: mostly somebody new.
    pub(crate) fn away(&mut self) -> usize {
        let known = if self.random.percent(40) {
            self.find(|known| known.stay != Stay::Present && known.patient.died.is_none())
        } else {
            None
        };
        known.unwrap_or_else(|| self.welcome())
    }

    /// Somebody who left and can be told about.
    pub(crate) fn left(&mut self) -> usize {
        let found = self.find(|known| known.stay == Stay::Left && known.patient.died.is_none());
        found.unwrap_or_else(|| {
            let index = self.present("I");
            self.leave(index);
            index
        })
    }

    /// Somebody other than this.
    pub(crate) fn another(&mut self, index: usize, stay: Option<Stay>) -> usize {
        for _ in 0..8 {
            let found = self.find(|known| {
                known.patient.died.is_none() && stay.is_none_or(|stay| known.stay == stay)
            });
            if let Some(found) = found.filter(|&found| found != index) {
                return found;
            }
        }
        self.welcome()
    }

    pub(crate) fn known_mut(&mut self, index: usize) -> Option<&mut Known> {
        self.known.get_mut(index)
    }

    /// Anyone alive, of whom a visit is known.
    pub(crate) fn visitor(&mut self) -> usize {
        match self.random.below(10) {
            0..=6 => self.present("I"),
            7 => self.present("E"),
            _ => self.present("O"),
        }
    }

    /// Who has this number.
    pub(crate) fn by_number(&self, number: u64) -> Option<usize> {
        self.numbers.iter().position(|known| *known == number)
    }

    pub(crate) fn number_of(&self, index: usize) -> u64 {
        self.known.get(index).map_or(0, |known| known.patient.number)
    }
}
