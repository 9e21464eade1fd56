//! Numbers that one sender counts apart, and tells no authority of: a person's external and alternate numbers (PID-2, PID-4), a
//! visit's alternate number (PV1-50), a filler's numbers beside a placer's.

use pipehat_message::Message;
use pipehat_resource::json::Value;
use pipehat_translate::{Settings, Translation, Translator};

const BASE: &str = "https://kh.example/id/";

fn translate(event: &str, lines: &[&str], base: Option<&str>) -> Translation {
    let text = format!(
        "MSH|^~\\&|HIS|KH|||20260315073000+0100||{event}|1|P|2.5.1\rEVN||20260315073000+0100\r{}\r",
        lines.join("\r")
    );
    let message = Message::parse(text.as_bytes()).expect("a message");
    let settings = Settings { system_base: base.map(str::to_owned), ..Settings::default() };
    Translator::new(settings).to_fhir(&message)
}

/// How the resources of a type are stored: the address, and the condition of a create.
fn stored(translation: &Translation, name: &str) -> Vec<String> {
    let entries = translation.bundle.items("entry").iter();
    let own =
        entries.filter(|entry| entry.get("resource").and_then(Value::resource_type) == Some(name));
    let request = |entry: &Value| {
        let request = entry.get("request").expect("a request");
        let condition = request.text("ifNoneExist").map(|own| format!("?{own}"));
        let text =
            [request.text("url").unwrap_or_default(), &condition.unwrap_or_default()].concat();
        text.replace(BASE, "")
    };
    own.map(request).collect()
}

#[track_caller]
fn check(event: &str, lines: &[&str], name: &str, expected: &[&str]) {
    assert_eq!(stored(&translate(event, lines, Some(BASE)), name), expected, "{lines:?}");
}

const A04: &str = "ADT^A04^ADT_A01";

#[test]
fn numbers_of_pid_2_and_pid_4_are_not_those_of_pid_3() {
    let patient = |pid: &str, expected: &str| check(A04, &[pid], "Patient", &[expected]);
    patient("PID|1|5001|7||First^F", "Patient?identifier=HIS/KH|7");
    patient("PID|1||5001||Second^S", "Patient?identifier=HIS/KH|5001");
    patient("PID|1||7|5001|First^F", "Patient?identifier=HIS/KH|7");
    let told = translate(A04, &["PID|1|5001|7|5001|First^F"], Some(BASE)).bundle.to_json();
    for system in ["HIS/KH/PID-2", "HIS/KH", "HIS/KH/PID-4"] {
        assert!(told.contains(&format!("{BASE}{system}\"")), "{system}: {told}");
    }
    // What is the only number is that of the patient.
    patient("PID|1|5001|||First^F", "Patient?identifier=HIS/KH/PID-2|5001");
    patient("PID|1|||5001|First^F", "Patient?identifier=HIS/KH/PID-4|5001");
    // Whose number it is may be told.
    patient("PID|1|5001^^^MPI|||First^F", "Patient?identifier=MPI|5001");
}

#[test]
fn a_result_looks_for_each_number_where_an_admission_told_it() {
    let result = |pid: &str, expected: &str| {
        let lines = [pid, "OBR|1||F1^LAB|K^K^L"];
        check("ORU^R01^ORU_R01", &lines, "Patient", &[expected]);
    };
    result("PID|1|5001|||First^F", "Patient?identifier=HIS/KH/PID-2|5001");
    result("PID|1||5001||Second^S", "Patient?identifier=HIS/KH|5001");
}

