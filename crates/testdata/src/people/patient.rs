//! Patients: what is said about one stays so until an event changes it.

use super::culture::{Culture, Surnames};
use super::place::{Address, Contact, Country, Phone};
use crate::identifier::{Identifier, Scheme};
use crate::moment::{DAY, Moment};
use crate::random::{below, mix, percent, pick};

/// A person's name, as XPN has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) family: &'static str,
    /// A second family name, or none.
    pub(crate) second: &'static str,
    /// Whether the two are joined by a hyphen.
    pub(crate) hyphen: bool,
    pub(crate) given: &'static str,
    pub(crate) middle: &'static str,
    pub(crate) suffix: &'static str,
    pub(crate) prefix: &'static str,
    pub(crate) degree: &'static str,
    /// Table 0200.
    pub(crate) kind: &'static str,
}

/// Who insures.
#[derive(Debug)]
pub(crate) struct Insurer {
    pub(crate) name: &'static str,
    pub(crate) plan: &'static str,
    pub(crate) number: u64,
}

pub(crate) const INSURERS: &[Insurer] = &[
    Insurer { name: "Harborlight Mutual", plan: "HLM-PPO", number: 1407 },
    Insurer { name: "Northgate Health", plan: "NGH-HMO", number: 2210 },
    Insurer { name: "Community Sick Fund", plan: "CSF-STD", number: 3302 },
    Insurer { name: "State Medical Assistance", plan: "SMA", number: 4001 },
];

/// Somebody: a patient or a relative of one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Person {
    pub(crate) name: Name,
    pub(crate) woman: bool,
    pub(crate) address: Address,
    pub(crate) phone: Phone,
}

/// A patient.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patient {
    pub(crate) seed: u64,
    /// The medical record number.
    pub(crate) number: u64,
    pub(crate) culture: &'static Culture,
    pub(crate) name: Name,
    /// Table 0001.
    pub(crate) sex: &'static str,
    pub(crate) born: Moment,
    /// Table 0002.
    pub(crate) marital: &'static str,
    /// Counts what was changed: an address, a telephone number.
    pub(crate) moves: u8,
    pub(crate) died: Option<Moment>,
    /// When something about it last changed.
    pub(crate) updated: Moment,
}

/// What is asked of a patient's seed.
mod ask {
    pub(super) const SEX: u64 = 1;
    pub(super) const GIVEN: u64 = 2;
    pub(super) const FAMILY: u64 = 3;
    pub(super) const SECOND: u64 = 4;
    pub(super) const AGE: u64 = 5;
    pub(super) const MARITAL: u64 = 6;
    pub(super) const CULTURE: u64 = 7;
    pub(super) const COUNTRY: u64 = 8;
    pub(super) const ADDRESS: u64 = 100;
    pub(super) const PHONE: u64 = 400;
    pub(super) const KIN: u64 = 700;
    pub(super) const OTHER: u64 = 900;
}

