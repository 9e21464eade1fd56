//! However input is split, the same events come out; headers and acknowledgments in it are read without panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pipehat_message::mllp::{Decoder, Event, FrameEnd, Limits, Remainder};
use pipehat_message::{Acknowledgment, Header, unreadable_header_reply};

fn decode(limits: Limits, bytes: &[u8], read_bytes: usize) -> (Vec<Event>, Remainder) {
    let mut decoder = Decoder::new(limits);
    let mut events = Vec::new();
    for read in bytes.chunks(read_bytes.max(1)) {
        decoder.push(read);
        events.extend(decoder.by_ref());
    }
    (events, decoder.finish())
}

fuzz_target!(|input: (u8, u8, bool, &[u8])| {
    let (read_bytes, frame_bytes_max, strict, bytes) = input;
    let frame_end = if strict { FrameEnd::BlockAndReturn } else { FrameEnd::Block };
    let limits = Limits { frame_bytes_max: frame_bytes_max.into(), frame_end };
    let whole = decode(limits, bytes, usize::MAX);
    assert!(whole == decode(limits, bytes, read_bytes.into()));
    for event in whole.0 {
        if let Event::Frame(payload) = event {
            assert!(payload.len() <= frame_bytes_max.into());
            let _ = Header::read(&payload);
        }
    }
    if let Ok(read) = Acknowledgment::read(bytes) {
        read.errors().for_each(|error| drop(error.location()));
    }
    let reply = unreadable_header_reply(bytes, "OWN", "", "unreadable");
    assert!(Acknowledgment::read(&reply).is_ok());
});
