//! Records come back as they were written, and never anything else.

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use pipehat_connectors::{FilePart, Found, PartOrder};
use pipehat_journal::Position;
use proptest::option;
use proptest::prelude::{Just, Strategy, any, prop_assert_eq, prop_oneof, proptest};

use super::{
    Applied, Attempted, BodyRef, Decided, Decision, DeliveryRef, Disposition, Ended, OutputRecord,
    PeerRecord, Processed, ProcessedOutcome, Received, Record, RecordError, Settled,
    SettledOutcome, Sibling, TranslationRecord,
};
use crate::effects::{Effect, LookupAnswer};
use crate::names::MessageId;
use crate::sequence::LinkNumber;

/// One record of each kind and shape, with fixed values: what `fixtures/format-1.txt` holds.
fn examples() -> Vec<Record> {
    let channel: Arc<str> = "adt-in".into();
    let at = Timestamp::from_microsecond(1_767_225_600_123_456).expect("a time");
    let message = MessageId(position(300));
    let sibling = Sibling { ordinal: 2, destination: "archive".into() };
    let delivery = DeliveryRef {
        processed: position(301),
        ordinal: 1,
        destination: "lab".into(),
        siblings: vec![sibling.clone()],
    };
    let received = Received {
        channel: channel.clone(),
        at,
        peer: PeerRecord {
            address: Some("192.0.2.7:51000".to_owned()),
            identity: Some("CN=adt".to_owned()),
            file: None,
            headers: vec![("x-trace".to_owned(), "1".to_owned())],
        },
        part: None,
        sender_hash: 0x0123_4567_89AB_CDEF,
        content_hash: u64::MAX,
        duplicate_of: None,
        refused: None,
        sequence: None,
        acknowledges: None,
        bytes: Bytes::from_static(b"MSH|^~\\&|A\r"),
    };
    let processed = Processed {
        channel: channel.clone(),
        message,
        at,
        revision: [7; 32],
        lanes: vec![1, u64::MAX],
        file: Some("a.hl7".into()),
        effects: vec![Effect::Now(at), Effect::ControlId("TAG1".to_owned())],
        findings: vec![("program.absent".to_owned(), "PID-8 steps[1]".to_owned(), 3)],
        outcome: ProcessedOutcome::Routed(vec![
            output("lab", BodyRef::AsReceived, None),
            output("archive", BodyRef::Own(Bytes::from_static(b"MSH|^~\\&|B\r")), None),
        ]),
        reply: Some(Bytes::from_static(b"MSH|^~\\&|ACK\r")),
        translations: Vec::new(),
    };
    let settled = Settled {
        channel: channel.clone(),
        message,
        processed: position(301),
        ordinal: 1,
        destination: "lab".into(),
        siblings: vec![sibling],
        at,
        attempts: 4,
        outcome: SettledOutcome::Delivered,
        sequence: None,
        reply: Some(Bytes::from_static(b"MSH|^~\\&|ACK\rMSA|AA|1\r")),
    };
    let (numbered, counted) = (received.clone(), settled.clone());
    let translated = translated(&processed);
    let decided = |decision| {
        let (by, reason) = ("a.person".to_owned(), "because".to_owned());
        Record::Decided(Decided { channel: channel.clone(), message, at, by, reason, decision })
    };
    let file =
        FilePart { key: "in/a.hl7 1".to_owned(), index: 129, last: true, order: PartOrder::Next };
    vec![
        Record::Received(received.clone()),
        Record::Received(Received {
            duplicate_of: Some(message),
            bytes: Bytes::new(),
            ..received.clone()
        }),
        Record::Received(Received {
            peer: PeerRecord { file: Some("a.hl7".to_owned()), ..PeerRecord::default() },
            part: Some(file),
            refused: Some(("receive.header".to_owned(), "it is empty".to_owned())),
            bytes: Bytes::new(),
            ..received
        }),
        Record::Processed(processed.clone()),
        Record::Processed(Processed {
            outcome: ProcessedOutcome::Ended(Ended {
                disposition: Disposition::Parked,
                code: "program.park".to_owned(),
                detail: "steps[1].park".to_owned(),
            }),
            lanes: Vec::new(),
            file: None,
            reply: None,
            ..processed
        }),
        Record::Attempted(Attempted {
            channel: channel.clone(),
            message,
            ordinal: 1,
            attempt: 130,
            at,
            code: "mllp.connect-failed".to_owned(),
            detail: "lab.example:2575".to_owned(),
        }),
        Record::Settled(settled.clone()),
        Record::Settled(Settled {
            outcome: SettledOutcome::Parked {
                code: "mllp.refused".to_owned(),
                detail: "the peer answered AE".to_owned(),
            },
            siblings: Vec::new(),
            reply: None,
            ..settled
        }),
        decided(Decision::Reprocess),
        decided(Decision::Discard),
        decided(Decision::Resend(delivery.clone())),
        decided(Decision::DiscardDelivery(delivery)),
        Record::Applied(Applied {
            channel: channel.clone(),
            at,
            by: "admin token".to_owned(),
            revision: Some([9; 32]),
        }),
        Record::Applied(Applied { channel, at, by: "admin token".to_owned(), revision: None }),
        Record::Received(Received {
            sequence: Some(LinkNumber { link: "ADT|WEST".to_owned(), number: 17 }),
            ..numbered.clone()
        }),
        Record::Received(Received {
            sequence: Some(LinkNumber { link: "ADT|WEST".to_owned(), number: -1 }),
            ..numbered.clone()
        }),
        Record::Received(Received { acknowledges: Some(message), ..numbered }),
        Record::Settled(Settled { sequence: Some(17), ..counted.clone() }),
        Record::Settled(Settled {
            outcome: SettledOutcome::GivenUp {
                code: "mllp.connect-failed".to_owned(),
                detail: "lab.example:2575".to_owned(),
            },
            ..counted
        }),
        translated,
    ]
}

