//! What a further segment says of an element that one before it told is not written into it: it would be neither's.

use pipehat_message::Message;
use pipehat_resource::json::Value;
use pipehat_translate::{FindingKind, Settings, Translation, Translator};

const HEAD: &str = "PID|1||1^^^&1.2.3&ISO||Muster\r";

fn translate(code: &str, segments: &str) -> Translation {
    let text = format!("MSH|^~\\&|A|B|||20260315073000+0100||{code}|1|P|2.5.1\r{HEAD}{segments}");
    let message = Message::parse(text.as_bytes()).expect("a message");
    Translator::new(Settings::default()).to_fhir(&message)
}

fn first(translation: &Translation, name: &str) -> String {
    let mut entries = translation.bundle.items("entry").iter();
    let found = entries
        .find_map(|entry| entry.get("resource").filter(|own| own.resource_type() == Some(name)));
    found.map(Value::to_json).unwrap_or_else(|| panic!("no {name}"))
}

/// What a resource says with the first segment alone and with both, and whether a finding names the element.
#[track_caller]
fn check(
    code: &str,
    before: &str,
    segments: (&str, &str),
    (name, element): (&str, &str),
    same: bool,
) {
    let alone = translate(code, &format!("{before}{}", segments.0));
    let both = translate(code, &format!("{before}{}{}", segments.0, segments.1));
    assert_eq!(first(&alone, name), first(&both, name), "{}", segments.1);
    let text = format!(
        "`{element}` is told by another segment before: what that one says counts, as a whole"
    );
    let mut findings = both.findings.iter();
    let is_told = findings.any(|own| own.kind == FindingKind::ValueUnfit && own.text == text);
    assert_eq!(is_told, !same, "{}: {:?}", segments.1, both.findings);
}

#[test]
fn a_second_segment_is_not_mixed_with_the_first() {
    let drug = "ORC|NW|R1^KIS\rRXE||ABC^Paracetamol^99MED|500||mg\r";
    let routes = ("RXR|PO^Swallow, oral^HL70162\r", "RXR|SC^Subcutaneous^HL70162\r");
    check("RDE^O11^RDE_O11", drug, routes, ("MedicationRequest", "dosageInstruction.route"), false);
    check(
        "RDE^O11^RDE_O11",
        drug,
        (routes.0, routes.0),
        ("MedicationRequest", "dosageInstruction.route"),
        true,
    );
    let order = "ORC|NW|O1^KIS\r";
    let timed = (
        "TQ1|1||||||20260412080000+0100||S^Stat^HL70485\r",
        "TQ1|2||||||20260413080000+0100||R^Routine^HL70485\rOBR|1|O1^KIS||718-7^Hb^LN\r",
    );
    let both = translate("OML^O21^OML_O21", &format!("{order}{}{}", timed.0, timed.1));
    let request = first(&both, "ServiceRequest");
    assert!(
        request.contains("\"priority\":\"stat\"") && request.contains("2026-04-12"),
        "{request}"
    );
    let told =
        both.findings.iter().filter(|own| own.text.contains("is told by another segment before"));
    assert!(told.count() > 0, "{:?}", both.findings);
}

#[test]
fn a_final_diagnosis_is_not_made_provisional_by_a_working_one() {
    let check = |types: &[&str], expected: bool, told: usize| {
        let segments: String = types
            .iter()
            .enumerate()
            .map(|(at, type_)| format!("DG1|{}||J18.9^x^I10||20260101|{type_}\r", at + 1))
            .collect();
        let text = format!("EVN||20260101\r{HEAD}PV1|1|I\r{segments}");
        let text =
            format!("MSH|^~\\&|A|B|||20260315073000+0100||ADT^A08^ADT_A01|1|P|2.5.1\r{text}");
        let message = Message::parse(text.as_bytes()).expect("a message");
        let own = Translator::new(Settings::default()).to_fhir(&message);
        let condition = first(&own, "Condition");
        assert_eq!(condition.contains("\"provisional\""), expected, "{types:?} {condition}");
        let findings =
            own.findings.iter().filter(|it| it.text.contains("calls this diagnosis final"));
        let findings: Vec<_> = findings.map(|it| it.path.as_str()).collect();
        assert_eq!(findings.len(), told, "{types:?} {findings:?}");
    };
    check(&["F", "W"], false, 1);
    check(&["W", "F"], false, 1);
    check(&["F^Final^HL70052", "W^Working^HL70052"], false, 1);
    check(&["W", "F", "W"], false, 2);
    check(&["W"], true, 0);
    check(&["A", "W"], true, 0);
    check(&["W", "W"], true, 0);
}

