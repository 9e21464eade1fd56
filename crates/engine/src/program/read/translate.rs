//! The `translate` step: into which standard, and what the feed knows that its messages don't say.

use std::sync::Arc;

use pipehat_config::{Diagnostic, Diagnostics, Fields, Node, SourceFile, nearest};
use pipehat_connectors::PayloadFormat;
use pipehat_dictionary::Version;
use pipehat_translate::to_v2::{Authority, Hierarchic, Offsets, Profile, Writer};
use pipehat_translate::{Settings, Translator};

use super::{Asked, LookupNode, Reader, time_zone};
use crate::program::reference::Scope;
use crate::program::step::Action;
use crate::program::translate::{ToV2, TranslateStep, WantedEvent};
use crate::program::verdict::StepPlace;

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
            node.one_of(&["fhir"], diagnostics)?;
            let settings = Settings {
                zone: self.time_zone.clone(),
                charset: self.charset,
                ..Settings::default()
            };
            return self.fhir_step(node, settings, diagnostics);
        }
        let mut fields = Fields::of(node, "translate", diagnostics)?;
        let to =
            fields.required("to", |node, diagnostics| node.one_of(&["fhir", "v2"], diagnostics))?;
        if to == "v2" {
            return self.v2_step(fields, node, place);
        }
        let zone = fields.optional("time_zone", time_zone);
        let system_base = fields.optional("system_base", text);
        let sender = fields.optional("sender", text);
        let identifier_systems = fields
            .optional("identifier_systems", |node, diagnostics| node.list_of(diagnostics, text))
            .unwrap_or_default();
        if !fields.finish() {
            return None;
        }
        let zone = zone.or_else(|| self.time_zone.clone());
        self.fhir_step(
            node,
            Settings { zone, system_base, sender, identifier_systems, charset: self.charset },
            diagnostics,
        )
    }

    fn fhir_step(
        &mut self,
        node: &Node,
        settings: Settings,
        diagnostics: &mut Diagnostics,
    ) -> Option<Action> {
        self.becomes(PayloadFormat::Json, "the message is JSON already here", node, diagnostics)?;
        Some(Action::Translate(TranslateStep::ToFhir(Arc::new(Translator::new(settings)))))
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
        let event = fields.required("event", event);
        let version = fields.required("version", version);
        let from = fields.take("from").cloned();
        let mut party = |key| fields.optional(key, hierarchic).unwrap_or_default();
        let mut profile = Profile {
            sending_application: party("sending_application"),
            sending_facility: party("sending_facility"),
            receiving_application: party("receiving_application"),
            receiving_facility: party("receiving_facility"),
            ..Profile::default()
        };
        profile.processing_id = fields.optional("processing_id", text);
        profile.accept_acknowledgment = fields.optional("accept_acknowledgment", text);
        profile.application_acknowledgment = fields.optional("application_acknowledgment", text);
        profile.message_profile = fields.optional("message_profile", text);
        profile.system_base = fields.optional("system_base", text);
        profile.zone = fields.optional("time_zone", time_zone).or_else(|| self.time_zone.clone());
        if fields.optional("offsets", Node::boolean) == Some(false) {
            profile.offsets = Offsets::Left;
        }
        profile.authorities = fields
            .optional("authorities", |node, diagnostics| node.list_of(diagnostics, authority))
            .unwrap_or_default();
        profile.coding_systems = fields.optional("coding_systems", pairs).unwrap_or_default();
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

/// `local`, which nobody has to write.
fn local(diagnostics: &mut Diagnostics) -> Option<Node> {
    Node::parse(&SourceFile::new("local", "local"), diagnostics)
}

fn text(node: &Node, diagnostics: &mut Diagnostics) -> Option<String> {
    node.text_not_empty(diagnostics).map(str::to_owned)
}

fn event(node: &Node, diagnostics: &mut Diagnostics) -> Option<WantedEvent> {
    let name = node.text_not_empty(diagnostics)?;
    if name == "auto" {
        return Some(WantedEvent::OfChange);
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