fn output(destination: &str, bytes: BodyRef, translation: Option<u16>) -> OutputRecord {
    OutputRecord { destination: destination.into(), bytes, translation }
}

/// A record whose outputs went through a translation, and through one of a bot behind it, whose lineage stands in the bot's
/// answer.
fn translated(processed: &Processed) -> Record {
    let answer = Bytes::from_static(b"answer of a bot with LINEAGE in it");
    let translation = |at: &str, bot: Option<&str>, before, lineage| TranslationRecord {
        at: at.to_owned(),
        bot: bot.map(str::to_owned),
        before,
        lineage,
    };
    let bundle = BodyRef::Own(Bytes::from_static(b"{}"));
    Record::Processed(Processed {
        effects: vec![Effect::Lookup {
            search: "bot?names#00".to_owned(),
            answer: LookupAnswer::Found(Found::One(answer.clone())),
        }],
        outcome: ProcessedOutcome::Routed(vec![
            output("lab", BodyRef::AsReceived, None),
            output("datastore", bundle.clone(), Some(0)),
            output("archive", bundle, Some(2)),
        ]),
        translations: vec![
            translation("steps[1].translate", None, None, Some(Bytes::from_static(b"LINEAGE"))),
            translation("steps[2].bot", Some("names"), Some(0), Some(answer.slice(18..25))),
            translation("steps[2].bot", Some("names"), Some(1), None),
        ],
        ..processed.clone()
    })
}

fn position(number: u64) -> Position {
    Position::new(number).expect("positions start at 1")
}

fn decode(record: pipehat_journal::NewRecord) -> Result<Record, RecordError> {
    Record::decode(record.kind, record.head.into(), record.bodies)
}

