//! What is told of one timing in several places: one of them counts as a whole, and what the others say otherwise is told.

use pipehat_message::Message;
use pipehat_resource::json::Value;
use pipehat_translate::{Finding, FindingKind, Settings, Translation, Translator};

fn translate(code: &str, version: &str, segments: &str) -> Translation {
    let text = format!("MSH|^~\\&|A|B|||20260315073000+0100||{code}|1|P|{version}\r{segments}");
    let message = Message::parse(text.as_bytes()).expect("a message");
    let base = Some("https://good.example/id/".to_owned());
    let settings = Settings { system_base: base, ..Settings::default() };
    Translator::new(settings).to_fhir(&message)
}

fn first(translation: &Translation, name: &str) -> Value {
    let mut entries = translation.bundle.items("entry").iter();
    let found = entries
        .find_map(|entry| entry.get("resource").filter(|own| own.resource_type() == Some(name)));
    found.cloned().unwrap_or_else(|| panic!("no {name}"))
}

/// What a place says of a timing.
#[derive(Clone, Copy, Default)]
struct Told<'a> {
    pattern: &'a str,
    start: &'a str,
    end: &'a str,
    priority: &'a str,
}

impl Told<'_> {
    fn tq(self) -> String {
        let Self { pattern, start, end, priority } = self;
        format!("^{pattern}^^{start}^{end}^{priority}")
    }

    fn tq1(self) -> String {
        let Self { pattern, start, end, priority } = self;
        format!("TQ1|1||{pattern}||||{start}|{end}|{priority}\r")
    }
}

const ALL: [Told<'static>; 5] = [
    Told {
        pattern: "Q4H",
        start: "20261201080000+0100",
        end: "20261211080000+0100",
        priority: "S",
    },
    Told {
        pattern: "Q6H",
        start: "20261202080000+0100",
        end: "20261212080000+0100",
        priority: "R",
    },
    Told {
        pattern: "Q8H",
        start: "20261203080000+0100",
        end: "20261213080000+0100",
        priority: "A",
    },
    Told {
        pattern: "BID",
        start: "20261204080000+0100",
        end: "20261214080000+0100",
        priority: "S",
    },
    Told {
        pattern: "TID",
        start: "20261205080000+0100",
        end: "20261215080000+0100",
        priority: "R",
    },
];

/// A message, the resource that is looked at, and the places that tell its timing, what counts first: `{ORC-7}` and its like
/// in the segments.
struct Case {
    code: &'static str,
    versions: &'static [&'static str],
    resource: &'static str,
    segments: &'static str,
    places: &'static [&'static str],
}

