//! Orders and their results, appointments and documents.

use super::{OPEN_ORDERS_MAX, OpenOrder, REMEMBERED_MAX, World};
use crate::catalogue::{CULTURES, Coded, IMAGING, MEDICATIONS, PANELS, VACCINES};
use crate::moment::{DAY, HOUR, MINUTE, Moment};
use crate::scene::{Appointment, Document, Item, ORDERS_MAX, Order};

/// What kind of thing is ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Goods {
    Laboratory,
    Imaging,
    Medication,
    Vaccine,
}

const REASONS: &[Coded] = &[
    Coded::new("FUP", "Follow-up", "L"),
    Coded::new("NEW", "First consultation", "L"),
    Coded::new("PREOP", "Preoperative assessment", "L"),
    Coded::new("WOUND", "Wound check", "L"),
];

const LETTERS: &[&[&str]] = &[
    &[
        "Discharge summary",
        "Admitted with shortness of breath; treated with antibiotics & oxygen.",
        "Discharged home in good condition.",
    ],
    &[
        "Consultation note",
        "Seen for chest pain. ECG without acute changes.",
        "Continue present medication; review in 2 weeks.",
    ],
    &["Operation note", "Uneventful laparoscopic procedure. Blood loss < 50 mL."],
];

impl World {
    /// A new order for somebody.
    pub(crate) fn order(&mut self, index: usize, goods: Goods, placed: Moment) -> Order {
        self.last_order += 1;
        let seed = self.random.next();
        let practitioner = self.known.get(index).map_or(0, |known| known.visit.attending);
        let item = match goods {
            Goods::Laboratory if self.random.percent(6) => {
                Item::Culture(&CULTURES[self.random.below(CULTURES.len())])
            }
            Goods::Laboratory => Item::Panel(&PANELS[self.random.below(PANELS.len())]),
            Goods::Imaging => Item::Imaging(&IMAGING[self.random.below(IMAGING.len())]),
            Goods::Medication => {
                Item::Medication(&MEDICATIONS[self.random.below(MEDICATIONS.len())])
            }
            Goods::Vaccine => Item::Vaccine(&VACCINES[self.random.below(VACCINES.len())]),
        };
        let wait = self.random.between(10, 50) * MINUTE;
        Order {
            seed,
            number: self.last_order,
            item,
            placed,
            performed: placed.plus(wait),
            practitioner,
            control: "NW",
            status: "SC",
            result: "F",
            revision: 0,
        }
    }

    /// Remembers an order until its result is there.
    pub(crate) fn await_result(&mut self, index: usize, order: Order) {
        if self.open.len() >= OPEN_ORDERS_MAX {
            self.open.pop_front();
        }
        let patient = self.number_of(index);
        self.open.push_back(OpenOrder { patient, order });
    }

    /// Remembers an order until its filler has it.
    pub(crate) fn place(&mut self, index: usize, order: Order) {
        if self.placed.len() >= OPEN_ORDERS_MAX {
            self.placed.pop_front();
        }
        let patient = self.number_of(index);
        self.placed.push_back(OpenOrder { patient, order });
    }

    /// The order with this number, if it was waiting for its filler.
    pub(crate) fn take_placed(&mut self, number: u64) -> Option<OpenOrder> {
        let at = self.placed.iter().position(|open| open.order.number == number)?;
        self.placed.remove(at)
    }

    /// The order of these goods that was placed last, of those whose results wait.
    pub(crate) fn take_newest(&mut self, goods: Goods) -> Option<OpenOrder> {
        // What was told before and is told again is not cancelled any more.
        let fits = |open: &OpenOrder| open.order.goods() == goods && open.order.control == "NW";
        let at = self.open.iter().rposition(fits)?;
        self.open.remove(at)
    }

    /// Whether something is still to be told of the order with this number.
    pub(crate) fn is_awaited(&self, number: u64) -> bool {
        self.open.iter().any(|open| open.order.number == number)
    }

    /// Orders of one patient whose results are due: the oldest, with others of the same patient.
    pub(crate) fn waiting(
        &mut self,
        goods: Goods,
        orders: &mut [Order; ORDERS_MAX],
    ) -> Option<(usize, usize)> {
        let now = self.now;
        let ready = |open: &OpenOrder| {
            open.order.goods() == goods && open.order.performed.plus(5 * MINUTE) < now
        };
        while let Some(at) = self.open.iter().take(64).position(ready) {
            let Some(first) = self.open.remove(at) else { break };
            let Some(index) = self.by_number(first.patient) else { continue };
            let mut count = 0;
            orders[0] = first.order;
            while count + 1 < ORDERS_MAX {
                count += 1;
                let next = self
                    .open
                    .iter()
                    .take(64)
                    .position(|open| open.patient == first.patient && ready(open));
                let Some(next) = next.and_then(|next| self.open.remove(next)) else { break };
                orders[count] = next.order;
            }
            return Some((index, count.max(1)));
        }
        None
    }

