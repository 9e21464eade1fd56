//! The `lookup` step: what is asked, what is taken from the answer, and what follows where there is none.

use bytes::Bytes;
use pipehat_connectors::Found;

use super::{DESTINATION, message, told};
use crate::effects::{LookupAnswer, Recording};
use crate::program::ProgramInput;
use crate::project::testing::{TestEffects, channel, peer};

const PATIENT: &str = r#"{"resourceType":"Patient","active":true,"birthDate":"1980-05-01","multipleBirthInteger":2,
    "identifier":[{"system":"urn:a","value":"A|1"},{"system":"urn:b","value":"B^2"}],
    "name":[{"family":"M\u00fcller","given":["Ann","Bo"]}],"maritalStatus":{"text":"x"},
    "_deceasedBoolean":{"extension":[{"url":"urn:x","valueString":"y"}]}}"#;

fn found(found: impl FnOnce(Bytes) -> Found) -> LookupAnswer {
    LookupAnswer::Found(found(Bytes::from_static(PATIENT.as_bytes())))
}

fn nothing() -> LookupAnswer {
    LookupAnswer::Found(Found::Nothing)
}

/// Runs steps with these answers; what was asked comes first.
#[track_caller]
fn outcome(steps: &str, lines: &str, answers: &[LookupAnswer]) -> Vec<String> {
    let spec = channel(&format!("steps:\n{steps}\n{DESTINATION}"));
    let (bytes, peer) = (message(lines), peer());
    let input = ProgramInput { bytes: &bytes, channel: &spec.name, peer: &peer };
    let answers = answers.iter().rev().cloned().collect();
    let mut effects = TestEffects { answers, ..TestEffects::default() };
    let verdict = spec.program.run(&input, &mut effects);
    effects.asked.into_iter().chain(told(verdict)).collect()
}

#[track_caller]
fn check(steps: &str, lines: &str, answers: &[LookupAnswer], expected: &[&str]) {
    assert_eq!(outcome(steps, lines, answers), expected);
}

/// One value into ZPI-1, from a patient found by PID-3.1.
#[track_caller]
fn check_value(value: &str, more: &str, answer: LookupAnswer, expected: &[&str]) {
    let step = format!(
        "  - lookup: {{ fhir: local, search: \"Patient?identifier={{PID-3.1}}\", into: {{ ZPI-1: {value} }}{more} }}"
    );
    check(&step, "PID|||7\nZPI|old", &[answer], expected);
}

const ASKED: &str = "Patient?identifier=7";

#[test]
fn values_go_into_the_message() {
    let step = "  - lookup:
      fhir: local
      search: \"Patient?identifier=urn:x|{PID-3.1}&active=true\"
      into:
        PID-3[+1].1: \"identifier.where(system = 'urn:a').value\"
        PID-3[last].4: \"identifier.where(system = 'urn:b').value\"
        PID-5.1: Patient.name.family
        PID-7: birthDate
        PID-25: multipleBirth
        ZPI-1: active";
    check(
        step,
        "PID|||7^^^X\nZPI|",
        &[found(Found::One)],
        &[
            "Patient?identifier=urn:x%7C7&active=true",
            // Delimiters in values are escaped; the character set of this message has no umlaut.
            "parked program.not-in-character-set steps[1].lookup: the message's character set lacks a character of \
             the text for PID-5.1 (the channel's `charset` says which set a partner uses)",
        ],
    );
    let step = step.replace("        PID-5.1: Patient.name.family\n", "");
    check(
        &step,
        "PID|||7^^^X\nZPI|",
        &[found(Found::One)],
        &[
            "Patient?identifier=urn:x%7C7&active=true",
            "PID|||7^^^X~A\\F\\1^^^B\\S\\2||||19800501||||||||||||||||||2\nZPI|true",
        ],
    );
}

#[test]
fn what_is_filled_in_is_one_value() {
    let check = |value: &str, asked: &str| {
        let step = "  - lookup: { fhir: local, search: \"Patient?identifier=urn:x|{PID-3.1}\", into: { ZPI-1: id } , otherwise: keep }";
        let outcome = outcome(step, &format!("PID|||{value}\nZPI|"), &[nothing()]);
        let asked = format!("Patient?identifier=urn:x%7C{asked}");
        assert_eq!(outcome.first().map(String::as_str), Some(asked.as_str()), "{value}");
    };
    check("a\\F\\b", "a%5C%7Cb");
    check("a,b$c", "a%5C%2Cb%5C%24c");
    check("a\\E\\b", "a%5C%5Cb");
    check("1%202&active=false", "1%25202%26active%3Dfalse");
    check("a b+c#d", "a%20b%2Bc%23d");
}

