//! Segments where the structure has none: what stands between ORC and OBR makes no second report, and a note behind what has
//! none is nobody's.

use pipehat_message::Message;
use pipehat_resource::json::Value;
use pipehat_translate::{Settings, Translation, Translator};

fn translate(version: &str, segments: &str) -> Translation {
    translate_as("ORU^R01^ORU_R01", version, segments)
}

fn translate_as(event: &str, version: &str, segments: &str) -> Translation {
    let text = format!(
        "MSH|^~\\&|LAB|NORTH|||20260315073000+0100||{event}|1|P|{version}\rPID|1||1^^^&1.2.3&ISO||Muster\r{segments}"
    );
    let message = Message::parse(text.as_bytes()).expect("a message");
    Translator::new(Settings::default()).to_fhir(&message)
}

fn all(translation: &Translation, name: &str) -> Vec<Value> {
    let entries = translation.bundle.items("entry").iter();
    let resources = entries.filter_map(|entry| entry.get("resource"));
    resources.filter(|own| own.resource_type() == Some(name)).cloned().collect()
}

#[test]
fn what_stands_between_an_orc_and_its_obr_makes_no_second_report() {
    for version in ["2.3", "2.3.1", "2.4", "2.5.1", "2.8"] {
        for between in [
            "NTE|1||fasting\r",
            "NTE|1||fasting\rNTE|2||since six\r",
            "TQ1|1||||||20260412080000+0100\r",
            "CTD|CP^x^HL70131|Muster^Max\r",
            "PV1|1|I|2W\r",
            "FT1|1|||20260412080000+0100||CG|x^y^L\r",
            "PID|1||1^^^&1.2.3&ISO||Muster\r",
        ] {
            let translation = translate(
                version,
                &format!(
                    "ORC|RE|P1^CPOE|F1^LAB\r{between}OBR|1|||K^Potassium^L|||20260315070000+0100|||||||||||||||20260315072000+0100|||F\rOBX|1|NM|K^Potassium^L||4.1||||||F\r"
                ),
            );
            let reports = all(&translation, "DiagnosticReport");
            let [report] = reports.as_slice() else { panic!("{version} {between}: {reports:?}") };
            let report = report.to_json();
            for said in ["\"P1\"", "\"F1\"", "Potassium", "\"result\"", "\"subject\""] {
                assert!(report.contains(said), "{version} {between}: {said} in {report}");
            }
            assert_eq!(all(&translation, "Observation").len(), 1, "{version} {between}");
        }
    }
}

#[test]
fn a_note_behind_an_orc_takes_no_order_away() {
    let order = |number: u8, notes: &str, results: &str| {
        format!("ORC|NW|{number}^WARD\r{notes}OBR|{number}|{number}^WARD||a{number}^A^L\r{results}")
    };
    let note = "NTE|1|L|called\r";
    let result = "OBX|1|ST|x^X^L||y||||||F\r";
    for version in ["2.4", "2.5.1", "2.8", "2.9.1"] {
        for event in ["OML^O21^OML_O21", "OMG^O19^OMG_O19", "ORM^O01^ORM_O01"] {
            for notes in 0..4 {
                for behind in ["", note, result] {
                    let notes = note.repeat(notes);
                    let orders = [1, 2, 3].map(|number| order(number, &notes, behind)).concat();
                    let translation = translate_as(event, version, &orders);
                    let made = all(&translation, "ServiceRequest").len();
                    assert_eq!(made, 3, "{version} {event} {orders}: {:?}", translation.findings);
                }
            }
        }
    }
}

#[test]
fn what_follows_another_patient_is_not_of_the_order_before() {
    let translation = translate(
        "2.5.1",
        "ORC|RE|P1^CPOE|F1^LAB\rPID|2||2^^^&1.2.3&ISO||Other\rOBR|1|||K^Potassium^L\rOBX|1|NM|K^Potassium^L||4.1||||||F\r",
    );
    let results = all(&translation, "Observation");
    let [result] = results.as_slice() else { panic!("{results:?}") };
    let whose =
        |own: &Value| own.get("subject").and_then(|it| it.text("reference")).map(str::to_owned);
    let reports = all(&translation, "DiagnosticReport");
    let own = reports.iter().find(|own| own.get("result").is_some()).expect("its report");
    assert_eq!(whose(own), whose(result));
    assert!(!own.to_json().contains("P1"));
}

