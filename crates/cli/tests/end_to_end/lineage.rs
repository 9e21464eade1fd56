//! Where each element of a Bundle came from: kept with the message, and told as long as the message is.

use serde_json::Value;

use crate::harness::{Api, Link, Project, eventually, free_port};

const MESSAGE: &[u8] =
    b"MSH|^~\\&|ADT1|GOOD|EHR|GOOD|20260105120000+0100||ADT^A08^ADT_A01|L1|P|2.5.1\r\
    EVN||20260105120000+0100\rPID|1||SECRET4711^^^GOOD^MR||Marker^Anna||19700101|F\r";

/// A message through the channel; its number.
fn message(project: &Project, api: &Api, address: &str) -> String {
    assert_eq!(Link::open(address).ask(MESSAGE).code(), "AA");
    eventually("it is delivered", || api.counter("adt", "delivered") == 1);
    let mut found = Vec::new();
    eventually("the index has it", || {
        let output = project.run(&["messages", "find", "--channel", "adt", "--json"]);
        found = serde_json::from_slice::<Vec<Value>>(&output.stdout).unwrap_or_default();
        found.len() == 1
    });
    found[0]["id"].to_string()
}

fn shown(project: &Project, arguments: &[&str]) -> (Option<i32>, String) {
    let output = project.run(&[&["messages", "show"], arguments].concat());
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn a_message_tells_which_element_came_from_where() {
    let project = Project::new();
    project.write("pipehat.yaml", "datastore:\n");
    project.write(
        "channels/adt.yaml",
        "channel: adt\nsource: { mllp: { listen: 127.0.0.1:0 } }\nreply: processed\ndestinations:\n\
         \x20 store:\n    steps: [{ translate: { to: fhir, system_base: \"https://good.example/\" } }]\n    fhir: local\n\
         \x20 copy:\n    steps: [{ translate: { to: fhir, lineage: false } }]\n    fhir: local\n",
    );
    let node = project.up();
    let id = message(&project, &node.api(), &node.address("adt"));

    let (code, table) = shown(&project, &[&id, "--lineage"]);
    assert_eq!(code, Some(0), "{table}");
    let row = table.lines().find(|line| line.contains("Patient.identifier[0].value"));
    let row = row.unwrap_or_else(|| panic!("{table}"));
    let words: Vec<&str> = row.split_whitespace().collect();
    let expected =
        ["Patient.identifier[0].value", "<-", "PID-3.1", "datatypes", "CX[Identifier]", "CX.1"];
    assert_eq!(words, expected);
    let headings = table.lines().filter(|line| line.contains("translated into FHIR"));
    let headings: Vec<&str> = headings.collect();
    assert!(headings.len() == 1 && headings[0].contains("store ("), "one keeps none: {table}");
    assert!(!table.contains("SECRET") && !table.contains("Marker"), "{table}");

    // Only what came from a place, or went there.
    let (code, of_place) = shown(&project, &[&id, "--lineage-of", "PID-7"]);
    assert!(code == Some(0) && of_place.contains("Patient.birthDate"), "{of_place}");
    assert!(!of_place.contains("Patient.identifier"), "{of_place}");
    let (code, _) = shown(&project, &[&id, "--lineage-of", "PID-99"]);
    assert_eq!(code, Some(1));
    let (code, _) = shown(&project, &[&id, "--lineage-of", "PID-"]);
    assert_eq!(code, Some(2));
    let (code, plain) = shown(&project, &[&id]);
    assert!(code == Some(0) && !plain.contains("<-"), "{plain}");

    // Over the API, and with an address of its own.
    let api = node.api();
    let detail =
        api.get(&format!("/api/v1/messages/{id}?lineage_of=Patient.identifier%5B0%5D.value"));
    let translation = &detail["stages"][1]["translations"][0];
    assert_eq!(translation["to"], "fhir");
    assert_eq!(translation["outputs"][0]["destination"], "store");
    assert_eq!(translation["lineage"][0]["paths"][0], "PID-3.1");
    let element = translation["lineage"][0]["element"].as_str().expect("an element");
    assert!(
        element.starts_with("Bundle.entry[") && element.ends_with("].resource.identifier[0].value")
    );
    let (status, _) = api.call("GET", &format!("/api/v1/messages/{id}?lineage_of=PID-"), None);
    assert_eq!(status, 400);

    // It survives, running and stopped; so do the books and the journal.
    node.kill();
    let (code, stopped) = shown(&project, &[&id, "--lineage"]);
    assert_eq!((code, stopped.lines().any(|line| line == row)), (Some(0), true), "{stopped}");
    let node = project.up();
    let (_, again) = shown(&project, &[&id, "--lineage"]);
    assert!(again.lines().any(|line| line == row), "{again}");
    let resent = project.run(&["messages", "resend", &id, "--to", "store", "--reason", "test"]);
    assert!(resent.status.success());
    eventually("it is delivered again", || {
        shown(&project, &[&id]).1.matches("delivered to store").count() == 2
    });
    assert!(node.stop().success());
    assert!(project.run(&["journal", "verify"]).status.success());
    project.prove();
}

#[test]
fn a_bots_translation_is_told_with_what_it_made() {
    let project = Project::new();
    project.write("pipehat.yaml", "datastore:\n");
    project.write("bots/feed.yaml", "bot: feed\n");
    project.write(
        "bots/feed.ts",
        "import { translate } from 'pipehat';
         export async function handler(medplum: any, event: any): Promise<any> {
           return await translate.toFhir(event.input);
         }",
    );
    let port = free_port();
    project.write(
        "channels/adt.yaml",
        &format!(
            "channel: adt\nsource: {{ mllp: {{ listen: 127.0.0.1:0 }} }}\nreply: processed\nsteps: [{{ bot: feed }}]\n\
             destinations:\n  partner:\n    http: {{ url: \"http://127.0.0.1:{port}/\", content_type: application/fhir+json }}\n\
             \x20   retry: {{ first: 20ms, most: 100ms }}\n"
        ),
    );
    project.write(
        "channels/partner.yaml",
        &format!(
            "channel: partner\nformat: json\nsource: {{ http: {{ listen: 127.0.0.1:{port} }} }}\n"
        ),
    );
    let node = project.up();
    let id = message(&project, &node.api(), &node.address("adt"));
    let (code, table) = shown(&project, &[&id, "--lineage-of", "Patient.birthDate"]);
    assert_eq!(code, Some(0), "{table}");
    assert!(table.contains("for the bot feed by steps[1].bot"), "{table}");
    assert!(table.contains("PID-7"), "{table}");
    assert!(node.stop().success());
    project.prove();
}
