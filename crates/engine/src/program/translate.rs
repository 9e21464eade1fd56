//! The `translate` step: HL7 v2 becomes a FHIR Bundle, and FHIR becomes HL7 v2.
//!
//! A translation is a function of the message and the step: no clock, nothing asked. What the tables can't say in the
//! other standard are [findings](super::Finding), counted and kept with the message; a message of which nothing could be
//! said is set aside. FHIR to v2 reads what the resource refers to, which is asked for as a `lookup` is.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use jiff::tz::Offset;
use pipehat_connectors::Found;
use pipehat_dictionary::Version;
use pipehat_message::Message;
use pipehat_resource::json::{self, Value};
use pipehat_translate::to_v2::{
    History, Profile, Proposed, Resources, Stamp, Untold, VERSIONS_MAX, Wanted, Writer, event_of,
};
use pipehat_translate::{
    Finding as Translated, FindingKind, Overlay, Settings, Translation, Translator,
};

use super::coding::readable;
use super::facts::Fact;
use super::lineage::{Followed, KeepsLineage};
use super::lookup::LOOKUPS_MAX;
use super::run::{End, Owner, Rest, Run, Work, park, parse};
use super::verdict::{Finding, StepPlace};
use crate::effects::{LookupAnswer, LookupRequest};

/// The most findings of one translation that are kept one by one; the rest is counted.
const FINDINGS_MAX: usize = 100;

/// A `translate` step.
#[derive(Clone)]
pub(super) enum TranslateStep {
    ToFhir(Arc<ToFhir>),
    ToV2(Arc<ToV2>),
}

/// HL7 v2 becomes FHIR.
pub(super) struct ToFhir {
    pub(super) translator: Translator,
    pub(super) lineage: KeepsLineage,
}

/// FHIR becomes HL7 v2 for one receiver.
#[derive(Debug)]
pub(super) struct ToV2 {
    pub(super) writer: Writer,
    pub(super) event: WantedEvent,
    pub(super) version: Version,
    pub(super) lineage: KeepsLineage,
    pub(super) incomplete: Incomplete,
    /// Where the resources are that a resource refers to: which of the channel's lookups, from 0.
    pub(super) lookup: u16,
}

/// What becomes of a message that lacks a segment which the standard requires, or the patient it is about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Incomplete {
    /// It is set aside: an order without a patient is nobody's.
    #[default]
    Park,
    /// It goes on, with a finding.
    Keep,
}

/// Which message is made.
#[derive(Debug)]
pub(super) enum WantedEvent {
    /// The one that the change of the resource is; a change that is none ends here. Orders go out by a message of the
    /// site's choice.
    OfChange { orders: &'static str },
    /// `ADT^A03`
    Named(String),
}

impl fmt::Debug for TranslateStep {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ToFhir(_) => formatter.write_str("ToFhir"),
            Self::ToV2(step) => step.fmt(formatter),
        }
    }
}

impl<'r> Run<'r> {
    /// HL7 v2 becomes a Bundle.
    pub(super) fn translate_hl7(
        &mut self,
        message: &Message<'_>,
        step: &'r TranslateStep,
        at: &StepPlace,
        (rest, owner): (&Rest<'_, 'r>, Owner),
    ) -> Result<(), End> {
        // The steps' reader lets no other come behind HL7 v2.
        let TranslateStep::ToFhir(step) = step else {
            let reason = "the message is HL7 v2 already".to_owned();
            return Err(park("program.translate", reason, at));
        };
        let translation = match self.work.whole {
            Some(_) => to_fhir(&step.translator.of_decoded(), message, step.lineage),
            None => to_fhir(&step.translator, message, step.lineage),
        };
        self.note(&translation.findings, at);
        if translation.findings_beyond > 0 {
            let count = u32::try_from(translation.findings_beyond).unwrap_or(u32::MAX);
            let (code, at) = ("translate.more", at.clone());
            self.findings.push(Finding { code, path: None, at, count });
        }
        if translation.bundle.items("entry").is_empty() {
            let why = translation
                .findings
                .iter()
                .find(|finding| finding.kind == FindingKind::StructureUnknown);
            let why = why.map_or("it holds nothing that the tables map", |finding| &*finding.text);
            return Err(park(
                "program.translate",
                format!("nothing could be translated: {why}"),
                at,
            ));
        }
        let bundle = Bytes::from(translation.bundle.to_json());
        let before = self.translations.last;
        self.translated(at, None, Followed::of(step.lineage, translation.lineage));
        let ended = self.through_json(&bundle, rest.steps, rest.then, owner);
        self.translations.last = before;
        ended
    }

