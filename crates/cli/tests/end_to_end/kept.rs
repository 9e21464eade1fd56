//! What a message doesn't speak of stays: through a channel into the datastore, and to another server, which knows no marks.

use serde_json::Value;

use crate::harness::{Api, Datastore, Link, Project, eventually};

/// A channel whose messages go into the datastore here, and to another server.
pub(crate) struct Feed {
    pub(crate) project: Project,
    pub(crate) other: Datastore,
}

impl Feed {
    pub(crate) fn new() -> Self {
        let (project, other) = (Project::new(), Datastore::new("system/*.cruds"));
        project.write("pipehat.yaml", "datastore:\n");
        project.write_secret("lookups", other.secret());
        project.write(
            "channels/feed.yaml",
            &format!(
                "channel: feed\nsource: {{ mllp: {{ listen: 127.0.0.1:0 }} }}\ntime_zone: Europe/Berlin\n\
                 steps: [{{ translate: {{ to: fhir, system_base: \"https://good.example/id/\" }} }}]\n\
                 destinations:\n  store:\n    fhir: local\n  other:\n    fhir: {}\n",
                other.settings("")
            ),
        );
        Self { project, other }
    }

    /// What one element of the resource says after each message, here and at the other server. Each message comes twice, and
    /// the second one changes nothing here.
    fn check(
        &self,
        search: &str,
        says: impl Fn(&Api, &Value) -> String,
        messages: &[(String, &str)],
    ) {
        let (other, node) = (self.other.up(), self.project.up());
        let (there, here) = (other.api(), node.api());
        let mut link = Link::open(&node.address("feed"));
        let mut delivered = 0;
        for (message, expected) in messages {
            let mut versions = Vec::new();
            for _ in 0..2 {
                delivered += 1;
                let message = message.replace("|CONTROL|", &format!("|{delivered}|"));
                assert_eq!(link.ask(message.as_bytes()).code(), "AA");
                eventually("it is delivered to both", || {
                    here.counter("feed", "delivered") == delivered
                });
                for (place, api) in [("here", &here), ("there", &there)] {
                    let found = one(api, search);
                    assert_eq!(says(api, &found), *expected, "{place}: {message}");
                }
                versions.push(one(&here, search)["meta"]["versionId"].clone());
            }
            assert_eq!(versions[0], versions[1], "{message}");
        }
        assert!(node.stop().success());
        self.project.prove();
    }
}

pub(crate) fn one(api: &Api, search: &str) -> Value {
    let bundle = api.get(&format!("/fhir/R4/{search}"));
    let entries = bundle["entry"].as_array().map(Vec::as_slice).unwrap_or_default();
    let [entry] = entries else { panic!("one of {search}: {bundle}") };
    entry["resource"].clone()
}

fn message(event: &str, lines: &[&str]) -> String {
    let header = format!("MSH|^~\\&|HIS|GOOD|||20260315073000+0100||{event}|CONTROL|P|2.5.1");
    let patient = "PID|1||4711^^^GOOD^MR||Muster^Maria";
    // SCH and EVN stand before PID.
    let (first, rest) = lines.split_at(1);
    [&[header.as_str()], first, &[patient], rest, &[""]].concat().join("\r")
}

/// A visit at a place, from another one, with its begin and end.
fn visit(place: &str, before: &str, begin: &str, end: &str) -> String {
    let fields = |count: usize| "|".repeat(count);
    format!(
        "PV1|1|I|{place}{}{before}{}V1^^^GOOD{}{begin}|{end}",
        fields(3),
        fields(13),
        fields(25)
    )
}

