//! A model: all changes are kept, and every question is answered by looking at all of them.

use std::{collections::BTreeMap, sync::Arc};

use proptest::{
    prelude::{Strategy, any},
    sample::{Index, select},
};

use super::sample::{SECOND, adt, ended, identifier, output, released, routed, settled};
use crate::{
    Change, ChannelCount, DeliveryState, Disposition, Identifier, IdentifierKind, IdentifierQuery,
    MessageIndex, MessageSearch, Order, Outcome, Query, Received,
};

const CHANNELS: [&str; 3] = ["adt-in", "oru-in", "siu-in"];
const DESTINATIONS: [&str; 3] = ["lab", "billing", "archive"];
const TRIGGERS: [&str; 3] = ["A01", "A08", ""];
const VALUES: [&str; 4] = ["100", "200", "300", "400"];

/// Changes in the order of their application, in groups, and questions in between.
#[derive(Debug)]
pub(crate) struct History {
    groups: Vec<Vec<Change>>,
    queries: Vec<Query>,
}

/// Any history: journals of a few messages, applied in any order, some of it several times.
pub(crate) fn history() -> impl Strategy<Value = History> {
    let change = (any::<Index>(), 0..8_u8, 0..3_u32, select(DESTINATIONS.to_vec()));
    (
        proptest::collection::vec(message(), 1..40),
        proptest::collection::vec(change, 0..80),
        proptest::collection::vec((any::<Index>(), 0..6_u8), 0..60),
        proptest::collection::vec(1..30_usize, 1..12),
        proptest::collection::vec(query(), 1..12),
    )
        .prop_map(|(messages, changes, moved, groups, queries)| {
            let mut journal = journal(messages, changes);
            for (index, distance) in moved {
                disturb(&mut journal, index, distance);
            }
            let mut left = journal.into_iter();
            let mut split: Vec<Vec<Change>> =
                groups.into_iter().map(|size| left.by_ref().take(size).collect()).collect();
            split.push(left.collect());
            History { groups: split, queries }
        })
}

