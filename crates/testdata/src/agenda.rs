//! A day in the hospital: who comes when, and what follows from it.
//!
//! Each task makes one message and plans those that follow: an admission plans orders, an order its result, a stay its
//! end. Tasks wait in a queue by time; beyond [`TASKS_MAX`] nothing new is planned but the next arrival.

use crate::moment::{HOUR, MINUTE, Moment};
use crate::random::Random;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// So much is planned at most.
const TASKS_MAX: usize = 4000;

/// Something that will happen, to the patient with this number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Task {
    Arrive,
    Update(u64),
    Order(u64),
    Image(u64),
    Prescribe(u64),
    Result,
    ImagingResult,
    Dispense,
    Transfer(u64),
    Discharge(u64),
    Document(u64),
    Charge(u64),
    Vaccinate,
    Schedule,
    Reschedule,
    Merge,
    Cancel(u64),
}

/// What is planned.
#[derive(Debug)]
pub(crate) struct Agenda {
    queue: BinaryHeap<Reverse<(Moment, u64, Task)>>,
    last: u64,
}

impl Agenda {
    pub(crate) fn new(start: Moment) -> Self {
        let mut agenda = Self { queue: BinaryHeap::new(), last: 0 };
        for (task, minutes) in [
            (Task::Arrive, 0),
            (Task::Schedule, 4),
            (Task::Vaccinate, 9),
            (Task::Reschedule, 21),
            (Task::Merge, 47),
        ] {
            agenda.plan(start.plus(minutes * MINUTE), task);
        }
        agenda
    }

    fn plan(&mut self, at: Moment, task: Task) {
        if self.queue.len() < TASKS_MAX {
            self.last += 1;
            self.queue.push(Reverse((at, self.last, task)));
        }
    }

    /// What happens next, and when.
    pub(crate) fn next(&mut self) -> Option<(Moment, Task)> {
        let Reverse((at, _, task)) = self.queue.pop()?;
        Some((at, task))
    }

    /// Plans what comes again by itself.
    pub(crate) fn repeat(&mut self, now: Moment, task: Task, random: &mut Random) {
        let minutes = match task {
            // Fewer come at night.
            Task::Arrive if !(7..22).contains(&now.hour()) => random.between(10, 40),
            Task::Arrive => random.between(2, 14),
            Task::Schedule => random.between(3, 18),
            Task::Vaccinate => random.between(15, 60),
            Task::Reschedule => random.between(20, 90),
            Task::Merge => random.between(120, 600),
            _ => return,
        };
        // These come once each, so that there is always room for them.
        self.last += 1;
        self.queue.push(Reverse((now.plus(minutes * MINUTE), self.last, task)));
    }

    /// Plans a stay: what is ordered and done, and when it ends.
    pub(crate) fn stay(&mut self, now: Moment, patient: u64, class: &str, random: &mut Random) {
        let length = match class {
            "I" => random.between(20, 140) * HOUR,
            "E" => random.between(2, 9) * HOUR,
            _ => random.between(1, 4) * HOUR,
        };
        if random.percent(4) {
            self.plan(now.plus(random.between(5, 25) * MINUTE), Task::Cancel(patient));
            return;
        }
        self.course(now, patient, class, length, random);
    }

    /// Plans the rest of a stay that began before the stream did.
    pub(crate) fn rest_of_stay(&mut self, now: Moment, patient: u64, random: &mut Random) {
        let length = random.between(2, 90) * HOUR;
        self.course(now, patient, "I", length, random);
    }

    fn course(&mut self, now: Moment, patient: u64, class: &str, length: i64, random: &mut Random) {
        let during = |agenda: &mut Self, task, share: u64, random: &mut Random| {
            if random.percent(share) {
                let at = random.between(5 * MINUTE, length - 5 * MINUTE);
                agenda.plan(now.plus(at), task);
            }
        };
        let days = (length / (24 * HOUR)).max(1);
        self.plan(now.plus(random.between(5, 40) * MINUTE), Task::Order(patient));
        for _ in 0..days {
            during(self, Task::Order(patient), 80, random);
            during(self, Task::Prescribe(patient), 60, random);
            during(self, Task::Charge(patient), 70, random);
        }
        during(self, Task::Image(patient), 35, random);
        during(self, Task::Update(patient), 50, random);
        if class == "I" {
            during(self, Task::Transfer(patient), 40, random);
        }
        self.plan(now.plus(length), Task::Discharge(patient));
        during(self, Task::Document(patient), 60, random);
    }

    /// Plans the result of an order.
    pub(crate) fn result(&mut self, now: Moment, task: Task, minutes: i64) {
        self.plan(now.plus(minutes * MINUTE), task);
    }
}
