//! What becomes a message of what a hospital has planned.

use pipehat_dictionary::Structure;

use crate::agenda::Task;
use crate::generator::Generator;
use crate::scene::Item;
use crate::system::Topic;
use crate::world::{Goods, Stay};

impl Generator {
    /// The next message of the stream: tasks that have none in this version, or whose patient is gone, are skipped.
    ///
    /// Of several systems the one speaks whose topic it is; what is nobody's happens without a message.
    pub(crate) fn hospital(&mut self) -> Option<Structure> {
        // Arrivals come again by themselves, so that the agenda is never empty for long.
        for _ in 0..10_000 {
            let (at, task) = self.agenda.next()?;
            if at > self.world.now {
                let seconds = self.world.random.between(0, 50);
                self.world.now = at.plus(seconds);
            }
            self.agenda.repeat(self.world.now, task, &mut self.world.random);
            let teller = self.teller(topic(task));
            self.speak(teller.unwrap_or(0));
            let structure = self.perform(task);
            if structure.is_some() && teller.is_some() {
                return structure;
            }
            self.forget_orders();
        }
        None
    }

    /// The filler has an order: its result will come.
    pub(crate) fn receive(&mut self, number: u64) -> bool {
        let Some(open) = self.world.take_placed(number) else { return false };
        let Some(index) = self.world.by_number(open.patient) else { return false };
        self.world.await_result(index, open.order);
        self.plan_result(open.order.item);
        true
    }

    fn plan_result(&mut self, item: Item) {
        let (task, minutes) = match item {
            Item::Panel(panel) => (Task::Result, panel.minutes),
            Item::Culture(_) => (Task::Result, 48 * 60),
            Item::Imaging(imaging) => (Task::ImagingResult, imaging.minutes),
            Item::Medication(_) | Item::Vaccine(_) => (Task::Dispense, 40),
        };
        self.agenda.result(self.world.now, task, minutes + 60);
    }

    /// What was preliminary or wrong is told again, some time later.
    fn plan_again(&mut self, task: Task) {
        let again = self.scene.orders.iter().take(self.scene.order_count);
        if again.clone().any(|order| self.world.is_awaited(order.number)) {
            let minutes = self.world.random.between(30, 300);
            self.agenda.result(self.world.now, task, minutes);
        }
    }

    fn perform(&mut self, task: Task) -> Option<Structure> {
        let now = self.world.now;
        match task {
            Task::Arrive => {
                let trigger = self.world.random.pick(&["A01", "A04", "A04"]);
                let structure = self.first(&[("ADT", trigger)])?;
                let index = self.world.admission(trigger).patient;
                self.concern(index, None);
                let (number, class) = (self.scene.patient.number, self.scene.visit.class);
                self.agenda.stay(now, number, class, &mut self.world.random);
                Some(structure)
            }
            Task::Update(number) => {
                let index = self.here(number)?;
                let structure = self.first(&[("ADT", "A08")])?;
                self.world.change(index);
                self.concern(index, None);
                Some(structure)
            }
            Task::Transfer(number) => {
                let index = self.here(number)?;
                let structure = self.first(&[("ADT", "A02")])?;
                self.world.transfer(index);
                self.concern(index, None);
                Some(structure)
            }
            Task::Discharge(number) => {
                let index = self.here(number)?;
                let structure = self.first(&[("ADT", "A03")])?;
                self.world.leave(index);
                self.concern(index, None);
                Some(structure)
            }
            Task::Cancel(number) => {
                let index = self.here(number)?;
                let structure = self.first(&[("ADT", "A11")])?;
                self.concern(index, None);
                self.world.known_mut(index)?.stay = Stay::Away;
                Some(structure)
            }
            Task::Order(number) | Task::Image(number) | Task::Prescribe(number) => {
                let index = self.here(number)?;
                let (goods, choices): (_, &[(&str, &str)]) = match task {
                    Task::Order(_) => (Goods::Laboratory, &[("ORM", "O01"), ("OML", "O21")]),
                    Task::Image(_) => (Goods::Imaging, &[("ORM", "O01"), ("OMG", "O19")]),
                    _ => (Goods::Medication, &[("RDE", "O11"), ("RDE", "O01")]),
                };
                let structure = self.first(choices)?;
                self.order(index, goods);
                let order = self.scene.orders[0];
                if order.control == "NW" && !self.waits_for(goods) {
                    self.plan_result(order.item);
                }
                Some(structure)
            }
            Task::Result => {
                let structure = self.first(&[("ORU", "R01")])?;
                self.report_waiting(Goods::Laboratory)?;
                self.plan_again(task);
                Some(structure)
            }
            Task::ImagingResult => {
                let structure = self.first(&[("ORU", "R01")])?;
                self.report_waiting(Goods::Imaging)?;
                self.plan_again(task);
                Some(structure)
            }
            Task::Dispense => {
                let structure = self.first(&[("RDS", "O13"), ("RDS", "O01")])?;
                self.report_waiting(Goods::Medication)?;
                Some(structure)
            }
            Task::Document(number) => {
                let index = self.world.by_number(number)?;
                let structure = self.first(&[("MDM", "T02")])?;
                let (_, document) = self.world.document("T02");
                self.scene.document = document;
                self.concern(index, None);
                Some(structure)
            }
            Task::Charge(number) => {
                let index = self.here(number)?;
                let structure = self.first(&[("DFT", "P03")])?;
                self.concern(index, None);
                Some(structure)
            }
            Task::Vaccinate => {
                let structure = self.first(&[("VXU", "V04")])?;
                self.vaccinate();
                Some(structure)
            }
            Task::Schedule | Task::Reschedule => {
                let trigger = match task {
                    Task::Schedule => "S12",
                    _ => self.world.random.pick(&["S13", "S14", "S15", "S26"]),
                };
                let structure = self.first(&[("SIU", trigger)])?;
                let (index, appointment) = self.world.appointment(trigger);
                self.scene.appointment = appointment;
                self.concern(index, None);
                Some(structure)
            }
            Task::Merge => {
                let structure = self.first(&[("ADT", "A40"), ("ADT", "A34"), ("ADT", "A18")])?;
                let concerned = self.world.admission("A40");
                self.concern(concerned.patient, concerned.other);
                if let Some(other) = concerned.other {
                    self.world.forget(other);
                }
                Some(structure)
            }
        }
    }

    /// Who has this number and is in.
    fn here(&self, number: u64) -> Option<usize> {
        let index = self.world.by_number(number)?;
        self.world.known.get(index).filter(|known| known.stay == Stay::Present)?;
        Some(index)
    }
}

/// What a task's message is about.
const fn topic(task: Task) -> Topic {
    match task {
        Task::Arrive
        | Task::Update(_)
        | Task::Transfer(_)
        | Task::Discharge(_)
        | Task::Merge
        | Task::Cancel(_) => Topic::Admissions,
        Task::Order(_) => Topic::LaboratoryOrders,
        Task::Image(_) => Topic::ImagingOrders,
        Task::Prescribe(_) => Topic::Prescriptions,
        Task::Result => Topic::LaboratoryResults,
        Task::ImagingResult => Topic::ImagingReports,
        Task::Dispense => Topic::Dispenses,
        Task::Document(_) => Topic::Documents,
        Task::Charge(_) => Topic::Charges,
        Task::Vaccinate => Topic::Vaccinations,
        Task::Schedule | Task::Reschedule => Topic::Appointments,
    }
}