fn digits(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes_of(digits: &str) -> Vec<u8> {
    let pairs = digits.as_bytes().chunks(2);
    pairs
        .map(|pair| {
            let pair = std::str::from_utf8(pair).expect("ASCII");
            u8::from_str_radix(pair, 16).expect("hexadecimal digits")
        })
        .collect()
}

/// What release 0.1 wrote must be readable for ever. `UPDATE_GOLDEN=1` is right only for records
/// that are added at the end; others need a new format version and a fixture of their own.
#[test]
fn format_1_keeps_loading() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/record/fixtures/format-1.txt");
    let written: String = examples()
        .iter()
        .map(|example| {
            let record = example.encode();
            let bodies = record.bodies.iter().map(|body| format!(" {}", digits(body)));
            format!("{} {}{}\n", record.kind, digits(&record.head), bodies.collect::<String>())
        })
        .collect();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, &written).expect("the fixture can be written");
    }
    let fixture = std::fs::read_to_string(path).expect("the fixture can be read");
    let lines: Vec<&str> = fixture.lines().collect();
    assert_eq!(lines.len(), examples().len());
    for (line, example) in lines.into_iter().zip(examples()) {
        let mut parts = line.split(' ');
        let kind = parts.next().and_then(|kind| kind.parse().ok()).expect("a kind");
        let head = bytes_of(parts.next().expect("a head")).into();
        let bodies = parts.map(|body| bytes_of(body).into()).collect();
        assert_eq!(Record::decode(kind, head, bodies), Ok(example), "{line}");
    }
    assert_eq!(written, fixture, "the same release writes the same bytes");
}

#[test]
fn a_head_that_is_cut_or_too_long_is_an_error() {
    for example in examples() {
        let record = example.encode();
        for length in 0..record.head.len() {
            let head = Bytes::copy_from_slice(&record.head[..length]);
            let decoded = Record::decode(record.kind, head, record.bodies.clone());
            assert!(decoded.is_err(), "{example:?} cut at {length}");
        }
        let longer: Bytes = [&record.head[..], b"\0"].concat().into();
        let decoded = Record::decode(record.kind, longer, record.bodies.clone());
        assert_eq!(decoded, Err(RecordError::Long));
        if !record.bodies.is_empty() && !matches!(example, Record::Settled(_)) {
            let decoded = Record::decode(record.kind, record.head.into(), Vec::new());
            assert_eq!(decoded, Err(RecordError::Body));
        }
    }
}

#[test]
fn a_later_format_or_kind_is_told_apart_from_damage() {
    let record = examples().remove(0).encode();
    let mut head = record.head.clone();
    head[0] = 3;
    let later = Record::decode(record.kind, head.into(), record.bodies.clone());
    assert_eq!(later, Err(RecordError::Unknown { kind: record.kind, format: 3 }));
    for kind in [0, 7, 255] {
        let unknown = Record::decode(kind, record.head.clone().into(), record.bodies.clone());
        assert_eq!(unknown, Err(RecordError::Unknown { kind, format: 1 }));
    }
}

#[test]
fn outputs_that_share_their_bytes_share_a_body() {
    let bytes = Bytes::from_static(b"MSH|^~\\&|same\r");
    let output =
        |destination: &str, bytes: &Bytes| output(destination, BodyRef::Own(bytes.clone()), None);
    let Some(Record::Processed(processed)) = examples().into_iter().nth(3) else {
        panic!("the fourth example is a Processed record");
    };
    let outputs = vec![output("a", &bytes), output("b", &bytes)];
    let outcome = ProcessedOutcome::Routed(outputs);
    let record = Record::Processed(Processed { outcome, reply: None, ..processed });
    let encoded = record.encode();
    assert_eq!(encoded.bodies.len(), 1);
    assert_eq!(decode(encoded), Ok(record));
}

fn text() -> impl Strategy<Value = String> {
    proptest::collection::vec(any::<char>(), 0..12)
        .prop_map(|characters| characters.into_iter().collect())
}

fn name() -> impl Strategy<Value = Arc<str>> {
    text().prop_map(Arc::from)
}

fn time() -> impl Strategy<Value = Timestamp> {
    (0..=Timestamp::MAX.as_microsecond())
        .prop_map(|micros| Timestamp::from_microsecond(micros).expect("within range"))
}

fn positions() -> impl Strategy<Value = Position> {
    (1..=u64::MAX).prop_map(position)
}

fn body() -> impl Strategy<Value = Bytes> {
    proptest::collection::vec(any::<u8>(), 0..40).prop_map(Bytes::from)
}

