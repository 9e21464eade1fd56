//! Single cases.

use std::sync::Arc;

use super::sample::{SECOND, adt, ended, identifier, output, received, released, routed, settled};
use crate::{
    Change, ChannelCount, Cursor, Delivery, DeliveryState, Disposition, IdentifierKind,
    IdentifierQuery, IndexError, MessageIndex, MessageSearch, Order, Outcome, PAGE_SUMMARIES_MAX,
    Query, Received, SUMMARY_DELIVERIES_MAX,
};

fn found(search: &impl MessageSearch, query: &Query) -> Vec<u64> {
    let page = search.search(query).expect("search");
    page.summaries.iter().map(|summary| summary.message).collect()
}

fn count(disposition: Disposition, messages: u64) -> ChannelCount {
    ChannelCount { channel: "adt-in".into(), disposition, messages }
}

pub(crate) fn summaries_say_what_was_applied(
    index: &mut impl MessageIndex,
    search: &impl MessageSearch,
) {
    let duplicate = Received { duplicate_of: Some(1), ..adt(2) };
    let changes = [
        received(1),
        Change::Received(duplicate),
        routed(1, 3, &["lab", "billing"]),
        settled(1, 4, (0, "lab"), Outcome::Delivered),
        received(5),
        ended(5, 6, Disposition::Parked, "T07"),
    ];
    index.apply(&changes, 6).expect("apply");
    assert_eq!(index.through().expect("through"), 6);

    let summary = search.message(1).expect("message").expect("known");
    let expected = adt(1);
    assert_eq!(summary.message, 1);
    assert_eq!(summary.channel, expected.channel);
    assert_eq!(summary.received_at_micros, expected.received_at_micros);
    assert_eq!(summary.bytes, expected.bytes);
    assert_eq!(summary.code, expected.code);
    assert_eq!(summary.trigger, expected.trigger);
    assert_eq!(summary.structure, expected.structure);
    assert_eq!(summary.version, expected.version);
    assert_eq!(summary.control_id, expected.control_id);
    assert_eq!(summary.sending_application, expected.sending_application);
    assert_eq!(summary.sending_facility, expected.sending_facility);
    assert_eq!(summary.processing_id, expected.processing_id);
    assert_eq!(summary.identifiers, expected.identifiers);
    assert_eq!(summary.peer, expected.peer);
    assert_eq!(summary.disposition, Disposition::InFlight);
    assert_eq!(summary.processed_at_micros, Some(3 * SECOND));
    assert_eq!(&*summary.revision, "r1");
    assert_eq!(summary.deliveries_total, 2);
    let delivery = |ordinal, destination: &str, state, at, attempts| Delivery {
        ordinal,
        destination: destination.into(),
        state,
        at_micros: at,
        operator_code: "".into(),
        attempts,
    };
    let deliveries = [
        delivery(0, "lab", DeliveryState::Delivered, 4 * SECOND, 1),
        delivery(1, "billing", DeliveryState::InFlight, 3 * SECOND, 0),
    ];
    assert_eq!(summary.deliveries, deliveries);

    let duplicate = search.message(2).expect("message").expect("known");
    assert_eq!(duplicate.duplicate_of, Some(1));
    assert_eq!(duplicate.disposition, Disposition::Superseded);
    assert_eq!(duplicate.processed_at_micros, None);
    let parked = search.message(5).expect("message").expect("known");
    assert_eq!((parked.disposition, &*parked.operator_code), (Disposition::Parked, "T07"));
    assert_eq!(search.message(4).expect("message"), None);
    assert_eq!(search.message(u64::MAX).expect("message"), None);

    let page = search.search(&Query::default()).expect("search");
    assert_eq!(page.summaries, [parked, duplicate, summary]);
    assert_eq!(page.next, None);
    let counts = [
        count(Disposition::InFlight, 1),
        count(Disposition::Parked, 1),
        count(Disposition::Superseded, 1),
    ];
    assert_eq!(search.counts().expect("counts"), counts);
}

