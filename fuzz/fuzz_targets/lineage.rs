//! Kept lineage: whatever its bytes are, it is read or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pipehat_translate::PackedLineage;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(lineage) = PackedLineage::new(bytes.to_vec()).unpack() {
        for source in &lineage.sources {
            let _ = (source.element.to_string(), source.paths.len());
        }
    }
});