#[test]
fn without_a_system_they_are_apart_too() {
    let id = |pid: &str| stored(&translate(A04, &[pid], None), "Patient");
    let own = id("PID|1||5001||Second^S");
    assert_ne!(id("PID|1|5001|||First^F"), own);
    assert_ne!(id("PID|1|||5001|First^F"), own);
    assert_ne!(id("PID|1|||5001|First^F"), id("PID|1|5001|||First^F"));
    let visit = |pv1: &str| stored(&translate(A04, &["PID|1||7||First^F", pv1], None), "Encounter");
    let at = |field: usize, number: &str| format!("PV1|1|O{}{number}", "|".repeat(field - 2));
    assert_ne!(visit(&at(19, "900")), visit(&at(50, "900")));
}

#[test]
fn a_prior_number_is_of_the_field_whose_number_it_was() {
    let merge = |pid: &str, mrg: &str, retired: &str| {
        let translation = translate("ADT^A40^ADT_A39", &[pid, mrg], Some(BASE));
        let stored = stored(&translation, "Patient");
        assert_eq!(stored.get(1).map(String::as_str), Some(retired), "{mrg}: {stored:?}");
    };
    let pid = "PID|1||7||First^F";
    merge(pid, "MRG|8", "Patient?identifier=HIS/KH|8");
    merge(pid, "MRG||||8", "Patient?identifier=HIS/KH/PID-2|8");
    merge(pid, "MRG|9|5001||8", "Patient?identifier=HIS/KH|9");
    let told = translate("ADT^A40^ADT_A39", &[pid, "MRG|9|5001||8"], Some(BASE)).bundle.to_json();
    for (number, system) in [("8", "HIS/KH/PID-2"), ("5001", "HIS/KH/PID-4")] {
        let number = format!(r#"{{"value":"{number}","system":"{BASE}{system}"}}"#);
        assert!(told.contains(&number), "{number}: {told}");
    }
}

#[test]
fn a_visits_alternate_number_is_not_its_number() {
    let visit = |field: usize, number: &str| format!("PV1|1|O{}{number}", "|".repeat(field - 2));
    let pid = "PID|1||7||First^F";
    let check = |pv1: &str, expected: &str| check(A04, &[pid, pv1], "Encounter", &[expected]);
    check(&visit(19, "900"), "Encounter?identifier=HIS/KH|900");
    check(&visit(50, "900"), "Encounter?identifier=HIS/KH/PV1-50|900");
    check(&format!("{}{}900", visit(19, "1"), "|".repeat(31)), "Encounter?identifier=HIS/KH|1");
}

#[test]
fn a_fillers_number_without_an_authority_is_not_a_placers() {
    let order = |orc: &str| {
        let lines = ["PID|1||7^^^KH||First^F", orc, "OBR|1|||K^K^L"];
        stored(&translate("ORM^O01^ORM_O01", &lines, Some(BASE)), "ServiceRequest")
    };
    let (placer, filler) = (order("ORC|NW|200"), order("ORC|NW||200"));
    assert_eq!((placer.len(), filler.len()), (1, 1));
    assert_ne!(placer, filler);
    // An order with both is the placer's, whoever fills it.
    assert_eq!(order("ORC|NW|200|300"), placer);
    let booking = |sch: &str| {
        let lines = [sch, "PID|1||7^^^KH||First^F", "RGS|1", "AIS|1||K^K^L|20270101090000+0100"];
        stored(&translate("SIU^S12^SIU_S12", &lines, Some(BASE)), "Appointment")
    };
    let times = "|||||||30|min|^^^20270101090000+0100^20270101093000+0100";
    let (placer, filler) =
        (booking(&format!("SCH|100|{times}")), booking(&format!("SCH||100{times}")));
    assert_eq!((placer.len(), filler.len()), (1, 1));
    assert_ne!(placer, filler);
    let sample = |number: &str| {
        let lines =
            ["PID|1||7^^^KH||First^F", "OBR|1||F1^LAB|K^K^L", &format!("SPM|1|{number}||SER")];
        stored(&translate("ORU^R01^ORU_R01", &lines, Some(BASE)), "Specimen")
    };
    assert_ne!(sample("100"), sample("^100"));
    assert_eq!(sample("100^300"), sample("100"));
}
