use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

use super::*;

const LIMIT: usize = 32;

fn decode(limits: Limits, reads: &[&[u8]]) -> (Vec<Event>, Remainder) {
    let mut decoder = Decoder::new(limits);
    let mut events = Vec::new();
    for read in reads {
        decoder.push(read);
        events.extend(decoder.by_ref());
    }
    (events, decoder.finish())
}

fn frame(payload: &[u8]) -> Event {
    Event::Frame(payload.to_vec())
}

/// Decodes the input at once and byte by byte, and expects the same.
fn check_with(frame_end: FrameEnd, input: &[u8], events: &[Event], remainder: &Remainder) {
    let limits = Limits { frame_bytes_max: LIMIT, frame_end };
    let expected = (events.to_vec(), remainder.clone());
    assert_eq!(decode(limits, &[input]), expected, "at once: {input:?}");
    let bytes: Vec<&[u8]> = input.chunks(1).collect();
    assert_eq!(decode(limits, &bytes), expected, "byte by byte: {input:?}");
}

fn check(input: &[u8], events: &[Event], remainder: &Remainder) {
    check_with(FrameEnd::Block, input, events, remainder);
}

#[test]
fn whole_frames_come_out() {
    check(b"", &[], &Remainder::Nothing);
    check(b"\x0BMSH|a\r\x1C\r", &[frame(b"MSH|a\r")], &Remainder::Nothing);
    check(b"\x0Ba\x1C\r\x0Bb\x1C\r", &[frame(b"a"), frame(b"b")], &Remainder::Nothing);
    check(b"\x0B\x1C\r", &[frame(b"")], &Remainder::Nothing);
    check(b"\r\n\x0Ba\x1C\r\r\n\x0Bb\x1C\r\n", &[frame(b"a"), frame(b"b")], &Remainder::Nothing);
}

#[test]
fn an_end_block_without_return_ends_a_frame() {
    check(b"\x0Ba\x1C", &[frame(b"a")], &Remainder::Nothing);
    check(b"\x0Ba\x1C\x0Bb\x1C", &[frame(b"a"), frame(b"b")], &Remainder::Nothing);
    check(b"\x0Ba\x1C\n\x0Bb\x1C", &[frame(b"a"), frame(b"b")], &Remainder::Nothing);
}

#[test]
fn an_end_block_is_data_where_a_return_is_demanded() {
    let strict = FrameEnd::BlockAndReturn;
    check_with(strict, b"\x0Ba\x1Cb\x1C\r", &[frame(b"a\x1Cb")], &Remainder::Nothing);
    check_with(strict, b"\x0Ba\x1C\x1C\r", &[frame(b"a\x1C")], &Remainder::Nothing);
    check_with(strict, b"\x0Ba\x1C", &[], &Remainder::Frame(b"a".to_vec()));
    check_with(strict, b"\x0Ba\x1Cb", &[], &Remainder::Partial { bytes: 3 });
}

#[test]
fn garbage_is_counted_and_skipped() {
    let garbage = |bytes| Event::Garbage { bytes };
    check(
        b"GET\r\n\x0Ba\x1C\rxy\x0Bb\x1C\r",
        &[garbage(3), frame(b"a"), garbage(2), frame(b"b")],
        &Remainder::Nothing,
    );
    check(b"MSH|", &[], &Remainder::Garbage { bytes: 4 });
    check(b"\x0Ba\x1C\rx", &[frame(b"a")], &Remainder::Garbage { bytes: 1 });
}

#[test]
fn endless_garbage_is_reported_in_portions() {
    let portion = Event::Garbage { bytes: GARBAGE_BYTES_REPORTED };
    let at_limit = vec![b'x'; GARBAGE_BYTES_REPORTED - 1];
    check(&at_limit, &[], &Remainder::Garbage { bytes: GARBAGE_BYTES_REPORTED - 1 });
    check(&[&at_limit[..], b"x"].concat(), std::slice::from_ref(&portion), &Remainder::Nothing);
    let framed = [&at_limit[..], b"\r\nxy\x0Ba\x1C\r"].concat();
    check(&framed, &[portion, Event::Garbage { bytes: 1 }, frame(b"a")], &Remainder::Nothing);
}

