//! The `translate` step: into which standard, and what the feed knows that its messages don't say.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::tz::TimeZone;
use pipehat_config::{Diagnostic, Diagnostics, Fields, Node, SourceFile, nearest};
use pipehat_connectors::PayloadFormat;
use pipehat_dictionary::Version;
use pipehat_message::CharsetRule;
use pipehat_translate::to_v2::{Authority, Hierarchic, Offsets, Profile, Writer, events_of};
use pipehat_translate::{OtherPatient, Overlay, Settings};

use super::{Asked, LookupNode, Reader, time_zone};
use crate::program::lineage::KeepsLineage;
use crate::program::reference::Scope;
use crate::program::step::Action;
use crate::program::translate::{
    Incomplete, ToFhir, ToV2, TranslateStep, TranslationSettings, WantedEvent,
};
use crate::program::verdict::StepPlace;
use crate::project::Mappings;

/// The messages by which `event: auto` tells of orders: the first is what it takes by itself (HL7 v2.5.1 §4.4.1, §4.4.6).
const ORDERS: [&str; 2] = ["ORM^O01", "OML^O21"];

/// The most authorities of one receiver.
const AUTHORITIES_MAX: usize = 1_000;

impl Reader<'_> {
    pub(super) fn translate(
        &mut self,
        node: &Node,
        place: &StepPlace,
        scope: &Scope,
        diagnostics: &mut Diagnostics,
    ) -> Option<Action> {
        self.not_in_each("translate", node, scope, diagnostics)?;
        if node.as_scalar().is_some() {
            if node.one_of(&["fhir"], diagnostics).is_none() {
                self.becomes_other();
                return None;
            }
            return self.fhir_step(node, TranslationSettings::default(), diagnostics);
        }
        let mut fields = Fields::of(node, "translate", diagnostics)?;
        let to =
            fields.required("to", |node, diagnostics| node.one_of(&["fhir", "v2"], diagnostics));
        let Some(to) = to else {
            self.becomes_other();
            return None;
        };
        if to == "v2" {
            return self.v2_step(fields, node, place);
        }
        let settings = to_fhir(&mut fields, self.mappings, &mut self.used_mappings);
        if !fields.finish() {
            self.format = PayloadFormat::Json;
            return None;
        }
        self.fhir_step(node, settings, diagnostics)
    }

    /// A translation that could not be read makes the other of the two, whatever it says: what follows it is not wrong for that.
    fn becomes_other(&mut self) {
        self.format = match self.format {
            PayloadFormat::Hl7 => PayloadFormat::Json,
            PayloadFormat::Json => PayloadFormat::Hl7,
        };
    }

    fn fhir_step(
        &mut self,
        node: &Node,
        mut settings: TranslationSettings,
        diagnostics: &mut Diagnostics,
    ) -> Option<Action> {
        self.becomes(PayloadFormat::Json, "the message is JSON already here", node, diagnostics)?;
        settings.to_fhir.zone = settings.to_fhir.zone.or_else(|| self.time_zone.clone());
        settings.to_fhir.charset = self.charset;
        let overlay = settings.overlay.as_ref();
        let is_named = settings.to_fhir.system_base.is_some()
            || settings.to_fhir.sender.is_some()
            || overlay.is_some_and(Overlay::names_authorities);
        if !is_named && !self.names_authority.get() {
            self.kept_by_sender.push((node.span.clone(), self.destination));
        }
        let step = ToFhir {
            translator: settings.translator(),
            lineage: settings.lineage.unwrap_or_default(),
        };
        self.translation.to_fhir.get_or_insert(settings);
        Some(Action::Translate(TranslateStep::ToFhir(Arc::new(step))))
    }

    fn becomes(
        &mut self,
        format: PayloadFormat,
        already: &str,
        node: &Node,
        diagnostics: &mut Diagnostics,
    ) -> Option<()> {
        if self.format == format {
            diagnostics.push(
                Diagnostic::error("channel.format", &node.span, already)
                    .with_help("remove the step, or translate into the other standard"),
            );
            return None;
        }
        self.format = format;
        Some(())
    }

    fn v2_step(
        &mut self,
        mut fields: Fields<'_, '_>,
        node: &Node,
        place: &StepPlace,
    ) -> Option<Action> {
        let about = self.resource_type.filter(|name| *name != "Bundle");
        let event = fields.required("event", |node, diagnostics| {
            let event = event(node, diagnostics)?;
            fits(&event, about, node, diagnostics).then_some(event)
        });
        let orders = fields.optional("orders", |node, diagnostics| {
            let orders = node.one_of(&ORDERS, diagnostics)?;
            goes_with_orders(event.as_ref(), about, node, diagnostics).then_some(orders)
        });
        let event = event.map(|event| match (event, orders) {
            (WantedEvent::OfChange { .. }, Some(orders)) => WantedEvent::OfChange { orders },
            (event, _) => event,
        });
        let version = fields.required("version", |node, diagnostics| {
            let version = version(node, diagnostics)?;
            let has = match (&event, about) {
                (Some(WantedEvent::Named(name)), _) => has_event(name, version, node, diagnostics),
                (Some(WantedEvent::OfChange { orders }), Some(about)) => {
                    has_events_of(about, orders, version, node, diagnostics)
                }
                (None, _) | (Some(WantedEvent::OfChange { .. }), None) => true,
            };
            has.then_some(version)
        });
        let incomplete = fields.optional("incomplete", |node, diagnostics| {
            let word = node.one_of(&["park", "keep"], diagnostics)?;
            Some(if word == "keep" { Incomplete::Keep } else { Incomplete::Park })
        });
        let from = fields.take("from").cloned();
        let (mappings, used) = (self.mappings, &mut self.used_mappings);
        // What the step says counts before what the receiver's file says.
        let mut profile = fields
            .optional("receiver", |node, diagnostics| mappings.receiver(node, used, diagnostics))
            .unwrap_or_default();
        for (key, party) in [
            ("sending_application", &mut profile.sending_application),
            ("sending_facility", &mut profile.sending_facility),
            ("receiving_application", &mut profile.receiving_application),
            ("receiving_facility", &mut profile.receiving_facility),
        ] {
            set(party, fields.optional(key, hierarchic));
        }
        for (key, value) in [
            ("processing_id", &mut profile.processing_id),
            ("accept_acknowledgment", &mut profile.accept_acknowledgment),
            ("application_acknowledgment", &mut profile.application_acknowledgment),
            ("message_profile", &mut profile.message_profile),
        ] {
            set(value, fields.optional(key, text).map(Some));
        }
        set(&mut profile.system_base, fields.optional("system_base", uri).map(Some));
        set(&mut profile.zone, fields.optional("time_zone", time_zone).map(Some));
        if profile.zone.is_none() {
            profile.zone.clone_from(&self.time_zone);
        }
        let offsets = fields.optional("offsets", Node::boolean);
        let offsets = offsets.map(|is| if is { Offsets::Written } else { Offsets::Left });
        set(&mut profile.offsets, offsets);
        set(
            &mut profile.authorities,
            fields
                .optional("authorities", |node, diagnostics| node.list_of(diagnostics, authority)),
        );
        set(&mut profile.coding_systems, fields.optional("coding_systems", pairs));
        let lineage = keeps_lineage(&mut fields);
        self.translation.receiver.get_or_insert_with(|| (profile.clone(), lineage));
        let lookup = self.next_lookup(node, fields.diagnostics());
        let already = "the message is HL7 v2 already here";
        let becomes = self.becomes(PayloadFormat::Hl7, already, node, fields.diagnostics());
        let local = match from {
            Some(node) => Some(node),
            None => local(fields.diagnostics()),
        };
        let sound = fields.finish();
        let step = ToV2 {
            writer: Writer::new(profile),
            event: event?,
            version: version?,
            lineage: lineage.unwrap_or_default(),
            incomplete: incomplete.unwrap_or_default(),
            lookup: lookup?,
        };
        becomes?;
        self.lookups.push(LookupNode {
            connector: "fhir",
            asked: Asked::Connector,
            node: local?,
            retry: None,
            on: None,
            place: place.clone(),
        });
        sound.then(|| Action::Translate(TranslateStep::ToV2(Arc::new(step))))
    }
}

