//! The reading side: a search goes through the epochs in the order of its results.
//!
//! In a closed epoch, the lists of what was asked for are cut with each other and the rows left
//! are looked at. In the open one, identifiers and rare dispositions give such a list too;
//! otherwise its rows are read through. The statements are these and no others, so that none can
//! read more than an epoch.

use std::{ops::ControlFlow, sync::Arc};

use rusqlite::{Connection, Row, params};

use super::{
    epoch::listed,
    identifiers,
    open::Location,
    plan::{Candidate, Plan},
    reader::ReaderPool,
    signed, stored, summary,
};
use crate::{
    ChannelCount, Cursor, IndexError, MessageSearch, Order, Page, Query, SUMMARY_DELIVERIES_MAX,
    Summary,
};

/// What one page may cost, in rows looked at: about a tenth of a second.
const COST_MAX: u64 = 100_000;

/// What probing an epoch counts for.
const EPOCH_COST: u64 = 8;

/// How many entries of a list count for one row.
const LIST_ENTRIES_PER_ROW: usize = 16;

/// With no more candidates than this, looking at their rows is cheaper than another list.
const FEW_CANDIDATES: usize = 64;

pub(super) const EPOCHS_NEWEST_FIRST: &str = "SELECT number, first, last, from_micros, to_micros
     FROM epoch WHERE first <= ?2 AND ?1 <= ?2 ORDER BY first DESC";

pub(super) const EPOCHS_OLDEST_FIRST: &str = "SELECT number, first, last, from_micros, to_micros
     FROM epoch
     WHERE first >= ifnull((SELECT max(first) FROM epoch WHERE first <= ?1), 0) AND first <= ?2
     ORDER BY first";

pub(super) const BY_DISPOSITION: &str = "SELECT id FROM message
     WHERE disposition = ?1 AND disposition <> 1 AND id BETWEEN ?2 AND ?3";

pub(super) const BY_DELIVERY_STATE: &str = "SELECT message FROM delivery
     WHERE state = ?1 AND state >= 2 AND message BETWEEN ?2 AND ?3";

pub(super) const ROW: &str = "SELECT id, received_at, disposition, channel, code, trigger,
         application, facility
     FROM message WHERE id = ?1 AND channel IS NOT NULL";

pub(super) const ROWS_NEWEST_FIRST: &str = "SELECT id, received_at, disposition, channel, code,
         trigger, application, facility
     FROM message WHERE id BETWEEN ?1 AND ?2 AND channel IS NOT NULL ORDER BY id DESC";

pub(super) const ROWS_OLDEST_FIRST: &str = "SELECT id, received_at, disposition, channel, code,
         trigger, application, facility
     FROM message WHERE id BETWEEN ?1 AND ?2 AND channel IS NOT NULL ORDER BY id";

pub(super) const DELIVERY: &str = "SELECT 1 FROM delivery
     WHERE message = ?1 AND (?2 IS NULL OR destination = ?2) AND (?3 IS NULL OR state = ?3)
     LIMIT 1";

/// Searches a [`SqliteMessageIndex`](crate::SqliteMessageIndex), from any thread, on connections of
/// its own.
pub struct SqliteMessageSearch {
    readers: ReaderPool,
}

impl SqliteMessageSearch {
    pub(super) fn new(location: Arc<Location>) -> SqliteMessageSearch {
        SqliteMessageSearch { readers: ReaderPool::new(location) }
    }
}

impl MessageSearch for SqliteMessageSearch {
    fn search(&self, query: &Query) -> Result<Page, IndexError> {
        self.readers.with(|reader| {
            let (transaction, decoder) = reader.begin()?;
            let Some(plan) = Plan::resolve(&transaction, &decoder.hasher, query)? else {
                return Ok(Page { summaries: Vec::new(), next: None });
            };
            let (found, next) = Walk::new(&transaction, &plan, COST_MAX).run()?;
            let mut summaries = Vec::with_capacity(found.len());
            for id in found {
                let deliveries_max = Some(SUMMARY_DELIVERIES_MAX);
                summaries.extend(summary::load(&transaction, decoder, id, deliveries_max)?);
            }
            Ok(Page { summaries, next })
        })
    }

    fn message(&self, message: u64) -> Result<Option<Summary>, IndexError> {
        let Ok(id) = signed(message) else { return Ok(None) };
        self.readers.with(|reader| {
            let (transaction, decoder) = reader.begin()?;
            summary::load(&transaction, decoder, id, None)
        })
    }