#[test]
fn a_frame_that_starts_inside_a_frame_replaces_it() {
    for header in ["MSH|", "FHS|", "BHS|"] {
        let input = format!("\x0BMSH|a\x0B{header}b\x1C\r");
        let expected = [Event::Unterminated { bytes: 5 }, frame(format!("{header}b").as_bytes())];
        check(input.as_bytes(), &expected, &Remainder::Nothing);
    }
}

#[test]
fn a_vertical_tab_in_text_is_data() {
    for payload in
        [&b"MSH|a\x0Bb"[..], b"\x0B\x0B", b"a\x0BMS", b"a\x0B", b"\x0BM\x0BS", b"\x0BMSh"]
    {
        let input = [b"\x0B", payload, b"\x1C\r"].concat();
        check(&input, &[frame(payload)], &Remainder::Nothing);
    }
}

#[test]
fn a_partial_frame_is_reported_at_the_end() {
    check(b"\x0B", &[], &Remainder::Partial { bytes: 0 });
    check(b"\x0BMSH", &[], &Remainder::Partial { bytes: 3 });
    check(b"\x0BMSH\x0BMS", &[], &Remainder::Partial { bytes: 6 });
}

#[test]
fn a_frame_has_a_limit() {
    let framed = |payload: &[u8]| [b"\x0B", payload, b"\x1C\r"].concat();
    let at_limit = vec![b'a'; LIMIT];
    let past_limit = vec![b'a'; LIMIT + 1];
    let oversized = Event::Oversized { head: at_limit.clone() };
    for end in [FrameEnd::Block, FrameEnd::BlockAndReturn] {
        let check = |input: &[u8], events: &[Event], remainder: &Remainder| {
            check_with(end, input, events, remainder);
        };
        check(&framed(&at_limit), &[frame(&at_limit)], &Remainder::Nothing);
        check(&framed(&past_limit), std::slice::from_ref(&oversized), &Remainder::Nothing);
        let then = [framed(&past_limit), framed(b"next")].concat();
        check(&then, &[oversized.clone(), frame(b"next")], &Remainder::Nothing);
        let restarted = [&b"\x0B"[..], &past_limit, b"aaa", &framed(b"MSH|b")].concat();
        check(&restarted, &[oversized.clone(), frame(b"MSH|b")], &Remainder::Nothing);
        let unended = [&b"\x0B"[..], &past_limit].concat();
        check(&unended, std::slice::from_ref(&oversized), &Remainder::Oversized);
        let just_fits = [&b"\x0B"[..], &at_limit, &framed(b"MSH|b")].concat();
        let unterminated = Event::Unterminated { bytes: LIMIT };
        check(&just_fits, &[unterminated, frame(b"MSH|b")], &Remainder::Nothing);
    }
}

#[test]
fn the_head_of_an_oversized_frame_is_bounded() {
    let mut decoder = Decoder::new(Limits::new(3 * OVERSIZED_HEAD_BYTES));
    decoder.push(&[START_BLOCK]);
    decoder.push(&vec![b'a'; 3 * OVERSIZED_HEAD_BYTES + 1]);
    assert_eq!(decoder.next(), Some(Event::Oversized { head: vec![b'a'; OVERSIZED_HEAD_BYTES] }));
    assert_eq!(decoder.next(), None);
    decoder.push(&vec![b'a'; 10 * OVERSIZED_HEAD_BYTES]);
    assert_eq!(decoder.next(), None);
    assert_eq!(decoder.buffered_bytes(), 0, "the rest is not kept");
    assert!(decoder.is_inside_frame());
}

#[test]
fn commit_blocks_are_told_from_messages() {
    let input =
        [&COMMIT_ACKNOWLEDGMENT[..], &COMMIT_NEGATIVE_ACKNOWLEDGMENT, b"\x0Ba\x1C\r"].concat();
    check(&input, &[Event::CommitAck, Event::CommitNak, frame(b"a")], &Remainder::Nothing);
    check(b"\x0B\x06\x06\x1C\r", &[frame(b"\x06\x06")], &Remainder::Nothing);
}