impl Patient {
    /// Somebody new.
    pub(crate) fn new(seed: u64, number: u64, now: Moment, cultures: &[&'static Culture]) -> Self {
        let asked = |question| mix(seed, question);
        let culture = pick(asked(ask::CULTURE), cultures);
        let sex = match below(asked(ask::SEX), 200) {
            0..=99 => "F",
            100..=196 => "M",
            197 | 198 => "O",
            _ => "U",
        };
        let woman = sex == "F" || (sex != "M" && percent(asked(ask::SEX + 50), 50));
        // Hospitals see the very young and the old more often than the rest.
        let age_days = match below(asked(ask::AGE), 100) {
            0..=6 => below(asked(ask::AGE + 50), 2 * 365),
            7..=14 => below(asked(ask::AGE + 50), 18 * 365),
            15..=54 => 18 * 365 + below(asked(ask::AGE + 50), 42 * 365),
            _ => 60 * 365 + below(asked(ask::AGE + 50), 36 * 365),
        };
        let age = age_days / 365;
        let first = pick(asked(ask::FAMILY), culture.families);
        let other = pick(asked(ask::SECOND), culture.families);
        let (second, hyphen) = match culture.surnames {
            Surnames::Two if other != first => (other, false),
            Surnames::Joined if other != first && percent(asked(ask::SECOND + 50), 12) => {
                (other, true)
            }
            _ => ("", false),
        };
        let given =
            |question| pick(asked(question), if woman { culture.women } else { culture.men });
        let middle = given(ask::GIVEN + 50);
        let first_name = given(ask::GIVEN);
        let has_middle = middle != first_name && percent(asked(ask::GIVEN + 60), 30);
        let born = Moment(now.0 - age_days as i64 * DAY).midnight();
        let suffix = if !woman && culture.language.0 == "en" && percent(asked(ask::OTHER), 4) {
            "Jr"
        } else {
            ""
        };
        Self {
            seed,
            number,
            culture,
            name: Name {
                family: first,
                second,
                hyphen,
                given: first_name,
                middle: if has_middle { middle } else { "" },
                suffix,
                prefix: "",
                degree: "",
                kind: "L",
            },
            sex,
            born,
            marital: match age {
                0..=17 => "S",
                18..=27 => pick(asked(ask::MARITAL), &["S", "S", "S", "M"]),
                28..=69 => pick(asked(ask::MARITAL), &["M", "M", "M", "S", "D"]),
                _ => pick(asked(ask::MARITAL), &["M", "M", "W", "W", "D", "S"]),
            },
            moves: 0,
            died: None,
            updated: now,
        }
    }

    pub(crate) const fn asked(&self, question: u64) -> u64 {
        mix(self.seed, ask::OTHER + question)
    }

    pub(crate) const fn age(&self, now: Moment) -> i64 {
        (now.0 - self.born.0) / (365 * DAY)
    }

    pub(crate) fn country(&self) -> Country {
        if percent(mix(self.seed, ask::COUNTRY), 85) {
            self.culture.home
        } else {
            Country::any(mix(self.seed, ask::COUNTRY + 50))
        }
    }

    pub(crate) fn address(&self) -> Address {
        Address::new(mix(self.seed, ask::ADDRESS + u64::from(self.moves / 2)), self.country())
    }

    pub(crate) fn phone(&self) -> Phone {
        Phone::new(mix(self.seed, ask::PHONE + u64::from(self.moves.div_ceil(2))), self.country())
    }

    /// A telephone, for many one at work and an address for electronic mail too.
    pub(crate) fn contact(&self, at: usize) -> Option<Contact> {
        match at {
            0 => Some(Contact::Phone(self.phone(), "PRN")),
            1 => percent(self.asked(20), 45).then_some(Contact::Email(self.number)),
            _ => None,
        }
    }

    /// The medical record number.
    pub(crate) const fn record_number(&self) -> Identifier {
        Identifier {
            prefix: "",
            number: self.number,
            scheme: Scheme::Mod11,
            authority: "GENHOSP",
            kind: "MR",
        }
    }

    /// The numbers that PID-3 lists.
    pub(crate) fn identifier(&self, at: usize) -> Option<Identifier> {
        let national = Identifier {
            prefix: "",
            number: 900_000_000 + below(self.asked(1), 99_999_999),
            scheme: Scheme::Mod10,
            authority: "NATREG",
            kind: "NI",
        };
        // Numbers from 987-65-4320 on were kept for advertisements and never issued.
        let social = Identifier {
            prefix: "",
            number: 987_654_320 + below(self.asked(2), 10),
            scheme: Scheme::None,
            authority: "SSA",
            kind: "SS",
        };
        let has_social = self.country() == Country::UnitedStates && percent(self.asked(3), 60);
        let has_national = !has_social && percent(self.asked(3), 60);
        match at {
            0 => Some(self.record_number()),
            1 if has_national => Some(national),
            1 if has_social => Some(social),
            _ => None,
        }
    }

    /// The number of the account that a visit is charged to.
    pub(crate) const fn account(&self) -> Identifier {
        Identifier {
            prefix: "",
            number: 40_000_000 + self.number,
            scheme: Scheme::None,
            authority: "GENHOSP",
            kind: "AN",
        }
    }

    /// How many relatives are on file.
    pub(crate) fn kin_count(&self) -> usize {
        pick(mix(self.seed, ask::KIN), &[0, 1, 1, 1, 2])
    }

    /// A relative, and what the relative is to the patient (table 0063).
    pub(crate) fn kin(&self, at: usize, now: Moment) -> (Person, &'static str) {
        let seed = mix(self.seed, ask::KIN + 1 + at as u64);
        let child = self.age(now) < 18;
        let relation = match (child, at) {
            (true, 0) => "MTH",
            (true, _) => "FTH",
            (false, 0) if self.marital == "M" => "SPO",
            (false, _) => pick(mix(seed, 1), &["SIB", "CHD", "CHD", "PAR"]),
        };
        let woman = match relation {
            "MTH" => true,
            "FTH" => false,
            _ => percent(mix(seed, 2), 50),
        };
        let given = pick(mix(seed, 3), if woman { self.culture.women } else { self.culture.men });
        let name = Name { given, middle: "", suffix: "", ..self.name };
        let address = if child || relation == "SPO" {
            self.address()
        } else {
            Address::new(seed, self.country())
        };
        (Person { name, woman, address, phone: Phone::new(seed, self.country()) }, relation)
    }

    pub(crate) fn insurer(&self) -> &'static Insurer {
        let at = below(self.asked(10), INSURERS.len() as u64) as usize;
        INSURERS.get(at).unwrap_or(&INSURERS[0])
    }

    pub(crate) fn is_insured(&self) -> bool {
        percent(self.asked(11), 88)
    }

    /// The number of the policy.
    pub(crate) fn policy(&self) -> u64 {
        100_000_000 + below(self.asked(12), 899_999_999)
    }

    /// The patient as one of those whom a patient is to a policy or an account.
    pub(crate) fn person(&self) -> Person {
        Person {
            name: self.name,
            woman: self.sex == "F",
            address: self.address(),
            phone: self.phone(),
        }
    }
}
