//! What a message about an order, an appointment or a result does not speak of: an empty field changes nothing (HL7 v2.5.1
//! §2.5.3), and an answer repeats nothing of what it answers.

mod over;

use pipehat_message::Message;
use pipehat_resource::json::Value;
use pipehat_resource::kept::Keeps;
use pipehat_resource::validate::{Checks, validate};
use pipehat_translate::{Settings, Translation, Translator};

use over::taken_over;

/// What a message about a patient of `KH` becomes.
fn translated(event: &str, lines: &[&str]) -> Translation {
    let mut text = format!("MSH|^~\\&|HIS|KH|||20260315073000+0100||{event}|1|P|2.5.1\r");
    let mut lines = lines.to_vec();
    // Behind what is the message's own.
    let at = lines
        .iter()
        .take_while(|line| ["SCH|", "NTE|", "MSA|"].iter().any(|own| line.starts_with(own)));
    lines.insert(at.count(), "PID|1||4711^^^KH^MR||Muster^Maria");
    text += &lines.join("\r");
    let message = Message::parse(text.as_bytes()).expect("a message");
    let base = Some("https://kh.example/id/".to_owned());
    let told =
        Translator::new(Settings { system_base: base, ..Settings::default() }).to_fhir(&message);
    for issue in validate(&told.bundle, Checks::All) {
        assert!(!issue.is_error(), "{:?} {}", issue.expression, issue.text);
    }
    told
}

/// The first entry of a type.
#[track_caller]
fn entry(event: &str, lines: &[&str], name: &str) -> Value {
    let told = translated(event, lines);
    let mut entries = told.bundle.items("entry").iter();
    let is_it = |own: &&Value| own.get("resource").and_then(Value::resource_type) == Some(name);
    entries.find(is_it).expect("a resource").clone()
}

fn first(event: &str, lines: &[&str], name: &str) -> Value {
    entry(event, lines, name).get("resource").expect("a resource").clone()
}

/// What comes of a message over what stands.
#[track_caller]
fn over(standing: &Value, event: &str, lines: &[&str]) -> Value {
    let name = standing.resource_type().expect("a type");
    let entry = entry(event, lines, name);
    let keeps = Keeps::of_request(entry.get("request").expect("a request")).expect("it is read");
    let keeps = keeps.unwrap_or_default();
    let told = entry.get("resource").expect("a resource");
    taken_over(&keeps, standing, told)
}

#[track_caller]
fn check_same(merged: &Value, standing: &Value, names: &[&str]) {
    for name in names {
        assert!(standing.get(name).is_some(), "{name} stands");
        assert_eq!(merged.get(name), standing.get(name), "{name}");
    }
}

fn numbers(own: &Value) -> Vec<&str> {
    let mut numbers: Vec<&str> =
        own.items("identifier").iter().filter_map(|own| own.text("value")).collect();
    numbers.sort_unstable();
    numbers
}

const ORM: &str = "ORM^O01^ORM_O01";
const ORDER: [&str; 4] = [
    "ORC|NW|O1^KIS|||||||20260310100000|||1^Arzt^Anna^^^^^^KH",
    "OBR|1|O1^KIS||CBC^Blood count^L|||||||A||Diabetes",
    "NTE|1||fasting",
    "DG1|1||D50^Anaemia^I10",
];
const SERVICE: [&str; 6] = ["code", "note", "requester", "authoredOn", "intent", "reasonReference"];

#[test]
fn a_control_alone_takes_nothing_from_an_order() {
    let standing = first(ORM, &ORDER, "ServiceRequest");
    for event in [ORM, "OML^O21^OML_O21", "OMG^O19^OMG_O19"] {
        let accepted = over(&standing, event, &["ORC|SC|O1^KIS|L1^LIS||IP"]);
        check_same(&accepted, &standing, &SERVICE);
        assert_eq!(accepted.text("status"), Some("active"));
        assert_eq!(numbers(&accepted), ["L1", "O1"]);
        let held = over(&accepted, event, &["ORC|HD|O1^KIS"]);
        assert_eq!(held.text("status"), Some("on-hold"));
        // A change of status that tells none changes none.
        let asked = over(&held, event, &["ORC|SC|O1^KIS"]);
        assert_eq!(asked.text("status"), Some("on-hold"));
        let cancelled = over(&held, event, &["ORC|CA|O1^KIS"]);
        check_same(&cancelled, &standing, &SERVICE);
        assert_eq!(cancelled.text("status"), Some("revoked"));
        // Nor the number that is not told.
        assert_eq!(numbers(&cancelled), ["L1", "O1"]);
        assert_eq!(numbers(&over(&cancelled, event, &["ORC|SC||L1^LIS||CM"])), ["L1", "O1"]);
    }
}

