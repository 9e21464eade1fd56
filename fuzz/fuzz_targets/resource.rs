//! Any JSON is valid or has issues, each at a place; none stops the check.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pipehat_resource::json;
use pipehat_resource::outcome::{locate, operation_outcome};
use pipehat_resource::validate::{Checks, ISSUES_MAX, validate};

fuzz_target!(|bytes: &[u8]| {
    let Ok(resource) = json::parse(bytes) else { return };
    let mut issues = validate(&resource, Checks::All);
    assert!(issues.len() <= ISSUES_MAX + 1);
    locate(&mut issues, std::str::from_utf8(bytes).expect("it was read"));
    let outcome = operation_outcome(&issues);
    assert!(validate(&outcome, Checks::All).is_empty(), "an outcome is valid itself");
});
