//! Any patch applies whole or leaves the resource as it was.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pipehat_resource::json;
use pipehat_resource::patch::Patch;

const RESOURCE: &[u8] = br#"{"resourceType":"Patient","id":"a","name":[{"given":["A","B"]}],"active":true}"#;

fuzz_target!(|bytes: &[u8]| {
    let Ok(document) = json::parse(bytes) else { return };
    let Ok(patch) = Patch::read(&document) else { return };
    let before = json::parse(RESOURCE).expect("the resource is JSON");
    let mut after = before.clone();
    match patch.apply(&mut after) {
        Ok(()) => {
            json::parse(after.to_json().as_bytes()).expect("what is written can be read");
        }
        Err(_) => assert_eq!(before, after),
    }
});
