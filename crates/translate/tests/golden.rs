//! Messages and the Bundles they become: `golden/to_fhir/*.hl7` beside `.json`, `.findings.txt` and `.lineage.txt`.
//!
//! `UPDATE_GOLDEN=1` writes them anew; the difference is reviewed.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

use jiff::tz::TimeZone;
use pipehat_message::Message;
use pipehat_resource::validate::{Checks, validate};
use pipehat_translate::{LineageLimits, Settings, Translation, Translator};

fn check(name: &str) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/to_fhir");
    let bytes = fs::read(directory.join(format!("{name}.hl7"))).expect("the message is there");
    let message = Message::parse(&bytes).expect("it is a message");
    let zone = TimeZone::get("Europe/Berlin").expect("the bundled database has it");
    let settings = Settings {
        zone: Some(zone),
        system_base: Some("https://good.example/id".into()),
        ..Settings::default()
    };
    let translator = Translator::new(settings);
    let translation = translator.to_fhir_with_lineage(&message, LineageLimits::KEPT);

    let errors: Vec<_> = validate(&translation.bundle, Checks::All)
        .into_iter()
        .filter(|issue| issue.is_error())
        .map(|issue| format!("{:?}: {}", issue.expression, issue.text))
        .collect();
    assert!(errors.is_empty(), "{name}: {errors:#?}");

    let again = translator.to_fhir(&message);
    assert_eq!(again.bundle.to_json(), translation.bundle.to_json(), "{name}: not the same twice");

    compare(&directory.join(format!("{name}.json")), &translation.bundle.to_pretty_json());
    compare(&directory.join(format!("{name}.findings.txt")), &findings(&translation));
    compare(&directory.join(format!("{name}.lineage.txt")), &lineage(&translation));
}

fn findings(translation: &Translation) -> String {
    let mut out = String::new();
    for finding in &translation.findings {
        writeln!(out, "{} {}: {}", finding.kind.as_str(), finding.path, finding.text)
            .expect("it fits");
    }
    out
}

fn lineage(translation: &Translation) -> String {
    let mut out = String::new();
    let lineage = translation.lineage.as_ref().expect("there is lineage");
    for source in lineage.unpack().expect("it can be read").sources {
        let paths: Vec<_> = source.paths.iter().map(ToString::to_string).collect();
        writeln!(out, "{} <- {} ({})", source.element, paths.join(", "), source.rule)
            .expect("it fits");
    }
    out
}

fn compare(path: &PathBuf, found: &str) {
    if env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(path, found).expect("it can be written");
        return;
    }
    let expected = fs::read_to_string(path).unwrap_or_default();
    if let Some((line, (expected, found))) =
        expected.lines().zip(found.lines()).enumerate().find(|(_, (left, right))| left != right)
    {
        panic!("{}:{}\nexpected {expected}\n   found {found}", path.display(), line + 1);
    }
    assert_eq!(expected.trim_end(), found.trim_end(), "{}", path.display());
}

#[test]
fn an_admission_becomes_patient_encounter_and_what_belongs_to_them() {
    check("adt_a01");
}

#[test]
fn an_update_of_an_old_version_becomes_the_same_resources() {
    check("adt_a08");
}

#[test]
fn a_merge_leaves_the_prior_patient_inactive_and_replaced() {
    check("adt_a40");
}

#[test]
fn results_become_reports_observations_and_specimens() {
    check("oru_r01");
}

#[test]
fn a_booking_becomes_an_appointment() {
    check("siu_s12");
}

#[test]
fn a_vaccination_becomes_an_immunization() {
    check("vxu_v04");
}

#[test]
fn a_document_becomes_a_document_reference() {
    check("mdm_t02");
}

#[test]
fn an_order_becomes_a_service_request() {
    check("orm_o01");
}
