//! Whose a resource is: a reference that leads where it led before, or the writer means another thing by the same number.
//!
//! A number is given twice, or two systems give it under one name; then an update by that number would take a result away from
//! its patient without a word. The mark names the element that has to lead to the same: what stands without a reference there,
//! and a writer that tells none, move nothing. Two Patients are the same where their links say that one took the place of the
//! other (FHIR R4 §8.1.11, `Patient.link.type` `replaced-by` and `replaces`), over several steps, too.

use std::collections::VecDeque;

use super::{Keeps, found};
use crate::json::Value;

/// The rule that a refusal names (`OperationOutcome.issue.details`): another's is recognised by it.
pub const SAME_RULE: &str = "pipehat-same";

/// How many Patients are looked at to find out whether two are one.
pub const LINKED_MAX: usize = 16;

/// What a person is told where a reference would lead elsewhere: no value, and what to do.
pub fn moved_text(resource_type: &str, element: &str) -> String {
    format!(
        "the {resource_type} with this number stands with another `{element}`, and the two were not merged: a person has to see whose it is, and correct or delete what stands, or discard what is told"
    )
}

/// A reference that would lead elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// Which: `subject`.
    pub element: Box<str>,
    /// Where it leads where the resource stands: `Patient/1`.
    pub from: String,
    /// Where it would lead.
    pub to: String,
}

impl Keeps {
    /// Names one more reference that has to lead to the same: `subject`.
    pub fn hold(&mut self, element: impl Into<Box<str>>) {
        self.same.push(element.into());
    }

    /// The references that have to lead to the same.
    pub fn same(&self) -> impl Iterator<Item = &str> {
        self.same.iter().map(|own| &**own)
    }

    /// Which of these references lead elsewhere in `told`. Its own are resolved: `Patient/1`, not an entry of the Bundle.
    pub fn moved(&self, standing: &Value, told: &Value) -> Vec<Moved> {
        let moved = |element: &str| {
            let from = reference(standing, element)?;
            let to = reference(told, element)?;
            let (element, from, to) = (element.into(), from.to_owned(), to.to_owned());
            (from != to).then_some(Moved { element, from, to })
        };
        self.same().filter_map(moved).collect()
    }
}

/// Where a reference leads, in whichever version. What is contained, or named by a number alone, leads to no resource.
pub fn reference<'v>(value: &'v Value, element: &str) -> Option<&'v str> {
    let text = found(value, element)?.text("reference").filter(|text| !text.starts_with('#'))?;
    Some(text.split_once("/_history/").map_or(text, |(resource, _)| resource))
}

/// Whether two Patients are one, found out one by one: whoever asks reads each that is wanted.
#[derive(Debug)]
pub struct Linked {
    /// Those that are known of, by the end from which they were come upon.
    known: Vec<(String, End)>,
    open: VecDeque<(String, End)>,
    looks: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    From,
    To,
}

impl Linked {
    /// Of a reference that would lead elsewhere; none where it leads to no Patient, or would.
    pub fn of(moved: &Moved) -> Option<Self> {
        let is_patient = |name: &str| name.starts_with("Patient/");
        if !is_patient(&moved.from) || !is_patient(&moved.to) {
            return None;
        }
        let ends = [(moved.from.clone(), End::From), (moved.to.clone(), End::To)];
        Some(Self { known: ends.to_vec(), open: ends.into(), looks: 0 })
    }

    /// The Patient to look at next; none where they are not one, as far as is looked.
    pub fn next(&self) -> Option<&str> {
        let (name, _) = self.open.front().filter(|_| self.looks < LINKED_MAX)?;
        Some(name)
    }