#[test]
fn times_are_asked_for_as_fhir_has_them() {
    let check = |search: &str, asked: &str| {
        let step = format!(
            "  - lookup: {{ fhir: local, search: \"{search}\", into: {{ ZPI-1: id }} , otherwise: keep }}"
        );
        let outcome = outcome(&step, "PID|||19800501||||19800501\nZPI|", &[nothing()]);
        assert_eq!(outcome.first().map(String::as_str), Some(asked), "{search}");
    };
    check("Patient?birthdate={PID-7}", "Patient?birthdate=1980-05-01");
    check("Patient?birthdate=ge{PID-7}", "Patient?birthdate=ge1980-05-01");
    check("Observation?patient.birthdate={PID-7}", "Observation?patient.birthdate=1980-05-01");
    // The same digits as a number are a number.
    check("Patient?identifier={PID-3.1}", "Patient?identifier=19800501");
}

#[test]
fn without_a_value_to_search_by_nothing_is_asked() {
    let step = |otherwise: &str| {
        format!(
            "  - lookup: {{ fhir: local, search: \"Patient?identifier=urn:x|{{PID-3.1}}\", into: {{ ZPI-1: id }}{otherwise} }}"
        )
    };
    for lines in ["PID|1\nZPI|old", "PID|||\"\"\nZPI|old"] {
        check(
            &step(""),
            lines,
            &[],
            &[
                "parked program.lookup-no-match steps[1].lookup: nothing was found to take a value from for ZPI-1",
            ],
        );
        let lines_now = format!("{lines}\nPV1|1");
        check(
            &step(", otherwise: keep"),
            &lines_now,
            &[],
            &[&lines_now, "finding program.lookup-no-match ZPI-1 steps[1].lookup times 1"],
        );
    }
}

#[test]
fn what_follows_where_nothing_is_found() {
    let finding = "finding program.lookup-no-match ZPI-1 steps[1].lookup times 1";
    let parked = "parked program.lookup-no-match steps[1].lookup: nothing was found to take a value from for ZPI-1";
    check_value("id", "", nothing(), &[ASKED, parked]);
    check_value("id", ", otherwise: park", nothing(), &[ASKED, parked]);
    check_value("id", ", otherwise: keep", nothing(), &[ASKED, "PID|||7\nZPI|old", finding]);
    check_value("id", ", otherwise: clear", nothing(), &[ASKED, "PID|||7\nZPI|", finding]);
    let default = ", otherwise: { default: NONE }";
    check_value("id", default, nothing(), &[ASKED, "PID|||7\nZPI|NONE", finding]);
    // One value's own rule counts more than the step's.
    let own = "{ value: id, otherwise: keep }";
    check_value(own, "", nothing(), &[ASKED, "PID|||7\nZPI|old", finding]);
    check_value("{ value: id, otherwise: park }", default, nothing(), &[ASKED, parked]);
}

#[test]
fn what_was_found_may_lack_the_value() {
    let parked =
        "parked program.lookup-no-match steps[1].lookup: what was found has no value for ZPI-1";
    let finding = "finding program.lookup-no-match ZPI-1 steps[1].lookup times 1";
    check_value("gender", "", found(Found::One), &[ASKED, parked]);
    // Only an extension says why there is none.
    check_value("deceased", "", found(Found::One), &[ASKED, parked]);
    let kept = &[ASKED, "PID|||7\nZPI|old", finding];
    check_value("gender", ", otherwise: keep", found(Found::One), kept);
}

