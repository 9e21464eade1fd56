//! Small profiles and what they find.

use super::{Profile, ProfileError, ProfileLibrary, Wanted, validate_profile};
use crate::json::{Value, parse};
use crate::validate::{Checks, validate};

const RACE: &str = r#"{"resourceType":"StructureDefinition","url":"http://x/race","type":"Extension",
    "derivation":"constraint","baseDefinition":"http://hl7.org/fhir/StructureDefinition/Extension",
    "snapshot":{"element":[
        {"id":"Extension","path":"Extension","min":0,"max":"1"},
        {"id":"Extension.url","path":"Extension.url","min":1,"max":"1","fixedUri":"http://x/race"},
        {"id":"Extension.value[x]","path":"Extension.value[x]","min":1,"max":"1","type":[{"code":"Coding"}],
            "binding":{"strength":"required","valueSet":"http://x/races"}}]}}"#;

const PATIENT: &str = r#"{"resourceType":"StructureDefinition","url":"http://x/patient","version":"1","type":"Patient",
    "derivation":"constraint","baseDefinition":"http://hl7.org/fhir/StructureDefinition/Patient",
    "differential":{"element":[
        {"id":"Patient","path":"Patient","constraint":[
            {"key":"x-1","severity":"error","human":"a name or a birth date","expression":"name.exists() or birthDate.exists()"},
            {"key":"x-2","severity":"warning","human":"a name","expression":"name.exists()"}]},
        {"id":"Patient.extension","path":"Patient.extension","slicing":{"discriminator":[{"type":"value","path":"url"}],"rules":"open"}},
        {"id":"Patient.extension:race","path":"Patient.extension","sliceName":"race","min":1,"max":"1",
            "type":[{"code":"Extension","profile":["http://x/race"]}]},
        {"id":"Patient.identifier","path":"Patient.identifier","min":1,
            "slicing":{"discriminator":[{"type":"value","path":"system"}],"rules":"closed"}},
        {"id":"Patient.identifier:mrn","path":"Patient.identifier","sliceName":"mrn","min":1,"max":"1"},
        {"id":"Patient.identifier:mrn.system","path":"Patient.identifier.system","min":1,"fixedUri":"urn:mrn"},
        {"id":"Patient.identifier:mrn.value","path":"Patient.identifier.value","min":1,"maxLength":5},
        {"id":"Patient.name","path":"Patient.name","max":"1"},
        {"id":"Patient.name.family","path":"Patient.name.family","min":1},
        {"id":"Patient.gender","path":"Patient.gender","patternCode":"female"},
        {"id":"Patient.deceased[x]","path":"Patient.deceased[x]","type":[{"code":"boolean"}]},
        {"id":"Patient.maritalStatus","path":"Patient.maritalStatus","max":"0"},
        {"id":"Patient.managingOrganization","path":"Patient.managingOrganization",
            "type":[{"code":"Reference","targetProfile":["http://hl7.org/fhir/StructureDefinition/Organization"]}]}]}}"#;

const RACES: &str = r#"{"resourceType":"ValueSet","url":"http://x/races","compose":{"include":[
    {"system":"urn:race","concept":[{"code":"a"},{"code":"b"}]},{"system":"urn:other"}]}}"#;

const OTHERS: &str = r#"{"resourceType":"CodeSystem","url":"urn:other","content":"complete",
    "concept":[{"code":"o","concept":[{"code":"p"}]}]}"#;

