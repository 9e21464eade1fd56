//! Any sequence of appends, trims and openings reads back as a list would.

use std::collections::BTreeMap;

use bytes::Bytes;
use pipehat_journal::{
    Compression, FileJournal, Journal, KeyRing, NewRecord, OpenOptions, Position,
};
use proptest::{
    collection::vec,
    prelude::{Just, Strategy, any, prop_oneof, proptest},
};

use crate::{
    cases,
    contract::{append, noise, scratch},
};

#[derive(Clone, Debug)]
enum Action {
    Append(Vec<(u8, usize, Vec<usize>)>),
    Reopen,
    Trim(u64),
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let body =
        prop_oneof![4 => 0_usize..300, 2 => 65_000_usize..66_000, 1 => 200_000_usize..300_000];
    let record = (any::<u8>(), 0_usize..500, vec(body, 0..4));
    let action = prop_oneof![
        8 => vec(record, 1..6).prop_map(Action::Append),
        1 => Just(Action::Reopen),
        1 => (0_u64..40).prop_map(Action::Trim),
    ];
    vec(action, 1..20)
}

fn check(journal: &FileJournal, model: &BTreeMap<Position, NewRecord>) {
    let first = journal.first_position();
    let mut expected = model.range(first..);
    for entry in journal.read(first) {
        let entry = entry.expect("reads");
        let (at, record) = expected.next().expect("no record that was not appended");
        let fetched = journal.fetch(*at).expect("fetches");
        for entry in [&entry, &fetched] {
            assert_eq!((entry.position, entry.kind), (*at, record.kind));
            assert_eq!(entry.head, record.head);
            let bodies: Vec<Bytes> =
                entry.bodies.iter().map(|body| journal.load(body).expect("loads")).collect();
            assert_eq!(bodies, record.bodies);
        }
    }
    assert!(expected.next().is_none(), "every record that was appended");
}

proptest! {
    #![proptest_config(cases(24))]

    #[test]
    fn a_journal_is_a_list(
        actions in actions(),
        sealed in any::<bool>(),
        compressed in any::<bool>(),
        chunk_bytes in prop_oneof![Just(4096_u64), Just(100_000), Just(1_000_000)],
    ) {
        let directory = scratch();
        let key_path = directory.path().join("key");
        let options = OpenOptions {
            key: sealed.then(|| KeyRing::create(&key_path).expect("a key")),
            compression: if compressed { Compression::Lz4 } else { Compression::None },
            chunk_bytes,
            ..OpenOptions::new(directory.path().join("journal"))
        };
        let (mut journal, _) = FileJournal::open(options.clone()).expect("opens");
        let mut model = BTreeMap::new();
        let mut next = Position::FIRST;
        for action in actions {
            match action {
                Action::Append(records) => {
                    let records: Vec<NewRecord> = records
                        .into_iter()
                        .map(|(kind, head, bodies)| NewRecord {
                            kind,
                            head: noise(head, next.get()),
                            bodies: bodies
                                .into_iter()
                                .map(|length| Bytes::from(noise(length, length as u64)))
                                .collect(),
                        })
                        .collect();
                    assert_eq!(append(&journal, records.clone()).expect("appends"), next);
                    for record in records {
                        model.insert(next, record);
                        next = next.next();
                    }
                }
                Action::Reopen => {
                    drop(journal);
                    let (opened, recovery) = FileJournal::open(options.clone()).expect("opens");
                    assert_eq!((recovery.next_position, recovery.torn), (next, None));
                    journal = opened;
                }
                Action::Trim(before) => {
                    if let Some(before) = Position::new(before) {
                        let first = journal.first_position();
                        let trimmed = journal.trim(before).expect("trims");
                        assert!(trimmed.first_position <= before.max(first));
                    }
                }
            }
        }
        check(&journal, &model);
        drop(journal);
        let verified = pipehat_journal::verify(
            &directory.path().join("journal"), options.key.as_ref(), &mut |_| {});
        assert_eq!(verified.expect("verifies").findings, []);
        let (journal, _) = FileJournal::open(options).expect("opens");
        check(&journal, &model);
    }
}