fn received() -> impl Strategy<Value = Record> {
    let headers = proptest::collection::vec((text(), text()), 0..3);
    let texts = || option::of(text());
    let peer =
        (texts(), texts(), texts(), headers).prop_map(|(address, identity, file, headers)| {
            PeerRecord { address, identity, file, headers }
        });
    let part = (text(), any::<u64>(), any::<bool>()).prop_map(|(key, index, last)| FilePart {
        key,
        index,
        last,
        order: PartOrder::Next,
    });
    let refused = option::of((text(), text()));
    let hashes = (any::<u64>(), any::<u64>());
    let duplicate = option::of(positions().prop_map(MessageId));
    let number = prop_oneof![-1..3_i64, 0..i64::MAX - 1];
    let sequence = (text(), number).prop_map(|(link, number)| LinkNumber { link, number });
    let more = (option::of(sequence), option::of(positions().prop_map(MessageId)));
    (name(), time(), peer, option::of(part), hashes, duplicate, refused, body(), more).prop_map(
        |(channel, at, peer, part, hashes, duplicate_of, refused, bytes, more)| {
            Record::Received(Received {
                channel,
                at,
                peer,
                part,
                sender_hash: hashes.0,
                content_hash: hashes.1,
                bytes: if duplicate_of.is_some() { Bytes::new() } else { bytes },
                duplicate_of,
                refused,
                sequence: more.0,
                acknowledges: more.1,
            })
        },
    )
}

fn processed() -> impl Strategy<Value = Record> {
    let answer = prop_oneof![
        Just(LookupAnswer::Found(Found::Nothing)),
        body().prop_map(|resource| LookupAnswer::Found(Found::One(resource))),
        body().prop_map(|first| LookupAnswer::Found(Found::Several(first))),
        text().prop_map(|detail| LookupAnswer::Refused { detail }),
    ];
    let lookup = (text(), answer).prop_map(|(search, answer)| Effect::Lookup { search, answer });
    let effect =
        prop_oneof![time().prop_map(Effect::Now), text().prop_map(Effect::ControlId), lookup];
    let bytes = prop_oneof![Just(BodyRef::AsReceived), body().prop_map(BodyRef::Own)];
    let output =
        (name(), bytes, option::of(any::<u16>())).prop_map(|(destination, bytes, translation)| {
            OutputRecord { destination, bytes, translation }
        });
    let translation = (text(), option::of(text()), option::of(any::<u16>()), option::of(body()))
        .prop_map(|(at, bot, before, lineage)| TranslationRecord { at, bot, before, lineage });
    let translations = proptest::collection::vec(translation, 0..4);
    let disposition = (0_usize..5).prop_map(|index| Disposition::ALL[index]);
    let ended = (disposition, text(), text()).prop_map(|(disposition, code, detail)| {
        ProcessedOutcome::Ended(Ended { disposition, code, detail })
    });
    let routed = proptest::collection::vec(output, 0..4).prop_map(ProcessedOutcome::Routed);
    let outcome = prop_oneof![ended, routed];
    let findings = proptest::collection::vec((text(), text(), any::<u64>()), 0..3);
    let effects = proptest::collection::vec(effect, 0..3);
    let lanes = proptest::collection::vec(any::<u64>(), 0..3);
    let facts = (name(), positions(), time(), any::<[u8; 32]>(), lanes, option::of(name()));
    (facts, effects, findings, outcome, (option::of(body()), translations)).prop_map(
        |(facts, effects, findings, outcome, (reply, translations))| {
            let (channel, message, at, revision, lanes, file) = facts;
            let (outcome, translations) = sound(outcome, translations);
            Record::Processed(Processed {
                channel,
                message: MessageId(message),
                at,
                revision,
                lanes,
                file,
                effects,
                findings,
                outcome,
                reply,
                translations,
            })
        },
    )
}

/// With numbers of translations as they can be: of one that is there, and before the one that names it.
fn sound(
    mut outcome: ProcessedOutcome,
    mut translations: Vec<TranslationRecord>,
) -> (ProcessedOutcome, Vec<TranslationRecord>) {
    let within = |number: &mut Option<u16>, count: u16| {
        *number = number.and_then(|number| number.checked_rem(count));
    };
    for (own, translation) in (0..).zip(&mut translations) {
        within(&mut translation.before, own);
    }
    if let ProcessedOutcome::Routed(outputs) = &mut outcome {
        let count = u16::try_from(translations.len()).expect("they are few");
        outputs.iter_mut().for_each(|output| within(&mut output.translation, count));
    }
    (outcome, translations)
}

