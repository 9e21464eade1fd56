//! Observations with components: what is said of all of them is told, or a finding says that it isn't.

use pipehat_dictionary::Version;
use pipehat_resource::json;

use super::{Profile, Resources, Stamp, Wanted, Writer};

/// The segments of the results of a blood pressure with `more` in its Observation, and the places that findings name.
fn written(more: &str) -> (Vec<String>, Vec<String>) {
    let text = format!(
        r#"{{"resourceType":"Bundle","type":"collection","entry":[
        {{"resource":{{"resourceType":"DiagnosticReport","id":"d1","status":"final","code":{{"text":"Vitals"}},
            "subject":{{"reference":"Patient/p1"}},"result":[{{"reference":"Observation/bp"}}]}}}},
        {{"resource":{{"resourceType":"Patient","id":"p1","identifier":[{{"value":"1"}}],"name":[{{"family":"X"}}]}}}},
        {{"resource":{{"resourceType":"Practitioner","id":"n1","identifier":[{{"value":"9"}}],"name":[{{"family":"Tec"}}]}}}},
        {{"resource":{{"resourceType":"Observation","id":"bp","status":"final",{more}
            "code":{{"coding":[{{"system":"http://loinc.org","code":"85354-9"}}]}},"subject":{{"reference":"Patient/p1"}},
            "component":[
            {{"code":{{"coding":[{{"system":"http://loinc.org","code":"8480-6"}}]}},"valueQuantity":{{"value":180,"unit":"mm[Hg]"}}}},
            {{"code":{{"coding":[{{"system":"http://loinc.org","code":"8462-4"}}]}},"valueQuantity":{{"value":110,"unit":"mm[Hg]"}}}}
            ]}}}}]}}"#
    );
    let bundle = json::parse(text.as_bytes()).expect("it is JSON");
    let resources = Resources::of_bundle(&bundle);
    let wanted =
        Wanted { event: "ORU^R01", version: Version::V2_8_2, order_control: None, lineage: None };
    let stamp = Stamp {
        time: "2026-05-06T08:00:00Z".parse().expect("a time"),
        offset: jiff::tz::Offset::UTC,
        control_id: "C1",
    };
    let written = Writer::new(Profile::default()).write(&wanted, &resources, &stamp);
    let written = written.expect("a message");
    let message = String::from_utf8(written.message).expect("UTF-8");
    let is_of_results = |line: &&str| line.starts_with("OBX") || line.starts_with("NTE");
    let segments = message.split('\r').filter(is_of_results).map(str::to_owned).collect();
    (segments, written.findings.into_iter().map(|finding| finding.path.to_string()).collect())
}

fn field(segment: &str, number: usize) -> &str {
    segment.split('|').nth(number).unwrap_or_default()
}

#[test]
fn what_is_said_of_a_panel_stands_before_its_components() {
    let (segments, places) = written(
        r#""interpretation":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation","code":"HH"}]}],
           "note":[{"text":"left arm"}],"#,
    );
    let [panel, note, systolic, diastolic] = segments.as_slice() else { panic!("{segments:?}") };
    assert!(
        field(panel, 3).starts_with("85354-9^") && field(panel, 8).starts_with("HH"),
        "{panel}"
    );
    assert!(note.contains("left arm"), "{note}");
    assert!(field(systolic, 3).starts_with("8480-6^") && field(systolic, 8).is_empty());
    assert!(field(diastolic, 3).starts_with("8462-4^"));
    assert!(!places.iter().any(|place| place.starts_with("Bundle.entry[3]")), "{places:?}");
}

#[test]
fn components_tell_what_they_share() {
    let (segments, places) = written(
        r#""performer":[{"reference":"Practitioner/n1"}],"method":{"text":"cuff"},"bodySite":{"text":"arm"},
           "effectivePeriod":{"start":"2026-05-01T10:00:00Z","end":"2026-05-01T10:05:00Z"},"#,
    );
    assert_eq!(segments.len(), 2, "{segments:?}");
    for segment in &segments {
        assert!(field(segment, 14).starts_with("20260501100000"), "{segment}");
        assert_eq!(field(segment, 16), "9^Tec");
        assert!(field(segment, 17).contains("cuff") && field(segment, 20).contains("arm"));
    }
    let end = "[3].resource.effectivePeriod.end";
    assert!(places.iter().any(|place| place.ends_with(end)), "{places:?}");
}

#[test]
fn what_no_component_tells_is_a_finding() {
    let (_, places) = written(
        r#""category":[{"text":"vitals"}],"device":{"display":"cuff 7"},"performer":[{"display":"Ze"}],"#,
    );
    for element in
        ["code.coding[0].code", "category[0].text", "device.display", "performer[0].display"]
    {
        let place = format!("Bundle.entry[3].resource.{element}");
        assert!(places.contains(&place), "{place} in {places:?}");
    }
}
