//! Making messages one after another.

use pipehat_dictionary::profile::Profile;
use pipehat_dictionary::{Event, Structure, Version};
use std::sync::Arc;

use crate::agenda::Agenda;
use crate::assemble::Assembler;
use crate::moment::Moment;
use crate::people::{CULTURES, Culture};
use crate::random::mix;
use crate::scene::{Context, Cursor, ORDERS_MAX, Scene};
use crate::selection::Selection;
use crate::system::{System, Topic};
use crate::voice::Voice;
use crate::world::{Goods, Stay, World};

/// What decides the bytes of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The version of the standard.
    pub version: Version,
    /// MSH-12: the version's name, or `2.9`, for which the definitions of 2.9.1 stand too.
    pub version_id: &'static str,
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
        Self {
            version,
            version_id: version.as_str(),
            seed: 1,
            start: 1_772_434_800,
            zone_minutes: 0,
            charset: None,
        }
    }
}

/// Settings that nothing can be made with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// Not a name of the version's table 0211.
    #[error("`{0}` is not a character set of table 0211 in version {1}")]
    UnknownCharset(String, Version),
    /// The version does not have MSH-18.
    #[error("version {0} has no field for a character set (MSH-18): only ASCII can be written")]
    NoCharsetField(Version),
    /// Too far from now to be written in four digits.
    #[error("the time of the start is out of range")]
    Start,
    /// No time zone is so far from UTC.
    #[error("the difference from UTC is out of range")]
    Zone,
    /// There must be somebody who tells something.
    #[error("a hospital needs at least one system")]
    NoSystem,
    /// Letters and digits, at most twelve.
    #[error("what control ids begin with must be at most 12 letters and digits")]
    ControlIdPrefix,
    /// A message with such delimiters could not be read again.
    #[error("the encoding characters (MSH-2) cannot be told apart from what stands between them")]
    EncodingCharacters,
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
    zone_minutes: i16,
    voices: Vec<Voice>,
    /// Which of them speaks.
    pub(crate) speaking: usize,
    /// Whether what is ordered is found only when the filler has the order.
    pub(crate) waits_for_orders: bool,
    pub(crate) world: World,
    pub(crate) agenda: Agenda,
    pub(crate) scene: Scene,
    buffer: Vec<u8>,
}

/// Times from here can be written and have room for a stream of years.
const START_RANGE: std::ops::Range<i64> = 0..200_000_000_000;

