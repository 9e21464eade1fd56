//! Those who treat, order and write.

use super::culture::Culture;
use super::patient::Name;
use super::place::Phone;
use crate::random::{mix, percent, pick};

/// So many work here.
const STAFF: u64 = 120;

/// A doctor, a nurse or a technician.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Practitioner {
    pub(crate) number: u64,
    pub(crate) name: Name,
    pub(crate) phone: Phone,
}

/// Everyone, in an order that stays.
pub(crate) fn staff(seed: u64, cultures: &[&'static Culture]) -> Vec<Practitioner> {
    (0..STAFF)
        .map(|at| {
            let seed = mix(seed, at);
            let culture = pick(mix(seed, 1), cultures);
            let woman = percent(mix(seed, 2), 50);
            let given = pick(mix(seed, 3), if woman { culture.women } else { culture.men });
            let name = Name {
                family: pick(mix(seed, 4), culture.families),
                second: "",
                hyphen: false,
                given,
                middle: "",
                suffix: "",
                prefix: "Dr",
                degree: "MD",
                kind: "L",
            };
            Practitioner { number: 10_200 + at * 7, name, phone: Phone::new(seed, culture.home) }
        })
        .collect()
}