/// What the first translations of a channel go by.
#[derive(Default)]
pub(super) struct Translations {
    to_fhir: Option<TranslationSettings>,
    receiver: Option<(Profile, Option<KeepsLineage>)>,
}

impl Translations {
    /// What bots of the channel's steps go by, too.
    pub(super) fn of_channel(
        self,
        zone: Option<TimeZone>,
        charset: CharsetRule,
    ) -> TranslationSettings {
        let settings = self.to_fhir.unwrap_or_else(|| TranslationSettings {
            to_fhir: Settings { zone, charset, ..Settings::default() },
            ..TranslationSettings::default()
        });
        let (receiver, lineage) = self.receiver.unzip();
        // A bot keeps what the channel keeps of either way.
        let lineage = settings.lineage.or(lineage.flatten());
        TranslationSettings { receiver, lineage, ..settings }
    }
}

/// What HL7 v2 is translated by, as a step or a bot says it.
fn to_fhir(
    fields: &mut Fields<'_, '_>,
    mappings: &Mappings,
    used: &mut BTreeSet<String>,
) -> TranslationSettings {
    let settings = Settings {
        zone: fields.optional("time_zone", time_zone),
        system_base: fields.optional("system_base", uri),
        sender: fields.optional("sender", text),
        identifier_systems: fields
            .optional("identifier_systems", |node, diagnostics| node.list_of(diagnostics, text))
            .unwrap_or_default(),
        other_patient: fields.optional("other_patient", |node, diagnostics| {
            let word = node.one_of(&["park", "take"], diagnostics)?;
            Some(if word == "take" { OtherPatient::Take } else { OtherPatient::Park })
        }),
        ..Settings::default()
    };
    let overlay =
        fields.optional("overlay", |node, diagnostics| mappings.overlay(node, used, diagnostics));
    let lineage = keeps_lineage(fields);
    TranslationSettings { to_fhir: settings, overlay, receiver: None, lineage }
}