#[test]
fn an_update_behind_a_discharge_leaves_the_places_as_they_stand() {
    let told = |event: &str, place: &str, before: &str, end: &str| {
        message(event, &["EVN||20260315073000+0100", &visit(place, before, "20260310", end)])
    };
    let places = |api: &Api, visit: &Value| {
        let places = visit["location"].as_array().map(Vec::as_slice).unwrap_or_default();
        let place = |own: &Value| {
            let reference = own["location"]["reference"].as_str().expect("a reference");
            let name = api.get(&format!("/fhir/R4/{reference}"))["identifier"][0]["value"].clone();
            let end = own["period"]["end"].as_str().map(|end| format!(" until {end}"));
            let status = own["status"].as_str().unwrap_or("-");
            format!("{} {status}{}", name.as_str().unwrap_or("?"), end.unwrap_or_default())
        };
        let mut places: Vec<String> = places.iter().map(place).collect();
        places.sort_unstable();
        places.join(", ")
    };
    let (a01, a02, a03) = ("ADT^A01^ADT_A01", "ADT^A02^ADT_A02", "ADT^A03^ADT_A03");
    let (a08, a13) = ("ADT^A08^ADT_A01", "ADT^A13^ADT_A01");
    let left = "W1 completed, W2 completed until 2026-03-14";
    Feed::new().check(
        "Encounter?identifier=V1",
        places,
        &[
            (told(a01, "W1", "", ""), "W1 active"),
            (told(a02, "W2", "W1", ""), "W1 completed, W2 active"),
            (told(a08, "W2", "", ""), "W1 completed, W2 active"),
            (told(a03, "W2", "", "20260314"), left),
            (told(a08, "W2", "", ""), left),
            (told(a08, "", "", ""), left),
            (told(a13, "W2", "", ""), "W1 completed, W2 active"),
        ],
    );
}

#[test]
fn resources_of_an_appointment_are_told_one_by_one() {
    let told = |event: &str, lines: &[&str]| {
        let schedule = "SCH||A1^GOOD|||||||30|min|^^^20270101090000+0100^20270101093000+0100";
        message(event, &[&[schedule, "RGS|1|"][..], lines].concat())
    };
    let says = |api: &Api, own: &Value| {
        let number = |own: &Value| {
            let reference = own["actor"]["reference"].as_str().expect("a reference");
            let actor = api.get(&format!("/fhir/R4/{reference}"));
            actor["identifier"][0]["value"].as_str().unwrap_or("?").to_owned()
        };
        let participants = own["participant"].as_array().map(Vec::as_slice).unwrap_or_default();
        let services = own["serviceType"].as_array().map(Vec::as_slice).unwrap_or_default();
        let code = |own: &Value| own["coding"][0]["code"].as_str().unwrap_or("?").to_owned();
        let mut all: Vec<String> =
            participants.iter().map(number).chain(services.iter().map(code)).collect();
        all.sort_unstable();
        all.join(" ")
    };
    let (s12, s14, s15) = ("SIU^S12^SIU_S12", "SIU^S14^SIU_S12", "SIU^S15^SIU_S12");
    let silva = |action: &str| format!("AIP|1|{action}|77^Silva^Rui^^^^^^GOOD");
    let costa = |action: &str| format!("AIP|2|{action}|78^Costa^Ana");
    let room = |action: &str| format!("AIL|1|{action}|R1^^^GOOD");
    let check = |action: &str| format!("AIS|1|{action}|CHK^Checkup^L");
    let scan = |action: &str| format!("AIS|2|{action}|SCN^Scan^L");
    let bare = told(s14, &[]).replace("RGS|1|\r", "");
    let group_gone = told(s14, &[&room("")]).replace("RGS|1|", "RGS|1|D");
    Feed::new().check(
        "Appointment?identifier=A1",
        says,
        &[
            (told(s12, &[&check("A"), &room("A"), &silva("A")]), "4711 77 CHK R1"),
            // What is named is changed, added or taken out; all else stays.
            (told(s14, &[&silva("U")]), "4711 77 CHK R1"),
            (told(s14, &[&scan("A"), &costa("A")]), "4711 77 78 CHK R1 SCN"),
            (told(s14, &[&check("D"), &silva("D")]), "4711 78 R1 SCN"),
            (told(s14, &[&silva("A"), &costa("D")]), "4711 77 R1 SCN"),
            (group_gone, "4711 77 SCN"),
            // Without any code the list is the whole list; without resources nothing is said of them.
            (told(s14, &[&check(""), &room(""), &costa("")]), "4711 78 CHK R1"),
            (bare.clone(), "4711 78 CHK R1"),
            (bare.replace(s14, s15), "4711 78 CHK R1"),
        ],
    );
}