#[test]
fn a_control_alone_does_not_say_what_is_ordered() {
    let found = |lines: &[&str]| {
        let findings = translated(ORM, lines).findings;
        let is_it = |own: &&pipehat_translate::Finding| own.text.contains("taken for a service");
        findings.iter().filter(is_it).map(|own| own.path.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(found(&ORDER), [""; 0]);
    assert_eq!(found(&["ORC|CA|M1^KIS", "RXO|A10^Metformin^L|500||mg"]), [""; 0]);
    assert_eq!(found(&["ORC|CA|O1^KIS"]), ["ORC"]);
    let lines = [&ORDER[..], &["ORC|CA|O2^KIS"]].concat();
    assert_eq!(found(&lines), ["ORC(2)"]);
}

#[test]
fn a_bare_detail_takes_nothing_from_an_order_and_a_deleted_field_does() {
    let standing = first(ORM, &ORDER, "ServiceRequest");
    let lines = ["ORC|SC|O1^KIS|L1^LIS||IP", "OBR|1|O1^KIS|L1^LIS|CBC^Blood count^L"];
    let merged = over(&standing, ORM, &lines);
    check_same(&merged, &standing, &["code", "note", "requester", "authoredOn", "reasonReference"]);
    let lines = ["ORC|XO|O1^KIS||||||||||\"\"", "OBR|1|O1^KIS||CBC^Blood count^L"];
    let deleted = over(&standing, ORM, &lines);
    assert_eq!(deleted.get("requester"), None);
    check_same(&deleted, &standing, &["note"]);
    let other = over(&standing, ORM, &["ORC|XO|O1^KIS", "OBR|1|O1^KIS||LFT^Liver^L"]);
    assert!(other.get("code").expect("a code").to_json().contains("LFT"));
    // A new order is made as it is.
    let made = first(ORM, &["ORC|CA|O9^KIS"], "ServiceRequest");
    assert_eq!(made.text("status"), Some("revoked"));
}

#[test]
fn orders_of_one_message_are_told_each_by_its_own_segments() {
    let standing = first(ORM, &ORDER, "ServiceRequest");
    let lines = [
        "ORC|CA|O1^KIS",
        "ORC|NW|O2^KIS|||||||20260311|||\"\"",
        "OBR|1|O2^KIS||LFT^Liver^L|||||||G||\"\"",
        "NTE|1||\"\"",
    ];
    let merged = over(&standing, ORM, &lines);
    check_same(&merged, &standing, &SERVICE);
}

#[test]
fn a_control_alone_takes_no_drug() {
    let rde = "RDE^O11^RDE_O11";
    let dose = "RXE|^BID^^20260310|A10^Metformin^L|850||mg|TAB";
    let lines = ["ORC|NW|M1^KIS|||||||20260310|||1^Arzt^Anna^^^^^^KH", dose, "RXR|PO"];
    let plain = dose.trim_end_matches("|TAB");
    // A drug as a code, and one as a resource of its own.
    for dose in [dose, plain] {
        let standing = first(rde, &[lines[0], dose, lines[2]], "MedicationRequest");
        let drug = ["medicationReference", "medicationCodeableConcept"];
        let drug = drug.into_iter().find(|name| standing.get(name).is_some()).expect("a drug");
        let stays = ["dosageInstruction", "requester", "authoredOn", "intent", drug];
        for (control, status) in [("DC", "stopped"), ("HD", "on-hold"), ("CA", "cancelled")] {
            let line = format!("ORC|{control}|M1^KIS|R1^APO");
            let merged = over(&standing, rde, &[&line]);
            check_same(&merged, &standing, &stays);
            assert_eq!(merged.text("status"), Some(status), "{control}");
            assert_eq!(numbers(&merged), ["M1", "R1"]);
            let merged = over(&standing, "OMP^O09^OMP_O09", &[&line]);
            check_same(&merged, &standing, &stays);
        }
        // The dose of one drug is not that of another.
        let merged = over(&standing, rde, &["ORC|XO|M1^KIS", "RXE||B1^Ibuprofen^L"]);
        assert_eq!(merged.get("dosageInstruction"), None);
    }
    let omp = "OMP^O09^OMP_O09";
    let lines = ["ORC|NW|M2^KIS", "RXO|A10^Metformin^L|500||mg", "RXR|PO"];
    let standing = first(omp, &lines, "MedicationRequest");
    assert_eq!(standing.text("intent"), Some("original-order"));
    let merged = over(&standing, omp, &["ORC|CA|M2^KIS"]);
    check_same(&merged, &standing, &["intent", "dosageInstruction"]);
}

#[test]
fn a_control_alone_takes_nothing_from_diets_and_supplies() {
    let omd = "OMD^O03^OMD_O03";
    let lines = ["ORC|NW|D1^KIS|||||||20260310", "ODS|D||VEG^Vegetarian^L"];
    let standing = first(omd, &lines, "NutritionOrder");
    let merged = over(&standing, omd, &["ORC|CA|D1^KIS"]);
    check_same(&merged, &standing, &["dateTime", "oralDiet", "intent"]);
    assert_eq!(merged.text("status"), Some("revoked"));
    let oms = "OMS^O05^OMS_O05";
    let lines = ["ORC|NW|S1^KIS", "RQD|1|I1^Gloves^L||||5|BX"];
    let standing = first(oms, &lines, "SupplyRequest");
    let merged = over(&standing, oms, &["ORC|CA|S1^KIS"]);
    check_same(&merged, &standing, &["itemCodeableConcept", "quantity"]);
    assert_eq!(merged.text("status"), Some("cancelled"));
}

#[test]
fn an_answer_changes_nothing_of_what_it_answers() {
    let msa = "MSA|AA|X";
    let check = |event: &str, order: &str, name: &str, details: &[&str]| {
        let lines = [&[msa, order], details].concat();
        let told = translated(event, &lines);
        let entries = told.bundle.items("entry").iter();
        let requests =
            entries.filter(|own| own.get("resource").and_then(Value::resource_type) == Some(name));
        let requests: Vec<&Value> = requests.filter_map(|own| own.get("request")).collect();
        for request in &requests {
            assert_eq!(request.text("method"), Some("POST"), "{event} {order}");
            assert!(request.text("ifNoneExist").is_some(), "{event} {order}");
            assert_eq!(request.get("extension"), None, "{event} {order}");
        }
        let is_left = |own: &&pipehat_translate::Finding| {
            own.path == "ORC-1" && own.text.contains("answer changes no order")
        };
        (requests.len(), told.findings.iter().filter(is_left).count())
    };
    let (ok, refused) = ("ORC|OK|M1^KIS|R1^APO", "ORC|UA|M1^KIS|R1^APO");
    for event in ["RRE^O12^RRE_O12", "RRE^O26^RRE_O12", "RRE^O02^RRE_O12"] {
        let check = |order, details: &[&str]| check(event, order, "MedicationRequest", details);
        assert_eq!(check(ok, &[]), (1, 0));
        assert_eq!(check(ok, &["RXE||A10^Metformin^L|1||TAB", "RXR|PO"]), (1, 0));
        assert_eq!(check(refused, &[]), (1, 1));
        // Nothing could find it.
        assert_eq!(check("ORC|OK", &[]), (0, 0));
    }
    for event in ["ORR^O02^ORR_O02", "ORL^O22^ORL_O22", "ORG^O20^ORG_O20", "ORL^O34^ORL_O34"] {
        assert_eq!(check(event, ok, "ServiceRequest", &[]), (1, 0));
        for control in ["UA", "UC", "UD", "UF", "UH", "UM", "UR", "UX", "DE", "OC", "CR", "OH"] {
            let order = format!("ORC|{control}|M1^KIS|R1^APO");
            assert_eq!(check(event, &order, "ServiceRequest", &[]), (1, 1), "{control}");
        }
    }
    for event in ["ORP^O10^ORP_O10", "RRD^O14^RRD_O14", "RRG^O16^RRG_O16", "RRA^O18^RRA_O18"] {
        assert_eq!(check(event, ok, "MedicationRequest", &[]), (0, 0));
    }
}

const BOOKED: [&str; 2] = [
    "SCH|A1^KIS|B1^KIS||||S^First^L|CHECK^Check^L||30|min|^^^20260801090000+0200^20260801093000+0200||||||||||||||Booked",
    "NTE|1||bring papers",
];

#[test]
fn an_appointment_keeps_what_is_not_told_of_it() {
    let standing = first("SIU^S12^SIU_S12", &BOOKED, "Appointment");
    let time = ["start", "end", "minutesDuration"];
    let rest = ["reasonCode", "extension"];
    for (event, status) in [
        ("S13", "booked"),
        ("S14", "booked"),
        ("S15", "cancelled"),
        ("S17", "entered-in-error"),
        ("S26", "noshow"),
    ] {
        let event = format!("SIU^{event}^SIU_S12");
        for numbers_told in ["A1^KIS|", "|B1^KIS", "A1^KIS|B1^KIS"] {
            let line = format!("SCH|{numbers_told}||||X^Why^L");
            let merged = over(&standing, &event, &[&line]);
            check_same(&merged, &standing, &time);
            check_same(&merged, &standing, &rest);
            assert_eq!(merged.text("status"), Some(status), "{event}");
            assert_eq!(numbers(&merged), ["A1", "B1"], "{event} {numbers_told}");
        }
        // The time is told as a whole.
        let line = "SCH|A1^KIS|||||X^Why^L|||||^^^20260802100000+0200";
        let merged = over(&standing, &event, &[line]);
        check_same(&merged, &standing, &rest);
        assert_eq!(merged.get("end"), None, "{event}");
        assert_eq!(merged.get("minutesDuration"), None, "{event}");
        assert!(merged.text("start").is_some_and(|own| own.starts_with("2026-08-02")));
    }
    // Why it was cancelled is not said of one that is booked anew, or deleted (app-4).
    let cancelled = over(&standing, "SIU^S15^SIU_S12", &["SCH|A1^KIS|||||X^Why^L"]);
    assert!(cancelled.get("cancelationReason").is_some());
    for event in ["S13", "S17", "S26"] {
        let event = format!("SIU^{event}^SIU_S12");
        let merged = over(&cancelled, &event, &["SCH|A1^KIS|||||X^Why^L"]);
        assert_eq!(merged.get("cancelationReason"), None, "{event}");
    }
    // `""` deletes.
    let merged = over(&standing, "SIU^S14^SIU_S12", &["SCH|A1^KIS|||||X^Why^L|\"\""]);
    assert_eq!(merged.get("reasonCode"), None);
}

#[test]
fn resources_without_an_action_code_are_all_that_there_are() {
    let lines = [BOOKED[0], "RGS|1", "AIS|1||US^Sonography^L"];
    let standing = first("SIU^S12^SIU_S12", &lines, "Appointment");
    let bare = "SCH|A1^KIS|||||X^Why^L";
    let merged = over(&standing, "SIU^S14^SIU_S12", &[bare]);
    check_same(&merged, &standing, &["serviceType"]);
    let merged = over(&standing, "SIU^S14^SIU_S12", &[bare, "RGS|1", "AIP|1||77^Silva^Rui"]);
    assert_eq!(merged.get("serviceType"), None);
}

#[test]
fn a_result_that_is_not_transmitted_again_stays() {
    let event = "ORU^R01^ORU_R01";
    let report = "OBR|1|P1^KIS|F1^LIS|CMP^Panel^L|||20260310|||||||||||||||20260310||LAB|F";
    let result =
        |kind: &str, value: &str, rest: &str| format!("OBX|1|{kind}|K^Potassium^L||{value}|{rest}");
    let full = result("NM", "6.9", "mmol/L|3.5-5|H|||P");
    let standing = first(event, &[report, &full], "Observation");
    let stays = ["valueQuantity", "referenceRange", "interpretation"];
    for rest in ["||||||U", "mmol/L|||||U", "|||||F", "|||||C"] {
        let rest = rest.strip_prefix("||||||").map_or(rest.to_owned(), |own| format!("|||||{own}"));
        for kind in ["NM", "ST", ""] {
            let merged = over(&standing, event, &[report, &result(kind, "", &rest)]);
            check_same(&merged, &standing, &stays);
            assert_ne!(merged.text("status"), Some("preliminary"), "{rest}");
        }
    }
    // One that is withdrawn or deleted, and one that is told, stand as they are told.
    for (value, status) in [("", "X"), ("", "D"), ("", "W"), ("", "N"), ("\"\"", "F")] {
        let merged =
            over(&standing, event, &[report, &result("NM", value, &format!("|||||{status}"))]);
        assert_eq!(merged.get("valueQuantity"), None, "{status}");
    }
    let merged = over(&standing, event, &[report, &result("ST", "high", "|||||C")]);
    assert_eq!(merged.get("valueQuantity"), None);
    assert_eq!(merged.text("valueString"), Some("high"));
    // What has no type in R4 stays as well.
    let full = result("RP", "X1&Picture&KIS^AP^PDF", "|||||P").replace("&", "^");
    let standing = first(event, &[report, &full], "Observation");
    if standing.get("extension").is_some() {
        let merged = over(&standing, event, &[report, &result("RP", "", "|||||U")]);
        check_same(&merged, &standing, &["extension"]);
    }
}