#[test]
fn a_note_behind_what_has_none_is_nobodys() {
    let obr = "OBR|1|P1^CPOE|F1^LAB|K^Potassium^L\r";
    let obx = "OBX|1|NM|K^Potassium^L||4.1||||||F\r";
    let note = "NTE|1||hemolytic\r";
    let check = |segments: &str, expected: bool| {
        let translation = translate("2.5.1", segments);
        let is_noted = translation.bundle.to_json().contains("hemolytic");
        let is_told = translation.findings.iter().any(|own| own.path == "NTE-3");
        assert_eq!(
            (is_noted, is_told),
            (expected, !expected),
            "{segments} {:?}",
            translation.findings
        );
    };
    check(&format!("{obr}{obx}{note}"), true);
    check(&format!("{obr}{note}{obx}"), true);
    check(&format!("{obr}{obx}NTE|1||first\r{note}"), true);
    for between in [
        "SPM|1|^S1&LAB||SER^Serum^HL70487\r",
        "CTI|S1\r",
        "FT1|1|||20260412080000+0100||CG|x^y^L\r",
        "TQ1|1||||||20260412080000+0100\r",
        "DSP|1||x\r",
        "ZXX|1\r",
    ] {
        check(&format!("{obr}{obx}{between}{note}"), false);
    }
}

/// The references of the resources of a type, by what they refer to.
fn references(translation: &Translation, name: &str, element: &str) -> Vec<Option<String>> {
    let own = all(translation, name);
    own.iter().map(|own| Some(own.get(element)?.text("reference")?.to_owned())).collect()
}

#[test]
fn what_stands_behind_a_further_patient_is_not_of_the_first_ones_visit() {
    let first = "PID|1||1^^^&1.2.3&ISO||Muster\r";
    let visit = |number: &str| format!("PV1|1|I|||||||||||||||||{number}^^^&1.2.3&ISO\r");
    let check = |event: &str, behind: &str, visits: usize, encounter: Option<usize>| {
        let text = format!(
            "MSH|^~\\&|HIS|NORTH|||20260315073000+0100||{event}|1|P|2.5.1\rEVN||20260315073000+0100\r{first}{}{behind}",
            visit("V1")
        );
        let message = Message::parse(text.as_bytes()).expect("a message");
        let translation = Translator::new(Settings::default()).to_fhir(&message);
        let told = translation.findings.iter().any(|own| own.path == "PID(2)");
        assert!(told, "{event} {behind}: {:?}", translation.findings);
        let full_urls: Vec<String> = translation
            .bundle
            .items("entry")
            .iter()
            .filter(|own| own.get("resource").and_then(Value::resource_type) == Some("Encounter"))
            .filter_map(|own| own.text("fullUrl").map(str::to_owned))
            .collect();
        assert_eq!(full_urls.len(), visits, "{event} {behind}");
        let expected = encounter.and_then(|own| full_urls.get(own).cloned());
        let found = references(&translation, "Condition", "encounter");
        assert_eq!(found, [expected], "{event} {behind}");
        // Nor is the first patient the second's.
        let subjects = [
            references(&translation, "Condition", "subject"),
            references(&translation, "Encounter", "subject").into_iter().take(1).collect(),
        ];
        (subjects, all(&translation, "Patient").len())
    };
    let other = "PID|2||2^^^&1.2.3&ISO||Other\r";
    let diagnosis = "DG1|1||I10^Hyp^I10|||A\r";
    for event in ["ADT^A08^ADT_A01", "ADT^A01^ADT_A01", "ADT^A03^ADT_A03"] {
        let ([whose, visitors], patients) = check(event, &format!("{other}{diagnosis}"), 1, None);
        assert_ne!(whose, visitors, "{event}");
        assert_eq!(patients, 2, "{event}");
        let own = format!("{other}{}{diagnosis}", visit("V2"));
        let ([whose, visitors], _) = check(event, &own, 2, Some(1));
        assert_ne!(whose, visitors, "{event}");
        let ([whose, visitors], patients) =
            check(event, &format!("{first}{diagnosis}"), 1, Some(0));
        assert_eq!((whose, patients), (visitors, 1), "{event}");
    }
}