/// A message about a person.
fn about(event: &str, lines: &[&str]) -> String {
    let header = format!("MSH|^~\\&|HIS|GOOD|||20260315073000+0100||{event}|CONTROL|P|2.5.1");
    [&[header.as_str(), "EVN||20260315073000+0100"], lines, &[""]].concat().join("\r")
}

const FULL: &str = "PID|1||4711^^^GOOD^MR~99001^^^MPI^PI||Muster^Maria^Anna||19800501|F|||Hauptstr. 5^^Graz^^8010^AT||0316123^PRN^PH|||M";
const BARE: &str = "PID|1||4711^^^GOOD^MR||Muster^Maria||19800501|F";

/// What is known of a person: numbers, whether and how the record stands, telephone, city and marital status.
fn person(_: &Api, patient: &Value) -> String {
    let items = |name: &str| patient[name].as_array().cloned().unwrap_or_default();
    let texts = |name: &str, member: &str| {
        let all = items(name);
        let mut all: Vec<&str> = all.iter().filter_map(|own| own[member].as_str()).collect();
        all.sort_unstable();
        all.join(" ")
    };
    let active = patient["active"].as_bool().map(|own| own.to_string()).unwrap_or_default();
    let marital = patient["maritalStatus"]["coding"][0]["code"].as_str().unwrap_or("-");
    [
        texts("identifier", "value"),
        active,
        texts("link", "type"),
        texts("telecom", "value"),
        texts("address", "city"),
        marital.to_owned(),
    ]
    .join("/")
}

#[test]
fn an_empty_field_takes_nothing_from_a_person() {
    let (a01, a08, a31) = ("ADT^A01^ADT_A01", "ADT^A08^ADT_A01", "ADT^A31^ADT_A05");
    let all = "4711 99001///0316123/Graz/M";
    let alone = "PID|1||99001^^^MPI^PI||Muster^Maria";
    let moved = "PID|1||99001^^^MPI^PI||Muster^Maria||||||Am Platz 1^^Linz^^4020^AT";
    let deleted = "PID|1||4711^^^GOOD^MR||Muster^Maria||||||||\"\"|||\"\"";
    let visit = "PV1|1|I|||||||||||||||||V1^^^GOOD";
    Feed::new().check(
        "Patient?family=Muster",
        person,
        &[
            (about(a01, &[FULL, visit]), all),
            (about(a08, &[BARE, visit]), all),
            // Known by this number alone it is the same person, as the number is still hers.
            (about(a31, &[alone, "PV1|1|N"]), all),
            (about(a31, &[moved, "PV1|1|N"]), "4711 99001///0316123/Linz/M"),
            (about(a08, &[deleted, visit]), "4711 99001////Linz/-"),
        ],
    );
}

#[test]
fn a_record_that_is_retired_keeps_what_is_known_of_it() {
    let (a28, a40) = ("ADT^A28^ADT_A05", "ADT^A40^ADT_A39");
    let other = "PID|1||4712^^^GOOD^MR||Muster^Maria";
    let all = "4711 99001///0316123/Graz/M";
    Feed::new().check(
        "Patient?identifier=4711",
        person,
        &[
            (about(a28, &[FULL, "PV1|1|N"]), all),
            (
                about(a40, &[other, "MRG|4711^^^GOOD^MR"]),
                "4711 99001/false/replaced-by/0316123/Graz/M",
            ),
            (
                about("ADT^A31^ADT_A05", &[BARE, "PV1|1|N"]),
                "4711 99001/false/replaced-by/0316123/Graz/M",
            ),
        ],
    );
}