const CASES: &[Case] = &[
    Case {
        code: "RDE^O01",
        versions: &["2.3", "2.3.1"],
        resource: "MedicationRequest",
        segments: "PID|1||1^^^H&1.2.3&ISO||Muster\rORC|NW|R1^K|||||{ORC-7}\rRXE|{RXE-1}|A^P^L|5||mg\r",
        places: &["RXE-1", "ORC-7"],
    },
    Case {
        code: "RDE^O11^RDE_O11",
        versions: &["2.4", "2.5", "2.5.1"],
        resource: "MedicationRequest",
        segments: "PID|1||1^^^H&1.2.3&ISO||Muster\rORC|NW|R1^K|||||{ORC-7}\r{TQ1}RXE|{RXE-1}|A^P^L|5||mg\r{TQ1-encoded}RXR|PO\r",
        places: &["TQ1-encoded", "RXE-1", "TQ1", "ORC-7"],
    },
    Case {
        code: "RDE^O11^RDE_O11",
        versions: &["2.5.1"],
        resource: "MedicationRequest",
        segments: "PID|1||1^^^H&1.2.3&ISO||Muster\rORC|NW|R1^K|||||{ORC-7}\r{TQ1}RXO|A^P^L|5||mg\rRXR|PO\rRXE|{RXE-1}|A^P^L|5||mg\r{TQ1-encoded}RXR|PO\r",
        places: &["TQ1-encoded", "RXE-1", "TQ1", "ORC-7"],
    },
    Case {
        code: "RRE^O12^RRE_O12",
        versions: &["2.5.1"],
        resource: "MedicationRequest",
        segments: "MSA|AA|1\rPID|1||1^^^H&1.2.3&ISO||Muster\rORC|OK|R1^K|||||{ORC-7}\r{TQ1}RXE|{RXE-1}|A^P^L|5||mg\r{TQ1-encoded}RXR|PO\r",
        places: &["TQ1-encoded", "RXE-1", "TQ1", "ORC-7"],
    },
    Case {
        code: "OMP^O09^OMP_O09",
        versions: &["2.4", "2.5.1", "2.8.2"],
        resource: "MedicationRequest",
        segments: "PID|1||1^^^H&1.2.3&ISO||Muster\rORC|NW|R1^K|||||{ORC-7}\r{TQ1}RXO|A^P^L|5||mg\rRXR|PO\r",
        places: &["TQ1", "ORC-7"],
    },
    Case {
        code: "RGV^O15^RGV_O15",
        versions: &["2.4", "2.5.1"],
        resource: "MedicationRequest",
        segments: "PID|1||1^^^H&1.2.3&ISO||Muster\rORC|RE|R1^K\rRXE||A^P^L|5||mg\rRXR|PO\rRXG|1||{RXG-3}|A^P^L|5||mg\r{TQ1-give}RXR|PO\r",
        places: &["TQ1-give", "RXG-3"],
    },
    Case {
        code: "ORM^O01^ORM_O01",
        versions: &["2.3", "2.5.1"],
        resource: "ServiceRequest",
        segments: "PID|1||1^^^H&1.2.3&ISO||Muster\rORC|NW|R1^K|||||{ORC-7}\rOBR|1|R1^K||T^T^L|{OBR-5}||||||||||||||||||||||{OBR-27}\r",
        places: &["ORC-7", "OBR-27", "OBR-5"],
    },
    Case {
        code: "ORU^R01^ORU_R01",
        versions: &["2.3", "2.5.1"],
        resource: "ServiceRequest",
        segments: "PID|1||1^^^H&1.2.3&ISO||Muster\rORC|RE|R1^K|||||{ORC-7}\rOBR|1|R1^K||T^T^L|{OBR-5}||||||||||||||||||||||{OBR-27}\rOBX|1|ST|x^x^L||ok||||||F\r",
        places: &["ORC-7", "OBR-27", "OBR-5"],
    },
    Case {
        code: "OML^O21^OML_O21",
        versions: &["2.4", "2.5.1"],
        resource: "ServiceRequest",
        segments: "PID|1||1^^^H&1.2.3&ISO||Muster\rORC|NW|R1^K|||||{ORC-7}\r{TQ1}OBR|1|R1^K||T^T^L|{OBR-5}||||||||||||||||||||||{OBR-27}\r",
        places: &["TQ1", "ORC-7", "OBR-27", "OBR-5"],
    },
    Case {
        code: "OMG^O19^OMG_O19",
        versions: &["2.5.1"],
        resource: "ServiceRequest",
        segments: "PID|1||1^^^H&1.2.3&ISO||Muster\rORC|NW|R1^K|||||{ORC-7}\r{TQ1}OBR|1|R1^K||T^T^L|{OBR-5}||||||||||||||||||||||{OBR-27}\r",
        places: &["TQ1", "ORC-7", "OBR-27", "OBR-5"],
    },
    Case {
        code: "SIU^S12^SIU_S12",
        versions: &["2.3", "2.5.1"],
        resource: "Appointment",
        segments: "SCH|A1^K||||||||||{SCH-11}\r{TQ1}PID|1||1^^^H&1.2.3&ISO||Muster\rRGS|1\rAIS|1||X^X^L|{AIS-4}\r",
        places: &["TQ1", "SCH-11", "AIS-4"],
    },
    Case {
        code: "SRR^S01^SRR_S01",
        versions: &["2.5.1"],
        resource: "Appointment",
        segments: "MSA|AA|1\rSCH|A1^K||||||||||{SCH-11}\r{TQ1}PID|1||1^^^H&1.2.3&ISO||Muster\rRGS|1\rAIS|1||X^X^L|{AIS-4}\r",
        places: &["TQ1", "SCH-11", "AIS-4"],
    },
];

