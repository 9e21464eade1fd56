//! Making messages one after another.

use pipehat_dictionary::{Event, Structure, TableNumber, Version};
use pipehat_message::Charset;
use std::sync::Arc;

use crate::assemble::Assembler;
use crate::hospital::{Agenda, Task};
use crate::moment::{HOUR, Moment};
use crate::people::{CULTURES, Culture};
use crate::plan::{NodePlan, Plan};
use crate::random::mix;
use crate::scene::{Context, Cursor, Item, ORDERS_MAX, Scene};
use crate::selection::Selection;
use crate::world::{Goods, Stay, World};

/// What decides the bytes of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The version of the standard.
    pub version: Version,
    /// Another seed is another hospital.
    pub seed: u64,
    /// Seconds since 1970 at which the simulated time begins, in the hospital's own time.
    pub start: i64,
    /// Minutes by which that time is ahead of UTC.
    pub zone_minutes: i16,
    /// MSH-18; `None` takes UTF-8 where the version knows it, else ISO 8859/1, else ASCII.
    pub charset: Option<String>,
}

impl Settings {
    /// Seed 1, from the morning of 2 March 2026, at UTC.
    pub fn new(version: Version) -> Self {
        Self { version, seed: 1, start: 1_772_434_800, zone_minutes: 0, charset: None }
    }
}

/// Settings that nothing can be made with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// Not a name of table 0211 that we know.
    #[error("`{0}` is not a character set of table 0211")]
    UnknownCharset(String),
    /// The version does not have MSH-18.
    #[error("version {0} has no field for a character set (MSH-18): only ASCII can be written")]
    NoCharsetField(Version),
    /// Too far from now to be written in four digits.
    #[error("the time of the start is out of range")]
    Start,
    /// No time zone is so far from UTC.
    #[error("the difference from UTC is out of range")]
    Zone,
}

/// What was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Made {
    /// MSH-9.1
    pub message_code: &'static str,
    /// MSH-9.2
    pub trigger_event: &'static str,
    /// The number in MSH-10, which begins with a letter.
    pub number: u64,
}

/// Makes messages.
#[derive(Debug)]
pub struct Generator {
    settings: Settings,
    plan: Plan,
    structures: Vec<(Structure, Arc<[NodePlan]>)>,
    world: World,
    agenda: Agenda,
    scene: Scene,
    /// `None` for UTF-8 and ASCII, which need no encoding.
    charset: Option<Charset>,
    buffer: Vec<u8>,
}

/// Times from here can be written and have room for a stream of years.
const START_RANGE: std::ops::Range<i64> = 0..200_000_000_000;