    /// Orders that were placed some hours ago without a message.
    pub(crate) fn placed_earlier(
        &mut self,
        goods: Goods,
        orders: &mut [Order; ORDERS_MAX],
    ) -> (usize, usize) {
        let now = self.now;
        let index = self.visitor();
        let count = self.random.pick(&[1, 1, 1, 2, 3]);
        let ago = self.random.between(2, 8) * HOUR;
        for order in orders.iter_mut().take(count) {
            *order = self.order(index, goods, now.plus(-ago));
        }
        (index, count)
    }

    /// An appointment as this event leaves it.
    pub(crate) fn appointment(&mut self, trigger: &str) -> (usize, Appointment) {
        let is_new = matches!(trigger, "S12" | "S01" | "S18" | "S21" | "S22");
        let found = if is_new || self.appointments.is_empty() {
            None
        } else {
            let at = self.random.below(self.appointments.len());
            self.appointments.get(at).copied().map(|found| (at, found))
        };
        let (at, (patient, mut appointment)) = found.unwrap_or_else(|| {
            self.last_appointment += 1;
            let index =
                if self.random.percent(50) { self.away() } else { self.another(usize::MAX, None) };
            let start = self
                .now
                .midnight()
                .plus(self.random.between(1, 45) * DAY + self.random.between(32, 66) * 15 * MINUTE);
            let room = crate::value::Bed {
                ward: "CLINIC",
                room: 1 + self.random.below(20) as u16,
                bed: 0,
            };
            let appointment = Appointment {
                number: self.last_appointment,
                start,
                minutes: self.random.pick(&[15, 20, 30, 30, 45, 60]),
                practitioner: self.random.below(100) as u16,
                status: "Booked",
                reason: self.random.pick(REASONS),
                room,
            };
            if self.appointments.len() >= REMEMBERED_MAX {
                self.appointments.pop_front();
            }
            self.appointments.push_back((self.number_of(index), appointment));
            (self.appointments.len() - 1, (self.number_of(index), appointment))
        });
        match trigger {
            "S13" => appointment.start = appointment.start.plus(self.random.between(1, 14) * DAY),
            "S14" => appointment.minutes = self.random.pick(&[15, 30, 45]),
            "S15" | "S16" | "S17" => appointment.status = "Cancelled",
            "S26" => appointment.status = "Noshow",
            _ => {}
        }
        if matches!(trigger, "S15" | "S16" | "S17" | "S26") {
            self.appointments.remove(at);
        } else if let Some(kept) = self.appointments.get_mut(at) {
            kept.1 = appointment;
        }
        let index = self.by_number(patient).unwrap_or_else(|| self.visitor());
        (index, appointment)
    }

    /// A document as this event leaves it (HL7 v2.5.1 §9.6).
    pub(crate) fn document(&mut self, trigger: &str) -> (usize, Document) {
        let is_new = matches!(trigger, "T01" | "T02");
        let found = if is_new || self.documents.is_empty() {
            None
        } else {
            let at = self.random.below(self.documents.len());
            self.documents.get(at).copied()
        };
        let (patient, mut document) = found.unwrap_or_else(|| {
            self.last_document += 1;
            let index = self.visitor();
            let author = self.known.get(index).map_or(0, |known| known.visit.attending);
            let document = Document {
                number: self.last_document,
                parent: None,
                author,
                completion: "DO",
                written: self.now.plus(-20 * MINUTE),
                lines: self.random.pick(LETTERS),
            };
            if self.documents.len() >= REMEMBERED_MAX {
                self.documents.pop_front();
            }
            self.documents.push_back((self.number_of(index), document));
            (self.number_of(index), document)
        });
        match trigger {
            // An addendum and a replacement are documents of their own that name the first.
            "T05" | "T06" | "T09" | "T10" => {
                self.last_document += 1;
                document.parent = Some(document.number);
                document.number = self.last_document;
                document.written = self.now.plus(-10 * MINUTE);
            }
            "T03" | "T04" | "T07" | "T08" => document.completion = "AU",
            _ => {}
        }
        let index = self.by_number(patient).unwrap_or_else(|| self.visitor());
        (index, document)
    }
}