#[test]
fn an_empty_field_takes_nothing_from_a_visit() {
    let (a01, a08, a03) = ("ADT^A01^ADT_A01", "ADT^A08^ADT_A01", "ADT^A03^ADT_A03");
    let full = "PV1|1|I|W1||||11^Att^A^^^^^^GOOD|12^Ref^R^^^^^^GOOD|||||||||||V1^^^GOOD|||||||||||||||||||||||||20260310";
    let bare = "PV1|1||||||||||||||||||V1^^^GOOD";
    let attended = "PV1|1||||||13^New^N^^^^^^GOOD||||||||||||V1^^^GOOD";
    let deleted = "PV1|1|||||||\"\"|||||||||||V1^^^GOOD";
    let says = |_: &Api, visit: &Value| {
        let items = |name: &str| visit[name].as_array().cloned().unwrap_or_default();
        let mut kinds: Vec<String> = items("participant")
            .iter()
            .map(|own| own["type"][0]["coding"][0]["code"].as_str().unwrap_or("-").to_owned())
            .collect();
        kinds.sort_unstable();
        let class = visit["class"]["code"].as_str().unwrap_or("-");
        format!("{class} {} {}", kinds.join(" "), items("diagnosis").len())
    };
    Feed::new().check(
        "Encounter?identifier=V1",
        says,
        &[
            (about(a01, &[BARE, full, "DG1|1||I10^Hyp^I10|||A"]), "IMP ATND REF 1"),
            (about(a08, &[BARE, bare]), "IMP ATND REF 1"),
            (about(a08, &[BARE, attended]), "IMP ATND REF 1"),
            (about(a08, &[BARE, deleted]), "IMP ATND 1"),
            (about(a03, &[BARE, bare]), "IMP ATND 1"),
        ],
    );
}

/// A message about an order of the patient.
fn order(event: &str, lines: &[&str]) -> String {
    let header = format!("MSH|^~\\&|HIS|GOOD|||20260315073000+0100||{event}|CONTROL|P|2.5.1");
    // MSA stands before PID.
    let at = usize::from(lines.first().is_some_and(|line| line.starts_with("MSA")));
    let (first, rest) = lines.split_at(at);
    let patient = "PID|1||4711^^^GOOD^MR||Muster^Maria";
    [&[header.as_str()], first, &[patient], rest, &[""]].concat().join("\r")
}

/// How an order stands: its status, what is ordered, with which notes or doses, and its numbers.
fn ordered(_: &Api, own: &Value) -> String {
    let items = |name: &str| own[name].as_array().cloned().unwrap_or_default();
    let numbers: Vec<String> = items("identifier")
        .iter()
        .map(|own| own["value"].as_str().unwrap_or("?").to_owned())
        .collect();
    let code = own["code"].as_object().or(own["medicationCodeableConcept"].as_object());
    let code = code.map_or("-", |own| own["coding"][0]["code"].as_str().unwrap_or("?"));
    let details = items("note").len() + items("dosageInstruction").len();
    let status = own["status"].as_str().unwrap_or("-");
    format!("{status} {code} {details} {}", numbers.join(" "))
}

#[test]
fn a_control_alone_takes_nothing_from_an_order() {
    let orm = "ORM^O01^ORM_O01";
    let new = ["ORC|NW|O1^KIS|||||||20260310", "OBR|1|O1^KIS||CBC^Blood^L", "NTE|1||fasting"];
    let answer = ["MSA|AA|X", "ORC|UA|O1^KIS|L9^LIS"];
    let report = [
        "OBR|1||L1^LIS|CBC^Blood^L|||20260311|||||||||||||||||||F",
        "OBX|1|NM|HB^Haemoglobin^L||13|g/dL|||||F",
    ];
    Feed::new().check(
        // Whoever tells the filler's number alone finds it, and makes no other.
        "ServiceRequest?subject.identifier=4711",
        ordered,
        &[
            (order(orm, &new), "active CBC 1 O1"),
            (order(orm, &["ORC|SC|O1^KIS|L1^LIS||IP"]), "active CBC 1 O1 L1"),
            (order("ORR^O02^ORR_O02", &answer), "active CBC 1 O1 L1"),
            (order(orm, &["ORC|HD|O1^KIS"]), "on-hold CBC 1 O1 L1"),
            (order(orm, &["ORC|SC||L1^LIS"]), "on-hold CBC 1 O1 L1"),
            (order(orm, &["ORC|CA|O1^KIS"]), "revoked CBC 1 O1 L1"),
            (order("ORU^R01^ORU_R01", &report), "revoked CBC 1 O1 L1"),
        ],
    );
}

