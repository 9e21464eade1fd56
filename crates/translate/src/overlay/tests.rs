use pipehat_config::{Diagnostics, Node, SourceFile};
use pipehat_message::Message;

use super::Overlay;
use crate::{Settings, Translator};

fn read(text: &str) -> Result<Overlay, String> {
    let file = SourceFile::new("mappings/site.yaml", text);
    let mut diagnostics = Diagnostics::new();
    let node = Node::parse(&file, &mut diagnostics);
    let overlay = node.and_then(|node| Overlay::read(&node, &mut diagnostics));
    overlay.ok_or_else(|| {
        let lines = diagnostics.iter().map(|one| {
            let place = one
                .line_column()
                .map_or_else(String::new, |at| format!("{}:{}", at.line, at.column));
            format!("{} {place} {}", one.code, one.message)
        });
        lines.collect::<Vec<_>>().join("\n")
    })
}

#[test]
fn a_site_adds_systems_codes_and_segments() {
    let overlay = read(
        r#"
systems: { GOOD: https://good.example/mrn }
codes:
  AdministrativeSex: { W: female }
segments:
  ZPD[Patient]:
    - { field: ZPD-2, to: "extension[1].url", assign: '"https://good.example/ward"' }
    - { field: ZPD-2, to: "extension[1].valueString", when: ZPD-2 VALUED }
messages:
  ADT_A01:
    - { segment: ZPD, resource: "Patient[1]", map: "ZPD[Patient]" }
drop:
  - { map: "PID[Patient]", field: PID-23 }
"#,
    )
    .expect("it has no mistake");
    let bytes = b"MSH|^~\\&|A|B|C|D|20260101||ADT^A01^ADT_A01|1|P|2.5.1\rPID|1||47^^^GOOD||Muster^Maria|||W|||||||||||||||Ort\rZPD|1|north\r";
    let message = Message::parse(bytes).expect("a message");
    let translation = Translator::with_overlay(Settings::default(), &overlay).to_fhir(&message);
    let entries = translation.bundle.items("entry").iter();
    let patient = entries
        .filter_map(|entry| entry.get("resource"))
        .find(|resource| resource.resource_type() == Some("Patient"))
        .expect("a patient");
    assert_eq!(patient.text("gender"), Some("female"));
    let identifier = patient.items("identifier").first().expect("an identifier");
    assert_eq!(identifier.text("system"), Some("https://good.example/mrn"));
    let extensions = patient.items("extension");
    assert_eq!(extensions.len(), 1, "{extensions:?}");
    assert_eq!(extensions.first().and_then(|own| own.text("valueString")), Some("north"));
}

#[test]
fn mistakes_are_told_at_their_place() {
    let check = |text: &str, expected: &str| {
        assert_eq!(read(text).map(|_| ()).expect_err("a mistake"), expected);
    };
    check("systems: { GOOD: not a uri }", "overlay.uri 1:18 this is no URI");
    check(
        "segments:\n  ZPD[Patient]:\n    - { field: ZPD-2, to: nowhere }\n",
        "overlay.row 3:27 Patient has no element nowhere",
    );
    check(
        "segments:\n  ZPD[Patient]:\n    - { field: ZPD-2, to: gender, when: IF what }\n",
        "overlay.row 3:41 the condition can't be read",
    );
    check(
        "messages:\n  ADTA01:\n    - { segment: ZPD, resource: \"Patient[1]\" }\n",
        "overlay.message 2:3 this is no message structure",
    );
    check(
        "codes:\n  AdministrativeSx: { W: female }\n",
        "overlay.codes 2:3 no row translates by `AdministrativeSx`",
    );
    check(
        "codes:\n  AdministrativeSex: { W: femal }\n",
        "overlay.code 2:27 FHIR's code system has no such code",
    );
    check(
        "segments:\n  ZPD[Patient]:\n    - { field: ZPD-2, to: gender, assign: https://x }\n",
        "overlay.row 3:43 neither a text in quotes, nor joined fields, nor a conversion",
    );
    check(
        "messages:\n  ADT_A01:\n    - { segment: PATIENT.ZPD, resource: \"Patient[1]\", map: \"PID[Patient]\" }\n",
        "overlay.row 3:18 ADT_A01 has no group `PATIENT`",
    );
    check(
        "drop:\n  - { map: \"PID[Patient]\", field: PID-99 }\n",
        "overlay.nothing-dropped 2:5 `PID[Patient]` has no row of `PID-99`",
    );
    // All mistakes of a file are told at once.
    check(
        "systems: { GOOD: not a uri }\ndrop:\n  - { map: \"PID[Patiend]\", field: PID-3 }\n",
        "overlay.uri 1:18 this is no URI\noverlay.nothing-dropped 3:5 the tables have no map `PID[Patiend]`",
    );
    check("sistems: {}", "config.unknown-key 1:1 unknown key `sistems` in `overlay`");
}
