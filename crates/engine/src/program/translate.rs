//! The `translate` step: HL7 v2 becomes a FHIR Bundle, and FHIR becomes HL7 v2.
//!
//! A translation is a function of the message and the step: no clock, nothing asked. What the tables can't say in the
//! other standard are [findings](super::Finding), counted and kept with the message; a message of which nothing could be
//! said is set aside. FHIR to v2 reads what the resource refers to, which is asked for as a `lookup` is.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use pipehat_message::Message;
use pipehat_resource::json::{Object, Value};
use pipehat_translate::{Finding as Translated, FindingKind, Lineage, Settings, Translation};

use super::run::{End, Owner, Rest, Run, park};
use super::verdict::{Finding, StepPlace};

/// The most findings of one translation that are kept one by one; the rest is counted.
const FINDINGS_MAX: usize = 100;

/// A `translate` step.
#[derive(Clone)]
pub(super) enum TranslateStep {
    ToFhir(Arc<dyn ToFhir>),
}

/// Makes FHIR of HL7 v2.
pub(super) trait ToFhir: Send + Sync {
    fn to_fhir(&self, message: &Message<'_>) -> Translation;
}

/// What translates the messages of a feed.
pub(super) fn to_fhir(settings: Settings) -> Arc<dyn ToFhir> {
    Arc::new(NoTables(settings))
}

/// Stands for the tables until they are there.
struct NoTables(#[expect(dead_code, reason = "the tables read it")] Settings);

impl ToFhir for NoTables {
    fn to_fhir(&self, _: &Message<'_>) -> Translation {
        let text = "this version has no tables of translation".to_owned();
        let kind = FindingKind::StructureUnknown;
        Translation {
            bundle: Value::from(Object::new()),
            findings: vec![Translated { kind, path: "MSH-9".to_owned(), text }],
            lineage: Lineage::default(),
        }
    }
}

impl fmt::Debug for TranslateStep {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ToFhir(_) => formatter.write_str("ToFhir"),
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
        let TranslateStep::ToFhir(translator) = step;
        let translation = translator.to_fhir(message);
        self.note(&translation.findings, at);
        if translation.bundle.items("entry").is_empty() {
            let why = translation
                .findings
                .iter()
                .find(|finding| finding.kind == FindingKind::StructureUnknown);
            let why = why.map_or("it holds nothing that the tables map", |finding| &finding.text);
            return Err(park(
                "program.translate",
                format!("nothing could be translated: {why}"),
                at,
            ));
        }
        let bundle = Bytes::from(translation.bundle.to_json());
        self.through_json(&bundle, rest.steps, rest.then, owner)
    }

    /// FHIR becomes HL7 v2.
    pub(super) fn translate_json(
        &mut self,
        bytes: &Bytes,
        step: &'r TranslateStep,
        at: &StepPlace,
        (rest, owner): (&Rest<'_, 'r>, Owner),
    ) -> Result<(), End> {
        let TranslateStep::ToFhir(_) = step;
        // The steps' reader lets no such step come behind JSON.
        let _ = at;
        self.through_json(bytes, rest.steps, rest.then, owner)
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

/// The operator code of a finding.
fn code(kind: FindingKind) -> &'static str {
    match kind {
        FindingKind::NotMapped => "translate.not-mapped",
        FindingKind::ZoneMissing => "translate.zone-missing",
        FindingKind::SystemUnknown => "translate.system-unknown",
        FindingKind::CodeUnmapped => "translate.code-unmapped",
        FindingKind::ValueUnfit => "translate.value-unfit",
        FindingKind::Incomplete => "translate.incomplete",
        FindingKind::Deleted => "translate.deleted",
        FindingKind::StructureUnknown => "translate.structure-unknown",
    }
}