    /// FHIR becomes HL7 v2.
    pub(super) fn translate_json(
        &mut self,
        bytes: &Bytes,
        step: &'r TranslateStep,
        at: &StepPlace,
        (rest, owner): (&Rest<'_, 'r>, Owner),
    ) -> Result<(), End> {
        let failed = |reason: String| park("program.translate", reason, at);
        let TranslateStep::ToV2(step) = step else {
            return Err(failed("the message is JSON already".to_owned()));
        };
        let resource =
            json::parse(bytes).map_err(|error| failed(format!("it is no JSON: {error}")))?;
        let mut before = None;
        let (event, order_control) = match &step.event {
            WantedEvent::Named(event) => (event.as_str(), None),
            WantedEvent::OfChange { orders } => {
                let Proposed { event, order_control } =
                    self.event_of(&resource, step, at, &mut before)?;
                (order_control.map_or(event, |_| *orders), order_control)
            }
        };
        // Only of what goes on it is told what was taken out of it.
        let before = before.filter(|_| matches!(event, "SIU^S13" | "SIU^S14"));
        let mut waits = None;
        let mut whose = Whose::default();
        let resources = if resource.resource_type() == Some("Bundle") {
            let entries = resource.items("entry").iter();
            entries.filter_map(|entry| entry.get("resource")).for_each(|own| whose.is(own));
            Resources::of_bundle(&resource)
        } else {
            let resources = Resources::default().with_root(&resource);
            let resources = match before {
                Some(before) => resources.with_earlier(before),
                None => resources,
            };
            resources.resolved_by(|reference| {
                if waits.is_some() || !is_relative(reference) {
                    return None;
                }
                match self.read_resource(step, reference, at) {
                    Ok(resource) => {
                        whose.is_away |= resource.is_none() && reference.starts_with("Patient/");
                        resource.iter().for_each(|own| whose.is(own));
                        resource
                    }
                    Err(end) => {
                        waits = Some(end);
                        None
                    }
                }
            })
        };
        if let Some(end) = waits {
            return Err(end);
        }
        let (time, control_id) = (self.effects.now(), self.effects.control_id());
        let wanted =
            Wanted { event, version: step.version, order_control, lineage: step.lineage.limits() };
        let stamp = Stamp { time, offset: Offset::UTC, control_id: &control_id };
        let written = step.writer.write(&wanted, &resources, &stamp);
        let written = written.map_err(|error| failed(error.to_string()))?;
        self.note(&written.findings, at);
        let bytes = Bytes::from(written.message);
        self.work = Work::of(&readable(&bytes, self.program.charset), &bytes);
        let message = parse(&bytes).map_err(|error| failed(error.to_string()))?;
        if step.incomplete == Incomplete::Park {
            let lacking = lacking(&message, &written.findings);
            if !lacking.is_empty() {
                let why = if has_segment(&message, "PID") { "" } else { whose.why() };
                let reason = format!("the message would lack {}{why}", lacking.join(", "));
                return Err(park("program.translate-incomplete", reason, at));
            }
        }
        let before = self.translations.last;
        self.translated(at, None, Followed::of(step.lineage, written.lineage));
        let ended = self.through(message, &bytes, rest.steps, rest.then, owner);
        self.translations.last = before;
        ended
    }

