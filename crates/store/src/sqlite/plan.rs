//! A query in terms of the tables: names as numbers, values as hashes.

use rusqlite::Connection;

use super::{
    epoch::Facet,
    names::{CONTROL_ID_KIND, NameKind, kind_number, look_up},
    stored,
};
use crate::{
    DeliveryState, Disposition, IdentifierKind, IndexError, Order, PAGE_SUMMARIES_MAX, Query,
    keys::{Hash, Hasher, Role},
    life::{EMPTY_NAME, NameId},
};

/// What a search looks for.
pub(super) struct Plan {
    /// Messages from here…
    pub(super) low: i64,
    /// …to here, inclusive.
    pub(super) high: i64,
    from_micros: i64,
    until_micros: Option<i64>,
    /// Each must have one of the names.
    pub(super) facets: Vec<FacetFilter>,
    /// Each must be found.
    pub(super) lookups: Vec<Lookup>,
    /// One of these; all of them when it does not matter.
    pub(super) dispositions: Vec<Disposition>,
    pub(super) delivery: Option<DeliveryFilter>,
    pub(super) order: Order,
    pub(super) limit: usize,
}

/// The facet has one of these names.
pub(super) type FacetFilter = (Facet, Vec<NameId>);

/// A value looked up by its hash.
pub(super) struct Lookup {
    pub(super) hash: Hash,
    kind: LookupKind,
}

enum LookupKind {
    Exactly(i64),
    AnyIdentifier,
}

impl Lookup {
    pub(super) fn takes(&self, kind: i64) -> bool {
        match self.kind {
            LookupKind::Exactly(wanted) => kind == wanted,
            LookupKind::AnyIdentifier => kind != CONTROL_ID_KIND,
        }
    }
}

/// What one of the message's deliveries must be.
pub(super) struct DeliveryFilter {
    pub(super) destination: Option<NameId>,
    /// As stored.
    pub(super) state: Option<i64>,
}

/// The columns of a message's row that filters look at.
pub(super) struct Candidate {
    pub(super) id: i64,
    pub(super) received_at_micros: i64,
    pub(super) disposition: Disposition,
    pub(super) channel: NameId,
    pub(super) code: NameId,
    pub(super) trigger: NameId,
    pub(super) application: NameId,
    pub(super) facility: NameId,
}

impl Plan {
    /// `None`: nothing can match.
    pub(super) fn resolve(
        connection: &Connection,
        hasher: &Hasher,
        query: &Query,
    ) -> Result<Option<Plan>, IndexError> {
        let Some((low, high)) = range(query) else { return Ok(None) };
        let Some(facets) = facets(connection, hasher, query)? else { return Ok(None) };
        let Some(lookups) = lookups(connection, hasher, query)? else { return Ok(None) };
        let dispositions = dispositions(query);
        if dispositions.is_empty() {
            return Ok(None);
        }
        let destination = facets
            .iter()
            .find(|(facet, _)| *facet == Facet::Destination)
            .and_then(|(_, names)| names.first().copied());
        let state = query.delivery_state.map(stored::state_number);
        let delivery = match (destination, state) {
            (None, None) => None,
            (destination, state) => Some(DeliveryFilter { destination, state }),
        };
        Ok(Some(Plan {
            low,
            high,
            from_micros: query.from_micros.unwrap_or(i64::MIN),
            until_micros: query.until_micros,
            facets,
            lookups,
            dispositions,
            delivery,
            order: query.order,
            limit: query.limit.clamp(1, PAGE_SUMMARIES_MAX),
        }))
    }

    /// Whether an epoch with messages of these times can have any that match.
    pub(super) fn overlaps(&self, from_micros: i64, to_micros: i64) -> bool {
        self.from_micros <= to_micros && self.until_micros.is_none_or(|until| from_micros < until)
    }

    /// The delivery state asked for, as stored, if it is in `delivery_by_state`.
    pub(super) fn rare_delivery_state(&self) -> Option<i64> {
        let state = self.delivery.as_ref()?.state?;
        (state >= stored::state_number(DeliveryState::Parked)).then_some(state)
    }

    /// Whether the dispositions asked for are in `message_by_disposition`.
    pub(super) fn excludes_delivered(&self) -> bool {
        !self.dispositions.contains(&Disposition::Delivered)
    }