fn all(translation: &Translation, name: &str) -> Vec<Value> {
    let entries = translation.bundle.items("entry").iter();
    let found = entries
        .filter_map(|entry| entry.get("resource").filter(|own| own.resource_type() == Some(name)));
    found.cloned().collect()
}

fn dosages(timings: &str) -> (Vec<Value>, Translation) {
    let drug = "ORC|NW|R1^KIS\rRXE||ABC^Paracetamol^99MED|500||mg\r";
    let own = translate("RDE^O11^RDE_O11", &format!("{drug}{timings}RXR|PO\r"));
    let [request] = all(&own, "MedicationRequest").try_into().expect("one request");
    (request.items("dosageInstruction").to_vec(), own)
}

/// Each timing is a dosage, with the order's dose and route; what one says of itself is not another's.
#[test]
fn each_timing_is_a_dosage() {
    let first = "TQ1|1||BID||||20260412|20260414|||with food|S\r";
    let second = "TQ1|2||QHS||||20260415||||||\r";
    let (both, own) = dosages(&[first, second].concat());
    let [morning, evening] = both.as_slice() else { panic!("{both:?}") };
    for dosage in [morning, evening] {
        let text = dosage.to_json();
        assert!(text.contains("\"value\":500") && text.contains("\"PO\""), "{text}");
    }
    assert_eq!(morning.get("sequence").map(Value::to_json).as_deref(), Some("1"));
    assert_eq!(evening.get("sequence").map(Value::to_json).as_deref(), Some("2"));
    let evening = evening.to_json();
    assert!(evening.contains("2026-04-15") && !evening.contains("2026-04-1:"), "{evening}");
    assert!(!evening.contains("BID") && !evening.contains("with food"), "{evening}");
    let told = |path: &str| own.findings.iter().any(|it| it.path.starts_with(path));
    assert!(!told("TQ1-12") && !told("TQ1(2)"), "{:?}", own.findings);
}

#[test]
fn timings_beside_each_other_have_one_number() {
    let (both, _) = dosages("TQ1|1||BID|||||||||A\rTQ1|2||QHS|||||||||S\rTQ1|3||QOD\r");
    let numbers: Vec<_> = both
        .iter()
        .map(|own| own.get("sequence").map(Value::to_json).unwrap_or_default())
        .collect();
    assert_eq!(numbers, ["1", "1", "2"]);
    let (both, own) = dosages("TQ1|1||BID\rTQ1|2||QHS\r");
    assert_eq!(both.len(), 2);
    assert!(both.iter().all(|own| own.get("sequence").is_none()), "{both:?}");
    let mut findings = own.findings.iter();
    assert!(
        findings.any(|it| it.kind == FindingKind::Ambiguous && it.path == "TQ1-12"),
        "{:?}",
        own.findings
    );
}

/// A completion time is no dosage, and is told.
#[test]
fn a_completion_time_is_no_dosage() {
    let (both, own) = dosages("TQ1|1||BID|||||||||C\rTQ1|2||QHS\r");
    assert_eq!(both.len(), 1, "{both:?}");
    assert!(own.findings.iter().any(|it| it.path == "TQ1(2)"), "{:?}", own.findings);
}