impl Generator {
    /// A hospital of these settings.
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        if !START_RANGE.contains(&settings.start) {
            return Err(SettingsError::Start);
        }
        if !(-14 * 60..=14 * 60).contains(&settings.zone_minutes) {
            return Err(SettingsError::Zone);
        }
        let (declared, charset) = charset(&settings)?;
        let encodes = |culture: &&Culture| match &charset {
            _ if declared.is_empty() => culture.names().all(str::is_ascii),
            None => true,
            Some(charset) => culture.names().all(|name| charset.encode(name).is_ok()),
        };
        let cultures: Vec<&'static Culture> = CULTURES.iter().filter(encodes).collect();
        let start = Moment(settings.start);
        let mut world = World::new(mix(settings.seed, 0x5EED), start, cultures);
        let scene = first_scene(&settings, declared, &mut world);
        Ok(Self {
            plan: Plan::new(settings.version),
            structures: Vec::new(),
            agenda: Agenda::new(start),
            world,
            scene,
            charset: charset.filter(|charset| charset.name() != "UTF-8"),
            buffer: Vec::new(),
            settings,
        })
    }

    /// The version it writes.
    pub const fn version(&self) -> Version {
        self.settings.version
    }

    /// Makes one message and puts it behind what is there; segments end with CR.
    pub fn append(&mut self, selection: &Selection, out: &mut Vec<u8>) -> Made {
        self.scene.control_id += 1;
        self.scene.seed = self.world.random.next();
        self.scene.order_count = 1;
        self.scene.has_results = false;
        let structure = match selection {
            Selection::Hospital => self.hospital(),
            Selection::Event(event) => self.event(*event),
            Selection::Family(events) => {
                let at = self.world.random.below(events.len().max(1));
                match events.get(at) {
                    Some(&event) => self.event(event),
                    None => self.acknowledge(),
                }
            }
            Selection::Acknowledgment => self.acknowledge(),
        };
        self.write(structure, out);
        Made {
            message_code: self.scene.code,
            trigger_event: self.scene.trigger,
            number: self.scene.control_id,
        }
    }

    fn write(&mut self, structure: Option<Structure>, out: &mut Vec<u8>) {
        let nodes = structure.map(|structure| self.nodes(structure));
        self.scene.now = self.world.now;
        let direct = self.charset.is_none();
        let target = if direct { &mut *out } else { &mut self.buffer };
        let mut assembler = Assembler {
            plan: &self.plan,
            context: Context {
                scene: &self.scene,
                staff: &self.world.staff,
                cursor: Cursor::default(),
            },
            out: target,
            zone_minutes: self.settings.zone_minutes,
            patients_written: 0,
            last: (*b"   ", 0),
        };
        assembler.message(nodes.as_deref().unwrap_or_default());
        if let Some(charset) = &self.charset {
            let text = String::from_utf8_lossy(&self.buffer);
            match charset.encode(&text) {
                Ok(bytes) => out.extend_from_slice(&bytes),
                // Only names of cultures that can be encoded are used.
                Err(_) => out.extend_from_slice(&self.buffer),
            }
            self.buffer.clear();
        }
    }

    fn nodes(&mut self, structure: Structure) -> Arc<[NodePlan]> {
        if let Some((_, nodes)) = self.structures.iter().find(|(known, _)| *known == structure) {
            return nodes.clone();
        }
        let nodes: Arc<[NodePlan]> = self.plan.structure(structure).into();
        self.structures.push((structure, nodes.clone()));
        nodes
    }

    /// Names the message.
    fn name(&mut self, event: Event) -> Option<Structure> {
        let structure = event.structure()?;
        self.scene.code = event.message_code();
        self.scene.structure = structure.base_name();
        // Some names of the published tables are a trigger event with a letter, or have none: then the structure's.
        let trigger = event.trigger_event();
        let of_structure = structure.base_name().split_once('_').map_or("", |(_, trigger)| trigger);
        let trigger = if trigger.is_empty() { of_structure } else { trigger };
        self.scene.trigger = trigger.split('_').next().unwrap_or(trigger);
        Some(structure)
    }

    fn acknowledge(&mut self) -> Option<Structure> {
        let version = self.settings.version;
        let index = self.world.visitor();
        self.concern(index, None);
        self.advance();
        self.scene.code = "ACK";
        self.scene.structure = "ACK";
        self.scene.trigger = self.world.random.pick(&["A01", "A03", "A08", "R01", "O01"]);
        version.structure("ACK")
    }

    /// Some time passes.
    fn advance(&mut self) {
        let seconds = self.world.random.between(5, 170);
        self.world.now = self.world.now.plus(seconds);
    }

    /// Whom the message is about.
    fn concern(&mut self, index: usize, other: Option<usize>) {
        if let Some(known) = self.world.known.get(index) {
            (self.scene.patient, self.scene.visit) = (known.patient, known.visit);
            // Where nobody is, nobody has a bed: a visit that is over is told as it was.
            if known.stay == Stay::Away {
                self.scene.visit.discharged = None;
            }
        }
        if let Some(known) = other.and_then(|other| self.world.known.get(other)) {
            (self.scene.other, self.scene.other_visit) = (known.patient, known.visit);
        } else {
            (self.scene.other, self.scene.other_visit) = (self.scene.patient, self.scene.visit);
        }
    }

    /// One message of a type, with all that had to happen before it.
    fn event(&mut self, event: Event) -> Option<Structure> {
        self.advance();
        let structure = self.name(event)?;
        let trigger = self.scene.trigger;
        match self.scene.code {
            "ADT" | "BAR" | "ADR" => {
                let concerned = self.world.admission(trigger);
                self.concern(concerned.patient, concerned.other);
                if let Some(other) = concerned.other.filter(|_| is_merge(trigger)) {
                    self.world.forget(other);
                }
            }
            "ORU" | "OUL" | "ORF" | "OPU" => self.result(),
            "ORM" | "OMG" | "OML" | "OMI" | "ORR" | "ORL" | "ORG" | "ORI" | "OSR" | "OPL"
            | "OPR" => {
                let goods =
                    if self.scene.code.ends_with('I') { Goods::Imaging } else { Goods::Laboratory };
                let index = self.world.visitor();
                self.order(index, goods);
                if self.scene.code.starts_with("OR") && self.scene.code != "ORM" {
                    self.reply();
                }
            }
            "OMP" | "RDE" | "ORP" | "RRE" => {
                let index = self.world.visitor();
                self.order(index, Goods::Medication);
                if self.scene.code != "OMP" && self.scene.code != "RDE" {
                    self.reply();
                }
            }
            "RDS" | "RAS" | "RGV" | "RRD" | "RRA" | "RRG" => self.fulfil(Goods::Medication),
            "VXU" | "VXR" | "RSP" if self.scene.code != "RSP" => self.vaccinate(),
            "SIU" | "SRM" | "SRR" | "SQM" | "SQR" => {
                let (index, appointment) = self.world.appointment(trigger);
                self.scene.appointment = appointment;
                self.concern(index, None);
            }
            "MDM" | "DOC" => {
                let (index, document) = self.world.document(trigger);
                self.scene.document = document;
                self.concern(index, None);
            }
            _ => {
                let index = self.world.visitor();
                self.order(index, Goods::Laboratory);
            }
        }
        Some(structure)
    }

    /// Orders something new; in one of twenty cases an order that waits is cancelled instead.
    fn order(&mut self, index: usize, goods: Goods) {
        if goods == Goods::Laboratory && self.world.open.len() > 10 && self.world.random.percent(5)
        {
            let newest = self.world.open.pop_back();
            let concerned =
                newest.and_then(|open| Some((self.world.by_number(open.patient)?, open.order)));
            if let Some((index, order)) = concerned {
                self.concern(index, None);
                self.scene.orders[0] = order;
                (self.scene.orders[0].control, self.scene.orders[0].status) = ("CA", "CA");
                self.scene.order_count = 1;
                return;
            }
        }
        self.concern(index, None);
        self.scene.order_count = self.world.random.pick(&[1, 1, 1, 2, 3]);
        for at in 0..self.scene.order_count {
            let order = self.world.order(index, goods, self.world.now);
            self.scene.orders[at] = order;
            self.world.await_result(index, order);
        }
    }

    /// The filler answers an order.
    fn reply(&mut self) {
        for order in self.scene.orders.iter_mut().take(ORDERS_MAX) {
            (order.control, order.status) = ("OK", "SC");
        }
    }

    /// A result of what was ordered; in one of forty cases one that was told before is corrected.
    fn result(&mut self) {
        let goods = if self.world.random.percent(18)
            && self.scene.code == "ORU"
            && self.scene.trigger == "R01"
        {
            Goods::Imaging
        } else {
            Goods::Laboratory
        };
        self.report(goods);
    }

    fn report(&mut self, goods: Goods) {
        let (index, count) = self.world.due(goods, &mut self.scene.orders);
        self.concern(index, None);
        self.scene.order_count = count;
        self.scene.has_results = true;
        let result = match self.world.random.below(40) {
            0 => "C",
            1..=3 => "P",
            _ => "F",
        };
        for order in self.scene.orders.iter_mut().take(count) {
            (order.control, order.result) = ("RE", result);
            order.status = if result == "P" { "IP" } else { "CM" };
            order.performed = order.performed.min(self.world.now.plus(-600));
            order.placed = order.placed.min(order.performed.plus(-300));
        }
        // What is preliminary is told again.
        if result == "P" {
            for at in 0..count {
                let order = self.scene.orders[at];
                self.world.await_result(index, order);
            }
        }
    }

    fn fulfil(&mut self, goods: Goods) {
        self.report(goods);
        for order in self.scene.orders.iter_mut().take(ORDERS_MAX) {
            order.result = "F";
        }
        self.scene.order_count = self.scene.order_count.min(2);
    }

    fn vaccinate(&mut self) {
        let index = self.world.another(usize::MAX, None);
        self.concern(index, None);
        self.scene.order_count = self.world.random.pick(&[1, 1, 2]);
        self.scene.has_results = true;
        for at in 0..self.scene.order_count {
            let placed = self.world.now.plus(-HOUR);
            let mut order = self.world.order(index, Goods::Vaccine, placed);
            (order.control, order.status) = ("RE", "CM");
            order.performed = self.world.now.plus(-1800);
            self.scene.orders[at] = order;
        }
    }

    /// The first of these that the version has.
    fn first(&mut self, choices: &[(&str, &str)]) -> Option<Structure> {
        let version = self.settings.version;
        let event = choices.iter().find_map(|(code, trigger)| {
            version.event(code, trigger).filter(|event| event.structure().is_some())
        })?;
        self.name(event)
    }

    /// The next message of the stream: tasks that have none in this version, or whose patient is gone, are skipped.
    fn hospital(&mut self) -> Option<Structure> {
        // Arrivals come again by themselves, so that the agenda is never empty for long.
        for _ in 0..10_000 {
            let (at, task) = self.agenda.next()?;
            if at > self.world.now {
                let seconds = self.world.random.between(0, 50);
                self.world.now = at.plus(seconds);
            }
            self.agenda.repeat(self.world.now, task, &mut self.world.random);
            if let Some(structure) = self.perform(task) {
                return Some(structure);
            }
        }
        None
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
                if order.control == "NW" {
                    let (task, minutes) = match order.item {
                        Item::Panel(panel) => (Task::Result, panel.minutes),
                        Item::Culture(_) => (Task::Result, 48 * 60),
                        Item::Imaging(imaging) => (Task::ImagingResult, imaging.minutes),
                        _ => (Task::Dispense, 40),
                    };
                    self.agenda.result(now, task, minutes + 60);
                }
                Some(structure)
            }
            Task::Result => {
                let structure = self.first(&[("ORU", "R01")])?;
                self.report(Goods::Laboratory);
                Some(structure)
            }
            Task::ImagingResult => {
                let structure = self.first(&[("ORU", "R01")])?;
                self.report(Goods::Imaging);
                Some(structure)
            }
            Task::Dispense => {
                let structure = self.first(&[("RDS", "O13"), ("RDS", "O01")])?;
                self.fulfil(Goods::Medication);
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

fn is_merge(trigger: &str) -> bool {
    matches!(trigger, "A18" | "A30" | "A34" | "A35" | "A36" | "A39" | "A40" | "A41" | "A42")
}

/// What MSH-18 says, and how text becomes bytes.
fn charset(settings: &Settings) -> Result<(&'static str, Option<Charset>), SettingsError> {
    let version = settings.version;
    let table = version.segment("MSH".parse().expect("a segment's name")).and_then(|msh| {
        let field = msh.field(18)?;
        let table = TableNumber::new(211).and_then(|number| version.table(number));
        Some((field.length_max().unwrap_or(u32::MAX), table))
    });
    let find = |code: &str| {
        let (most, table) = table?;
        if most < u32::try_from(code.len()).unwrap_or(u32::MAX) {
            return None;
        }
        table?.code(code.as_bytes()).map(|code| code.code())
    };
    let named = |name: &str| {
        pipehat_message::CharsetSpec::from_msh18(name.as_bytes())
            .ok()
            .map(|spec| spec.default_charset())
    };
    let Some(wanted) = &settings.charset else {
        return Ok(["UNICODE UTF-8", "8859/1"]
            .into_iter()
            .find_map(|name| Some((find(name)?, named(name))))
            .unwrap_or(("", None)));
    };
    if wanted.is_empty() || wanted.eq_ignore_ascii_case("ascii") {
        return Ok(("", None));
    }
    let alias = match wanted.to_ascii_uppercase().as_str() {
        "UTF-8" | "UTF8" | "UNICODE UTF-8" => "UNICODE UTF-8".to_owned(),
        "LATIN1" | "ISO-8859-1" => "8859/1".to_owned(),
        other => other
            .strip_prefix("ISO-8859-")
            .map_or_else(|| other.to_owned(), |part| format!("8859/{part}")),
    };
    if table.is_none() {
        return Err(SettingsError::NoCharsetField(version));
    }
    let unknown = || SettingsError::UnknownCharset(wanted.clone());
    let charset = named(&alias).ok_or_else(unknown)?;
    let declared = find(&alias).ok_or_else(unknown)?;
    Ok((declared, Some(charset)))
}

fn first_scene(settings: &Settings, charset: &'static str, world: &mut World) -> Scene {
    let index = world.visitor();
    let order = world.order(index, Goods::Laboratory, world.now);
    let (index, document) = world.document("T02");
    let (_, appointment) = world.appointment("S12");
    let known = world.known[index];
    Scene {
        version: settings.version,
        seed: settings.seed,
        control_id: 1_000_000,
        now: world.now,
        code: "",
        trigger: "",
        structure: "",
        charset,
        patient: known.patient,
        other: known.patient,
        visit: known.visit,
        other_visit: known.visit,
        orders: [order; ORDERS_MAX],
        order_count: 1,
        has_results: false,
        appointment,
        document,
    }
}