pub(crate) fn a_replay_changes_nothing(index: &mut impl MessageIndex, search: &impl MessageSearch) {
    let changes = [
        received(1),
        routed(1, 2, &["lab"]),
        settled(1, 3, (0, "lab"), Outcome::Parked),
        released(1, 4, Some(output(0, "lab"))),
        settled(1, 5, (0, "lab"), Outcome::Delivered),
    ];
    index.apply(&changes, 5).expect("apply");
    let before = search.search(&Query::default()).expect("search");
    for change in &changes {
        index.apply(std::slice::from_ref(change), 1).expect("apply");
        assert_eq!(search.search(&Query::default()).expect("search"), before);
    }
    index.apply(&changes, 5).expect("apply");
    assert_eq!(search.search(&Query::default()).expect("search"), before);
    assert_eq!(search.counts().expect("counts"), [count(Disposition::Delivered, 1)]);
    assert_eq!(index.through().expect("through"), 5, "an older position took it back");
}

pub(crate) fn changes_before_received_are_kept_and_not_shown(
    index: &mut impl MessageIndex,
    search: &impl MessageSearch,
) {
    index.apply(&[settled(1, 9, (0, "lab"), Outcome::Delivered)], 9).expect("apply");
    assert_eq!(search.message(1).expect("message"), None);
    assert!(found(search, &Query::default()).is_empty());
    assert!(search.counts().expect("counts").is_empty());
    index.apply(&[routed(1, 8, &["lab"])], 9).expect("apply");
    index.apply(&[received(1)], 9).expect("apply");
    assert_eq!(found(search, &Query::default()), [1]);
    assert_eq!(search.counts().expect("counts"), [count(Disposition::Delivered, 1)]);
}

pub(crate) fn identifiers_are_found_by_kind_and_value(
    index: &mut impl MessageIndex,
    search: &impl MessageSearch,
) {
    let custom = |name: &str| IdentifierKind::Custom(name.into());
    let message = Received {
        control_id: "4711".into(),
        identifiers: vec![
            identifier(IdentifierKind::Patient, "100"),
            identifier(IdentifierKind::Patient, "200"),
            identifier(IdentifierKind::Visit, "100"),
            identifier(IdentifierKind::Order, " O-7 "),
            identifier(IdentifierKind::Accession, "A-9"),
            identifier(custom("ward"), "W3"),
            identifier(custom("bed"), "B1"),
            identifier(IdentifierKind::Patient, ""),
        ],
        ..adt(1)
    };
    index.apply(&[Change::Received(message), received(2)], 2).expect("apply");
    let by = |wanted: &[(Option<IdentifierKind>, &str)]| {
        let identifiers = wanted
            .iter()
            .map(|(kind, value)| IdentifierQuery { kind: kind.clone(), value: (*value).into() })
            .collect();
        found(search, &Query { identifiers, ..Query::default() })
    };
    for (kind, value) in [
        (IdentifierKind::Patient, "100"),
        (IdentifierKind::Patient, "200"),
        (IdentifierKind::Patient, "\t200 "),
        (IdentifierKind::Visit, "100"),
        (IdentifierKind::Order, "O-7"),
        (IdentifierKind::Accession, "A-9"),
        (custom("ward"), "W3"),
        (custom("bed"), "B1"),
    ] {
        assert_eq!(by(&[(Some(kind.clone()), value)]), [1], "{kind:?}");
        assert_eq!(by(&[(None, value)]), [1], "{kind:?}");
    }
    for (kind, value) in [
        (Some(IdentifierKind::Visit), "200"),
        (Some(custom("ward")), "B1"),
        (Some(custom("unknown")), "W3"),
        (Some(IdentifierKind::Patient), "10"),
        (Some(IdentifierKind::Patient), ""),
        (None, "4711"),
        (None, ""),
    ] {
        assert!(by(&[(kind.clone(), value)]).is_empty(), "{kind:?}");
    }
    assert_eq!(by(&[(None, "100"), (None, "W3")]), [1]);
    assert!(by(&[(None, "100"), (None, "MRN2")]).is_empty());
    let by_control_id =
        |value: &str| found(search, &Query { control_id: Some(value.into()), ..Query::default() });
    assert_eq!(by_control_id("4711"), [1]);
    assert_eq!(by_control_id("C2"), [2]);
    assert!(by_control_id("100").is_empty());
}