fn json(text: &str) -> Value {
    parse(text.as_bytes()).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// A library of these, asked for one profile.
fn library(url: &str, known: &[&str]) -> ProfileLibrary {
    let known: Vec<Value> = known.iter().map(|text| json(text)).collect();
    let mut library = ProfileLibrary::new();
    loop {
        let wanted = library.wanted(&[url.to_owned()]);
        if wanted.is_empty() {
            return library;
        }
        for one in wanted {
            let (Wanted::Profile(url) | Wanted::ValueSet(url) | Wanted::CodeSystem(url)) = &one;
            let found = known.iter().find(|own| own.text("url") == Some(url));
            library.add(one.clone(), found);
        }
    }
}

#[track_caller]
fn check_with(known: &[&str], url: &str, resource: &str, expected: &[&str]) {
    let resource = json(resource);
    assert_eq!(validate(&resource, Checks::Structure), [], "by R4 itself");
    let issues = validate_profile(&resource, url, &library(url, known));
    let found: Vec<String> = issues
        .iter()
        .map(|issue| {
            let severity = issue.severity.as_str();
            let place = issue.expression.as_deref().unwrap_or_default();
            let text = issue.text.split(" (profile").next().unwrap_or_default();
            format!("{severity} {place}: {text}")
        })
        .collect();
    assert_eq!(found, expected, "{}", resource.to_json());
}

#[track_caller]
fn check(resource: &str, expected: &[&str]) {
    check_with(&[PATIENT, RACE, RACES, OTHERS], "http://x/patient", resource, expected);
}

const GOOD: &str = r#""extension":[{"url":"http://x/race","valueCoding":{"system":"urn:race","code":"a"}}],
    "identifier":[{"system":"urn:mrn","value":"1"}],"name":[{"family":"x"}]"#;

fn patient(members: &str) -> String {
    format!(r#"{{"resourceType":"Patient",{members}}}"#)
}

#[test]
fn what_keeps_to_a_profile_has_no_issues() {
    check(&patient(GOOD), &[]);
    check(
        &patient(&format!(
            r#"{GOOD},"gender":"female","deceasedBoolean":true,"managingOrganization":{{"reference":"Organization/1"}}"#
        )),
        &[],
    );
    check(
        &patient(
            &GOOD
                .replace(r#""system":"urn:race","code":"a""#, r#""system":"urn:other","code":"p""#),
        ),
        &[],
    );
}

#[test]
fn counts_values_and_types_are_held_against_it() {
    check(
        &patient(r#""identifier":[{"system":"urn:mrn","value":"1"}],"gender":"male""#),
        &[
            "error Patient: x-1: a name or a birth date",
            "warning Patient: x-2: a name",
            "error Patient.extension: expected at least 1 of the slice race, found 0",
            "error Patient.gender: this does not fit the pattern",
        ],
    );
    check(
        &patient(&format!(
            r#"{},"maritalStatus":{{"text":"x"}},"deceasedDateTime":"2020","managingOrganization":{{"reference":"Organization/1"}}"#,
            GOOD.replace(r#"[{"family":"x"}]"#, r#"[{"text":"x"},{"family":"y"}]"#)
        )),
        &[
            "error Patient.name: expected at most 1, found 2",
            "error Patient.name[0].family: expected at least 1, found 0",
            "error Patient.deceased: the type dateTime does not fit: expected boolean",
            "error Patient.maritalStatus: expected at most 0, found 1",
        ],
    );
}

#[test]
fn slices_are_told_apart() {
    check(
        &patient(&GOOD.replace(
            r#"[{"system":"urn:mrn","value":"1"}]"#,
            r#"[{"system":"urn:mrn","value":"123456"},{"system":"urn:mrn"},{"system":"urn:x"}]"#,
        )),
        &[
            "error Patient.identifier[0].value: expected at most 5 characters",
            "error Patient.identifier[1].value: expected at least 1, found 0",
            "error Patient.identifier[2]: this is of no slice, and no others may stand here",
            "error Patient.identifier: expected at most 1 of the slice mrn, found 2",
        ],
    );
    check(
        &patient(&GOOD.replace(r#""code":"a""#, r#""code":"c""#)),
        &["error Patient.extension[0].value: expected a code of the value set http://x/races"],
    );
    check(
        &patient(
            &GOOD.replace(
                r#""valueCoding":{"system":"urn:race","code":"a"}"#,
                r#""valueString":"a""#,
            ),
        ),
        &["error Patient.extension[0].value: the type string does not fit: expected Coding"],
    );
}

#[test]
fn what_is_not_known_is_told() {
    check_with(
        &[PATIENT, RACE],
        "http://x/patient",
        &patient(GOOD),
        &[
            "information Patient.extension[0].value: not checked: the codes of the value set http://x/races are not known here",
        ],
    );
    check_with(
        &[PATIENT],
        "http://x/patient",
        &patient(GOOD),
        &[
            "information Patient.extension[0]: not checked: the profile http://x/race is not known here, or is none that can be checked",
        ],
    );
    check_with(
        &[],
        "http://x/patient",
        &patient(GOOD),
        &[
            "information Patient: not checked: the profile http://x/patient is not known here, or is none that can be checked",
        ],
    );
    const ODD: &str = r#"{"resourceType":"StructureDefinition","url":"http://x/odd","type":"Observation","derivation":"constraint",
        "differential":{"element":[
            {"id":"Observation.category","path":"Observation.category","slicing":{"discriminator":[{"type":"profile","path":"$this"}],"rules":"open"}},
            {"id":"Observation.category:a","path":"Observation.category","sliceName":"a","min":1},
            {"id":"Observation.value[x]","path":"Observation.value[x]","minValueInteger":1},
            {"id":"Observation","path":"Observation","constraint":[{"key":"o-1","severity":"error","human":"?","expression":"memberOf(("}]}]}}"#;
    check_with(
        &[ODD],
        "http://x/odd",
        r#"{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueInteger":0}"#,
        &[
            "information Observation: not checked: the constraint o-1 can't be decided",
            "information Observation.category: not checked: the slices of category, by what tells a from others",
            "information Observation.value: not checked: minValue",
        ],
    );
}

#[test]
fn components_and_choices_are_sliced() {
    const PRESSURE: &str = r#"{"resourceType":"StructureDefinition","url":"http://x/bp","type":"Observation","derivation":"constraint",
        "differential":{"element":[
            {"id":"Observation.category","path":"Observation.category","slicing":{"discriminator":[{"type":"value","path":"coding.code"},{"type":"value","path":"coding.system"}],"rules":"open"}},
            {"id":"Observation.category:vs","path":"Observation.category","sliceName":"vs","min":1,"max":"1"},
            {"id":"Observation.category:vs.coding","path":"Observation.category.coding","min":1},
            {"id":"Observation.category:vs.coding.system","path":"Observation.category.coding.system","min":1,"fixedUri":"urn:c"},
            {"id":"Observation.category:vs.coding.code","path":"Observation.category.coding.code","min":1,"fixedCode":"vital"},
            {"id":"Observation.value[x]","path":"Observation.value[x]","slicing":{"discriminator":[{"type":"type","path":"$this"}],"rules":"closed"}},
            {"id":"Observation.value[x]:valueQuantity","path":"Observation.value[x]","sliceName":"valueQuantity","min":0,"max":"1","type":[{"code":"Quantity"}]},
            {"id":"Observation.value[x]:valueQuantity.code","path":"Observation.value[x].code","min":1},
            {"id":"Observation.component","path":"Observation.component","slicing":{"discriminator":[{"type":"pattern","path":"code"}],"rules":"open"}},
            {"id":"Observation.component:sys","path":"Observation.component","sliceName":"sys","min":1,"max":"1"},
            {"id":"Observation.component:sys.code","path":"Observation.component.code","patternCodeableConcept":{"coding":[{"code":"8480-6"}]}},
            {"id":"Observation.component:sys.valueQuantity","path":"Observation.component.valueQuantity","min":1}]}}"#;
    let of = |members: &str| {
        format!(
            r#"{{"resourceType":"Observation","status":"final","code":{{"text":"x"}},{members}}}"#
        )
    };
    let category = r#""category":[{"text":"x"},{"coding":[{"system":"urn:c","code":"vital"}]}]"#;
    let component = r#""component":[{"code":{"text":"x"}},{"code":{"coding":[{"system":"s","code":"8480-6"}],"text":"x"},"valueQuantity":{"value":1}}]"#;
    check_with(&[PRESSURE], "http://x/bp", &of(&format!("{category},{component}")), &[]);
    check_with(
        &[PRESSURE],
        "http://x/bp",
        &of(&format!(
            "{},{},\"valueQuantity\":{{\"value\":1}}",
            category.replace("vital", "lab"),
            component.replace(r#","valueQuantity":{"value":1}"#, "")
        )),
        &[
            "error Observation.category: expected at least 1 of the slice vs, found 0",
            "error Observation.value.code: expected at least 1, found 0",
            "error Observation.component[1].valueQuantity: expected at least 1, found 0",
        ],
    );
    check_with(
        &[PRESSURE],
        "http://x/bp",
        &of(&format!("{category},{component},\"valueString\":\"x\"")),
        &["error Observation.value: this is of no slice, and no others may stand here"],
    );
}

#[test]
fn what_is_no_profile_is_refused() {
    let check = |text: &str, expected: ProfileError| {
        assert_eq!(Profile::read(&json(text)).map(|own| own.url), Err(expected), "{text}");
    };
    check(r#"{"resourceType":"Patient"}"#, ProfileError::NotADefinition);
    check(r#"{"resourceType":"StructureDefinition"}"#, ProfileError::NoUrl);
    let of = |rest: &str| format!(r#"{{"resourceType":"StructureDefinition","url":"u"{rest}}}"#);
    check(&of(r#","type":"Patient","derivation":"specialization""#), ProfileError::NotAConstraint);
    check(&of(r#","type":"Nothing","derivation":"constraint""#), ProfileError::NotAConstraint);
    check(&of(r#","type":"Patient","derivation":"constraint""#), ProfileError::Empty);
}

#[test]
fn a_profile_of_another_type_does_not_fit() {
    check_with(
        &[PATIENT, RACE, RACES, OTHERS],
        "http://x/patient",
        r#"{"resourceType":"Basic","code":{"text":"x"}}"#,
        &["error Basic: the profile http://x/patient is about a Patient"],
    );
}