#[test]
fn a_large_frame_takes_the_buffer_with_it() {
    let payload = vec![b'a'; 5 * GROWTH_STEP_BYTES];
    let mut input = Vec::new();
    encode_frame(&payload, &mut input);
    encode_frame(b"next", &mut input);
    let mut decoder = Decoder::new(Limits::new(8 * GROWTH_STEP_BYTES));
    let mut address = None;
    let mut moves = 0;
    let mut events = Vec::new();
    for read in input.chunks(64 * 1024) {
        decoder.buffer_mut(64 * 1024).extend_from_slice(read);
        let now = Some(decoder.buffer.as_ptr());
        moves += usize::from(address != now);
        address = now;
        events.extend(decoder.by_ref());
    }
    let [Event::Frame(frame), Event::Frame(next)] = &events[..] else { panic!("two frames") };
    assert!(*frame == payload, "the payload is unchanged");
    assert_eq!(next, b"next");
    assert_eq!(Some(frame.as_ptr()), address, "no copy on the way out");
    assert!(moves <= 8, "the buffer moved {moves} times");
    assert!(frame.capacity() <= 2 * frame.len());
    assert!(decoder.buffer.capacity() < HANDED_OVER_BYTES_MIN);
}

#[test]
fn an_oversized_frame_does_not_bind_its_memory() {
    let mut decoder = Decoder::new(Limits::new(10 * GROWTH_STEP_BYTES));
    decoder.push(&[START_BLOCK]);
    for _ in 0..11 {
        decoder.push(&vec![b'a'; GROWTH_STEP_BYTES]);
        decoder.by_ref().for_each(drop);
    }
    decoder.push(b"a");
    assert!(decoder.buffer.capacity() <= GROWTH_STEP_BYTES);
}

#[test]
fn encoded_frames_are_read_back() {
    let mut output = b"before".to_vec();
    encode_frame(b"MSH|a\r", &mut output);
    assert_eq!(output, b"before\x0BMSH|a\r\x1C\r");
    assert!(is_frameable(b"MSH|a\r"));
    assert!(!is_frameable(b"a\x1Cb"));
    assert!(!is_frameable(b"a\x0Bb"));
}

proptest! {
    #[test]
    fn any_split_gives_the_same_events(
        input in r"[\x0B\x1C\rMSHFBx\x06\x15]{0,200}",
        cuts: Vec<u8>,
        strict in any::<bool>(),
        frame_bytes_max in 0_usize..12,
    ) {
        let frame_end = if strict { FrameEnd::BlockAndReturn } else { FrameEnd::Block };
        let limits = Limits { frame_bytes_max, frame_end };
        let mut rest = input.as_bytes();
        let mut reads = Vec::new();
        for cut in cuts {
            let (read, behind) = rest.split_at(usize::from(cut % 9).min(rest.len()));
            reads.push(read);
            rest = behind;
        }
        reads.push(rest);
        prop_assert_eq!(decode(limits, &reads), decode(limits, &[input.as_bytes()]));
    }

    #[test]
    fn framed_payloads_come_out_unchanged(payloads in proptest::collection::vec("[a-zA-Z|\r]{0,40}", 0..9)) {
        let mut input = Vec::new();
        for payload in &payloads {
            encode_frame(payload.as_bytes(), &mut input);
        }
        let (events, remainder) = decode(Limits::new(40), &[&input]);
        let expected: Vec<_> = payloads.iter().map(|payload| frame(payload.as_bytes())).collect();
        prop_assert_eq!(events, expected);
        prop_assert_eq!(remainder, Remainder::Nothing);
    }

    #[test]
    fn no_input_panics(input: Vec<u8>, frame_bytes_max in 0_usize..64) {
        let (events, _) = decode(Limits::new(frame_bytes_max), &[&input]);
        for event in events {
            if let Event::Frame(payload) = event {
                prop_assert!(payload.len() <= frame_bytes_max);
            }
        }
    }
}
