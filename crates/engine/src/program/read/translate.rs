//! The `translate` step: into which standard, and what the feed knows that its messages don't say.

use pipehat_config::{Diagnostic, Diagnostics, Fields, Node};
use pipehat_connectors::PayloadFormat;
use pipehat_translate::Settings;

use super::{Reader, Whole, time_zone};
use crate::program::reference::Scope;
use crate::program::step::Action;
use crate::program::translate::{TranslateStep, to_fhir};
use crate::program::verdict::StepPlace;

impl Reader<'_> {
    pub(super) fn translate(
        &mut self,
        node: &Node,
        place: &StepPlace,
        whole: &Whole<'_>,
        scope: &Scope,
        diagnostics: &mut Diagnostics,
    ) -> Option<Action> {
        let _ = (place, whole);
        self.not_in_each("translate", node, scope, diagnostics)?;
        if node.as_scalar().is_some() {
            node.one_of(&["fhir"], diagnostics)?;
            let settings = Settings { zone: self.time_zone.clone(), ..Settings::default() };
            return self.to_fhir(node, settings, diagnostics);
        }
        let mut fields = Fields::of(node, "translate", diagnostics)?;
        fields.required("to", |node, diagnostics| node.one_of(&["fhir"], diagnostics));
        let zone = fields.optional("time_zone", time_zone);
        let text = |node: &Node, diagnostics: &mut Diagnostics| {
            node.text_not_empty(diagnostics).map(str::to_owned)
        };
        let system_base = fields.optional("system_base", text);
        let sender = fields.optional("sender", text);
        if !fields.finish() {
            return None;
        }
        let zone = zone.or_else(|| self.time_zone.clone());
        self.to_fhir(node, Settings { zone, system_base, sender }, diagnostics)
    }

    fn to_fhir(
        &mut self,
        node: &Node,
        settings: Settings,
        diagnostics: &mut Diagnostics,
    ) -> Option<Action> {
        if self.format == PayloadFormat::Json {
            diagnostics.push(
                Diagnostic::error("channel.format", &node.span, "the message is JSON already here")
                    .with_help("remove the step"),
            );
            return None;
        }
        self.format = PayloadFormat::Json;
        Some(Action::Translate(TranslateStep::ToFhir(to_fhir(settings))))
    }
}
