//! Appends of which none may overtake one that failed, such as those of one channel.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// An order that appends keep among themselves: it counts those of it that failed. Clones are the same order.
///
/// A failure is counted in the moment it is certain, before anybody is told, so that whoever has not been told
/// yet can't append past it: its [`Turn`] says how many failures it knows of.
#[derive(Clone, Debug, Default)]
pub struct Order(Arc<AtomicU64>);

/// How many appends of an order had failed when someone looked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Failures(u64);

/// An append's place in an order.
#[derive(Clone, Debug, Default)]
pub struct Turn {
    order: Option<Order>,
    known: Option<Failures>,
}

impl Order {
    /// The failures so far.
    pub fn failures(&self) -> Failures {
        Failures(self.0.load(Ordering::Acquire))
    }

    /// A turn that is refused when one failed of which its owner does not know.
    pub fn after(&self, known: Failures) -> Turn {
        Turn { order: Some(self.clone()), known: Some(known) }
    }

    /// A turn that may overtake others, and that others of the order may not overtake should it fail.
    pub fn at_any_time(&self) -> Turn {
        Turn { order: Some(self.clone()), known: None }
    }
}

impl Turn {
    /// Whether an append failed that this one must not overtake.
    pub(crate) fn is_past(&self) -> bool {
        match (&self.order, self.known) {
            (Some(order), Some(known)) => order.failures() != known,
            _ => false,
        }
    }

    /// Counts this append as failed.
    pub(crate) fn fail(&self) {
        if let Some(order) = &self.order {
            order.0.fetch_add(1, Ordering::AcqRel);
        }
    }
}