    /// The event that the change is which the message tells of; what the resource was is left in `before`.
    fn event_of(
        &mut self,
        resource: &Value,
        step: &ToV2,
        at: &StepPlace,
        before: &mut Option<Value>,
    ) -> Result<Proposed, End> {
        let fact = |place| Fact::Change(place).text(self.input).map(Cow::into_owned);
        let (change, version) = (fact(0), fact(3).and_then(|version| version.parse::<u64>().ok()));
        if change.as_deref() == Some("delete") {
            let why = "a resource was deleted, which no event of HL7 v2 tells";
            return Err(End::Filtered(at.clone(), Some(why)));
        }
        let name = resource.resource_type().zip(resource.id());
        let mut versions = Versions {
            address: name.map(|(name, id)| format!("{name}/{id}/_history")),
            version: version.unwrap_or_default(),
            before: None,
            ended: None,
            run: self,
            step,
            at,
        };
        let proposed = event_of(resource, &mut versions);
        if let Some(ended) = versions.ended {
            return Err(ended);
        }
        *before = versions.before.flatten();
        proposed.map_err(|why| match why {
            Untold::Nobody(why) => End::Filtered(at.clone(), Some(why)),
            Untold::Person(why) => park("program.translate", why.to_owned(), at),
            Untold::TooFarBack => {
                let reason =
                    format!("what it was told as is not among its last {VERSIONS_MAX} versions");
                park("program.lookup-too-many", reason, at)
            }
        })
    }

    /// A resource, or a version of one; none where it is not there.
    fn read_resource(
        &mut self,
        step: &ToV2,
        reference: &str,
        at: &StepPlace,
    ) -> Result<Option<Value>, End> {
        self.lookups += 1;
        if self.lookups > LOOKUPS_MAX {
            // What is further away is left out, and told by the writer where it is needed.
            return Ok(None);
        }
        let request = LookupRequest {
            lookup: step.lookup,
            resource_type: reference.into(),
            query: "".into(),
            body: Bytes::new(),
        };
        match self.effects.lookup(&request) {
            None => Err(End::Waits(request)),
            Some(LookupAnswer::Refused { detail }) => {
                Err(park("program.lookup-refused", detail, at))
            }
            Some(LookupAnswer::Found(Found::One(bytes) | Found::Several(bytes))) => {
                Ok(json::parse(&bytes).ok())
            }
            Some(LookupAnswer::Found(Found::Nothing)) => Ok(None),
        }
    }

    /// What a translation that a bot asked for could not say.
    pub(super) fn told_by_bot(&mut self, code: &str, path: &str, count: u32, at: &StepPlace) {
        let known = crate::CODES.iter().find(|known| known.code == code);
        let code = known.map_or("translate.more", |known| known.code);
        let path = Some(path).filter(|path| !path.is_empty()).map(Arc::from);
        self.findings.push(Finding { code, path, at: at.clone(), count });
    }

    fn note(&mut self, findings: &[Translated], at: &StepPlace) {
        let mut kept = 0_usize;
        for finding in findings {
            let code = code(finding.kind);
            kept += 1;
            // Beyond the limit only kinds are told.
            let path = (kept <= FINDINGS_MAX).then_some(finding.path.as_str());
            let known = self.findings.iter_mut().find(|other| {
                other.code == code && other.at == *at && other.path.as_deref() == path
            });
            match known {
                Some(known) => known.count = known.count.saturating_add(1),
                None => {
                    let path = path.map(Arc::from);
                    self.findings.push(Finding { code, path, at: at.clone(), count: 1 });
                }
            }
        }
    }
}