#[test]
fn an_answer_takes_no_drug() {
    let rde = "RDE^O11^RDE_O11";
    let new = ["ORC|NW|M1^KIS|||||||20260310", "RXE|^BID|A10^Metformin^L|850||mg", "RXR|PO"];
    let answer = ["MSA|AA|X", "ORC|OK|M1^KIS|R1^APO"];
    Feed::new().check(
        "MedicationRequest?subject.identifier=4711",
        ordered,
        &[
            (order(rde, &new), "active A10 1 M1"),
            (order("RRE^O12^RRE_O12", &answer), "active A10 1 M1"),
            (order(rde, &["ORC|HD|M1^KIS|R1^APO"]), "on-hold A10 1 M1 R1"),
            (order(rde, &["ORC|DC|M1^KIS"]), "stopped A10 1 M1 R1"),
        ],
    );
}

#[test]
fn a_result_that_is_not_transmitted_again_stays() {
    let told = |value: &str, unit: &str, status: &str| {
        let result = format!("OBX|1|NM|HB^Haemoglobin^L||{value}|{unit}|||||{status}");
        let report = "OBR|1||L1^LIS|CBC^Blood^L|||20260311|||||||||||||||||||F";
        order("ORU^R01^ORU_R01", &[report, &result])
    };
    let says = |_: &Api, own: &Value| {
        let value = &own["valueQuantity"];
        format!("{} {} {}", own["status"].as_str().unwrap_or("-"), value["value"], value["unit"])
    };
    Feed::new().check(
        "Observation?subject.identifier=4711",
        says,
        &[
            (told("13", "g/dL", "P"), "preliminary 13 \"g/dL\""),
            (told("", "", "U"), "final 13 \"g/dL\""),
            (told("", "g/dL", "U"), "final 13 \"g/dL\""),
            (told("\"\"", "", "C"), "corrected null null"),
        ],
    );
}

/// A message about a patient with these numbers and this name.
fn of_patient(event: &str, pid: &str, name: &str, lines: &[&str]) -> String {
    let header = format!("MSH|^~\\&|HIS|GOOD|||20260315073000+0100||{event}|CONTROL|P|2.5.1");
    let about = if event.starts_with("ADT") { &["EVN||20260315073000+0100"][..] } else { &[] };
    let patient = format!("PID|1|{pid}||{name}");
    [&[header.as_str()], about, &[patient.as_str()], lines, &[""]].concat().join("\r")
}

/// The numbers of a resource, the retired ones in brackets, whether it is in use, and how it is linked.
fn numbers(_: &Api, own: &Value) -> String {
    let items = |name: &str| own[name].as_array().cloned().unwrap_or_default();
    let number = |own: &Value| {
        let value = own["value"].as_str().unwrap_or("?");
        if own["use"] == "old" { format!("({value})") } else { value.to_owned() }
    };
    let mut said: Vec<String> = items("identifier").iter().map(number).collect();
    said.sort_by_key(|own| own.starts_with('('));
    said.extend(items("link").iter().map(|own| own["type"].as_str().unwrap_or("?").to_owned()));
    if own["active"] == false {
        said.push("off".to_owned());
    }
    said.join(" ")
}

