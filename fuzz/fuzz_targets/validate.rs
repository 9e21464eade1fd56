//! Any message validates at every level and in every version, within the limit of findings, and its findings can be told.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pipehat_dictionary::validation::{Level, Standard, Validator};
use pipehat_dictionary::{FINDINGS_MAX, Version};
use pipehat_message::Message;

fuzz_target!(|bytes: &[u8]| {
    let Some((&choice, bytes)) = bytes.split_first() else { return };
    let Ok(message) = Message::parse(bytes) else { return };
    for level in Level::ALL {
        let mut validator = Validator::new(level);
        let choice = usize::from(choice);
        if let Some(&version) = Version::ALL.get(choice % (Version::ALL.len() + 1)) {
            validator = validator.with_version(version);
        }
        let findings = validator.validate(&message, &Standard);
        assert!(findings.iter().len() <= FINDINGS_MAX + 1);
        for finding in findings {
            assert!(!finding.text().is_empty() && !finding.path().is_empty());
            let _ = (finding.clause(), finding.name(), finding.code());
        }
    }
});