/// The versions of the resource that a message tells of, read as they are asked for.
struct Versions<'v, 'i, 'r> {
    run: &'v mut Run<'r>,
    step: &'i ToV2,
    at: &'i StepPlace,
    /// `Encounter/7/_history`; none where nobody knows which resource it is.
    address: Option<String>,
    /// The one that was read last.
    version: u64,
    /// The version before, once it was asked for.
    before: Option<Option<Value>>,
    /// Why no more is read.
    ended: Option<End>,
}

impl Versions<'_, '_, '_> {
    /// What can't be read for want of room would seem never to have been.
    fn read(&mut self, reference: &str) -> Option<Value> {
        if self.ended.is_some() {
            return None;
        }
        if self.run.lookups >= LOOKUPS_MAX {
            let reason = format!("what it was before would take more than {LOOKUPS_MAX} reads");
            self.ended = Some(park("program.lookup-too-many", reason, self.at));
            return None;
        }
        let read = self.run.read_resource(self.step, reference, self.at);
        read.unwrap_or_else(|end| {
            self.ended = Some(end);
            None
        })
    }
}

impl History for Versions<'_, '_, '_> {
    fn earlier(&mut self) -> Option<Value> {
        self.version = self.version.checked_sub(1).filter(|version| *version > 0)?;
        let address = format!("{}/{}", self.address.as_ref()?, self.version);
        let read = self.read(&address);
        if self.before.is_none() {
            self.before = Some(read.clone());
        }
        read
    }

    fn version(&mut self, number: u64) -> Option<Value> {
        let address = format!("{}/{number}", self.address.as_ref()?);
        self.read(&address)
    }

    fn patient(&mut self, reference: &str) -> Option<Value> {
        if is_relative(reference) { self.read(reference) } else { None }
    }

    fn tells_incomplete(&self) -> bool {
        self.step.incomplete == Incomplete::Keep
    }
}

/// What is known of the patients that a message is about.
#[derive(Debug, Default)]
struct Whose {
    is_away: bool,
    is_merged: bool,
    is_unused: bool,
}

impl Whose {
    fn is(&mut self, resource: &Value) {
        if resource.resource_type() != Some("Patient") {
            return;
        }
        let replaced = |link: &Value| link.text("type") == Some("replaced-by");
        self.is_merged |= resource.items("link").iter().any(replaced);
        self.is_unused |= resource.get("active").and_then(Value::as_bool) == Some(false);
    }

    /// Why there is no PID.
    fn why(&self) -> &'static str {
        match (self.is_merged, self.is_away, self.is_unused) {
            (true, true, _) => {
                ": the patient's record was merged into another, which is not in the datastore"
            }
            (true, false, _) => ": the patient's record was merged into another",
            (false, _, true) => ": the patient's record is not in use",
            (false, true, false) => ": the patient is not in the datastore",
            (false, false, false) => "",
        }
    }
}

/// The fields that say what was ordered, resulted, given or charged. Without them a message says nothing of it, or of
/// nothing, and the standard requires them: HL7 v2.5.1 §4.5.3.4, §4.14.7.5, §6.5.1.7, §7.4.2.3.
const SAYS_WHAT: [(&str, usize); 4] = [("OBR", 4), ("RXA", 5), ("FT1", 7), ("OBX", 3)];