impl Generator {
    /// A hospital of these settings, which one system tells of.
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        let voice = Voice::new(&settings)?;
        let cultures = CULTURES.iter().filter(|culture| voice.writes(culture)).collect();
        Self::with_voices(&settings, vec![voice], cultures)
    }

    /// A hospital that several systems tell of.
    pub(crate) fn with_systems(
        settings: &Settings,
        systems: Vec<System>,
    ) -> Result<Self, SettingsError> {
        let of_system = |system| Voice::of_system(settings, system);
        let voices: Vec<Voice> = systems.into_iter().map(of_system).collect::<Result<_, _>>()?;
        let known = |culture: &&Culture| voices.iter().any(|voice| voice.writes(culture));
        let cultures = CULTURES.iter().filter(known).collect();
        Self::with_voices(settings, voices, cultures)
    }

    fn with_voices(
        settings: &Settings,
        voices: Vec<Voice>,
        cultures: Vec<&'static Culture>,
    ) -> Result<Self, SettingsError> {
        if !START_RANGE.contains(&settings.start) {
            return Err(SettingsError::Start);
        }
        if !(-14 * 60..=14 * 60).contains(&settings.zone_minutes) {
            return Err(SettingsError::Zone);
        }
        let voice = voices.first().ok_or(SettingsError::NoSystem)?;
        let start = Moment(settings.start);
        let mut world = World::new(mix(settings.seed, 0x5EED), start, cultures);
        let scene = first_scene(settings, voice, &mut world);
        Ok(Self {
            zone_minutes: settings.zone_minutes,
            voices,
            speaking: 0,
            waits_for_orders: false,
            agenda: Agenda::new(start),
            world,
            scene,
            buffer: Vec::new(),
        })
    }

    /// Lets the messages that a profile covers be of its dialect: valid by it, with its own segments.
    ///
    /// The profile should stand on the version of the settings.
    #[must_use]
    pub fn with_profile(mut self, profile: Arc<Profile>) -> Self {
        for voice in &mut self.voices {
            voice.take_profile(profile.clone());
        }
        self
    }

    /// The version it writes.
    pub const fn version(&self) -> Version {
        self.scene.version
    }

    /// Lets one of the systems speak: what is told next is told by it.
    pub(crate) fn speak(&mut self, system: usize) {
        if self.speaking != system
            && let Some(voice) = self.voices.get(system)
        {
            self.speaking = system;
            voice.set_scene(&mut self.scene);
        }
    }

    /// Who tells of this; the only system tells of everything.
    pub(crate) fn teller(&self, topic: Topic) -> Option<usize> {
        self.voices.iter().position(|voice| voice.tells(topic))
    }

    /// Whether the results of such orders wait until the filler has the order.
    ///
    /// They can only where both are told: nobody receives what was never sent.
    pub(crate) fn waits_for(&self, goods: Goods) -> bool {
        let topics = match goods {
            Goods::Laboratory => [Topic::LaboratoryOrders, Topic::LaboratoryResults],
            Goods::Imaging => [Topic::ImagingOrders, Topic::ImagingReports],
            Goods::Medication => [Topic::Prescriptions, Topic::Dispenses],
            Goods::Vaccine => return false,
        };
        self.waits_for_orders && topics.into_iter().all(|topic| self.teller(topic).is_some())
    }

    /// Makes one message and puts it behind what is there; segments end with CR.
    pub fn append(&mut self, selection: &Selection, out: &mut Vec<u8>) -> Made {
        self.begin();
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
        self.write(structure, out)
    }

    /// The next that happens in the hospital; none where nobody tells of anything.
    pub(crate) fn append_next(&mut self, out: &mut Vec<u8>) -> Option<Made> {
        self.begin();
        let structure = self.hospital()?;
        Some(self.write(Some(structure), out))
    }

    fn begin(&mut self) {
        self.scene.seed = self.world.random.next();
        self.forget_orders();
    }

    /// What is told next is not about orders, unless it says so.
    pub(crate) fn forget_orders(&mut self) {
        self.scene.order_count = 1;
        self.scene.has_results = false;
        self.scene.has_orders = false;
    }

    /// Plans what becomes of those who are in at the start.
    pub(crate) fn plan_stays(&mut self) {
        let present = self.world.known.iter().filter(|known| known.stay == Stay::Present);
        let numbers: Vec<u64> = present.map(|known| known.patient.number).collect();
        for number in numbers {
            self.agenda.rest_of_stay(self.world.now, number, &mut self.world.random);
        }
    }

    pub(crate) fn has_system(&self, system: usize) -> bool {
        system < self.voices.len()
    }

    fn write(&mut self, structure: Option<Structure>, out: &mut Vec<u8>) -> Made {
        // There is always one who speaks.
        let voice = &mut self.voices[self.speaking];
        let nodes = structure.map(|structure| voice.nodes(structure));
        self.scene.control_id = voice.next_control_id();
        self.scene.now = self.world.now;
        let target = if voice.is_direct() { &mut *out } else { &mut self.buffer };
        let mut assembler = Assembler {
            plan: &voice.plan,
            context: Context {
                scene: &self.scene,
                staff: &self.world.staff,
                cursor: Cursor::default(),
                finding: None,
            },
            out: target,
            zone_minutes: self.zone_minutes,
            patients_written: 0,
            last: (*b"   ", 0),
        };
        assembler.message(nodes.as_deref().unwrap_or_default());
        if !voice.is_direct() {
            voice.finish(&self.buffer, &self.scene, out);
            self.buffer.clear();
        }
        Made {
            message_code: self.scene.code,
            trigger_event: self.scene.trigger,
            number: self.scene.control_id,
        }
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
        let version = self.scene.version;
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
    pub(crate) fn concern(&mut self, index: usize, other: Option<usize>) {
        if let Some(known) = self.world.known.get(index) {
            (self.scene.patient, self.scene.visit) = (known.patient, known.visit);
            self.scene.is_present = known.stay == Stay::Present;
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
                self.concern(index, None);
                self.scene.orders[0] = self.world.order(index, Goods::Laboratory, self.world.now);
                self.scene.has_orders = self.scene.code != "DFT";
            }
        }
        Some(structure)
    }

    /// The first of these that the version has.
    pub(crate) fn first(&mut self, choices: &[(&str, &str)]) -> Option<Structure> {
        let version = self.scene.version;
        let event = choices.iter().find_map(|(code, trigger)| {
            version.event(code, trigger).filter(|event| event.structure().is_some())
        })?;
        self.name(event)
    }
}

fn is_merge(trigger: &str) -> bool {
    matches!(trigger, "A18" | "A30" | "A34" | "A35" | "A36" | "A39" | "A40" | "A41" | "A42")
}

fn first_scene(settings: &Settings, voice: &Voice, world: &mut World) -> Scene {
    let index = world.visitor();
    let order = world.order(index, Goods::Laboratory, world.now);
    let (index, document) = world.document("T02");
    let (_, appointment) = world.appointment("S12");
    let known = world.known[index];
    let mut scene = Scene {
        version: settings.version,
        version_id: settings.version_id,
        sender: None,
        seed: settings.seed,
        control_id: 0,
        now: world.now,
        code: "",
        trigger: "",
        structure: "",
        charset: "",
        patient: known.patient,
        other: known.patient,
        visit: known.visit,
        other_visit: known.visit,
        orders: [order; ORDERS_MAX],
        order_count: 1,
        has_orders: false,
        is_present: true,
        has_results: false,
        appointment,
        document,
    };
    voice.set_scene(&mut scene);
    scene
}