#[test]
fn a_value_is_one_and_simple() {
    let parked = |why: &str| format!("parked program.lookup-value steps[1].lookup: {why}");
    let check = |expression: &str, why: &str| {
        let quoted = format!("\"{expression}\"");
        // `otherwise` is for what is not there, not for what nobody can choose from.
        let answer = found(Found::One);
        check_value(&quoted, ", otherwise: keep", answer, &[ASKED, &parked(why)]);
    };
    check("name.given", "`name.given`, for ZPI-1, gives several values");
    check(
        "maritalStatus",
        "`maritalStatus`, for ZPI-1, gives no text, number, date or truth value",
    );
    check(
        "name.given.single()",
        "`name.given.single()`, for ZPI-1, can't be evaluated on what was found",
    );
    check_value("name.given.first()", "", found(Found::One), &[ASKED, "PID|||7\nZPI|Ann"]);
    check_value("\"name.given.join(' ')\"", "", found(Found::One), &[ASKED, "PID|||7\nZPI|Ann Bo"]);
}

#[test]
fn several_are_not_one() {
    let parked = "parked program.lookup-several steps[1].lookup: several resources meet the search";
    check_value("birthDate", "", found(Found::Several), &[ASKED, parked]);
    check_value("birthDate", ", otherwise: keep", found(Found::Several), &[ASKED, parked]);
    let first = &[ASKED, "PID|||7\nZPI|19800501"];
    check_value("birthDate", ", several: first", found(Found::Several), first);
    check_value(
        "birthDate",
        ", several: otherwise, otherwise: clear",
        found(Found::Several),
        &[
            ASKED,
            "PID|||7\nZPI|",
            "finding program.lookup-several - steps[1].lookup times 1",
            "finding program.lookup-no-match ZPI-1 steps[1].lookup times 1",
        ],
    );
}

#[test]
fn a_refusal_parks_whatever_is_said_of_what_is_not_found() {
    let refused = LookupAnswer::Refused { detail: "the server answered 403".to_owned() };
    let parked = "parked program.lookup-refused steps[1].lookup: the server answered 403";
    check_value("id", ", otherwise: keep", refused, &[ASKED, parked]);
}

#[test]
fn the_clock_of_an_expression_is_an_effect() {
    check_value(
        "\"(today() >= birthDate).toString()\"",
        "",
        found(Found::One),
        &[ASKED, "PID|||7\nZPI|true"],
    );
}

const EACH: &str = "  - each: OBX
    do:
      - lookup: { fhir: local, search: \"Patient?identifier={OBX-3}\", into: { OBX-5: birthDate } }
  - set: { MSH-10: \"{control_id}\" }";

#[test]
fn a_run_ends_where_an_answer_is_missing_and_goes_on_with_it() {
    let spec = channel(&format!("steps:\n{EACH}\n{DESTINATION}"));
    let (bytes, peer) = (message("OBX|||a\nOBX|||b"), peer());
    let input = ProgramInput { bytes: &bytes, channel: &spec.name, peer: &peer };
    let mut known = Vec::new();
    let mut told_each = Vec::new();
    for _ in 0..3 {
        let mut effects = Recording::after(known, TestEffects::default());
        told_each.push(told(spec.program.run(&input, &mut effects)).join("\n"));
        known = effects.into_effects();
        let search = told_each.last().and_then(|told| told.strip_prefix("waits for "));
        if let Some(search) = search {
            let (search, answer) = (search.to_owned(), found(Found::One));
            known.push(crate::effects::Effect::Lookup { search, answer });
        }
    }
    let [first, second, last] = told_each.as_slice() else { panic!("three runs") };
    assert_eq!(first, "waits for Patient?identifier=a");
    assert_eq!(second, "waits for Patient?identifier=b");
    assert!(last.ends_with("OBX|||a||19800501\nOBX|||b||19800501"), "{last}");
    // Asked again with all effects, it comes to the same, and asks nothing.
    let mut replayed = Recording::after(known.clone(), TestEffects::default());
    assert_eq!(told(spec.program.run(&input, &mut replayed)).join("\n"), *last);
    assert_eq!(replayed.into_effects(), known);
}

#[test]
fn searches_of_one_message_are_limited() {
    let lines = |count: usize| vec!["OBX|||a"; count].join("\n");
    let answers = vec![found(Found::One); 101];
    let outcome_of = |count: usize| outcome(EACH, &lines(count), &answers).pop();
    assert!(outcome_of(100).is_some_and(|last| last.contains("OBX|||a||19800501")));
    assert_eq!(
        outcome_of(101).as_deref(),
        Some(
            "parked program.lookup-too-many steps[1].do[1].lookup: it would take more than 100 searches"
        )
    );
}
