//! Any JSON gives what it is found by, and what it is found by can be found.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pipehat_resource::json::parse;
use pipehat_resource::search::{ENTRIES_MAX, Registry, extract, full_text};

fuzz_target!(|bytes: &[u8]| {
    let Ok(resource) = parse(bytes) else { return };
    let registry = Registry::standard();
    let entries = extract(&resource, &registry, "http://here.example", 0);
    assert!(entries.len() <= ENTRIES_MAX);
    for entry in entries {
        assert!(registry.names(entry.parameter).is_some());
    }
    _ = full_text(&resource, true);
});
