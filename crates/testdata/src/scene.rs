//! What one message tells about: those concerned, what is done with them, and when.

use crate::catalogue::{
    Coded, CultureFinding, Imaging, Medication, Panel, TestValue, Vaccine, unit,
};
use crate::identifier::{Entity, Identifier, Scheme};
use crate::moment::Moment;
use crate::people::{Patient, Practitioner};
use crate::random::{below, mix, percent};
use crate::system::System;
use crate::value::{Bed, FACILITY, Value};
use crate::world::Goods;
use pipehat_dictionary::Version;
use std::sync::Arc;

/// So many orders are in one message at most.
pub(crate) const ORDERS_MAX: usize = 4;

/// A stay, or a visit of hours.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Visit {
    pub(crate) number: u64,
    /// Table 0004: I, O, E, P.
    pub(crate) class: &'static str,
    pub(crate) bed: Bed,
    pub(crate) prior_bed: Option<Bed>,
    /// Table 0069.
    pub(crate) service: &'static str,
    pub(crate) attending: u16,
    pub(crate) admitted: Moment,
    pub(crate) discharged: Option<Moment>,
    pub(crate) diagnosis: u8,
}

impl Visit {
    pub(crate) const fn identifier(&self) -> Identifier {
        Identifier {
            prefix: "V",
            number: self.number,
            scheme: Scheme::None,
            authority: FACILITY,
            kind: "VN",
        }
    }
}

