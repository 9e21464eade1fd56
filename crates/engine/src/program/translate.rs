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
use pipehat_translate::to_v2::{Profile, Proposed, Resources, Stamp, Wanted, Writer, event_of};
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

/// The most versions of a resource that are read to know what a change is: an order that was changed more often since it
/// was last active is for a person. Less than all that a message may ask for, so that the patient is found besides.
const VERSIONS_MAX: u32 = 64;

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
                match self.event_of(&resource, step, at, &mut before)? {
                    Ok(Proposed { event, order_control }) => {
                        (order_control.map_or(event, |_| *orders), order_control)
                    }
                    Err(why) => return Err(End::Filtered(at.clone(), Some(why))),
                }
            }
        };
        // Only of what goes on it is told what was taken out of it.
        let before = before.filter(|_| matches!(event, "SIU^S13" | "SIU^S14"));
        let mut waits = None;
        let mut is_away = false;
        let resources = if resource.resource_type() == Some("Bundle") {
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
                        is_away |= resource.is_none() && reference.starts_with("Patient/");
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
                let why = if is_away { ": the patient is not in the datastore" } else { "" };
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
    ) -> Result<Result<Proposed, &'static str>, End> {
        let fact = |place| Fact::Change(place).text(self.input).map(Cow::into_owned);
        let (change, version) = (fact(0), fact(3).and_then(|version| version.parse::<u64>().ok()));
        if change.as_deref() == Some("delete") {
            return Ok(Err("a resource was deleted, which no event of HL7 v2 tells"));
        }
        let name = resource.resource_type().zip(resource.id());
        let address = name.map(|(name, id)| format!("{name}/{id}/_history"));
        let mut version = version.unwrap_or_default();
        let (mut asked, mut ended) = (0_u32, None);
        let proposed = event_of(resource, || {
            version = version.checked_sub(1).filter(|version| *version > 0)?;
            let address = address.as_ref().filter(|_| ended.is_none())?;
            asked += 1;
            if asked > VERSIONS_MAX {
                let reason =
                    format!("what it was before is not among its last {VERSIONS_MAX} versions");
                ended = Some(park("program.lookup-too-many", reason, at));
                return None;
            }
            let read = self.read_resource(step, &format!("{address}/{version}"), at);
            let read = read.unwrap_or_else(|end| {
                ended = Some(end);
                None
            });
            if asked == 1 {
                before.clone_from(&read);
            }
            read
        });
        ended.map_or(Ok(proposed), Err)
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

/// The segments and groups that the standard requires and the message lacks; PID, where it has none: all messages that are
/// made of resources are about a patient, also those in whose structure the patient is optional.
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
    let has_patient = message
        .segments()
        .any(|segment| segment.segment_name().is_some_and(|name| name.as_str() == "PID"));
    if !has_patient && !lacking.iter().any(|path| path.ends_with("PID")) {
        lacking.push("PID".to_owned());
    }
    lacking
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
