//! Walking a message structure: which of its segments and groups a message has, how often, and what stands in them.
//!
//! Every required segment and field is written; an optional one only where somebody has something to say.

use crate::content::{self, value_type};
use crate::form::Form;
use crate::plan::{Kind, Need, NodePlan, NodePlanKind, Part, Plan, SegmentPlan};
use crate::random::mix;
use crate::scene::{Context, Item};
use crate::value::Value;
use pipehat_dictionary::Version;

/// What ends a segment.
const SEGMENT_END: u8 = b'\r';

/// So many repetitions of a field are written at most, whatever a provider says.
const REPETITIONS_MAX: usize = 8;

/// Writes one message.
pub(crate) struct Assembler<'g> {
    pub(crate) plan: &'g Plan,
    pub(crate) context: Context<'g>,
    pub(crate) out: &'g mut Vec<u8>,
    pub(crate) zone_minutes: i16,
    pub(crate) patients_written: usize,
    /// How many segments of the last name were written one after another.
    pub(crate) last: ([u8; 3], usize),
}

impl Assembler<'_> {
    /// Writes all of a structure.
    pub(crate) fn message(&mut self, nodes: &[NodePlan]) {
        self.nodes(nodes, *b"   ", 0);
    }

    /// Writes the nodes of a group whose head is this, in this of its repetitions.
    fn nodes(&mut self, nodes: &[NodePlan], head: [u8; 3], turn: usize) {
        let mut at = 0;
        while let Some(node) = nodes.get(at) {
            let end = at + 1 + usize::from(node.descendants);
            let below = nodes.get(at + 1..end).unwrap_or_default();
            let outer = self.context.cursor;
            let (times, is_orders) = self.times(node);
            for time in 0..times {
                if is_orders {
                    self.context.cursor.order = time;
                    self.context.cursor.is_in_orders = true;
                    self.context.cursor.item = 0;
                } else if times > 1 || !matches!(node.kind, NodePlanKind::Segment(_)) {
                    self.context.cursor.item = time;
                }
                match node.kind {
                    NodePlanKind::Segment(segment) => {
                        let is_head = node.head == head && node.most == 1;
                        self.context.cursor.set = if is_head { turn } else { time };
                        self.segment(segment);
                    }
                    NodePlanKind::Group(_) => self.nodes(below, node.head, time),
                    NodePlanKind::Choice => self.choice(below),
                    NodePlanKind::Any => self.any(),
                }
            }
            self.context.cursor =
                crate::scene::Cursor { is_other: self.context.cursor.is_other, ..outer };
            at = end;
        }
    }

    /// Of a choice, the segment that the order is about, else the first.
    fn choice(&mut self, nodes: &[NodePlan]) {
        let wanted: &[u8; 3] = match self.context.order().item {
            Item::Medication(_) => b"RXO",
            _ => b"OBR",
        };
        let mut chosen = None;
        let mut at = 0;
        while let Some(node) = nodes.get(at) {
            if node.head == *wanted || chosen.is_none() {
                chosen = Some(at);
            }
            if node.head == *wanted {
                break;
            }
            at += 1 + usize::from(node.descendants);
        }
        if let Some((at, node)) = chosen.and_then(|at| Some((at, nodes.get(at)?))) {
            let end = at + 1 + usize::from(node.descendants);
            let node = NodePlan { least: node.least.max(1), ..*node };
            match node.kind {
                NodePlanKind::Segment(segment) => {
                    self.context.cursor.set = 0;
                    self.segment(segment);
                }
                NodePlanKind::Group(_) => {
                    self.nodes(nodes.get(at + 1..end).unwrap_or_default(), node.head, 0);
                }
                NodePlanKind::Choice | NodePlanKind::Any => {}
            }
        }
    }

    /// Where any segment may stand, a note does.
    fn any(&mut self) {
        if let Some(segment) = self.plan.segment_at(b"NTE") {
            self.segment(segment);
        }
    }

    /// How often a node occurs, and whether its repetitions are orders.
    fn times(&self, node: &NodePlan) -> (usize, bool) {
        let (wanted, is_orders) = self.wanted(node);
        let (least, most) = (usize::from(node.least), usize::from(node.most));
        let wanted = if node.is_known || is_orders { wanted } else { 0 };
        (wanted.clamp(least, most.max(least)), is_orders)
    }

    fn wanted(&self, node: &NodePlan) -> (usize, bool) {
        let context = &self.context;
        let scene = context.scene;
        let in_orders = context.cursor.is_in_orders;
        let patient = context.patient();
        let chance = |share| {
            usize::from(scene.chance(
                mix(
                    400,
                    u64::from(u32::from_be_bytes([0, node.head[0], node.head[1], node.head[2]])),
                ),
                share,
            ))
        };
        let is_adt = matches!(scene.code, "ADT" | "BAR");
        let count = match &node.head {
            b"ORC" | b"OBR" | b"RXA" | b"RXE" | b"RXO" if !in_orders && node.most > 1 => {
                return if scene.has_orders || node.least > 0 {
                    (scene.order_count, true)
                } else {
                    (0, false)
                };
            }
            b"RXO" if in_orders => {
                usize::from(matches!(context.order().item, Item::Medication(_)) && chance(50) == 1)
            }
            b"MSH" | b"EVN" | b"PID" | b"MRG" | b"ORC" | b"OBR" | b"RXA" | b"RXE" | b"RXD"
            | b"RXG" | b"TXA" | b"SCH" | b"RGS" | b"AIS" | b"MSA" | b"QAK" | b"QPD" | b"RCP"
            | b"QRD" | b"MFI" | b"MFE" | b"STF" | b"PRA" | b"LOC" | b"CDM" | b"OM1" | b"NPU" => 1,
            b"SFT" => usize::from(scene.version >= Version::V2_5),
            b"PV1" | b"PV2" | b"DG1" if !is_adt && scene.code != "DFT" && !scene.is_present => 0,
            b"PV1" => 1,
            b"PD1" => chance(40),
            b"PV2" => chance(45),
            b"NK1" if matches!(scene.code, "ORU" | "QBP") => 0,
            b"NK1" => patient.kin_count(),
            b"AL1" | b"IAM" if is_adt || chance(40) == 1 => content_allergies(context),
            b"DG1" if in_orders || scene.code == "SIU" => 0,
            b"DG1" => content::diagnosis_count(context),
            b"PR1" if is_adt => chance(15),
            b"GT1" if is_adt => chance(35),
            b"IN1" if is_adt || scene.code == "DFT" => usize::from(patient.is_insured()),
            b"IN2" => chance(20),
            b"FT1" if in_orders => 0,
            b"FT1" => content::charge_count(context),
            b"OBX" if scene.code == "MDM" => scene.document.lines.len(),
            b"OBX" if in_orders && scene.has_results && self.last.0 != *b"SPM" => {
                context.order().finding_count()
            }
            b"OBX" if in_orders => 0,
            b"OBX" if is_adt => 2 * chance(20),
            b"NTE" if in_orders => chance_at(
                scene.asked(500 + 8 * context.cursor.order as u64 + context.cursor.item as u64),
                7,
            ),
            b"TQ1" => usize::from(in_orders),
            b"RXR" => 1,
            b"SPM" if in_orders => {
                usize::from(context.order().specimen().is_some() && node.is_known)
            }
            b"AIL" | b"AIP" => chance(85),
            b"QRF" => chance(60),
            b"ERR" => usize::from(content::is_negative(context)),
            b"DSP" => content::LINES,
            b"QRI" => 1,
            _ => 0,
        };
        (count, false)
    }

    fn segment(&mut self, at: u16) {
        let plan = self.plan;
        let Some(segment) = plan.segments.get(usize::from(at)) else { return };
        let name = *segment.name.as_bytes();
        if name == *b"PID" {
            // A second patient outside a merge is the one of a swap, a link, a move.
            self.context.cursor.is_other = self.patients_written % 2 == 1;
            self.patients_written += 1;
        }
        self.last = (name, if self.last.0 == name { self.last.1 + 1 } else { 0 });
        if name == *b"OBX" {
            self.context.finding = Some(self.context.look());
        }
        if name == *b"DSP" {
            self.context.cursor.set = self.last.1;
        }
        self.out.extend_from_slice(&name);
        let is_header = name == *b"MSH";
        if is_header {
            self.out.extend_from_slice(b"|^~\\&");
        }
        let mut written = if is_header { 2 } else { 0 };
        for field in segment.fields.iter().skip(written) {
            if self.field(segment, field, usize::from(field.position) - written) {
                written = usize::from(field.position);
            }
        }
        self.out.push(SEGMENT_END);
    }

    /// Writes a field's repetitions behind so many separators; says whether there are any.
    fn field(&mut self, segment: &SegmentPlan, field: &Part, separators: usize) -> bool {
        if field.need == Need::Never {
            return false;
        }
        let first = match segment.provider {
            Some(provider) => provider(&self.context, field.position, 0),
            None if field.position == 1 && field.kind == Kind::Sequence => {
                Value::Number(self.context.cursor.set as u64 + 1)
            }
            None => Value::Nothing,
        };
        if matches!(first, Value::Nothing) && field.need != Need::Must {
            return false;
        }
        let before = self.out.len();
        self.out.resize(before + separators, b'|');
        let start = self.out.len();
        let mut form = Form {
            plan: self.plan,
            out: self.out,
            seed: mix(self.context.scene.seed, u64::from(field.position)),
            now: self.context.scene.now,
            zone_minutes: self.zone_minutes,
        };
        let mut is_written = write_repetition(&mut form, field, &first);
        if let Some(provider) = segment.provider.filter(|_| is_written && field.most > 1) {
            for repetition in 1..usize::from(field.most).min(REPETITIONS_MAX) {
                let value = provider(&self.context, field.position, repetition);
                if matches!(value, Value::Nothing) {
                    break;
                }
                let before = form.out.len();
                form.out.push(b'~');
                if !write_repetition(&mut form, field, &value) {
                    form.out.truncate(before);
                    break;
                }
            }
        }
        if !is_written && field.need == Need::Must {
            form.generic(field);
            is_written = form.out.len() > start;
        }
        if !is_written {
            self.out.truncate(before);
        }
        is_written
    }
}

fn write_repetition(form: &mut Form<'_>, field: &Part, value: &Value<'_>) -> bool {
    if field.kind == Kind::Varies {
        form.field(&varying(form.plan, field, value), value)
    } else {
        form.field(field, value)
    }
}

fn chance_at(number: u64, share: u64) -> usize {
    usize::from(crate::random::percent(number, share))
}

fn content_allergies(context: &Context<'_>) -> usize {
    content::allergy_count(context.patient()).max(usize::from(context.scene.trigger == "A60"))
}

/// A field of a varying type as the type that this value has.
fn varying(plan: &Plan, field: &Part, value: &Value<'_>) -> Part {
    let name = match value {
        Value::Identifier(_) => "CX",
        _ => value_type(plan.version, value),
    };
    let Some(at) = plan.type_named(name) else { return Part { kind: Kind::Text, ..*field } };
    let kind = plan.types.get(usize::from(at)).map_or(Kind::Text, |(_, kind, _)| *kind);
    Part { kind, data_type: at, ..*field }
}
