//! What the admin API says about translations: which outputs went through them, and where each element came from.
//!
//! Lineage names elements, places and rows of the tables, never a value; it is shown to who may see payloads, for
//! it says what a message has.

use pipehat_engine::record::{OutputRecord, Processed, ProcessedOutcome, TranslationRecord};
use pipehat_translate::{PackedLineage, PlacePattern, Source};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Which lineage is shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum LineageWanted {
    /// None.
    #[default]
    No,
    /// All that is kept.
    All,
    /// What came from a place, or went there.
    Of(PlacePattern),
}

/// A translation that outputs of a message went through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TranslationView {
    /// The step and its place in the channel's file.
    pub place: String,
    /// The bot that asked for it; what that made of the result is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bot: Option<String>,
    /// What it made: `fhir` or `v2`; none where nothing is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// The outputs that went through it, in their order.
    pub outputs: Vec<OutputView>,
    /// Every element, or every value of the message, and where it came from.
    pub lineage: Vec<SourceView>,
    /// Why there is no lineage, where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
}

/// An output of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OutputView {
    /// Its number among the message's outputs, from 1.
    pub ordinal: u16,
    /// Where it goes.
    pub destination: String,
}

/// An element, and where it came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SourceView {
    /// The element as the Bundle has it, or the place in the message: `Bundle.entry[6].resource.birthDate`.
    pub element: String,
    /// The same as people call it: `Patient.birthDate`.
    pub name: String,
    /// The places, or the elements, it was made from: `PID-7`.
    pub paths: Vec<String>,
    /// The row of the tables that says so: `segments PID[Patient] PID-7`.
    pub rule: String,
}

impl TranslationView {
    /// All that outputs of the record went through; of a place, only those that have something to do with it.
    pub(super) fn all(record: &Processed, wanted: &LineageWanted) -> Vec<Self> {
        let ProcessedOutcome::Routed(outputs) = &record.outcome else { return Vec::new() };
        if *wanted == LineageWanted::No || record.translations.is_empty() {
            return Vec::new();
        }
        let outputs = outputs_of_each(outputs, &record.translations);
        let views = record
            .translations
            .iter()
            .zip(outputs)
            .map(|(own, outputs)| Self { outputs, ..Self::of(own, wanted) });
        let is_about = |view: &Self| *wanted == LineageWanted::All || !view.lineage.is_empty();
        views.filter(is_about).collect()
    }

    fn of(record: &TranslationRecord, wanted: &LineageWanted) -> Self {
        let mut view = Self {
            place: record.at.clone(),
            bot: record.bot.clone(),
            to: None,
            outputs: Vec::new(),
            lineage: Vec::new(),
            missing: None,
        };
        let Some(packed) = &record.lineage else {
            view.missing = Some("it was larger than may be kept".to_owned());
            return view;
        };
        match PackedLineage::new(packed.to_vec()).unpack() {
            Ok(lineage) => {
                view.to = Some(lineage.direction.as_str().to_owned());
                let lineage = match wanted {
                    LineageWanted::Of(place) => lineage.about(place),
                    LineageWanted::All | LineageWanted::No => lineage,
                };
                view.lineage = lineage.sources.iter().map(Into::into).collect();
            }
            Err(error) => view.missing = Some(error.to_string()),
        }
        view
    }
}

/// The outputs that went through each translation.
fn outputs_of_each(
    outputs: &[OutputRecord],
    translations: &[TranslationRecord],
) -> Vec<Vec<OutputView>> {
    let mut found = vec![Vec::new(); translations.len()];
    for (ordinal, output) in (1..).zip(outputs) {
        for (number, _) in TranslationRecord::through(translations, output.translation) {
            if let Some(own) = found.get_mut(usize::from(number)) {
                own.push(OutputView { ordinal, destination: output.destination.to_string() });
            }
        }
    }
    found
}

impl From<&Source> for SourceView {
    fn from(source: &Source) -> Self {
        Self {
            element: source.element.to_string(),
            name: source.element.path().to_owned(),
            paths: source.paths.iter().map(ToString::to_string).collect(),
            rule: source.rule.to_string(),
        }
    }
}