pub(crate) fn pages_are_stable_while_others_write(
    index: &mut impl MessageIndex,
    search: &impl MessageSearch,
) {
    let upto = |from: u64, to: u64| (from..=to).map(received).collect::<Vec<_>>();
    index.apply(&upto(1, 50), 50).expect("apply");
    for (order, expected) in [
        (Order::NewestFirst, (1..=50).rev().collect::<Vec<u64>>()),
        (Order::OldestFirst, (1..=50).collect()),
    ] {
        let mut query = Query { order, limit: 7, ..Query::default() };
        let mut seen = Vec::new();
        let mut last = 50;
        loop {
            let page = search.search(&query).expect("search");
            seen.extend(page.summaries.iter().map(|summary| summary.message));
            assert!(page.summaries.len() <= 7);
            let next = last + 5;
            index.apply(&upto(last + 1, next), next).expect("apply");
            last = next;
            match page.next {
                Some(cursor) if seen.len() < 50 => query.cursor = Some(cursor),
                _ => break,
            }
        }
        seen.truncate(50);
        assert_eq!(seen, expected);
        index.clear().expect("clear");
        index.apply(&upto(1, 50), 50).expect("apply");
    }
}

pub(crate) fn a_page_is_capped(index: &mut impl MessageIndex, search: &impl MessageSearch) {
    let messages = PAGE_SUMMARIES_MAX as u64;
    let changes: Vec<Change> = (1..=messages).map(received).collect();
    index.apply(&changes, messages).expect("apply");
    let query = Query { limit: usize::MAX, ..Query::default() };
    let page = search.search(&query).expect("search");
    assert_eq!((page.summaries.len(), page.next), (PAGE_SUMMARIES_MAX, None));
    index.apply(&[received(messages + 1)], messages + 1).expect("apply");
    let page = search.search(&query).expect("search");
    assert_eq!(page.summaries.len(), PAGE_SUMMARIES_MAX);
    let rest = search.search(&Query { cursor: page.next, ..query }).expect("search");
    assert_eq!((rest.summaries.len(), rest.next), (1, None));
    for (cursor, order, expected) in [
        (Cursor(0), Order::NewestFirst, 0),
        (Cursor(0), Order::OldestFirst, 1),
        (Cursor(u64::MAX), Order::NewestFirst, 1),
        (Cursor(u64::MAX), Order::OldestFirst, 0),
    ] {
        let query = Query { cursor: Some(cursor), order, limit: 1, ..Query::default() };
        assert_eq!(found(search, &query).len(), expected, "{cursor} {order:?}");
    }
    let none = Query { limit: 0, ..Query::default() };
    assert_eq!(found(search, &none).len(), 1, "a limit below one is one");

    for deliveries in [SUMMARY_DELIVERIES_MAX, SUMMARY_DELIVERIES_MAX + 1] {
        let id = messages + 10 + deliveries as u64;
        let outputs = vec!["lab"; deliveries];
        index.apply(&[received(id), routed(id, id + 1, &outputs)], id + 1).expect("apply");
        let page = search.search(&Query::default()).expect("search");
        let first = page.summaries.first().expect("found");
        assert_eq!(first.deliveries.len(), SUMMARY_DELIVERIES_MAX);
        assert_eq!(first.deliveries_total, deliveries as u64);
        let whole = search.message(id).expect("message").expect("known");
        assert_eq!(whole.deliveries.len(), deliveries);
        assert_eq!(whole.deliveries_total, deliveries as u64);
    }
}