    /// Takes in the Patient that was wanted, or that there is none; whether the two are one.
    pub fn tell(&mut self, patient: Option<&Value>) -> bool {
        self.looks = self.looks.saturating_add(1);
        let Some((_, end)) = self.open.pop_front() else { return false };
        let links = patient.map(|own| own.items("link")).unwrap_or_default();
        let is_one = |own: &&Value| matches!(own.text("type"), Some("replaced-by" | "replaces"));
        for name in links.iter().filter(is_one).filter_map(|own| reference(own, "other")) {
            match self.known.iter().find(|(known, _)| known == name) {
                Some((_, other)) if *other != end => return true,
                Some(_) => {}
                None => {
                    self.known.push((name.to_owned(), end));
                    self.open.push_back((name.to_owned(), end));
                }
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::parse;

    fn read(text: &str) -> Value {
        parse(text.as_bytes()).expect("it is JSON")
    }

    fn moved(standing: &str, told: &str) -> Vec<Moved> {
        let mut keeps = Keeps::default();
        keeps.hold("subject");
        keeps.moved(&read(standing), &read(told))
    }

    fn of(reference: &str) -> String {
        format!(r#"{{"subject":{{"reference":"{reference}"}}}}"#)
    }

    #[test]
    fn a_reference_that_leads_elsewhere_is_told() {
        let expected =
            Moved { element: "subject".into(), from: "Patient/a".into(), to: "Patient/b".into() };
        assert_eq!(moved(&of("Patient/a"), &of("Patient/b")), [expected]);
        assert_eq!(moved(&of("Patient/a"), &of("Group/a")).len(), 1);
        let same = |standing: &str, told: &str| {
            assert_eq!(moved(standing, told), [], "{told} over {standing}");
        };
        same(&of("Patient/a"), &of("Patient/a"));
        same(&of("Patient/a/_history/3"), &of("Patient/a"));
        same("{}", &of("Patient/b"));
        same(&of("Patient/a"), "{}");
        same(r#"{"subject":{"identifier":{"value":"1"}}}"#, &of("Patient/b"));
        same(&of("#own"), &of("Patient/b"));
    }

    /// Whether two of these Patients are one, and how many were looked at.
    fn linked(from: &str, to: &str, patients: &[(&str, &[(&str, &str)])]) -> (bool, usize) {
        let moved = Moved { element: "subject".into(), from: from.into(), to: to.into() };
        let Some(mut linked) = Linked::of(&moved) else { return (false, 0) };
        let mut looks = 0;
        while let Some(name) = linked.next() {
            looks += 1;
            let patient = patients.iter().find(|(own, _)| *own == name).map(|(_, links)| {
                let links = links.iter().map(|(kind, other)| {
                    format!(r#"{{"type":"{kind}","other":{{"reference":"{other}"}}}}"#)
                });
                read(&format!(r#"{{"link":[{}]}}"#, links.collect::<Vec<_>>().join(",")))
            });
            if linked.tell(patient.as_ref()) {
                return (true, looks);
            }
        }
        (false, looks)
    }

    #[test]
    fn who_was_merged_is_one() {
        let (a, b, c, d) = ("Patient/a", "Patient/b", "Patient/c", "Patient/d");
        assert_eq!(linked(a, b, &[(a, &[("replaced-by", b)])]), (true, 1));
        assert_eq!(linked(a, b, &[(a, &[]), (b, &[("replaces", a)])]), (true, 2));
        assert_eq!(linked(b, a, &[(a, &[("replaced-by", b)])]), (true, 2));
        // Over a third, in either direction.
        assert!(linked(a, c, &[(a, &[("replaced-by", b)]), (b, &[("replaced-by", c)])]).0);
        assert!(linked(a, c, &[(a, &[("replaced-by", b)]), (c, &[("replaced-by", b)])]).0);
        assert!(linked(a, c, &[(c, &[("replaces", b)]), (b, &[("replaces", a)])]).0);
        // The link of another kind is none, nor is one to somebody else.
        assert_eq!(linked(a, b, &[(a, &[("seealso", b)]), (b, &[("refer", a)])]), (false, 2));
        assert_eq!(
            linked(a, b, &[(a, &[("replaced-by", c)]), (b, &[("replaces", d)])]),
            (false, 4)
        );
        // In a circle, and nowhere.
        assert_eq!(
            linked(a, b, &[(a, &[("replaced-by", c)]), (c, &[("replaced-by", a)])]),
            (false, 3)
        );
        assert_eq!(linked(a, b, &[]), (false, 2));
        assert_eq!(linked("Group/a", b, &[]), (false, 0));
    }

    #[test]
    fn there_is_an_end_to_the_looking() {
        let names: Vec<String> = (0..=LINKED_MAX + 1).map(|at| format!("Patient/{at}")).collect();
        let links: Vec<[(&str, &str); 1]> =
            names.iter().skip(1).map(|next| [("replaced-by", next.as_str())]).collect();
        let chain: Vec<(&str, &[(&str, &str)])> =
            names.iter().zip(&links).map(|(own, links)| (own.as_str(), &links[..])).collect();
        let reached = |to: usize| linked(&names[0], &names[to], &chain);
        assert!(reached(2).0);
        assert_eq!(reached(LINKED_MAX + 1), (false, LINKED_MAX));
    }
}
