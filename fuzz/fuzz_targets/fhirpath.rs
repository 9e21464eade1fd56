//! Any text is an expression or an error within it, and its evaluation ends.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pipehat_resource::fhirpath::{Context, Expression, Limits};
use pipehat_resource::json;

const PATIENT: &[u8] = br##"{"resourceType":"Patient","id":"a","active":true,"birthDate":"1974-12-25",
    "_birthDate":{"extension":[{"url":"u","valueDateTime":"1974-12-25T14:35:45-05:00"}]},
    "name":[{"use":"official","family":"Example","given":["A",null],"_given":[null,{"id":"b"}]}],
    "contained":[{"resourceType":"Organization","id":"o"}],"managingOrganization":{"reference":"#o"},
    "extension":[{"url":"v","valueQuantity":{"value":1.50,"code":"mg","system":"http://unitsofmeasure.org"}}]}"##;

fuzz_target!(|text: &str| {
    let expression = match Expression::parse(text) {
        Ok(expression) => expression,
        Err(error) => {
            assert!(error.column <= text.chars().count() + 1);
            return;
        }
    };
    let patient = json::parse(PATIENT).expect("the resource is JSON");
    let limits = Limits { steps_max: 50_000, items_max: 5_000, string_bytes_max: 10_000 };
    let context = Context::new(jiff::Timestamp::UNIX_EPOCH).with_limits(limits);
    if let Err(error) = expression.evaluate(&patient, &context) {
        assert!(error.column <= text.chars().count() + 1);
    }
});