const RESULT: [&str; 2] = ["OBR|1||F1^LAB|K^K^L|||||||||||||||||||||F", "OBX|1|NM|K^K^L||1||||||F"];
const A08: &str = "ADT^A08^ADT_A01";
const A28: &str = "ADT^A28^ADT_A05";
const A40: &str = "ADT^A40^ADT_A39";
const ORU: &str = "ORU^R01^ORU_R01";

#[test]
fn a_number_that_is_changed_is_of_the_same_person() {
    let told = |event: &str, number: &str, lines: &[&str]| {
        of_patient(event, &format!("|{number}^^^GOOD^MR"), "Muster^Max", lines)
    };
    let changed = told("ADT^A47^ADT_A30", "C2", &["MRG|C1^^^GOOD^MR"]);
    Feed::new().check(
        "Patient?name=Muster",
        numbers,
        &[
            (told(A28, "C1", &[]), "C1"),
            (changed, "C2 (C1)"),
            (told(ORU, "C1", &RESULT), "C2 (C1)"),
            (told(A08, "C2", &[]), "C2 (C1)"),
            (told(A08, "C1", &[]), "C2 (C1)"),
            (told(ORU, "C1", &RESULT), "C2 (C1)"),
            (told("ADT^A47^ADT_A30", "C3", &["MRG|C2^^^GOOD^MR"]), "C3 (C1) (C2)"),
            (told(ORU, "C2", &RESULT), "C3 (C1) (C2)"),
        ],
    );
}

#[test]
fn a_visit_whose_number_is_changed_is_the_same_visit() {
    let visit = |number: &str| format!("PV1|1|I|||||||||||||||||{number}^^^GOOD");
    let told =
        |event: &str, lines: &[&str]| of_patient(event, "|C1^^^GOOD^MR", "Muster^Max", lines);
    let (one, nine) = (visit("V1"), visit("V9"));
    let changed = told("ADT^A50^ADT_A50", &["MRG|C1^^^GOOD^MR||||V1^^^GOOD", &nine]);
    let result = |visit: &str| told(ORU, &[&[visit][..], &RESULT].concat());
    Feed::new().check(
        "Encounter",
        numbers,
        &[
            (told("ADT^A01^ADT_A01", &[&one]), "V1"),
            (changed, "V9 (V1)"),
            (result(&one), "V9 (V1)"),
            (told(A08, &[&nine]), "V9 (V1)"),
            (told("ADT^A01^ADT_A01", &[&nine]), "V9 (V1)"),
            (result(&nine), "V9 (V1)"),
        ],
    );
}

#[test]
fn anothers_external_number_is_nobodys_own() {
    let first = of_patient("ADT^A04^ADT_A01", "5001|7", "First^F", &[]);
    let other =
        |number: &str| of_patient("ADT^A04^ADT_A01", &format!("|{number}"), "Second^S", &[]);
    Feed::new().check(
        "Patient?name=First",
        numbers,
        &[(first, "5001 7"), (other("5001"), "5001 7"), (other("8"), "5001 7")],
    );
}

#[test]
fn nobody_is_merged_into_themselves_and_the_retired_number_is_one_records() {
    let told = |event: &str, numbers: &[&str], lines: &[&str]| {
        let numbers: Vec<String> = numbers.iter().map(|own| format!("{own}^^^GOOD^MR")).collect();
        let name = if numbers[0].starts_with("SL2") { "Other^O" } else { "Muster^Max" };
        of_patient(event, &format!("|{}", numbers.join("~")), name, lines)
    };
    Feed::new().check(
        "Patient?name=Muster",
        numbers,
        &[
            (told(A28, &["SL1"], &[]), "SL1"),
            (told(A40, &["SL1"], &["MRG|SL1^^^GOOD^MR"]), "SL1"),
            (told(A28, &["SL2"], &[]), "SL1"),
            (told(A40, &["SL1", "SL2"], &["MRG|SL2^^^GOOD^MR"]), "SL1 replaces"),
            (told(ORU, &["SL2"], &RESULT), "SL1 replaces"),
        ],
    );
}