/// `lineage: false`
fn keeps_lineage(fields: &mut Fields<'_, '_>) -> Option<KeepsLineage> {
    let keeps = fields.optional("lineage", Node::boolean)?;
    Some(if keeps { KeepsLineage::Yes } else { KeepsLineage::No })
}

/// `translate:` of a bot: what it translates by, in both directions.
pub(crate) fn translation(
    node: &Node,
    mappings: &Mappings,
    used: &mut BTreeSet<String>,
    diagnostics: &mut Diagnostics,
) -> Option<TranslationSettings> {
    let mut fields = Fields::of(node, "translate", diagnostics)?;
    let mut settings = to_fhir(&mut fields, mappings, used);
    settings.receiver =
        fields.optional("receiver", |node, diagnostics| mappings.receiver(node, used, diagnostics));
    fields.finish().then_some(settings)
}

fn set<T>(place: &mut T, said: Option<T>) {
    if let Some(said) = said {
        *place = said;
    }
}

/// `local`, which nobody has to write.
fn local(diagnostics: &mut Diagnostics) -> Option<Node> {
    Node::parse(&SourceFile::new("local", "local"), diagnostics)
}

fn uri(node: &Node, diagnostics: &mut Diagnostics) -> Option<String> {
    let uri = node.text_not_empty(diagnostics)?;
    if !uri.contains(':') || uri.contains(char::is_whitespace) {
        diagnostics.push(
            Diagnostic::error("overlay.uri", &node.span, "this is no URI")
                .with_help("write it whole, such as `https://good.example/id/` or `urn:good:`"),
        );
        return None;
    }
    Some(uri.to_owned())
}

fn text(node: &Node, diagnostics: &mut Diagnostics) -> Option<String> {
    node.text_not_empty(diagnostics).map(str::to_owned)
}

fn event(node: &Node, diagnostics: &mut Diagnostics) -> Option<WantedEvent> {
    let name = node.text_not_empty(diagnostics)?;
    if name == "auto" {
        let [orders, ..] = ORDERS;
        return Some(WantedEvent::OfChange { orders });
    }
    if Writer::events().any(|known| known == name) {
        return Some(WantedEvent::Named(name.to_owned()));
    }
    let all: Vec<String> = Writer::events().map(|event| format!("`{event}`")).collect();
    diagnostics.push(
        Diagnostic::error(
            "channel.translate",
            &node.span,
            "no table says how this message is made",
        )
        .with_nearest(nearest(name, Writer::events()))
        .with_help(format!(
            "write `auto` for the event that a change is, or one of {}",
            all.join(", ")
        )),
    );
    None
}

/// Whether `orders` says something: it does beside `event: auto`, where orders come in.
fn goes_with_orders(
    event: Option<&WantedEvent>,
    about: Option<&str>,
    node: &Node,
    diagnostics: &mut Diagnostics,
) -> bool {
    let (message, help) = match (event, about) {
        (Some(WantedEvent::Named(_)), _) => (
            "`orders` chooses by which message `event: auto` tells of orders",
            "write `event: auto`, or take `orders` away",
        ),
        (_, Some(about)) if about != "ServiceRequest" => (
            "`orders` is about changes of ServiceRequest, and the source takes another",
            "take it away",
        ),
        _ => return true,
    };
    diagnostics.push(Diagnostic::error("channel.translate", &node.span, message).with_help(help));
    false
}

/// Whether an event can be about what comes in; where that is not known, it may be.
fn fits(
    event: &WantedEvent,
    about: Option<&str>,
    node: &Node,
    diagnostics: &mut Diagnostics,
) -> bool {
    let Some(about) = about else { return true };
    let (is_sound, message) = match event {
        WantedEvent::OfChange { .. } => {
            (!events_of(about).is_empty(), format!("no event is about changes of {about}"))
        }
        WantedEvent::Named(name) => {
            let types: Vec<&str> = Writer::types_of(name).collect();
            let message =
                format!("`{name}` is about {}, and the source takes {about}", types.join(" or "));
            (types.contains(&about), message)
        }
    };
    if !is_sound {
        let of_it: Vec<String> = Writer::events()
            .filter(|event| Writer::types_of(event).any(|name| name == about))
            .map(|event| format!("`{event}`"))
            .collect();
        let help = match of_it.as_slice() {
            [] => format!(
                "no message is made from {about}: take other `criteria`, or a bot before this that makes another resource \
                 of it"
            ),
            all => format!("what is about {about}: {}", all.join(", ")),
        };
        let error = Diagnostic::error("channel.translate", &node.span, message);
        diagnostics.push(error.with_help(help));
    }
    is_sound
}