/// The segments and groups that the standard requires and the message lacks; PID, where it has none: all messages that are
/// made of resources are about a patient, also those in whose structure the patient is optional. And the fields without
/// which it says nothing.
fn lacking(message: &Message<'_>, findings: &[Translated]) -> Vec<String> {
    let is_of_message = |path: &str| {
        let name = path.rsplit('/').next().unwrap_or(path);
        !name.is_empty()
            && name.bytes().all(|byte| {
                byte.is_ascii_uppercase()
                    || byte.is_ascii_digit()
                    || matches!(byte, b'_' | b'(' | b')')
            })
    };
    let missing = findings
        .iter()
        .filter(|finding| finding.kind == FindingKind::Incomplete && is_of_message(&finding.path))
        .map(|finding| finding.path.clone());
    let mut lacking: Vec<String> = missing.collect();
    if !has_segment(message, "PID") && !lacking.iter().any(|path| path.ends_with("PID")) {
        lacking.push("PID".to_owned());
    }
    let mut is_cancelled = false;
    for segment in message.segments() {
        let Some(name) = segment.segment_name() else { continue };
        let is_empty = |number| segment.field(number).is_none_or(|field| field.raw().is_empty());
        if name.as_str() == "ORC" {
            // What is cancelled is found by its number; it is not to be done for want of its name.
            is_cancelled = segment.field(1).is_some_and(|control| control.raw() == b"CA");
        }
        let said = SAYS_WHAT.iter().filter(|(own, _)| *own == name.as_str());
        for (own, number) in said {
            // An OBX of a document is the document, whatever is known of its type.
            let is_document = *own == "OBX" && has_segment(message, "TXA");
            let path = format!("{own}-{number}");
            if is_empty(*number) && !is_cancelled && !is_document && !lacking.contains(&path) {
                lacking.push(path);
            }
        }
    }
    lacking
}

fn has_segment(message: &Message<'_>, name: &str) -> bool {
    let mut names = message.segments().filter_map(|segment| segment.segment_name());
    names.any(|own| own.as_str() == name)
}

/// The operator code of a finding.
fn code(kind: FindingKind) -> &'static str {
    match kind {
        FindingKind::NotMapped => "translate.not-mapped",
        FindingKind::ZoneMissing => "translate.zone-missing",
        FindingKind::SystemUnknown => "translate.system-unknown",
        FindingKind::LeftOut => "translate.left-out",
        FindingKind::CodeUnmapped => "translate.code-unmapped",
        FindingKind::ValueUnfit => "translate.value-unfit",
        FindingKind::Incomplete => "translate.incomplete",
        FindingKind::Deleted => "translate.deleted",
        FindingKind::Ambiguous => "translate.ambiguous",
        FindingKind::StructureUnknown => "translate.structure-unknown",
    }
}

/// `Patient/17`: what the same server has.
fn is_relative(reference: &str) -> bool {
    let id = |text: &str| {
        (1..=64).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
    };
    reference.split_once('/').is_some_and(|(name, rest)| {
        id(name) && id(rest.split_once("/_history/").map_or(rest, |(id, _)| id))
    })
}

/// What translations of a channel or a bot go by.
#[derive(Debug, Clone, Default)]
pub struct TranslationSettings {
    /// What is known that the messages don't say.
    pub to_fhir: Settings,
    /// What the site adds to the tables.
    pub overlay: Option<Overlay>,
    /// Whom HL7 v2 is written for.
    pub receiver: Option<Profile>,
    /// Whether lineage is kept, where that is said.
    pub lineage: Option<KeepsLineage>,
}

impl TranslationSettings {
    /// These, and where they say nothing, what `others` say.
    pub fn or(&self, others: &Self) -> Self {
        let (own, other) = (self.clone(), others.clone());
        let identifier_systems = match own.to_fhir.identifier_systems {
            systems if systems.is_empty() => other.to_fhir.identifier_systems,
            systems => systems,
        };
        Self {
            to_fhir: Settings {
                zone: own.to_fhir.zone.or(other.to_fhir.zone),
                system_base: own.to_fhir.system_base.or(other.to_fhir.system_base),
                sender: own.to_fhir.sender.or(other.to_fhir.sender),
                identifier_systems,
                // Which one it is only the channel knows.
                charset: other.to_fhir.charset,
                other_patient: own.to_fhir.other_patient.or(other.to_fhir.other_patient),
            },
            overlay: own.overlay.or(other.overlay),
            receiver: own.receiver.or(other.receiver),
            lineage: own.lineage.or(other.lineage),
        }
    }

    /// HL7 v2 to FHIR.
    pub(crate) fn translator(&self) -> Translator {
        translator(self.to_fhir.clone(), self.overlay.as_ref())
    }

