//! Any query is read or refused, and what is read can be asked of a resource.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pipehat_resource::json::parse;
use pipehat_resource::search::{Handling, Registry, Search, SearchOptions, extract, query_pairs};

const RESOURCE: &[u8] = include_bytes!("../../crates/resource/golden/search/observation.json");

fuzz_target!(|bytes: &[u8]| {
    let Ok(query) = std::str::from_utf8(bytes) else { return };
    let registry = Registry::standard();
    let resource = parse(RESOURCE).expect("it is JSON");
    let pairs = query_pairs(query);
    for handling in [Handling::Strict, Handling::Lenient] {
        let options = SearchOptions { handling, ..SearchOptions::default() };
        for types in [&["Observation"][..], &["Patient"], &["Observation", "Patient"]] {
            match Search::parse(types, &pairs, &registry, &options) {
                Ok(parsed) => {
                    let entries = extract(&resource, &registry, "", 0);
                    let met = parsed.search.matches(&resource, &entries);
                    assert!(met.is_some() || parsed.search.looks_at_others());
                }
                Err(problems) => assert!(!problems.is_empty()),
            }
        }
    }
    _ = Search::parse_conditional_reference(query, &registry, &SearchOptions::default());
});
