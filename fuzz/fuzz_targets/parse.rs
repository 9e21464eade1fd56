//! Any bytes parse or are refused; what parses encodes to the same bytes, and every reader ends.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pipehat_message::{Message, Path};

fuzz_target!(|bytes: &[u8]| {
    let Ok(mut message) = Message::parse(bytes) else { return };
    assert_eq!(message.as_bytes(), bytes);
    let mut last = None;
    for segment in message.segments() {
        for field in segment.fields() {
            for repetition in field.repetitions() {
                for component in repetition.components() {
                    for subcomponent in component.subcomponents() {
                        let _ = (subcomponent.decoded(), subcomponent.presence());
                    }
                }
            }
        }
        last = message.segment_path(segment.index()).or(last);
    }
    // An edit keeps the index what parsing the result would make it.
    let Some(last) = last else { return };
    let Ok(path) = Path::parse(&format!("{last}-3[2].1")) else { return };
    if message.set_raw(&path, b"x").is_ok() {
        let reread = Message::parse(message.as_bytes()).expect("an edited message parses");
        assert_eq!(reread.segments().len(), message.segments().len());
        assert_eq!(reread.get(&path).map(|value| value.raw()), Some(b"x".as_slice()));
    }
});
