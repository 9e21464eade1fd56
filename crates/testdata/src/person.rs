//! People alone, for those who write messages of their own.

use crate::moment::Moment;
use crate::people::{CULTURES, Patient};

/// Somebody who does not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The family name: one word or several, in any script.
    pub family: String,
    /// The given name.
    pub given: &'static str,
    /// Table 0001: F, M, O or U.
    pub sex: &'static str,
    /// Year, month and day of birth.
    pub born: (i64, i64, i64),
}

impl Person {
    /// The person of this seed, born before a day that is told in seconds since 1970.
    pub fn new(seed: u64, today: i64) -> Self {
        let cultures: Vec<_> = CULTURES.iter().collect();
        let patient = Patient::new(seed, 0, Moment(today), &cultures);
        let joint = if patient.name.hyphen { "-" } else { " " };
        let family = match patient.name.second {
            "" => patient.name.family.to_owned(),
            second => [patient.name.family, joint, second].concat(),
        };
        let born = patient.born.date();
        Self { family, given: patient.name.given, sex: patient.sex, born }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn people_differ_and_stay_the_same() {
        let today = 1_772_434_800;
        let all: Vec<Person> = (0..500).map(|seed| Person::new(seed, today)).collect();
        let again: Vec<Person> = (0..500).map(|seed| Person::new(seed, today)).collect();
        assert_eq!(all, again);
        let names: HashSet<_> = all.iter().map(|one| (&one.family, one.given)).collect();
        assert!(names.len() > 300, "{}", names.len());
        assert!(all.iter().any(|one| !one.family.is_ascii()));
        assert!(all.iter().any(|one| one.family.contains('-')));
        assert!(all.iter().all(|one| (1920..=2026).contains(&one.born.0)));
        for sex in ["F", "M", "O"] {
            assert!(all.iter().any(|one| one.sex == sex), "{sex}");
        }
    }
}
