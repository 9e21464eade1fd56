//! What the events of chapter 3 do (HL7 v2.5.1 §3.3).

use super::{Stay, World};
use crate::moment::{DAY, HOUR, MINUTE};

/// Whom an event is about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Concerned {
    pub(crate) patient: usize,
    /// Who is merged, linked or swapped with; a number that goes is still known when it is told.
    pub(crate) other: Option<usize>,
}

impl World {
    /// Lets an event happen; says whom it is about.
    pub(crate) fn admission(&mut self, trigger: &str) -> Concerned {
        let one = |patient| Concerned { patient, other: None };
        match trigger {
            "A01" => {
                let index = self.away();
                self.admit(index, "I", self.now.plus(-10 * MINUTE));
                one(index)
            }
            "A04" => {
                let index = self.away();
                let class = self.random.pick(&["O", "O", "E"]);
                self.admit(index, class, self.now.plus(-5 * MINUTE));
                one(index)
            }
            "A05" | "A14" => {
                let index = self.away();
                let days = self.random.between(2, 30);
                self.admit(index, "P", self.now.plus(days * DAY));
                self.set_stay(index, Stay::Expected);
                one(index)
            }
            "A38" | "A27" => {
                let found = self.find(|known| known.stay == Stay::Expected);
                let index = found.unwrap_or_else(|| self.admission("A05").patient);
                self.set_stay(index, Stay::Away);
                one(index)
            }
            "A02" | "A15" | "A09" | "A10" => {
                let index = self.present("I");
                self.transfer(index);
                one(index)
            }
            // The bed that was left is the bed again.
            "A12" | "A26" | "A32" | "A33" => {
                let moved = self
                    .find(|known| known.stay == Stay::Present && known.visit.prior_bed.is_some());
                let index = moved.unwrap_or_else(|| self.admission("A02").patient);
                if let Some(known) = self.known_mut(index) {
                    let left = known.visit.bed;
                    known.visit.bed = known.visit.prior_bed.unwrap_or(left);
                    known.visit.prior_bed = Some(left);
                }
                one(index)
            }
            "A03" => {
                let index = self.present("I");
                self.leave(index);
                one(index)
            }
            "A13" => {
                let index = self.left();
                if let Some(known) = self.known_mut(index) {
                    known.visit.discharged = None;
                    known.patient.died = None;
                    known.stay = Stay::Present;
                }
                one(index)
            }
            "A11" => {
                let index = self.present("I");
                self.set_stay(index, Stay::Away);
                one(index)
            }
            "A23" => {
                let index = self.left();
                self.set_stay(index, Stay::Away);
                one(index)
            }
            "A06" => {
                let index = self.present("O");
                let now = self.now;
                self.admit(index, "I", now);
                one(index)
            }
            "A07" => {
                let index = self.present("I");
                if let Some(known) = self.known_mut(index) {
                    known.visit.class = "O";
                }
                one(index)
            }
            "A08" => {
                let index = self.visitor();
                self.change(index);
                one(index)
            }
            "A28" => one(self.welcome()),
            "A31" => {
                let index = self.another(usize::MAX, None);
                self.change(index);
                one(index)
            }
            "A54" | "A55" => {
                let index = self.present("I");
                let doctor = self.random.below(100) as u16;
                if let Some(known) = self.known_mut(index) {
                    known.visit.attending = doctor;
                }
                one(index)
            }
            // Two change beds.
            "A17" => {
                let index = self.present("I");
                let other = self.another(index, Some(Stay::Present));
                let beds = self
                    .known
                    .get(index)
                    .map(|known| known.visit.bed)
                    .zip(self.known.get(other).map(|known| known.visit.bed));
                if let Some((first, second)) = beds {
                    for (at, to, from) in [(index, second, first), (other, first, second)] {
                        if let Some(known) = self.known_mut(at) {
                            known.visit.bed = to;
                            known.visit.prior_bed = Some(from);
                        }
                    }
                }
                Concerned { patient: index, other: Some(other) }
            }
            "A18" | "A30" | "A34" | "A35" | "A36" | "A39" | "A40" | "A41" | "A42" => self.merge(),
            "A24" | "A37" | "A43" | "A44" | "A45" | "A46" | "A47" | "A48" | "A49" | "A50"
            | "A51" => {
                let index = self.visitor();
                let other = self.another(index, None);
                Concerned { patient: index, other: Some(other) }
            }
            _ => one(self.visitor()),
        }
    }

    fn set_stay(&mut self, index: usize, stay: Stay) {
        if let Some(known) = self.known_mut(index) {
            known.stay = stay;
        }
    }

    pub(crate) fn transfer(&mut self, index: usize) {
        let number = self.random.next();
        let Some(known) = self.known_mut(index) else { return };
        let bed = crate::content::bed_of(known.visit.service, number);
        known.visit.prior_bed = Some(known.visit.bed);
        known.visit.bed = bed;
    }

    /// Something about somebody is new: the address or the telephone.
    pub(crate) fn change(&mut self, index: usize) {
        let now = self.now;
        if let Some(known) = self.known_mut(index) {
            known.patient.moves = known.patient.moves.wrapping_add(1) % 200;
            known.patient.updated = now;
        }
    }

    /// Somebody turns out to be known twice: a second record, made in a hurry some hours ago, is given up.
    fn merge(&mut self) -> Concerned {
        let index = self.visitor();
        let double = self.welcome();
        let Some(kept) = self.known.get(index).copied() else {
            return Concerned { patient: index, other: None };
        };
        if let Some(known) = self.known_mut(double) {
            let number = known.patient.number;
            known.patient = kept.patient;
            known.patient.number = number;
            known.stay = Stay::Away;
        }
        // A record that was given up is nobody's any more.
        let hours = self.random.between(1, 40);
        if let Some(known) = self.known_mut(double) {
            known.patient.updated = known.patient.updated.plus(-hours * HOUR);
        }
        Concerned { patient: index, other: Some(double) }
    }

    /// Forgets a record that was merged into another: its place is somebody else's.
    pub(crate) fn forget(&mut self, index: usize) {
        if index + 1 == self.known.len() {
            self.known.pop();
            self.numbers.pop();
            return;
        }
        let number = self.number_of(index);
        let seed = self.random.next();
        let patient = crate::people::Patient::new(seed, number, self.now, &self.cultures);
        if let Some(known) = self.known_mut(index) {
            known.patient = patient;
        }
    }
}
