//! What a group must have for itself, where transactions run side by side.
//!
//! - Every resource that is changed: its own lock.
//! - A conditional create or update whose condition asks for an identifier: that identifier, and those of the
//!   resource it may make; and its type, shared. So two whose conditions differ, but would each find what the other
//!   makes, wait for each other.
//! - One with any other condition: its type, alone.
//!
//! Locks are numbers in a bounded range, so that they never fill the database's table of locks; two that share one
//! by chance just wait. They are asked for at once and in order, so that no two groups wait for each other.

use pipehat_resource::search::{Criterion, Filter, Search, TokenCriterion};
use sha2::{Digest, Sha256};

use super::Prepared;
use crate::datastore::core::Catalogue;
use crate::datastore::entries::shortened;
use crate::datastore::interaction::{Interaction, ResourceKey};
use crate::datastore::sql::Lock;

/// How many locks there are of each kind.
const BUCKETS: u64 = 2048;

#[derive(Clone, Copy)]
enum Of {
    Resource,
    Identifier,
    Type,
}

fn lock(of: Of, text: &str, shared: bool) -> Lock {
    let hash: [u8; 32] = Sha256::digest(text.as_bytes()).into();
    let [a, b, c, d, e, f, g, h, ..] = hash;
    let bucket = u64::from_le_bytes([a, b, c, d, e, f, g, h]) % BUCKETS;
    let base = match of {
        Of::Resource => 2 * BUCKETS,
        Of::Identifier => BUCKETS,
        Of::Type => 0,
    };
    Lock { number: i64::try_from(base.saturating_add(bucket)).unwrap_or(0), shared }
}

/// The lock of a resource.
pub(super) fn of_resource(key: &ResourceKey) -> Lock {
    lock(Of::Resource, &format!("{}/{}", key.resource_type, key.id), false)
}

/// The locks of a group, each once, in order.
pub(super) fn of(prepared: &Prepared, catalogue: &Catalogue) -> Vec<Lock> {
    let mut locks = Vec::new();
    for (interaction, rows) in prepared.interactions.iter().zip(&prepared.rows) {
        match interaction {
            Interaction::Create { resource, if_none_exist: Some(search), .. }
            | Interaction::ConditionalUpdate { resource, search, .. } => {
                let resource_type = resource.resource_type().unwrap_or_default();
                let asked = identifiers_asked(search, catalogue);
                locks.push(lock(Of::Type, resource_type, !asked.is_empty()));
                let own;
                let rows = match rows {
                    Some(rows) => rows,
                    None => {
                        own = super::index_rows(resource, catalogue);
                        &own
                    }
                };
                let made = rows.codes_of(&catalogue.identifying);
                for value in asked.iter().map(String::as_str).chain(made) {
                    locks.push(lock(Of::Identifier, &format!("{resource_type}|{value}"), false));
                }
            }
            Interaction::Update { resource, .. } => {
                if let Some(key) = crate::datastore::stamp::key_of(resource) {
                    locks.push(of_resource(&key));
                }
            }
            Interaction::Patch { key, .. } | Interaction::Delete { key, .. } => {
                locks.push(of_resource(key));
            }
            Interaction::Create { if_none_exist: None, .. }
            | Interaction::ConditionalPatch { .. }
            | Interaction::ConditionalDelete { .. }
            | Interaction::Read { .. }
            | Interaction::Search(_) => {}
        }
    }
    // Alone comes before shared, and stays.
    locks.sort_unstable();
    locks.dedup_by_key(|lock| lock.number);
    locks
}

/// The identifiers one of which whatever matches must have.
fn identifiers_asked(search: &Search, catalogue: &Catalogue) -> Vec<String> {
    for filter in &search.filters {
        let Filter::Parameter { parameter, criteria } = filter else { continue };
        let number = catalogue.numbering.of(*parameter);
        if !number.is_some_and(|number| catalogue.identifying.contains(&number)) {
            continue;
        }
        let values: Option<Vec<String>> = criteria
            .iter()
            .map(|criterion| match criterion {
                Criterion::Token(
                    TokenCriterion::Code(code)
                    | TokenCriterion::SystemCode(_, code)
                    | TokenCriterion::NoSystem(code),
                ) => Some(shortened(code)),
                _ => None,
            })
            .collect();
        if let Some(values) = values {
            return values;
        }
    }
    Vec::new()
}