impl Case {
    fn translate(&self, version: &str, told: &[(usize, Told<'_>)]) -> Translation {
        let mut segments = self.segments.to_owned();
        for (at, place) in self.places.iter().enumerate() {
            let own = told.iter().find(|(own, _)| *own == at).map(|(_, told)| *told);
            let text = own.map(|own| match *place {
                place if place.starts_with("TQ1") => own.tq1(),
                "OBR-5" => own.priority.to_owned(),
                "AIS-4" => own.start.to_owned(),
                _ => own.tq(),
            });
            segments = segments.replace(&format!("{{{place}}}"), &text.unwrap_or_default());
        }
        translate(self.code, version, &segments)
    }
}

/// The findings of what is told otherwise.
fn otherwise(translation: &Translation) -> Vec<&Finding> {
    let is_it = |own: &&Finding| own.text.contains("is told otherwise by");
    translation.findings.iter().filter(is_it).collect()
}

fn without_priority(told: Told<'_>) -> Told<'_> {
    Told { priority: "", ..told }
}

/// All sets of places, as bits.
fn sets(count: usize) -> impl Iterator<Item = Vec<usize>> {
    (1..1_u32 << count).map(move |set| (0..count).filter(|at| set & 1 << at != 0).collect())
}

/// Runs over each case, version and set of places.
fn each(check: impl Fn(&Case, &str, &[usize])) {
    for case in CASES {
        for version in case.versions {
            for set in sets(case.places.len()) {
                check(case, version, &set);
            }
        }
    }
}

fn named(case: &Case, version: &str, set: &[usize]) -> String {
    let places: Vec<_> = set.iter().filter_map(|at| case.places.get(*at)).collect();
    format!("{} {version} {places:?}", case.code)
}

#[test]
fn one_place_tells_a_timing_as_a_whole() {
    each(|case, version, set| {
        let told: Vec<_> = set.iter().map(|at| (*at, ALL[*at])).collect();
        let all = case.translate(version, &told);
        let alone = case.translate(version, &told[..1]);
        let name = named(case, version, set);
        let (one, other) = (first(&all, case.resource), first(&alone, case.resource));
        assert_eq!(one.to_json(), other.to_json(), "{name}");
        let paths: Vec<_> = otherwise(&all).iter().map(|own| own.path.clone()).collect();
        for at in &set[1..] {
            let place = case.places[*at].split("-encoded").next().unwrap_or_default();
            // Where nothing is told elsewhere, the service says when the appointment is.
            let is_told = place == "AIS-4" && all.findings.iter().any(|own| own.path == "AIS-4");
            if place == "OBR-5" && ALL[*at].priority == ALL[set[0]].priority {
                continue;
            }
            assert!(is_told || paths.iter().any(|own| own == place), "{name}: {:?}", all.findings);
        }
    });
}

#[test]
fn no_part_of_a_timing_is_taken_from_another_place() {
    type Part = fn(Told<'_>) -> Told<'_>;
    let parts: [Part; 3] = [
        |told| Told { pattern: told.pattern, ..Told::default() },
        |told| Told { start: told.start, ..Told::default() },
        |told| Told { start: told.start, end: told.end, ..Told::default() },
    ];
    each(|case, version, set| {
        if matches!(case.places[set[0]], "OBR-5" | "AIS-4") {
            return;
        }
        for part in parts {
            // An appointment's pattern says nothing of when it is.
            if case.resource == "Appointment" && part(ALL[0]).start.is_empty() {
                continue;
            }
            let mut told: Vec<_> = set.iter().map(|at| (*at, without_priority(ALL[*at]))).collect();
            told[0].1 = part(told[0].1);
            let one = first(&case.translate(version, &told), case.resource);
            let other = first(&case.translate(version, &told[..1]), case.resource);
            assert_eq!(one.to_json(), other.to_json(), "{}", named(case, version, set));
        }
    });
}

#[test]
fn a_priority_is_that_of_the_first_place_that_tells_one() {
    each(|case, version, set| {
        if case.resource == "Appointment" || set.len() < 2 {
            return;
        }
        let mut told: Vec<_> = set.iter().map(|at| (*at, ALL[*at])).collect();
        told[0].1.priority = "";
        let name = named(case, version, set);
        let own = first(&case.translate(version, &told), case.resource);
        let expected = first(&case.translate(version, &told[1..2]), case.resource);
        assert_eq!(own.text("priority"), expected.text("priority"), "{name}");
        assert!(own.text("priority").is_some(), "{name}");
        let when = first(&case.translate(version, &told[..1]), case.resource);
        for element in ["dosageInstruction", "occurrenceTiming"] {
            let (one, other) = (own.get(element), when.get(element));
            assert_eq!(one.map(Value::to_json), other.map(Value::to_json), "{name}");
        }
    });
}

#[test]
fn what_is_told_twice_alike_is_no_finding() {
    each(|case, version, set| {
        let told: Vec<_> = set.iter().map(|at| (*at, ALL[0])).collect();
        let all = case.translate(version, &told);
        let name = named(case, version, set);
        let paths: Vec<_> = all.findings.iter().map(|own| own.path.as_str()).collect();
        let is_timing = |path: &&&str| {
            ["ORC-7", "RXE-1", "RXG-3", "OBR-27", "OBR-5"].iter().any(|own| path.starts_with(own))
                || path.starts_with("TQ1")
        };
        if case.resource != "Appointment" {
            assert_eq!(paths.iter().find(is_timing), None, "{name}: {:?}", all.findings);
        }
        assert!(otherwise(&all).is_empty(), "{name}: {:?}", otherwise(&all));
    });
}

#[test]
fn the_timing_of_another_order_or_dose_is_not_asked() {
    let patient = "PID|1||1^^^H&1.2.3&ISO||Muster\r";
    let [one, other, ..] = ALL;
    let order = |number: u8, timing: &str, rest: &str| {
        format!("ORC|NW|R{number}^K|||||{timing}\r{rest}OBR|1|R{number}^K||T^T^L|\r")
    };
    let text = format!("{patient}{}{}", order(1, &one.tq(), ""), order(2, "", &other.tq1()));
    let both = translate("OML^O21^OML_O21", "2.5.1", &text);
    assert!(otherwise(&both).is_empty(), "{:?}", both.findings);
    let bundle = both.bundle.to_json();
    assert!(bundle.contains("Q4H") && bundle.contains("Q6H"), "{bundle}");
    // Of an order before, which the request only mentions.
    let prior =
        format!("ORC|RE|R9^K\rOBR|1|R9^K||T^T^L\r{}OBX|1|ST|x^x^L||ok||||||F\r", other.tq1());
    let text =
        format!("{patient}{}PID|1||1^^^H&1.2.3&ISO||Muster\r{prior}", order(1, &one.tq(), ""));
    let request = first(&translate("OML^O21^OML_O21", "2.5.1", &text), "ServiceRequest");
    assert_eq!(request.text("priority"), Some("stat"));
    // Of two gives each has its own.
    let give = |number: u8, field: &str, segment: &str| {
        format!("RXG|{number}||{field}|A^P^L|5||mg\r{segment}RXR|PO\r")
    };
    let gives = [give(1, &one.tq(), ""), give(2, "", &other.tq1())].concat();
    let text = format!("{patient}ORC|RE|R1^K\rRXE||A^P^L|5||mg\rRXR|PO\r{gives}");
    let both = translate("RGV^O15^RGV_O15", "2.5.1", &text);
    assert!(otherwise(&both).is_empty(), "{:?}", both.findings);
    let bundle = both.bundle.to_json();
    assert!(bundle.contains("Q4H") && bundle.contains("Q6H"), "{bundle}");
}

/// An appointment by SCH-9, SCH-11, TQ1 and the AIS, and the findings about its times.
fn appointment(parts: [&str; 4]) -> (String, Vec<String>) {
    let [minutes, sch, tq1, ais] = parts;
    let segments = format!(
        "SCH|A1^K||||||||{minutes}|min|{sch}\r{tq1}PID|1||1^^^H&1.2.3&ISO||Muster\rRGS|1\rAIS|1||X^X^L|{ais}\r"
    );
    let own = translate("SIU^S12^SIU_S12", "2.5.1", &segments);
    let about = ["AIS-4", "AIS-7", "SCH", "TQ1"];
    let is_about = |it: &&Finding| {
        about.iter().any(|place| it.path == *place || it.path.starts_with("SCH-11"))
            && it.kind != FindingKind::SystemUnknown
    };
    let findings =
        own.findings.iter().filter(is_about).map(|it| format!("{} {}", it.path, it.text));
    let findings = findings.collect();
    let appointment = own.bundle.items("entry").iter().filter_map(|own| own.get("resource"));
    let mut appointment = appointment.filter(|own| own.resource_type() == Some("Appointment"));
    (appointment.next().map(Value::to_json).expect("an appointment"), findings)
}

/// One instant is one, whichever offset it is told with.
#[test]
fn another_offset_is_no_other_time() {
    let (vienna, utc) = ("202604010900+0200", "202604010700+0000");
    let tq1 = "TQ1|1||||||202604010700+0000|202604010730+0000\r";
    for parts in [
        ["", &format!("^^^{vienna}"), "", utc],
        ["", &format!("^^^{vienna}"), "", "20260401090000+0200"],
        ["", &format!("^^^{vienna}^202604010930+0200"), tq1, "202604010800+0100"],
        ["30", "", tq1, vienna],
    ] {
        let (_, findings) = appointment(parts);
        assert!(findings.is_empty(), "{parts:?} {findings:?}");
    }
    let (_, findings) = appointment(["", &format!("^^^{vienna}"), tq1, "202604010800+0000"]);
    assert_eq!(findings.len(), 1, "{findings:?}");
    let (_, findings) = appointment(["", "^^^202604010900+0000", tq1, vienna]);
    assert_eq!(findings.len(), 1, "{findings:?}");
}

/// How long an appointment takes is what tells when it is, and no more than from start to end.
#[test]
fn minutes_are_of_the_timing_that_counts() {
    let short = "TQ1|1|||||30^min|202604010700+0000\r";
    let (own, findings) = appointment(["", "", short, "202604010900+0200|||1|h"]);
    assert!(own.contains(r#""minutesDuration":30"#), "{own}");
    assert_eq!(findings.len(), 1, "AIS-7 is told otherwise: {findings:?}");
    let span = "TQ1|1||||||202604010700+0000|202604010930+0200\r";
    for (minutes, count) in [("30", 0), ("20", 0), ("45", 1)] {
        let (_, findings) = appointment([minutes, "", span, "202604010900+0200"]);
        let longer = findings.iter().filter(|it| it.contains("longer than from"));
        assert_eq!(longer.count(), count, "{minutes} {findings:?}");
    }
}