/// Two tablets in the morning and one at night are not the same dose.
#[test]
fn the_dose_is_not_that_of_a_timing_with_another_quantity() {
    let (both, own) = dosages("TQ1|1|2^TAB|BID\rTQ1|2|1^TAB|QHS\r");
    let [_, evening] = both.as_slice() else { panic!("{both:?}") };
    assert!(evening.get("doseAndRate").is_none(), "{evening:?}");
    assert!(own.findings.iter().any(|it| it.path == "TQ1(2)-2"), "{:?}", own.findings);
}

/// What only the second tells is the one dosage's; what is told of the order stays the first's.
#[test]
fn a_dosage_of_the_second_timing_alone_is_the_order_s() {
    let (own, translation) = dosages("TQ1|1||||||||S\rTQ1|2||QHS||||||R\r");
    let [dosage] = own.as_slice() else { panic!("{own:?}") };
    let text = dosage.to_json();
    assert!(text.contains("QHS") && text.contains("500"), "{text}");
    let [request] = all(&translation, "MedicationRequest").try_into().expect("one request");
    assert!(request.to_json().contains("\"priority\":\"stat\""), "{request:?}");
}

/// What is told behind ORC and again behind RXE is one timing, and so is what is told twice.
#[test]
fn a_timing_that_is_told_twice_is_one() {
    let timings = "TQ1|1||BID||||20260412||||||S\rTQ1|2||QHS\r";
    let drug = "RXE||ABC^Paracetamol^99MED|500||mg\r";
    let text = format!("ORC|NW|R1^KIS\r{timings}{drug}{timings}RXR|PO\r");
    let own = translate("RDE^O11^RDE_O11", &text);
    let [request] = all(&own, "MedicationRequest").try_into().expect("one request");
    assert_eq!(request.items("dosageInstruction").len(), 2, "{request:?}");
    let (own, _) = dosages("TQ1|1||BID\rTQ1|2||BID\r");
    assert_eq!(own.len(), 1, "{own:?}");
    // Of three, the first of which tells none.
    let (own, _) = dosages("TQ1|1||||||||S\rTQ1|2||QHS|||||||||A\rTQ1|3||BID||||20260501\r");
    let [night, twice] = own.as_slice() else { panic!("{own:?}") };
    let (night, twice) = (night.to_json(), twice.to_json());
    assert!(night.contains("QHS") && !night.contains("2026-05-01"), "{night}");
    assert!(twice.contains("BID") && twice.contains("2026-05-01"), "{twice}");
    assert!(
        night.contains("\"sequence\":1") && twice.contains("\"sequence\":1"),
        "{night} {twice}"
    );
}

/// What else repeats under the order, or under the next one, changes nothing of its timings.
#[test]
fn each_timing_is_a_dosage_whatever_repeats_behind() {
    let timings = "TQ1|1||Q8H|||||||before meals||S\rTQ1|2||QHS|||7^d\r";
    let (alone, _) = dosages(timings);
    assert_eq!(alone.len(), 2, "{alone:?}");
    let mixed = "RXC|B|NACL^x^L|100|mL\rRXC|A|KCL^y^L|20|mmol\r";
    let drug = "ORC|NW|R1^KIS\rRXE||ABC^Paracetamol^99MED|500||mg\r";
    let next = "ORC|NW|R2^KIS\rRXE||DEF^Other^99MED|5||mg\rTQ1|1||BID\rRXR|PO\r";
    for behind in [
        format!("RXR|PO\r{mixed}"),
        "RXR|PO\rRXR|SC\r".to_owned(),
        format!("RXR|PO\r{next}{mixed}"),
    ] {
        let own = translate("RDE^O11^RDE_O11", &format!("{drug}{timings}{behind}"));
        let made = all(&own, "MedicationRequest");
        let first = made.first().map(|own| own.items("dosageInstruction").to_vec());
        assert_eq!(first.as_deref(), Some(alone.as_slice()), "{behind}");
    }
}