/// Whether a version has the message of an event.
fn is_in(name: &str, version: Version) -> bool {
    let names = name.split_once('^').unwrap_or((name, ""));
    version.event(names.0, names.1).and_then(|event| event.structure()).is_some()
}

/// Which versions have it.
fn having(name: &str) -> Option<String> {
    let having: Vec<_> = Version::ALL.into_iter().filter(|version| is_in(name, *version)).collect();
    match having.as_slice() {
        [] => None,
        [first, .., last] => Some(format!("versions {first} to {last} have it")),
        [only] => Some(format!("version {only} has it")),
    }
}

fn has_event(name: &str, version: Version, node: &Node, diagnostics: &mut Diagnostics) -> bool {
    if is_in(name, version) {
        return true;
    }
    let message = format!("HL7 v2 {version} has no `{name}`");
    let error = Diagnostic::error("channel.translate", &node.span, message);
    diagnostics.push(match having(name) {
        Some(having) => error.with_help(having),
        None => error,
    });
    false
}

/// Whether a version has a message for any change of a type; warns of changes for which it has none.
fn has_events_of(
    about: &str,
    orders: &'static str,
    version: Version,
    node: &Node,
    diagnostics: &mut Diagnostics,
) -> bool {
    let [usual, ..] = ORDERS;
    let all = events_of(about).iter().map(|name| if *name == usual { orders } else { *name });
    let lacking: Vec<&str> = all.clone().filter(|name| !is_in(name, version)).collect();
    let Some(first) = lacking.first() else { return true };
    let names: Vec<String> = lacking.iter().map(|name| format!("`{name}`")).collect();
    let message =
        format!("HL7 v2 {version} has no {}, which changes of {about} are", names.join(", "));
    let having = having(first).unwrap_or_default();
    let none = lacking.len() == all.count();
    diagnostics.push(if none {
        // Of all that may be told by `auto` only orders have another message.
        let other = ORDERS.into_iter().find(|other| lacking == [orders] && is_in(other, version));
        let help = match other {
            Some(other) => format!("{having}; or write `orders: {other}`, which {version} has"),
            None => having,
        };
        Diagnostic::error("channel.translate", &node.span, message).with_help(help)
    } else {
        Diagnostic::warning("channel.translate", &node.span, message)
            .with_help(format!("such changes are parked; {having}"))
    });
    !none
}

fn version(node: &Node, diagnostics: &mut Diagnostics) -> Option<Version> {
    let name = node.text_not_empty(diagnostics)?;
    let known = Version::named(name.as_bytes());
    if known.is_none() {
        diagnostics.push(
            Diagnostic::error(
                "channel.translate",
                &node.span,
                "there is no such version of HL7 v2",
            )
            .with_help("such as `\"2.5.1\"`"),
        );
    }
    known
}

/// A namespace, or `NAMESPACE^UNIVERSAL ID^TYPE` (HL7 v2.5.1 §2.A.33).
fn hierarchic(node: &Node, diagnostics: &mut Diagnostics) -> Option<Hierarchic> {
    Some(designator(node.text_not_empty(diagnostics)?))
}

fn designator(text: &str) -> Hierarchic {
    let mut parts = text.split('^').map(str::to_owned);
    let mut next = || parts.next().unwrap_or_default();
    Hierarchic { namespace: next(), universal_id: next(), universal_id_type: next() }
}

fn authority(node: &Node, diagnostics: &mut Diagnostics) -> Option<Authority> {
    let mut fields = Fields::of(node, "authority", diagnostics)?;
    let system = fields.required("system", text);
    let authority = fields.required("authority", hierarchic);
    let type_code = fields.optional("type", text);
    let sound = fields.finish();
    let read = Authority { system: system?, authority: authority?, type_code };
    sound.then_some(read)
}

/// `{ URI: NAME }`
fn pairs(node: &Node, diagnostics: &mut Diagnostics) -> Option<Vec<(String, String)>> {
    let map = node.map("coding_systems", diagnostics)?;
    if map.len() > AUTHORITIES_MAX {
        diagnostics.push(Diagnostic::error("channel.translate", &node.span, "too many systems"));
        return None;
    }
    let pairs = map.iter().map(|(key, node)| Some((key.text.clone(), text(node, diagnostics)?)));
    pairs.collect()
}