    /// Whether the row matches; its deliveries and identifiers are looked at elsewhere.
    pub(super) fn matches(&self, candidate: &Candidate) -> bool {
        let received_at = candidate.received_at_micros;
        self.from_micros <= received_at
            && self.until_micros.is_none_or(|until| received_at < until)
            && self.dispositions.contains(&candidate.disposition)
            && self.facets.iter().all(|(facet, names)| match facet {
                Facet::Channel => names.contains(&candidate.channel),
                Facet::Code => names.contains(&candidate.code),
                Facet::Trigger => names.contains(&candidate.trigger),
                Facet::Application => names.contains(&candidate.application),
                Facet::Facility => names.contains(&candidate.facility),
                Facet::Destination => true,
            })
    }
}

/// The messages that are left after the cursor.
fn range(query: &Query) -> Option<(i64, i64)> {
    // A cursor comes from outside; one past every message is no mistake worth an error.
    let cursor = query.cursor.map(|cursor| i64::try_from(cursor.0).unwrap_or(i64::MAX));
    match (cursor, query.order) {
        (None, _) => Some((0, i64::MAX)),
        (Some(0), Order::NewestFirst) => None,
        (Some(cursor), Order::NewestFirst) => Some((0, cursor.saturating_sub(1))),
        (Some(cursor), Order::OldestFirst) => Some((cursor.checked_add(1)?, i64::MAX)),
    }
}

fn facets(
    connection: &Connection,
    hasher: &Hasher,
    query: &Query,
) -> Result<Option<Vec<FacetFilter>>, IndexError> {
    let mut facets = Vec::new();
    if let Some(channels) = &query.channels {
        let mut names = Vec::with_capacity(channels.len());
        for channel in channels {
            names.extend(look_up(connection, hasher, NameKind::Channel, channel)?);
        }
        if names.is_empty() {
            return Ok(None);
        }
        names.sort_unstable();
        names.dedup();
        facets.push((Facet::Channel, names));
    }
    for (facet, kind, text) in [
        (Facet::Code, NameKind::Code, query.code.as_deref()),
        (Facet::Trigger, NameKind::Trigger, query.trigger.as_deref()),
        (Facet::Application, NameKind::Application, query.sending_application.as_deref()),
        (Facet::Facility, NameKind::Facility, query.sending_facility.as_deref()),
        (Facet::Destination, NameKind::Destination, query.destination.as_deref()),
    ] {
        if let Some(text) = text {
            let Some(name) = look_up(connection, hasher, kind, text)? else { return Ok(None) };
            facets.push((facet, vec![name]));
        }
    }
    Ok(Some(facets))
}

fn lookups(
    connection: &Connection,
    hasher: &Hasher,
    query: &Query,
) -> Result<Option<Vec<Lookup>>, IndexError> {
    let mut lookups = Vec::new();
    if let Some(control_id) = &query.control_id {
        lookups.push(Lookup {
            hash: hasher.hash(Role::ControlId, control_id.expose().trim()),
            kind: LookupKind::Exactly(CONTROL_ID_KIND),
        });
    }
    for identifier in &query.identifiers {
        let kind = match &identifier.kind {
            None => LookupKind::AnyIdentifier,
            Some(kind @ IdentifierKind::Custom(name)) => {
                match look_up(connection, hasher, NameKind::Custom, name)? {
                    Some(name) => LookupKind::Exactly(kind_number(kind, name)),
                    None => return Ok(None),
                }
            }
            Some(kind) => LookupKind::Exactly(kind_number(kind, EMPTY_NAME)),
        };
        let hash = hasher.hash(Role::Identifier, identifier.value.expose().trim());
        lookups.push(Lookup { hash, kind });
    }
    Ok(Some(lookups))
}

/// Those asked for, without those that no message with a delivery in the state asked for has.
fn dispositions(query: &Query) -> Vec<Disposition> {
    let possible: &[Disposition] = match query.delivery_state {
        None | Some(DeliveryState::Delivered | DeliveryState::Discarded) => &Disposition::ALL,
        Some(DeliveryState::InFlight) => &[Disposition::InFlight],
        Some(DeliveryState::Parked) => &[Disposition::InFlight, Disposition::Parked],
    };
    let asked = |disposition: &Disposition| {
        query.dispositions.is_empty() || query.dispositions.contains(disposition)
    };
    possible.iter().copied().filter(asked).collect()
}