/// Several times of a day are one dosage's; of several codes of a timing FHIR takes one.
#[test]
fn times_of_a_day_are_of_one_dosage() {
    let (own, _) = dosages("TQ1|1||BID|0800~2000\r");
    let [dosage] = own.as_slice() else { panic!("{own:?}") };
    let text = dosage.to_json();
    assert!(
        text.contains(r#""timeOfDay":["08:00:00","20:00:00"]"#) && text.contains("500"),
        "{text}"
    );
    let (own, translation) = dosages("TQ1|1||BID~QHS\r");
    assert_eq!(own.len(), 1, "{own:?}");
    let mut findings = translation.findings.iter();
    assert!(findings.any(|it| it.path.starts_with("TQ1-3[2]")), "{:?}", translation.findings);
}

/// A time of day that is told twice is one: nobody said that it be done twice then.
#[test]
fn a_time_of_a_day_is_told_once() {
    for (times, expected) in [
        ("0800~0800", r#""timeOfDay":["08:00:00"]"#),
        ("0800~2000~080000", r#""timeOfDay":["08:00:00","20:00:00"]"#),
    ] {
        let (own, translation) = dosages(&format!("TQ1|1||BID|{times}\r"));
        let [dosage] = own.as_slice() else { panic!("{own:?}") };
        assert!(dosage.to_json().contains(expected), "{}", dosage.to_json());
        let mut findings = translation.findings.iter();
        let is_told =
            findings.any(|it| it.path.starts_with("TQ1-4[") && it.text.contains("before"));
        assert!(is_told, "{:?}", translation.findings);
    }
    // The same timing again is no other, and nothing is lost of one that tells more.
    let (own, _) = dosages("TQ1|1||BID|0800\rTQ1|2||BID|0800\r");
    assert_eq!(own.len(), 1, "{own:?}");
    let (own, _) = dosages("TQ1|1|||0800\rTQ1|2|||0800~2000\r");
    assert_eq!(own.len(), 2, "{own:?}");
    let order = "ORC|NW|R1^KIS\rTQ1|1||BID|0800~0800\rTQ1|2||BID|0800\rOBR|1|R1^KIS||T^Test^L\r";
    let own = translate("OMG^O19^OMG_O19", order);
    let [request] = all(&own, "ServiceRequest").try_into().expect("one request");
    assert!(request.to_json().contains(r#""timeOfDay":["08:00:00"]"#), "{request:?}");
}

/// What several segments instruct is each an instruction: none has the text of one and the code of another.
#[test]
fn each_instruction_is_its_own() {
    let drug = "ORC|NW|R1^KIS\rRXE||ABC^x^99M|500||mg||I1^with food^99I~I2^slowly^99I\r";
    let text = format!("{drug}TQ1|1||BID|||||||after meals\rRXR|PO||||R1^by tube^99R\r");
    let own = translate("RDE^O11^RDE_O11", &text);
    let [request] = all(&own, "MedicationRequest").try_into().expect("one request");
    let [dosage] = request.items("dosageInstruction") else { panic!("{request:?}") };
    assert_eq!(dosage.items("additionalInstruction").len(), 4, "{dosage:?}");
}

/// A note behind a dose is not of what was observed with the dose before it, and no note makes something to be of.
#[test]
fn a_note_is_of_nothing_before_another_dose() {
    let observed = "RXR|PO\rOBX|1|NM|8867-4^HR^LN||70|/min|||||F\r";
    let note = "NTE|1||keep it cold\r";
    let doses = [
        ("RDS^O13^RDS_O13", "RXD|1|A^a^L|2026030108|5|mg\r", "RXD|2|B^b^L|2026030108|6|mg\r"),
        ("RAS^O17^RAS_O17", "RXA|0|1|2026030108||A^a^L|5|mg\r", "RXA|0|2|2026030109||B^b^L|6|mg\r"),
        ("RGV^O15^RGV_O15", "RXG|1|1||A^a^L|5||mg\r", "RXG|2|1||B^b^L|6||mg\r"),
    ];
    for (code, first, second) in doses {
        let own = translate(code, &format!("ORC|RE|R1^KIS\r{first}{observed}{second}{note}"));
        let observations = all(&own, "Observation");
        assert_eq!(observations.len(), 1, "{code} {observations:?}");
        assert!(!observations[0].to_json().contains("cold"), "{code} {observations:?}");
        let is_kept = own.bundle.to_json().contains("keep it cold");
        let is_told = own.findings.iter().any(|it| it.path.starts_with("NTE-3"));
        assert!(is_kept != is_told, "{code} {:?}", own.findings);
    }
    let first = format!("ORC|RE|R1^KIS\rRXA|0|1|2026030108||A^a^L|5|mg\r{observed}");
    let next = format!("ORC|RE|R2^KIS\r{note}RXA|0|1|2026030109||B^b^L|6|mg\r");
    let own = translate("RAS^O17^RAS_O17", &format!("{first}{next}"));
    assert!(!all(&own, "Observation")[0].to_json().contains("cold"), "{:?}", own.bundle);
    let own = translate(
        "VXU^V04^VXU_V04",
        &format!("ORC|RE||F1^KIS\rRXA|0|1|20260301||08^HepB^CVX|1|mL\r{note}"),
    );
    assert_eq!(all(&own, "Observation").len(), 0);
    assert!(own.findings.iter().any(|it| it.path.starts_with("NTE-3")), "{:?}", own.findings);
}

/// A message is not made into more than its own size allows.
#[test]
fn many_doses_under_many_timings_are_bounded() {
    let timings = "TQ1|1||BID\r".repeat(300);
    let doses: String =
        (0..300).map(|at| format!("RXD|{at}|A1^x^99M|20260101080000|10|TAB\r")).collect();
    let own = translate("RDS^O13^RDS_O13", &format!("ORC|RE|R1^KIS\r{timings}{doses}"));
    let made = all(&own, "MedicationDispense").len();
    assert!((3..300).contains(&made), "{made}");
    assert!(own.findings.iter().any(|it| it.path.starts_with("RXD(300)")), "{:?}", own.findings);
    let given = GIVEN.repeat(500);
    let own =
        translate("RAS^O17^RAS_O17", &format!("ORC|RE|R1^KIS\r{given}{}", "RXR|PO\r".repeat(500)));
    assert_eq!(all(&own, "MedicationAdministration").len(), 500);
}

const GIVEN: &str =
    "RXA|0|1|20260101080000|20260101080000|A1^x^99M|500|mg||note A|11^Eins||||||||||CP\r";
const REFUSED: &str =
    "RXA|0|2|20260101200000|20260101200000|A1^x^99M|500|mg|||12^Zwei||||||||00^refused^L||RE\r";

fn administrations(segments: &str) -> Vec<String> {
    let own = translate("RAS^O17^RAS_O17", &format!("ORC|RE|R1^KIS\r{segments}"));
    all(&own, "MedicationAdministration").iter().map(Value::to_json).collect()
}

/// Each administration is a resource, as if it were told alone; who gave another dose, and why it was refused, says nothing
/// of it.
#[test]
fn each_administration_is_a_resource() {
    let route = "RXR|PO\r";
    let alone: Vec<String> =
        [GIVEN, REFUSED].iter().flat_map(|own| administrations(&format!("{own}{route}"))).collect();
    assert_eq!(alone.len(), 2, "{alone:?}");
    // One route of both, and one of each.
    assert_eq!(administrations(&format!("{GIVEN}{REFUSED}{route}")), alone);
    assert_eq!(administrations(&format!("{GIVEN}{route}{REFUSED}{route}")), alone);
    let routes = administrations(&format!("{GIVEN}RXR|PO\r{REFUSED}RXR|SC\r"));
    assert!(routes[0].contains("\"PO\"") && !routes[0].contains("\"SC\""), "{routes:?}");
    assert!(routes[1].contains("\"SC\"") && !routes[1].contains("\"PO\""), "{routes:?}");
    // Without an order, too; and the next order's are its own.
    let next = format!("{GIVEN}{REFUSED}{route}ORC|RE|R2^KIS\r{GIVEN}{route}");
    let three = administrations(&next);
    assert_eq!(three.len(), 3, "{three:?}");
    assert!(three[1].contains("R1") && three[2].contains("R2"), "{three:?}");
}

/// Two doses at one time are two; one that takes the other back is not.
#[test]
fn doses_that_nothing_tells_apart_are_each_one() {
    let again = GIVEN.replacen("|0|1|", "|0|2|", 1);
    assert_eq!(administrations(&format!("{GIVEN}{again}")).len(), 2);
    assert_eq!(administrations(&format!("{GIVEN}{GIVEN}")).len(), 2);
    let back = format!("{}|D\r", GIVEN.trim_end());
    let own = administrations(&format!("{GIVEN}{back}"));
    assert_eq!(own.len(), 1, "{own:?}");
    assert!(own[0].contains("entered-in-error"), "{own:?}");
}

#[test]
fn each_dispense_and_each_give_is_a_resource() {
    let dispensed = |number: u8| {
        format!("RXD|{number}|A1^x^99M|20260101080000|10|TAB\rNTE|1||note {number}\rRXR|PO\r")
    };
    let text = format!("ORC|RE|R1^KIS\rTQ1|1||BID\r{}{}", dispensed(1), dispensed(2));
    let own = all(&translate("RDS^O13^RDS_O13", &text), "MedicationDispense");
    let [first, second] = own.as_slice() else { panic!("{own:?}") };
    for (own, note, other) in [(first, "note 1", "note 2"), (second, "note 2", "note 1")] {
        let text = own.to_json();
        assert!(text.contains("BID") && text.contains("R1") && text.contains(note), "{text}");
        assert!(!text.contains(other), "{text}");
    }
    let give = |number: u8| {
        format!(
            "RXG|{number}||^^^2026010108000{number}|A1^x^99M|{number}||TAB\rTQ1|1||BID\rRXR|PO\r"
        )
    };
    let text = format!("ORC|RE|R1^KIS\r{}{}", give(1), give(2));
    let own = all(&translate("RGV^O15^RGV_O15", &text), "MedicationRequest");
    let doses: Vec<_> = own.iter().map(|own| own.to_json().contains("\"value\":2")).collect();
    assert_eq!(doses, [false, true], "{own:?}");
}

/// Two drugs under one number are two requests, each with its own dose.
#[test]
fn drugs_under_one_number_are_not_mixed() {
    let drug = |name: &str, dose: u16, timing: &str, route: &str| {
        format!("ORC|NW|P1^KIS\rRXE||{name}^{name}^99M|{dose}||mg\rTQ1|1||{timing}\rRXR|{route}\r")
    };
    let requests = |segments: &str| {
        let own = translate("RDE^O11^RDE_O11", segments);
        (all(&own, "MedicationRequest"), own.findings)
    };
    let (warfarin, amoxicillin) = (drug("WARF", 5, "QD", "PO"), drug("AMOX", 500, "Q8H", "IV"));
    let (own, _) = requests(&format!("{warfarin}{amoxicillin}"));
    let [first, second] = own.as_slice() else { panic!("{own:?}") };
    assert_eq!(first.to_json(), requests(&warfarin).0[0].to_json());
    let alone = requests(&amoxicillin).0[0].clone();
    assert_eq!(second.get("dosageInstruction"), alone.get("dosageInstruction"));
    assert!(second.get("identifier").is_none(), "{second:?}");
    assert!(second.to_json().contains(r#""groupIdentifier":{"value":"P1""#), "{second:?}");
    let named = |name: &str| format!("ORC|NW|P1^KIS\rRXE||^{name}|500||mg\r");
    let (own, findings) = requests(&format!("{}{}", named("Warfarin"), named("Amoxicillin")));
    assert_eq!(own.len(), 2, "{own:?}");
    assert!(findings.iter().any(|it| it.text.contains("another drug before")), "{findings:?}");
    // One drug told twice is as it was told last, and the stop of an order stops it.
    let more = drug("WARF", 7, "BID", "PO");
    let (own, findings) = requests(&format!("{warfarin}{more}"));
    assert_eq!(own.len(), 1, "{own:?}");
    assert_eq!(own[0].to_json(), requests(&more).0[0].to_json());
    assert!(findings.iter().any(|it| it.text.contains("told last")), "{findings:?}");
    let (own, findings) = requests(&format!("{warfarin}{warfarin}"));
    assert_eq!(own.len(), 1, "{own:?}");
    assert!(!findings.iter().any(|it| it.text.contains("told last")), "{findings:?}");
    let (own, _) = requests(&format!("{warfarin}{}", warfarin.replace("ORC|NW", "ORC|DC")));
    assert_eq!(own[0].get("status").and_then(Value::as_str), Some("stopped"), "{own:?}");
}

#[test]
fn vaccinations_under_one_number_are_not_mixed() {
    let doses = |number: &str, doses: &[&str]| {
        let segments: String = doses
            .iter()
            .map(|dose| format!("ORC|RE||{number}\rRXA|0|1|{dose}|1|mL|||||||||||||CP|A\r"))
            .collect();
        let own = translate("VXU^V04^VXU_V04", &segments);
        (all(&own, "Immunization"), own.bundle.to_json())
    };
    let (hepatitis, polio) = ("20260301|20260301|08^HepB^CVX", "20260301|20260301|10^IPV^CVX");
    let later = "20260401|20260401|08^HepB^CVX";
    let (own, _) = doses("F1^KIS", &[hepatitis, polio, later]);
    assert_eq!(own.len(), 3, "{own:?}");
    assert_eq!(own.iter().filter(|own| own.get("identifier").is_some()).count(), 1, "{own:?}");
    // 9999 is nobody's number: it finds no vaccination, neither this patient's nor another's.
    for number in ["9999^CDC^2.16.840.1.114222^ISO", "9999^CDC", "9999"] {
        let (own, bundle) = doses(number, &[hepatitis, polio]);
        assert_eq!(own.len(), 2, "{own:?}");
        assert!(!bundle.contains("Immunization?"), "{bundle}");
        let (none, _) = doses("", &[hepatitis, polio]);
        let ids =
            |all: &[Value]| all.iter().map(|own| own.id().map(str::to_owned)).collect::<Vec<_>>();
        assert_eq!(ids(&own), ids(&none), "{number}");
    }
}

/// A vaccination without a number is known by patient, vaccine and instant, whatever the vaccine is called and in whichever zone.
#[test]
fn a_vaccination_is_the_same_by_another_name_and_offset() {
    let told = |order: &str, doses: &[(&str, &str)]| {
        let segments: String = doses
            .iter()
            .map(|(when, vaccine)| {
                format!("{order}RXA|0|1|{when}||{vaccine}|1|mL|||||||||||||CP|A\r")
            })
            .collect();
        let own = translate("VXU^V04^VXU_V04", &segments);
        all(&own, "Immunization").iter().map(|own| own.id().map(str::to_owned)).collect::<Vec<_>>()
    };
    let one = |when: &str, vaccine: &str| told("ORC|RE\r", &[(when, vaccine)]);
    let vienna = "20260301090000+0100";
    let first = one(vienna, "08^HepB^CVX");
    assert_eq!(first, one("20260301080000+0000", "08^Hep B, adolescent^CVX"));
    assert_eq!(first, one(vienna, "08^HepB^CVX^90744^x^C4"));
    assert_eq!(first, told("", &[(vienna, "08^Hepatitis B^CVX")]));
    assert_eq!(one(vienna, "1^Tetanus^99VAC"), one(vienna, "1^Td^99VAC"));
    for (when, vaccine) in [
        (vienna, "10^IPV^CVX"),
        (vienna, "08^HepB^NDC"),
        ("20260301090000+0000", "08^HepB^CVX"),
        ("20260301", "08^HepB^CVX"),
    ] {
        assert_ne!(first, one(when, vaccine), "{when} {vaccine}");
    }
    // What a vaccine is called tells it where no code of a system does.
    assert_ne!(one(vienna, "1^Tetanus"), one(vienna, "1^Polio"));
    assert_ne!(one(vienna, "1^Tetanus^99VAC"), one(vienna, "1^Tetanus^98VAC"));
    assert_ne!(one(vienna, "^Tetanus"), one(vienna, "^Polio"));
    // Under one number, too.
    let numbered = [(vienna, "08^HepB^CVX"), ("20260301080000+0000", "08^Hep B^CVX")];
    assert_eq!(told("ORC|RE||F1^KIS\r", &numbered).len(), 1);
}

/// The id of the one dose, or of each.
fn ids(code: &str, name: &str, segments: &str) -> Vec<String> {
    let own = translate(code, &format!("ORC|RE|R1^KIS\r{segments}"));
    all(&own, name).iter().filter_map(|own| own.id().map(str::to_owned)).collect()
}

/// A dose is found again by its order, its counter, its time and its drug, whatever else is corrected.
#[test]
fn a_corrected_dose_is_the_same_one() {
    let given = |change: fn(&mut [&str; 22])| {
        let mut fields = [
            "RXA",
            "0",
            "1",
            "202603010800+0100",
            "202603010805+0100",
            "4711^Amox^L",
            "500",
            "mg",
            "",
            "",
            "",
            "",
            "",
            "",
            "",
            "L1",
            "",
            "",
            "",
            "",
            "CP",
            "A",
        ];
        change(&mut fields);
        format!("{}\rRXR|IV\r", fields.join("|"))
    };
    let id = |segments: &str| ids("RAS^O17^RAS_O17", "MedicationAdministration", segments);
    let first = id(&given(|_| {}));
    let same: [fn(&mut [&str; 22]); 6] = [
        |own| own[15] = "L2",
        |own| own[5] = "4711^Amoxicillin^L",
        |own| own[4] = "",
        |own| own[3] = "202603010700+0000",
        |own| own[6] = "250",
        |own| own[21] = "D",
    ];
    for change in same {
        assert_eq!(id(&given(change)), first, "{}", given(change));
        assert_eq!(id(&format!("{}{}", given(|_| {}), given(|own| own[21] = "D"))), first);
    }
    let others: [fn(&mut [&str; 22]); 3] =
        [|own| own[2] = "2", |own| own[5] = "4712^Amox^L", |own| own[3] = "202603010801+0100"];
    for change in others {
        assert_ne!(id(&given(change)), first, "{}", given(change));
    }
    let give = |dose: u8, route: &str| format!("RXG|1|1||4711^Amox^L|{dose}||mg\r{route}");
    let id = |segments: &str| ids("RGV^O15^RGV_O15", "MedicationRequest", segments);
    assert_eq!(id(&give(5, "RXR|IV\r")), id(&give(6, "")));
    let dispensed = |lot: &str| format!("RXD|1|A1^x^99M|20260301|10|TAB|||||||||||||{lot}\r");
    let id = |segments: &str| ids("RDS^O13^RDS_O13", "MedicationDispense", segments);
    assert_eq!(id(&dispensed("")), id(&dispensed("L7")));
}

/// ORC-4 is EI in most versions, and EIP in 2.7 and 2.8: the second component of an EI is a namespace, and no number.
#[test]
fn the_group_of_a_vaccination_is_one_number_or_a_pair() {
    let vaccination = |group: &str| {
        let dose = "RXA|0|1|20260301||08^HepB^CVX|1|mL|||||||||||||CP|A";
        let text = format!("ORC|RE||F1^IIS|{group}\r{dose}\r");
        first(&translate("VXU^V04^VXU_V04", &text), "Immunization")
    };
    let numbers = |group: &str| {
        let text = vaccination(group);
        ["G1", "G2", "KIS", "LAB"].map(|value| text.contains(&format!("\"value\":\"{value}\"")))
    };
    assert_eq!(numbers("G1^KIS"), [true, false, false, false]);
    assert!(vaccination("G1^KIS").contains("\"PGN\""));
    assert_eq!(numbers("G1&KIS^G2&LAB"), [true, true, false, false]);
    assert_eq!(numbers("G1^KIS^1.2.3^ISO"), [true, false, false, false]);
}
