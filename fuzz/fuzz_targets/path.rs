//! Any text is a path or an error within it; a path shows as text that means the same, and reads and edits end.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pipehat_message::{Message, Path};

const MESSAGE: &[u8] = b"MSH|^~\\&|A^B|C\rPID|1||a^^^X~b&c^^^Y||\"\"\rOBX|1|NM\rOBX|2|ST|x~y\r";

fuzz_target!(|text: &str| {
    let path = match Path::parse(text) {
        Ok(path) => path,
        Err(error) => {
            assert!(error.at <= text.chars().count());
            return;
        }
    };
    assert_eq!(Path::parse(&path.to_string()), Ok(path.clone()));
    let mut message = Message::parse(MESSAGE).expect("the message is sound");
    for found in message.matches(&path) {
        assert_eq!(message.get(&found.path).map(|value| value.raw()), Some(found.value.raw()));
    }
    if message.set_text(&path, b"v|w").is_err() {
        assert_eq!(message.as_bytes(), MESSAGE);
    }
    let _ = (message.clear(&path), message.insert_raw(&path, b"i"), message.remove(&path));
    Message::parse(message.as_bytes()).expect("an edited message parses");
});