/// What was ordered.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Item {
    Panel(&'static Panel),
    Imaging(&'static Imaging),
    Culture(&'static CultureFinding),
    Medication(&'static Medication),
    Vaccine(&'static Vaccine),
}

/// An order, from its placing to its result.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Order {
    pub(crate) seed: u64,
    pub(crate) number: u64,
    pub(crate) item: Item,
    pub(crate) placed: Moment,
    /// When the sample was taken, the image made, the drug given.
    pub(crate) performed: Moment,
    pub(crate) practitioner: u16,
    /// ORC-1, table 0119.
    pub(crate) control: &'static str,
    /// ORC-5, table 0038.
    pub(crate) status: &'static str,
    /// OBR-25 and OBX-11, tables 0123 and 0085.
    pub(crate) result: &'static str,
    /// How often what was found was corrected.
    pub(crate) revision: u64,
}

const fn loinc(code: &'static str, text: &'static str) -> Coded {
    Coded::new(code, text, "LN")
}

/// One observation of an order or of a patient.
#[derive(Clone, Copy)]
pub(crate) struct Finding<'a> {
    pub(crate) code: Coded,
    pub(crate) value: Value<'a>,
    pub(crate) unit: Option<Coded>,
    pub(crate) range: Value<'a>,
    pub(crate) flag: &'static str,
    pub(crate) sub_id: u64,
}

impl Order {
    pub(crate) const fn goods(&self) -> Goods {
        match self.item {
            Item::Panel(_) | Item::Culture(_) => Goods::Laboratory,
            Item::Imaging(_) => Goods::Imaging,
            Item::Medication(_) => Goods::Medication,
            Item::Vaccine(_) => Goods::Vaccine,
        }
    }

    pub(crate) const fn placer(&self) -> Entity {
        Entity { prefix: "ORD", number: self.number, namespace: "WARDS" }
    }

    pub(crate) const fn filler(&self) -> Entity {
        let (prefix, namespace) = match self.item {
            Item::Imaging(_) => ("RIS", "RADIOLOGY"),
            Item::Medication(_) => ("RX", "PHARMACY"),
            Item::Vaccine(_) => ("IMM", "CLINIC"),
            Item::Panel(_) | Item::Culture(_) => ("LAB", "LABORATORY"),
        };
        Entity { prefix, number: self.number + 3_000_000, namespace }
    }

    pub(crate) const fn code(&self) -> Coded {
        match self.item {
            Item::Panel(panel) => panel.code,
            Item::Imaging(imaging) => imaging.code,
            Item::Culture(_) => loinc("630-4", "Bacteria identified in Urine by Culture"),
            Item::Medication(medication) => medication.code,
            Item::Vaccine(vaccine) => vaccine.code,
        }
    }

    /// Table 0074.
    pub(crate) const fn section(&self) -> &'static str {
        match self.item {
            Item::Panel(panel) => panel.section,
            Item::Imaging(imaging) => imaging.device,
            Item::Culture(_) => "MB",
            Item::Medication(_) => "PHR",
            Item::Vaccine(_) => "IMM",
        }
    }

    pub(crate) const fn specimen(&self) -> Option<(&'static str, &'static str)> {
        match self.item {
            Item::Panel(panel) => Some(panel.specimen),
            Item::Culture(_) => Some(("UR", "UR")),
            _ => None,
        }
    }

    fn lines(&self, imaging: &'static Imaging) -> &'static [&'static str] {
        crate::random::pick(mix(self.seed, 1), imaging.findings)
    }

    /// Whether a report comes with a document, or as one text rather than one observation for each line.
    fn shape(&self) -> u64 {
        below(mix(self.seed, 2), 10)
    }

    /// How many observations its result has.
    pub(crate) fn finding_count(&self) -> usize {
        match self.item {
            Item::Panel(panel) => panel.tests.len(),
            Item::Imaging(imaging) => match self.shape() {
                0 => 2,
                1..=4 => 1,
                _ => self.lines(imaging).len(),
            },
            Item::Culture(culture) => 2 + culture.drugs.len(),
            Item::Medication(_) => 0,
            Item::Vaccine(_) => 1,
        }
    }

    pub(crate) fn finding(&self, at: usize) -> Option<Finding<'static>> {
        if at >= self.finding_count() {
            return None;
        }
        let plain = |code, value, sub_id| Finding {
            code,
            value,
            unit: None,
            range: Value::Nothing,
            flag: "",
            sub_id,
        };
        Some(match self.item {
            Item::Panel(panel) => {
                let question = 100 + at as u64 + 1000 * self.revision;
                test_finding(panel.tests.get(at)?, mix(self.seed, question))
            }
            Item::Imaging(imaging) => match (self.shape(), at) {
                (0, 1) => plain(
                    loinc("18748-4", "Diagnostic imaging study"),
                    Value::Document(crate::catalogue::PDF_BASE64),
                    2,
                ),
                (0..=4, _) => plain(imaging.code, Value::Lines(self.lines(imaging)), 1),
                _ => plain(imaging.code, Value::Text(self.lines(imaging).get(at)?), at as u64 + 1),
            },
            Item::Culture(culture) => match at.checked_sub(2) {
                None if at == 0 => plain(self.code(), Value::Coded(culture.organism), 1),
                None => plain(
                    loinc("564-5", "Colony count [#] in Specimen by Visual count"),
                    Value::Text(culture.count),
                    1,
                ),
                Some(drug) => {
                    let (code, sensitivity) = *culture.drugs.get(drug)?;
                    Finding { flag: sensitivity, ..plain(code, susceptibility(sensitivity), 1) }
                }
            },
            Item::Medication(_) => return None,
            Item::Vaccine(_) => plain(
                loinc("64994-7", "Vaccine funding program eligibility category"),
                Value::Coded(Coded::new("V01", "Not VFC eligible", "L")),
                1,
            ),
        })
    }
}

const fn susceptibility(code: &'static str) -> Value<'static> {
    Value::Coded(match code.as_bytes() {
        b"S" => Coded::new("131196009", "Susceptible", "SCT"),
        b"I" => Coded::new("11896004", "Intermediate", "SCT"),
        _ => Coded::new("30714006", "Resistant", "SCT"),
    })
}

pub(crate) fn test_finding(test: &'static crate::catalogue::Test, seed: u64) -> Finding<'static> {
    let found = test.value(seed);
    let (value, unit, range) = match found {
        TestValue::Number(number) => (
            Value::Decimal(number, test.decimals),
            Some(test.unit),
            Value::Range(test.low, test.high, test.decimals),
        ),
        TestValue::Below(limit) => (
            Value::Less(limit, test.decimals),
            Some(test.unit),
            Value::Range(test.low, test.high, test.decimals),
        ),
        TestValue::Word(word, _) => (
            Value::Coded(word),
            None,
            test.words.first().map_or(Value::Nothing, |usual| Value::Text(usual.text)),
        ),
    };
    Finding { code: test.code, value, unit, range, flag: test.flag(found), sub_id: 1 }
}

/// An appointment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Appointment {
    pub(crate) number: u64,
    pub(crate) start: Moment,
    pub(crate) minutes: i64,
    pub(crate) practitioner: u16,
    /// Table 0278.
    pub(crate) status: &'static str,
    pub(crate) reason: Coded,
    pub(crate) room: Bed,
}

/// A document about a patient.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Document {
    pub(crate) number: u64,
    pub(crate) parent: Option<u64>,
    pub(crate) author: u16,
    /// Table 0271.
    pub(crate) completion: &'static str,
    pub(crate) written: Moment,
    pub(crate) lines: &'static [&'static str],
}