    fn counts(&self) -> Result<Vec<ChannelCount>, IndexError> {
        self.readers.with(|reader| {
            let (transaction, decoder) = reader.begin()?;
            summary::counts(&transaction, decoder)
        })
    }
}

/// A search under way.
pub(super) struct Walk<'a> {
    connection: &'a Connection,
    plan: &'a Plan,
    cost_left: u64,
    found: Vec<i64>,
    /// The last message that was looked at, found or not.
    looked_at: Option<i64>,
}

/// Why a walk ends before the last epoch.
enum Stop {
    /// There is one more than wanted.
    Full,
    /// It cost enough.
    Cost,
}

struct Epoch {
    number: i64,
    first: i64,
    last: i64,
    from_micros: i64,
    to_micros: i64,
}

impl Epoch {
    fn is_open(&self) -> bool {
        self.last == i64::MAX
    }
}

impl<'a> Walk<'a> {
    pub(super) fn new(connection: &'a Connection, plan: &'a Plan, cost_max: u64) -> Walk<'a> {
        Walk { connection, plan, cost_left: cost_max, found: Vec::new(), looked_at: None }
    }

    pub(super) fn run(mut self) -> Result<(Vec<i64>, Option<Cursor>), IndexError> {
        let mut epochs = self.connection.prepare_cached(match self.plan.order {
            Order::NewestFirst => EPOCHS_NEWEST_FIRST,
            Order::OldestFirst => EPOCHS_OLDEST_FIRST,
        })?;
        let mut rows = epochs.query([self.plan.low, self.plan.high])?;
        while let Some(row) = rows.next()? {
            let epoch = Epoch {
                number: row.get(0)?,
                first: row.get(1)?,
                last: row.get(2)?,
                from_micros: row.get(3)?,
                to_micros: row.get(4)?,
            };
            let flow = self.visit_epoch(&epoch)?;
            if let ControlFlow::Break(stop) = flow {
                let end = match stop {
                    Stop::Full => self.found.last().copied(),
                    Stop::Cost => self.looked_at,
                };
                let next = end.map(stored::unsigned).transpose()?.map(Cursor);
                return Ok((self.found, next));
            }
        }
        Ok((self.found, None))
    }

    fn visit_epoch(&mut self, epoch: &Epoch) -> Result<ControlFlow<Stop>, IndexError> {
        let low = epoch.first.max(self.plan.low);
        let high = epoch.last.min(self.plan.high);
        if low > high || !self.plan.overlaps(epoch.from_micros, epoch.to_micros) {
            return Ok(ControlFlow::Continue(()));
        }
        let flow = match self.candidates(epoch, low, high)? {
            Some(mut candidates) => {
                candidates.retain(|id| (low..=high).contains(id));
                self.visit_candidates(candidates)?
            }
            None => self.visit_range(low, high)?,
        };
        if flow.is_break() {
            return Ok(flow);
        }
        // All of the epoch is done, so that the next page may go on from its far end; which the
        // open one does not have.
        self.looked_at = Some(match self.plan.order {
            Order::NewestFirst => low,
            Order::OldestFirst if epoch.is_open() => return Ok(flow),
            Order::OldestFirst => high,
        });
        Ok(self.spend(EPOCH_COST))
    }

    /// The messages of the epoch that can match, ascending; `None`: all of them.
    fn candidates(
        &mut self,
        epoch: &Epoch,
        low: i64,
        high: i64,
    ) -> Result<Option<Vec<i64>>, IndexError> {
        let mut candidates: Option<Vec<i64>> = None;
        let plan = self.plan;
        for lookup in &plan.lookups {
            let found = if epoch.is_open() {
                identifiers::find_fresh(self.connection, &lookup.hash)?
            } else {
                identifiers::find(self.connection, epoch.number, &lookup.hash)?
            };
            self.pay_list(found.len());
            let taken = found.into_iter().filter(|(_, kind)| lookup.takes(*kind));
            let list = taken.map(|(message, _)| message).collect();
            cut(&mut candidates, list);
        }
        if !epoch.is_open() {
            for (facet, names) in &plan.facets {
                if few(&candidates) {
                    break;
                }
                let mut list = Vec::new();
                for name in names {
                    list.extend(listed(self.connection, epoch.number, *facet, *name)?);
                }
                self.pay_list(list.len());
                cut(&mut candidates, list);
            }
        }
        if let Some(state) = plan.rare_delivery_state() {
            self.cut_by_state(&mut candidates, BY_DELIVERY_STATE, &[state], low, high)?;
        } else if plan.excludes_delivered() {
            let dispositions: Vec<i64> =
                plan.dispositions.iter().copied().map(stored::disposition_number).collect();
            self.cut_by_state(&mut candidates, BY_DISPOSITION, &dispositions, low, high)?;
        }
        Ok(candidates)
    }

    fn cut_by_state(
        &mut self,
        candidates: &mut Option<Vec<i64>>,
        sql: &str,
        states: &[i64],
        low: i64,
        high: i64,
    ) -> Result<(), IndexError> {
        if few(candidates) {
            return Ok(());
        }
        let mut list = Vec::new();
        let mut statement = self.connection.prepare_cached(sql)?;
        for state in states {
            let mut rows = statement.query([*state, low, high])?;
            while let Some(row) = rows.next()? {
                list.push(row.get(0)?);
            }
        }
        self.pay_list(list.len());
        cut(candidates, list);
        Ok(())
    }

    fn visit_candidates(&mut self, ascending: Vec<i64>) -> Result<ControlFlow<Stop>, IndexError> {
        let mut statement = self.connection.prepare_cached(ROW)?;
        let mut ids = ascending.into_iter();
        loop {
            let id = match self.plan.order {
                Order::NewestFirst => ids.next_back(),
                Order::OldestFirst => ids.next(),
            };
            let Some(id) = id else { return Ok(ControlFlow::Continue(())) };
            let mut rows = statement.query([id])?;
            let flow = match rows.next()? {
                Some(row) => self.visit(&candidate(row)?)?,
                None => {
                    self.looked_at = Some(id);
                    self.spend(1)
                }
            };
            if flow.is_break() {
                return Ok(flow);
            }
        }
    }

    fn visit_range(&mut self, low: i64, high: i64) -> Result<ControlFlow<Stop>, IndexError> {
        let mut statement = self.connection.prepare_cached(match self.plan.order {
            Order::NewestFirst => ROWS_NEWEST_FIRST,
            Order::OldestFirst => ROWS_OLDEST_FIRST,
        })?;
        let mut rows = statement.query([low, high])?;
        while let Some(row) = rows.next()? {
            let flow = self.visit(&candidate(row)?)?;
            if flow.is_break() {
                return Ok(flow);
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn visit(&mut self, candidate: &Candidate) -> Result<ControlFlow<Stop>, IndexError> {
        if self.plan.matches(candidate) && self.has_delivery(candidate.id)? {
            if self.found.len() >= self.plan.limit {
                return Ok(ControlFlow::Break(Stop::Full));
            }
            self.found.push(candidate.id);
        }
        self.looked_at = Some(candidate.id);
        Ok(self.spend(1))
    }

    fn has_delivery(&mut self, id: i64) -> Result<bool, IndexError> {
        let Some(filter) = &self.plan.delivery else { return Ok(true) };
        self.cost_left = self.cost_left.saturating_sub(1);
        let mut statement = self.connection.prepare_cached(DELIVERY)?;
        Ok(statement.exists(params![id, filter.destination, filter.state])?)
    }

    fn pay_list(&mut self, entries: usize) {
        let cost = (entries / LIST_ENTRIES_PER_ROW) as u64;
        self.cost_left = self.cost_left.saturating_sub(cost);
    }

    fn spend(&mut self, cost: u64) -> ControlFlow<Stop> {
        self.cost_left = self.cost_left.saturating_sub(cost);
        if self.cost_left == 0 { ControlFlow::Break(Stop::Cost) } else { ControlFlow::Continue(()) }
    }
}

fn few(candidates: &Option<Vec<i64>>) -> bool {
    candidates.as_ref().is_some_and(|candidates| candidates.len() <= FEW_CANDIDATES)
}

/// Leaves the candidates that are in the list, ascending.
fn cut(candidates: &mut Option<Vec<i64>>, mut list: Vec<i64>) {
    list.sort_unstable();
    list.dedup();
    match candidates {
        None => *candidates = Some(list),
        Some(candidates) => candidates.retain(|id| list.binary_search(id).is_ok()),
    }
}

fn candidate(row: &Row<'_>) -> Result<Candidate, IndexError> {
    Ok(Candidate {
        id: row.get(0)?,
        received_at_micros: row.get(1)?,
        disposition: stored::disposition(row.get(2)?)?,
        channel: row.get(3)?,
        code: row.get(4)?,
        trigger: row.get(5)?,
        application: row.get(6)?,
        facility: row.get(7)?,
    })
}