pub(crate) fn forgotten_messages_stay_forgotten(
    index: &mut impl MessageIndex,
    search: &impl MessageSearch,
) {
    let changes: Vec<Change> = (1..=60)
        .flat_map(|number| {
            let message = number * 2;
            [received(message), ended(message, message + 1, Disposition::Filtered, "")]
        })
        .collect();
    index.apply(&changes, 121).expect("apply");
    for before in [0, 31, 30, 61, 200] {
        index.forget(before).expect("forget");
        index.apply(&changes[..40], 121).expect("replay");
        let floor = if before == 30 { 31 } else { before };
        let left: Vec<u64> = (1..=60).map(|n| n * 2).filter(|n| *n >= floor).collect();
        let query = Query { order: Order::OldestFirst, limit: 500, ..Query::default() };
        assert_eq!(found(search, &query), left, "before {before}");
        let count = left.len() as u64;
        let counted: u64 = search.counts().expect("counts").iter().map(|one| one.messages).sum();
        assert_eq!(counted, count);
        for message in [2, 30, 32, 60, 62, 120] {
            let value = format!("MRN{message}").as_str().into();
            let identifiers = vec![IdentifierQuery { kind: None, value }];
            let expected = if left.contains(&message) { vec![message] } else { Vec::new() };
            assert_eq!(found(search, &Query { identifiers, ..Query::default() }), expected);
            assert_eq!(search.message(message).expect("message").is_some(), message >= floor);
        }
    }
    index.apply(&[received(300)], 300).expect("apply");
    assert_eq!(found(search, &Query::default()), [300]);
}

pub(crate) fn a_cleared_index_is_empty_and_usable(
    index: &mut impl MessageIndex,
    search: &impl MessageSearch,
) {
    assert_eq!(index.through().expect("through"), 0);
    for channel in ["first", "second"] {
        let channel: Arc<str> = channel.into();
        let message = Received { channel: Arc::clone(&channel), ..adt(7) };
        index.apply(&[Change::Received(message)], 7).expect("apply");
        let summary = search.message(7).expect("message").expect("known");
        assert_eq!(summary.channel, channel, "a name of before the clearing was kept");
        assert_eq!(found(search, &Query::default()), [7]);
        index.clear().expect("clear");
        assert_eq!(index.through().expect("through"), 0);
        assert!(found(search, &Query::default()).is_empty());
        assert!(search.counts().expect("counts").is_empty());
    }
    index.forget(8).expect("forget");
    index.clear().expect("clear");
    index.apply(&[received(7)], 7).expect("apply");
    assert_eq!(found(search, &Query::default()), [7], "clearing forgets the forgetting");
}

pub(crate) fn positions_out_of_range_are_refused_whole(
    index: &mut impl MessageIndex,
    search: &impl MessageSearch,
) {
    index.apply(&[received(1)], 1).expect("apply");
    let greatest = i64::MAX as u64 - 1;
    for changes in [
        [received(2), received(greatest + 1)],
        [received(2), routed(1, greatest + 1, &["lab"])],
        [received(2), settled(1, greatest + 1, (0, "lab"), Outcome::Parked)],
        [received(2), released(1, greatest + 1, None)],
    ] {
        let refused = index.apply(&changes, 9);
        assert!(matches!(refused, Err(IndexError::Position)));
        assert_eq!(found(search, &Query::default()), [1]);
        assert_eq!(index.through().expect("through"), 1);
    }
    assert!(matches!(index.apply(&[], greatest + 1), Err(IndexError::Position)));
    index.apply(&[received(2), received(greatest)], 9).expect("apply");
    assert_eq!(found(search, &Query::default()), [greatest, 2, 1]);
    index.apply(&[received(3)], greatest).expect("apply");
    let oldest_first = Query { order: Order::OldestFirst, ..Query::default() };
    assert_eq!(found(search, &oldest_first), [1, 2, 3, greatest]);
}