    /// Whether lineage is kept.
    fn keeps_lineage(&self) -> KeepsLineage {
        self.lineage.unwrap_or_default()
    }

    /// FHIR to HL7 v2.
    fn writer(&self) -> Writer {
        let mut profile = self.receiver.clone().unwrap_or_default();
        profile.zone = profile.zone.or_else(|| self.to_fhir.zone.clone());
        profile.system_base = profile.system_base.or_else(|| self.to_fhir.system_base.clone());
        Writer::new(profile)
    }
}

fn to_fhir(translator: &Translator, message: &Message<'_>, lineage: KeepsLineage) -> Translation {
    match lineage.limits() {
        Some(limits) => translator.to_fhir_with_lineage(message, limits),
        None => translator.to_fhir(message),
    }
}

fn translator(settings: Settings, overlay: Option<&Overlay>) -> Translator {
    match overlay {
        Some(overlay) => Translator::with_overlay(settings, overlay),
        None => Translator::new(settings),
    }
}

/// What could not be said, without values.
pub type Told = Vec<ToldFinding>;

/// Something that could not be said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToldFinding {
    /// The operator code: `translate.not-mapped`.
    pub code: &'static str,
    /// Where.
    pub path: String,
    /// What it means.
    pub text: String,
}

/// What a bot's translation made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made<T> {
    /// The Bundle's JSON, or the message.
    pub made: T,
    /// What could not be said.
    pub told: Told,
    /// Where it came from.
    pub lineage: Followed,
}

/// HL7 v2 to a Bundle, as a bot asks for it, by what the feed knows.
///
/// # Errors
/// Why nothing could be said; without values.
pub fn translate_to_fhir(
    message: &str,
    settings: &TranslationSettings,
) -> Result<Made<String>, String> {
    let message = parse(message.as_bytes()).map_err(|error| error.to_string())?;
    let keeps = settings.keeps_lineage();
    let translation = to_fhir(&settings.translator().of_decoded(), &message, keeps);
    if translation.bundle.items("entry").is_empty() {
        let why = translation.findings.first().map(|finding| &*finding.text);
        return Err(format!("nothing could be translated: {}", why.unwrap_or("it says nothing")));
    }
    let lineage = Followed::of(keeps, translation.lineage);
    Ok(Made { made: translation.bundle.to_json(), told: told(translation.findings), lineage })
}

/// A Bundle or resource to HL7 v2, as a bot asks for it; `wanted` is the event and the version.
///
/// # Errors
/// Why there is no message; without values.
pub fn translate_to_v2(
    bundle: &str,
    (event, version): (&str, &str),
    (time, control_id): (Timestamp, &str),
    settings: &TranslationSettings,
) -> Result<Made<Vec<u8>>, String> {
    let resource = json::parse(bundle.as_bytes()).map_err(|error| error.to_string())?;
    let version = Version::named(version.as_bytes())
        .ok_or_else(|| "there is no such version of HL7 v2".to_owned())?;
    let resources = if resource.resource_type() == Some("Bundle") {
        Resources::of_bundle(&resource)
    } else {
        Resources::default().with_root(&resource)
    };
    let keeps = settings.keeps_lineage();
    let wanted = Wanted { event, version, order_control: None, lineage: keeps.limits() };
    let written = settings.writer().write(
        &wanted,
        &resources,
        &Stamp { time, offset: Offset::UTC, control_id },
    );
    let written = written.map_err(|error| error.to_string())?;
    let lineage = Followed::of(keeps, written.lineage);
    Ok(Made { made: written.message, told: told(written.findings), lineage })
}

fn told(findings: Vec<Translated>) -> Told {
    let told = findings.into_iter().map(|finding| ToldFinding {
        code: code(finding.kind),
        path: finding.path,
        text: finding.text.into_owned(),
    });
    told.collect()
}
