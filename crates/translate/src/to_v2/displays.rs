//! Displays that say no more than their codes: where the code is told, nothing is lost without them.

use std::collections::HashSet;
use std::sync::LazyLock;

use pipehat_dictionary::{TableNumber, Version};
use pipehat_resource::definitions::CodeSystem;
use pipehat_resource::json::Value;

use super::codes::table_number;
use super::coverage::Coverage;
use super::tables::lines;

const TABLE: &str = include_str!("../../tables/to_v2/displays.tsv");

/// System, code, and display in small letters.
static DISPLAYS: LazyLock<HashSet<(&'static str, &'static str, String)>> = LazyLock::new(|| {
    let row = |(_, line): (usize, &'static str)| {
        let mut columns = line.split('\t');
        Some((columns.next()?, columns.next()?, columns.next()?.to_lowercase()))
    };
    lines(TABLE).filter_map(row).collect()
});

/// Whether a text is what the code of a coding is called.
pub(super) fn is_of_code(coding: &Value, text: &str) -> bool {
    let code = coding.text("code").unwrap_or_default();
    let system = coding.text("system").unwrap_or_default();
    let is_it = |display: &str| display.to_lowercase() == text.to_lowercase();
    let number = table_number(system).and_then(|number| number.parse().ok());
    is_it(code)
        || CodeSystem::named(system)
            .and_then(|system| system.concept(code))
            .is_some_and(|concept| is_it(concept.display))
        || number.and_then(TableNumber::new).is_some_and(|number| {
            let tables = Version::ALL.iter().rev().filter_map(|version| version.table(number));
            let mut codes = tables.filter_map(|table| table.code(code.as_bytes()));
            codes.any(|own| is_it(own.display()))
        })
        || DISPLAYS.contains(&(system, code, text.to_lowercase()))
}

impl Coverage {
    /// A coding whose code is told, and with it `told`: all of it, but a display that says more than that.
    pub(super) fn read_coding(&mut self, coding: &Value, told: &str) {
        let display = coding.get("display");
        let is_said = display.and_then(Value::as_str).is_none_or(|display| {
            display.to_lowercase() == told.to_lowercase() || is_of_code(coding, display)
        });
        let Some(object) = coding.as_object().filter(|_| !is_said) else {
            return self.read_all(coding);
        };
        object
            .iter()
            .filter(|(name, _)| *name != "display")
            .for_each(|(_, own)| self.read_all(own));
    }

    /// A concept of which one code is told: the codings of that code, and a text that says no more.
    pub(super) fn read_concept(&mut self, concept: &Value, told: &Value) {
        let is_told = |coding: &&Value| coding.text("code") == told.text("code");
        for coding in concept.items("coding").iter().filter(is_told) {
            self.read_coding(coding, "");
        }
        if let Some(source) = concept.get("text")
            && let Some(text) = source.as_str()
            && is_of_code(told, text)
        {
            self.read(source);
        }
    }
}

#[cfg(test)]
mod tests {
    use pipehat_dictionary::Version;
    use pipehat_resource::json;

    use super::*;
    use crate::to_v2::{Profile, Resources, Stamp, Wanted, Writer};

    #[test]
    fn every_row_is_of_a_code_that_is_told() {
        let codes = include_str!("../../tables/to_v2/codes.tsv");
        for (number, line) in lines(TABLE) {
            let columns: Vec<&str> = line.split('\t').collect();
            let [system, code, display] = columns.as_slice() else { panic!("{number}: {line}") };
            assert!(codes.contains(&format!("\t{system}\t{code}\t")), "{number}: {line}");
            assert!(!display.is_empty() && CodeSystem::named(system).is_none(), "{number}: {line}");
        }
    }

    /// Which of a visit's and its patient's elements, and of the Bundle's other entries, findings name.
    #[track_caller]
    fn check(class: &str, type_: &str, other: &str, version: Version, expected: &[&str]) {
        let others =
            if other.is_empty() { String::new() } else { format!(",{{\"resource\":{other}}}") };
        let text = format!(
            r#"{{"resourceType":"Bundle","type":"collection","entry":[
            {{"resource":{{"resourceType":"Encounter","id":"e","status":"in-progress","class":{class},
                "identifier":[{{"value":"V1"}}],"subject":{{"reference":"Patient/p"}}}}}},
            {{"resource":{{"resourceType":"Patient","id":"p","name":[{{"family":"X"}}],
                "identifier":[{{"value":"1","type":{type_}}}]}}}}{others}]}}"#
        );
        let bundle = json::parse(text.as_bytes()).expect("it is JSON");
        let resources = Resources::of_bundle(&bundle);
        let wanted = Wanted { event: "ADT^A01", version, order_control: None, lineage: None };
        let stamp = Stamp {
            time: "2026-05-06T08:00:00Z".parse().expect("a time"),
            offset: jiff::tz::Offset::UTC,
            control_id: "C1",
        };
        let written = Writer::new(Profile::default()).write(&wanted, &resources, &stamp);
        let findings = written.expect("a message").findings;
        let found: Vec<&str> =
            findings.iter().filter_map(|own| own.path.strip_prefix("Bundle.entry[")).collect();
        assert_eq!(found, expected, "{findings:?}");
    }

    const CLASS: &str = r#"{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"IMP","display":"inpatient encounter"}"#;
    const TYPE: &str = r#"{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v2-0203","code":"MR","display":"Medical record number"}]}"#;

    #[test]
    fn a_display_that_says_more_than_its_code_is_told() {
        for version in [Version::V2_3, Version::V2_5_1, Version::V2_8_2] {
            let check = |class: &str, type_: &str, expected: &[&str]| {
                check(class, type_, "", version, expected);
            };
            check(CLASS, TYPE, &[]);
            let class = CLASS.replace("inpatient encounter", "Station");
            check(&class, TYPE, &["0].resource.class.display"]);
            check(&CLASS.replace("inpatient encounter", "Inpatient"), TYPE, &[]);
            let type_ = TYPE.replace("Medical record number", "Number of the archive");
            check(CLASS, &type_, &["1].resource.identifier[0].type.coding[0].display"]);
            let more = |text: &str| format!(r#"{},"text":"{text}"}}"#, &TYPE[..TYPE.len() - 1]);
            check(CLASS, &more("Medical Record Number"), &[]);
            check(CLASS, &more("of the archive"), &["1].resource.identifier[0].type.text"]);
        }
    }

    #[test]
    fn a_resource_of_which_nothing_stands_in_the_message_is_told() {
        let check = |other: &str| check(CLASS, TYPE, other, Version::V2_5_1, &["2].resource"]);
        check(
            r#"{"resourceType":"MessageHeader","eventCoding":{"code":"A01"},"source":{"endpoint":"urn:x"}}"#,
        );
        check(
            r#"{"resourceType":"Provenance","target":[{"reference":"Encounter/e"}],"recorded":"2026-05-06T08:00:00Z"}"#,
        );
    }
}
