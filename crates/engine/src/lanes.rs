//! Lanes: who must wait for whom.
//!
//! Items that share a key form a lane and run one after another, in the order they came. An item
//! may have several keys (a merge names two patients): it runs when it is at the head of all its
//! lanes, and holds all of them meanwhile. Items without a key wait for nobody. Nothing here
//! knows what an item is or what running means; there is no clock and no I/O.

use std::collections::{HashMap, HashSet, VecDeque};

/// The number of an item, given out by [`Lanes::enter`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Ticket(u64);

/// The lanes of one channel's processing, or of one destination.
#[derive(Debug)]
pub(crate) struct Lanes<T> {
    lanes: HashMap<u64, VecDeque<Ticket>>,
    items: HashMap<Ticket, Item<T>>,
    next: u64,
    window: usize,
}

#[derive(Debug)]
struct Item<T> {
    keys: Vec<u64>,
    /// Taken out when the item is let run.
    value: Option<T>,
}

impl<T> Lanes<T> {
    /// Lanes in which one item runs at a time.
    pub(crate) fn new() -> Self {
        Self::with_window(1)
    }

    /// Lanes in which up to `window` items run at a time, started in order: for a peer that
    /// takes several messages before it answers the first.
    pub(crate) fn with_window(window: usize) -> Self {
        Self { lanes: HashMap::new(), items: HashMap::new(), next: 0, window: window.max(1) }
    }

    #[cfg(test)]
    fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Adds an item at the end of its lanes; gives it back at once if it may run.
    pub(crate) fn enter(&mut self, keys: &[u64], value: T) -> (Ticket, Option<T>) {
        let ticket = Ticket(self.next);
        self.next += 1;
        let mut keys = keys.to_vec();
        keys.sort_unstable();
        keys.dedup();
        for key in &keys {
            self.lanes.entry(*key).or_default().push_back(ticket);
        }
        self.items.insert(ticket, Item { keys, value: Some(value) });
        let runs = if self.may_run(ticket) { self.start(ticket) } else { None };
        (ticket, runs)
    }

    /// Whether the item is near enough to the head of all its lanes, and nothing that came
    /// before it still waits there.
    fn may_run(&self, ticket: Ticket) -> bool {
        let Some(item) = self.items.get(&ticket) else { return false };
        item.keys.iter().all(|key| {
            let lane = self.lanes.get(key).into_iter().flatten().take(self.window);
            let mut before = lane.take_while(|other| **other != ticket);
            let within = self
                .lanes
                .get(key)
                .is_some_and(|lane| lane.iter().take(self.window).any(|other| *other == ticket));
            within && before.all(|other| self.has_started(*other))
        })
    }

    fn has_started(&self, ticket: Ticket) -> bool {
        self.items.get(&ticket).is_none_or(|item| item.value.is_none())
    }

    fn start(&mut self, ticket: Ticket) -> Option<T> {
        self.items.get_mut(&ticket)?.value.take()
    }

    /// Ends an item that ran; appends to `ready` those that may run now, oldest first.
    pub(crate) fn leave(&mut self, ticket: Ticket, ready: &mut Vec<(Ticket, T)>) {
        let Some(item) = self.items.remove(&ticket) else { return };
        let before = ready.len();
        for key in &item.keys {
            let Some(lane) = self.lanes.get_mut(key) else { continue };
            if let Some(place) = lane.iter().position(|other| *other == ticket) {
                lane.remove(place);
            }
            if lane.is_empty() {
                self.lanes.remove(key);
            }
        }
        // What starts may free the way of others in its own lanes.
        let mut moved = item.keys;
        while let Some(key) = moved.pop() {
            while let Some(next) = self.next_waiting(key)
                && self.may_run(next)
            {
                if let Some(started) = self.items.get(&next) {
                    moved.extend(started.keys.iter().filter(|other| **other != key));
                }
                ready.extend(self.start(next).map(|value| (next, value)));
            }
        }
        if let Some(added) = ready.get_mut(before..) {
            added.sort_unstable_by_key(|(ticket, _)| *ticket);
        }
    }

    /// How many items wait in the lanes of these, behind them.
    pub(crate) fn waiting_behind(&self, tickets: impl IntoIterator<Item = Ticket>) -> usize {
        let mut behind = HashSet::new();
        for ticket in tickets {
            let keys = self.items.get(&ticket).into_iter().flat_map(|item| &item.keys);
            for lane in keys.filter_map(|key| self.lanes.get(key)) {
                let later = lane.iter().skip_while(|other| **other != ticket).copied();
                behind.extend(later.filter(|other| !self.has_started(*other)));
            }
        }
        behind.len()
    }