/// What one message tells about.
#[derive(Debug, Clone)]
pub(crate) struct Scene {
    pub(crate) version: Version,
    /// MSH-12.
    pub(crate) version_id: &'static str,
    /// Who sends, where systems have names of their own.
    pub(crate) sender: Option<Arc<System>>,
    pub(crate) seed: u64,
    pub(crate) control_id: u64,
    pub(crate) now: Moment,
    pub(crate) code: &'static str,
    pub(crate) trigger: &'static str,
    pub(crate) structure: &'static str,
    pub(crate) charset: &'static str,
    pub(crate) patient: Patient,
    /// Whom the patient is merged with, linked to, or changes beds with.
    pub(crate) other: Patient,
    pub(crate) visit: Visit,
    pub(crate) other_visit: Visit,
    pub(crate) orders: [Order; ORDERS_MAX],
    pub(crate) order_count: usize,
    /// Whether the message is about orders.
    pub(crate) has_orders: bool,
    /// Whether the patient is here.
    pub(crate) is_present: bool,
    /// Whether observations of orders are told.
    pub(crate) has_results: bool,
    pub(crate) appointment: Appointment,
    pub(crate) document: Document,
}

impl Scene {
    pub(crate) const fn asked(&self, question: u64) -> u64 {
        mix(self.seed, question)
    }

    pub(crate) fn chance(&self, question: u64, share: u64) -> bool {
        percent(self.asked(question), share)
    }
}

/// Where in the message a segment stands.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cursor {
    /// Which of the repetitions, from 0, of what the segment is about.
    pub(crate) item: usize,
    /// Its number among its like, from 0: its set id less one.
    pub(crate) set: usize,
    pub(crate) order: usize,
    pub(crate) is_in_orders: bool,
    /// Whether the second patient of a swap, a link or the like is told about.
    pub(crate) is_other: bool,
}

/// What a provider sees.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) scene: &'a Scene,
    pub(crate) staff: &'a [Practitioner],
    pub(crate) cursor: Cursor,
    /// What the OBX tells that is being written.
    pub(crate) finding: Option<Finding<'static>>,
}

impl<'a> Context<'a> {
    pub(crate) fn patient(&self) -> &'a Patient {
        if self.cursor.is_other { &self.scene.other } else { &self.scene.patient }
    }

    pub(crate) fn visit(&self) -> &'a Visit {
        if self.cursor.is_other { &self.scene.other_visit } else { &self.scene.visit }
    }

    pub(crate) fn order(&self) -> &'a Order {
        self.scene.orders.get(self.cursor.order).unwrap_or(&self.scene.orders[0])
    }

    pub(crate) fn practitioner(&self, number: u16) -> Value<'a> {
        let at = usize::from(number) % self.staff.len().max(1);
        self.staff.get(at).map_or(Value::Nothing, Value::Practitioner)
    }

    /// The observation that an OBX tells: of the order, or what was measured at admission.
    pub(crate) fn look(&self) -> Finding<'static> {
        if matches!(self.scene.code, "MDM" | "DOC") {
            let line = self.scene.document.lines.get(self.cursor.item).copied();
            return Finding {
                code: loinc("11506-3", "Progress note"),
                value: Value::Text(line.unwrap_or("End of the document")),
                unit: None,
                range: Value::Nothing,
                flag: "",
                sub_id: self.cursor.item as u64 + 1,
            };
        }
        let of_order = if self.cursor.is_in_orders && self.scene.has_results {
            self.order().finding(self.cursor.item)
        } else {
            None
        };
        of_order.unwrap_or_else(|| {
            let vitals = crate::catalogue::VITALS;
            let at = self.cursor.item % vitals.len();
            let mut finding = test_finding(&vitals[at], self.patient().asked(60 + at as u64));
            (finding.range, finding.flag) = (Value::Nothing, "");
            finding
        })
    }
}

/// The unit in which an amount of a drug is given.
pub(crate) const fn drug_unit(code: &'static str) -> Coded {
    unit(code)
}