/// A journal: messages, and between them changes of those before.
fn journal(messages: Vec<Received>, changes: Vec<(Index, u8, u32, &'static str)>) -> Vec<Change> {
    let mut journal = Vec::new();
    let mut position = 0;
    let mut ids = Vec::new();
    let mut changes = changes.into_iter();
    let mut messages = messages.into_iter();
    loop {
        position += 1;
        if position % 3 == 1
            && let Some(mut received) = messages.next()
        {
            received.message = position;
            received.duplicate_of = received.duplicate_of.map(|_| 1);
            ids.push(position);
            journal.push(Change::Received(received));
            continue;
        }
        let Some((index, kind, ordinal, destination)) = changes.next() else {
            if messages.len() == 0 {
                return journal;
            }
            continue;
        };
        let message = *index.get(&ids);
        // The destination of an ordinal is always the same, as in a real journal.
        let of_ordinal = DESTINATIONS[ordinal as usize];
        let delivery = (ordinal, of_ordinal);
        journal.push(match kind {
            0 | 1 => routed(message, position, &DESTINATIONS[..=ordinal as usize]),
            2 => ended(message, position, Disposition::Filtered, destination),
            3 => ended(message, position, Disposition::Parked, destination),
            4 => settled(message, position, delivery, Outcome::Delivered),
            5 => settled(message, position, delivery, Outcome::Parked),
            6 => settled(message, position, delivery, Outcome::Discarded),
            _ if ordinal == 0 => released(message, position, None),
            _ => released(message, position, Some(output(ordinal, of_ordinal))),
        });
    }
}

/// Moves or repeats a change.
fn disturb(journal: &mut Vec<Change>, index: Index, distance: u8) {
    let at = index.index(journal.len());
    let change = journal[at].clone();
    let to = (at * 7 + usize::from(distance) * 13) % journal.len();
    if distance < 4 {
        journal.remove(at);
    }
    journal.insert(to.min(journal.len()), change);
}

fn message() -> impl Strategy<Value = Received> {
    (
        select(CHANNELS.to_vec()),
        select(TRIGGERS.to_vec()),
        select(VALUES.to_vec()),
        select(VALUES.to_vec()),
        0..40_i64,
        0..10_u8,
    )
        .prop_map(|(channel, trigger, patient, other, second, odd)| Received {
            channel: channel.into(),
            trigger: trigger.into(),
            code: if odd == 1 { "ORU".into() } else { "ADT".into() },
            sending_application: if odd == 2 { "LAB".into() } else { "REG".into() },
            received_at_micros: second * SECOND,
            control_id: other.into(),
            identifiers: vec![
                identifier(IdentifierKind::Patient, patient),
                identifier(IdentifierKind::Custom("ward".into()), other),
            ],
            duplicate_of: (odd == 3).then_some(1),
            ..adt(1)
        })
}

fn query() -> impl Strategy<Value = Query> {
    let maybe = |values: Vec<&'static str>| proptest::option::weighted(0.25, select(values));
    let identifier = (proptest::option::of(0..3_u8), select(VALUES.to_vec()));
    let channels = proptest::option::weighted(
        0.4,
        proptest::collection::vec(select(["adt-in", "siu-in", "none"].to_vec()), 0..3),
    );
    let texts = (
        channels,
        maybe(vec!["ADT", "ORU", "SIU"]),
        maybe(TRIGGERS.to_vec()),
        maybe(vec!["LAB", "REG"]),
        maybe(DESTINATIONS.to_vec()),
        maybe(VALUES.to_vec()),
    );
    let state = select(vec![
        DeliveryState::InFlight,
        DeliveryState::Delivered,
        DeliveryState::Parked,
        DeliveryState::Discarded,
    ]);
    let rest = (
        proptest::option::weighted(0.2, 0..40_i64),
        proptest::option::weighted(0.2, 0..45_i64),
        proptest::collection::vec(identifier, 0..3),
        proptest::collection::vec(select(Disposition::ALL.to_vec()), 0..3),
        proptest::option::weighted(0.2, state),
        any::<bool>(),
        1..6_usize,
    );
    (texts, rest).prop_map(|(texts, rest)| {
        let (channels, code, trigger, application, destination, control_id) = texts;
        let (from, until, identifiers, dispositions, delivery_state, oldest, limit) = rest;
        let text = |text: Option<&str>| text.map(String::from);
        let kind = |kind| match kind {
            0 => IdentifierKind::Patient,
            1 => IdentifierKind::Visit,
            _ => IdentifierKind::Custom("ward".into()),
        };
        Query {
            channels: channels.map(|names| names.into_iter().map(Arc::from).collect()),
            from_micros: from.map(|second| second * SECOND),
            until_micros: until.map(|second| second * SECOND),
            code: text(code),
            trigger: text(trigger),
            control_id: control_id.map(Into::into),
            sending_application: text(application),
            sending_facility: None,
            identifiers: identifiers
                .into_iter()
                .map(|(number, value)| IdentifierQuery {
                    kind: number.map(kind),
                    value: value.into(),
                })
                .collect(),
            dispositions,
            destination: destination.map(Arc::from),
            delivery_state,
            order: if oldest { Order::OldestFirst } else { Order::NewestFirst },
            limit,
            cursor: None,
        }
    })
}

/// Applies the history and asks its questions after each group.
pub(crate) fn agrees_with_model(
    index: &mut impl MessageIndex,
    search: &impl MessageSearch,
    history: &History,
) {
    let mut model = Model::default();
    for group in &history.groups {
        index.apply(group, 1).expect("apply");
        group.iter().for_each(|change| model.apply(change));
        for query in &history.queries {
            assert_eq!(all_pages(search, query), model.found(query), "{query:?}");
        }
        assert_eq!(search.counts().expect("counts"), model.counts());
        for (id, message) in &model.messages {
            let summary = search.message(*id).expect("message");
            let shown = summary.map(|summary| {
                let deliveries = summary.deliveries.iter();
                let states = deliveries.map(|one| (one.ordinal, one.state)).collect();
                (summary.disposition, states)
            });
            let expected =
                message.received.as_ref().map(|_| (message.disposition(), message.states()));
            assert_eq!(shown, expected, "message {id}");
        }
    }
}

fn all_pages(search: &impl MessageSearch, query: &Query) -> Vec<u64> {
    let mut query = query.clone();
    let mut found = Vec::new();
    loop {
        let page = search.search(&query).expect("search");
        found.extend(page.summaries.iter().map(|summary| summary.message));
        match page.next {
            Some(cursor) => query.cursor = Some(cursor),
            None => return found,
        }
    }
}

#[derive(Default)]
struct Model {
    messages: BTreeMap<u64, Message>,
}

#[derive(Default)]
struct Message {
    received: Option<Received>,
    /// By position.
    changes: BTreeMap<u64, Change>,
}

impl Model {
    fn apply(&mut self, change: &Change) {
        let message = self.messages.entry(change.message()).or_default();
        let position = match change {
            Change::Received(received) => {
                message.received = Some(received.clone());
                return;
            }
            Change::Processed(processed) => processed.position,
            Change::Settled(settled) => settled.position,
            Change::Released(released) => released.position,
        };
        message.changes.insert(position, change.clone());
    }

    fn counts(&self) -> Vec<ChannelCount> {
        let mut counts: BTreeMap<(Arc<str>, Disposition), u64> = BTreeMap::new();
        for message in self.messages.values() {
            if let Some(received) = &message.received {
                let key = (Arc::clone(&received.channel), message.disposition());
                *counts.entry(key).or_default() += 1;
            }
        }
        counts
            .into_iter()
            .map(|((channel, disposition), messages)| ChannelCount {
                channel,
                disposition,
                messages,
            })
            .collect()
    }

    fn found(&self, query: &Query) -> Vec<u64> {
        let matching = self.messages.iter().filter(|(_, message)| message.matches(query));
        let mut found: Vec<u64> = matching.map(|(id, _)| *id).collect();
        if query.order == Order::NewestFirst {
            found.reverse();
        }
        found
    }
}

impl Message {
    /// The position of the last change of the message as a whole, and the change.
    fn last_step(&self) -> (u64, Option<&Change>) {
        let step = self.changes.iter().rev().find(|(_, change)| match change {
            Change::Processed(_) => true,
            Change::Released(released) => released.output.is_none(),
            Change::Received(_) | Change::Settled(_) => false,
        });
        step.map_or((0, None), |(position, change)| (*position, Some(change)))
    }

    fn states(&self) -> Vec<(u32, DeliveryState)> {
        let (step, change) = self.last_step();
        let mut states = BTreeMap::new();
        if let Some(Change::Processed(processed)) = change {
            let outputs = processed.outputs.iter();
            states.extend(outputs.map(|output| (output.ordinal, DeliveryState::InFlight)));
        }
        for change in self.changes.range(step + 1..).map(|(_, change)| change) {
            match change {
                Change::Settled(settled) => {
                    let state = match settled.outcome {
                        Outcome::Delivered => DeliveryState::Delivered,
                        Outcome::Parked => DeliveryState::Parked,
                        Outcome::Discarded => DeliveryState::Discarded,
                    };
                    states.insert(settled.ordinal, state);
                }
                Change::Released(released) => {
                    let ordinal = released.output.iter().map(|output| output.ordinal);
                    states.extend(ordinal.map(|ordinal| (ordinal, DeliveryState::InFlight)));
                }
                Change::Received(_) | Change::Processed(_) => {}
            }
        }
        states.into_iter().collect()
    }

    fn disposition(&self) -> Disposition {
        let repeats = self.received.as_ref().is_some_and(|one| one.duplicate_of.is_some());
        match self.last_step().1 {
            Some(Change::Processed(processed)) => match processed.disposition {
                Some(_) if !self.states().is_empty() => Disposition::InFlight,
                Some(disposition) => disposition,
                None => self.routed_disposition(),
            },
            _ if !self.states().is_empty() => Disposition::InFlight,
            _ if repeats => Disposition::Superseded,
            _ => Disposition::InFlight,
        }
    }

    fn routed_disposition(&self) -> Disposition {
        let states = self.states();
        let rank = |state| match state {
            DeliveryState::InFlight => 0,
            DeliveryState::Parked => 1,
            DeliveryState::Delivered => 2,
            DeliveryState::Discarded => 3,
        };
        match states.iter().map(|(_, state)| rank(*state)).min() {
            None => Disposition::Filtered,
            Some(0) => Disposition::InFlight,
            Some(1) => Disposition::Parked,
            Some(2) => Disposition::Delivered,
            Some(_) => Disposition::Superseded,
        }
    }

    fn matches(&self, query: &Query) -> bool {
        let Some(received) = &self.received else { return false };
        let is = |wanted: &Option<String>, text: &Arc<str>| {
            wanted.as_ref().is_none_or(|wanted| **wanted == **text)
        };
        let at = received.received_at_micros;
        let carries = |wanted: &IdentifierQuery| {
            received.identifiers.iter().any(|Identifier { kind, value }| {
                wanted.value == *value && wanted.kind.as_ref().is_none_or(|wanted| wanted == kind)
            })
        };
        let goes = self.states().iter().any(|(ordinal, state)| {
            let destination = DESTINATIONS[*ordinal as usize];
            query.destination.as_ref().is_none_or(|wanted| **wanted == *destination)
                && query.delivery_state.is_none_or(|wanted| wanted == *state)
        });
        query.channels.as_ref().is_none_or(|channels| channels.contains(&received.channel))
            && query.from_micros.is_none_or(|from| from <= at)
            && query.until_micros.is_none_or(|until| at < until)
            && is(&query.code, &received.code)
            && is(&query.trigger, &received.trigger)
            && is(&query.sending_application, &received.sending_application)
            && query.control_id.as_ref().is_none_or(|wanted| *wanted == received.control_id)
            && query.identifiers.iter().all(carries)
            && (query.dispositions.is_empty() || query.dispositions.contains(&self.disposition()))
            && (goes || (query.destination.is_none() && query.delivery_state.is_none()))
    }
}