    /// The first of a lane that has not started, if the window reaches it.
    fn next_waiting(&self, key: u64) -> Option<Ticket> {
        let lane = self.lanes.get(&key)?.iter().take(self.window);
        lane.copied().find(|ticket| !self.has_started(*ticket))
    }
}

impl<T> Default for Lanes<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, proptest};

    use super::{Lanes, Ticket};

    #[test]
    fn one_lane_runs_one_at_a_time_in_order() {
        let mut lanes = Lanes::new();
        let (first, runs) = lanes.enter(&[7], "a");
        assert_eq!(runs, Some("a"));
        let (second, runs) = lanes.enter(&[7], "b");
        assert_eq!(runs, None);
        assert_eq!(lanes.enter(&[7], "c").1, None);
        let mut ready = Vec::new();
        assert_eq!(lanes.enter(&[8], "d").1, Some("d"));
        assert_eq!(lanes.enter(&[7, 8], "e").1, None);
        assert_eq!(lanes.waiting_behind([first]), 3);
        assert_eq!(lanes.waiting_behind([first, second]), 3);
        lanes.leave(first, &mut ready);
        assert_eq!(ready, [(second, "b")]);
        assert_eq!(lanes.waiting_behind([second]), 2);
    }

    #[test]
    fn a_merge_waits_for_both_lanes_and_holds_both() {
        let mut lanes = Lanes::new();
        let (one, _) = lanes.enter(&[1], "one");
        let (two, _) = lanes.enter(&[2], "two");
        let (merge, runs) = lanes.enter(&[1, 2], "merge");
        assert_eq!(runs, None);
        assert_eq!(lanes.enter(&[2], "after").1, None);
        let mut ready = Vec::new();
        lanes.leave(one, &mut ready);
        assert_eq!(ready, []);
        lanes.leave(two, &mut ready);
        assert_eq!(ready, [(merge, "merge")]);
        ready.clear();
        lanes.leave(merge, &mut ready);
        assert_eq!(ready.iter().map(|(_, value)| *value).collect::<Vec<_>>(), ["after"]);
    }

    #[test]
    fn items_without_a_key_wait_for_nobody() {
        let mut lanes = Lanes::new();
        assert_eq!(lanes.enter(&[], 1).1, Some(1));
        assert_eq!(lanes.enter(&[], 2).1, Some(2));
    }

    #[test]
    fn a_window_lets_several_start_in_order() {
        let mut lanes = Lanes::with_window(2);
        let (first, runs) = lanes.enter(&[1], 1);
        assert_eq!(runs, Some(1));
        assert_eq!(lanes.enter(&[1], 2).1, Some(2));
        assert_eq!(lanes.enter(&[1], 3).1, None);
        let mut ready = Vec::new();
        lanes.leave(first, &mut ready);
        assert_eq!(ready.iter().map(|(_, value)| *value).collect::<Vec<_>>(), [3]);
    }

    proptest! {
        /// Invariant 3: whatever ends when, items with a common key start in the order they
        /// came, and never more than the window run together; in the end everything has run.
        #[test]
        fn order_holds_for_any_schedule(
            items in proptest::collection::vec(proptest::collection::vec(0_u64..5, 0..3), 1..60),
            choices in proptest::collection::vec(any::<usize>(), 200),
            window in (1_usize..4).boxed(),
        ) {
            let mut lanes = Lanes::with_window(window);
            let mut running: Vec<(Ticket, usize)> = Vec::new();
            let mut started = Vec::new();
            let mut choices = choices.into_iter().cycle();
            for (number, keys) in items.iter().enumerate() {
                let (ticket, runs) = lanes.enter(keys, number);
                if let Some(number) = runs {
                    running.push((ticket, number));
                    started.push(number);
                }
                if choices.next().unwrap_or(0) % 2 == 0 && !running.is_empty() {
                    let end = running.remove(choices.next().unwrap_or(0) % running.len());
                    let mut ready = Vec::new();
                    lanes.leave(end.0, &mut ready);
                    started.extend(ready.iter().map(|(_, number)| *number));
                    running.extend(ready);
                }
            }
            while !running.is_empty() {
                for key in 0..5 {
                    let together = running.iter().filter(|(_, number)| items[*number].contains(&key)).count();
                    prop_assert!(together <= window);
                }
                let end = running.remove(choices.next().unwrap_or(0) % running.len());
                let mut ready = Vec::new();
                lanes.leave(end.0, &mut ready);
                started.extend(ready.iter().map(|(_, number)| *number));
                running.extend(ready);
            }
            prop_assert!(lanes.is_empty());
            prop_assert_eq!(started.iter().collect::<HashSet<_>>().len(), items.len());
            for key in 0..5_u64 {
                let order: Vec<_> = started.iter().filter(|number| items[**number].contains(&key)).collect();
                prop_assert!(order.is_sorted());
            }
        }
    }
}