fn siblings() -> impl Strategy<Value = Vec<Sibling>> {
    let sibling =
        (any::<u16>(), name()).prop_map(|(ordinal, destination)| Sibling { ordinal, destination });
    proptest::collection::vec(sibling, 0..3)
}

fn about_deliveries() -> impl Strategy<Value = Record> {
    let outcome = prop_oneof![
        Just(SettledOutcome::Delivered),
        (text(), text()).prop_map(|(code, detail)| SettledOutcome::Parked { code, detail }),
        (text(), text()).prop_map(|(code, detail)| SettledOutcome::GivenUp { code, detail }),
    ];
    let settled = (
        (name(), positions(), positions(), any::<u16>(), name()),
        (siblings(), time(), any::<u32>(), outcome, option::of(body())),
        option::of(any::<u64>()),
    )
        .prop_map(|(what, how, sequence)| {
            let (channel, message, processed, ordinal, destination) = what;
            let (siblings, at, attempts, outcome, reply) = how;
            Record::Settled(Settled {
                channel,
                message: MessageId(message),
                processed,
                ordinal,
                destination,
                siblings,
                at,
                attempts,
                outcome,
                sequence,
                reply,
            })
        });
    let attempted = (name(), positions(), any::<u16>(), any::<u32>(), time(), text(), text())
        .prop_map(|(channel, message, ordinal, attempt, at, code, detail)| {
            let message = MessageId(message);
            Record::Attempted(Attempted { channel, message, ordinal, attempt, at, code, detail })
        });
    let delivery = (positions(), any::<u16>(), name(), siblings()).prop_map(
        |(processed, ordinal, destination, siblings)| DeliveryRef {
            processed,
            ordinal,
            destination,
            siblings,
        },
    );
    let decision = (0_u8..4, delivery).prop_map(|(which, delivery)| match which {
        0 => Decision::Reprocess,
        1 => Decision::Discard,
        2 => Decision::Resend(delivery),
        _ => Decision::DiscardDelivery(delivery),
    });
    let decided = (name(), positions(), time(), text(), text(), decision).prop_map(
        |(channel, message, at, by, reason, decision)| {
            let message = MessageId(message);
            Record::Decided(Decided { channel, message, at, by, reason, decision })
        },
    );
    let applied = (name(), time(), text(), option::of(any::<[u8; 32]>())).prop_map(
        |(channel, at, by, revision)| Record::Applied(Applied { channel, at, by, revision }),
    );
    prop_oneof![settled, attempted, decided, applied]
}

proptest! {
    #[test]
    fn what_is_written_is_read(record in prop_oneof![received(), processed(), about_deliveries()]) {
        prop_assert_eq!(decode(record.encode()), Ok(record));
    }

    #[test]
    fn no_bytes_make_it_panic(
        kind in any::<u8>(),
        head in proptest::collection::vec(any::<u8>(), 0..120),
        bodies in proptest::collection::vec(body(), 0..3),
    ) {
        let known = |format: u8| [&[format][..], &head].concat();
        for head in [known(1), known(2), known(3), head.clone()] {
            // An error or a record; what is a record is written as one again.
            for kind in [kind, kind % 7] {
                if let Ok(record) = Record::decode(kind, head.clone().into(), bodies.clone()) {
                    prop_assert_eq!(decode(record.encode()), Ok(record));
                }
            }
        }
    }

    #[test]
    fn a_changed_byte_is_an_error_or_a_record(
        which in 0..examples().len(),
        place in any::<proptest::sample::Index>(),
        value in any::<u8>(),
    ) {
        let record = examples().swap_remove(which).encode();
        let mut head = record.head;
        let place = place.index(head.len());
        head[place] = value;
        if let Ok(record) = Record::decode(record.kind, head.into(), record.bodies) {
            prop_assert_eq!(decode(record.encode()), Ok(record));
        }
    }
}
