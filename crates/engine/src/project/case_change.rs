//! Which change of a resource the message of a case tells of, where its channel follows a datastore.

use pipehat_config::{Diagnostic, Diagnostics, Fields, Node, Span};
use pipehat_connectors::{ChangeKind, GivenChanges, ResourceChange};
use pipehat_resource::json;

use super::cases::Case;
use super::channel::ChannelSpec;

/// What `case.yaml` says of it: `fhir: { change: delete, type: Patient, id: p1, version: 2 }`.
pub(super) struct CaseChange {
    at: Span,
    kind: ChangeKind,
    resource_type: Option<String>,
    id: Option<String>,
    version: Option<u64>,
}

pub(super) fn change(node: &Node, diagnostics: &mut Diagnostics) -> Option<CaseChange> {
    let text = |node: &Node, diagnostics: &mut Diagnostics| {
        node.text_not_empty(diagnostics).map(str::to_owned)
    };
    let mut fields = Fields::of(node, "fhir", diagnostics)?;
    let kind = fields.required("change", |node, diagnostics| {
        let word = node.one_of(&["create", "update", "delete"], diagnostics)?;
        ChangeKind::ALL.into_iter().find(|kind| kind.as_str() == word)
    });
    let resource_type = fields.optional("type", text);
    let id = fields.optional("id", text);
    let version = fields.optional("version", |node, diagnostics| {
        u64::try_from(node.integer(1..=i64::MAX, diagnostics)?).ok()
    });
    let sound = fields.finish();
    let change = CaseChange { at: node.span.clone(), kind: kind?, resource_type, id, version };
    sound.then_some(change)
}

/// Puts beside the message what such a source does. What the case does not say is told by the message; it is created,
/// where nothing else is said.
pub(super) fn tell_change(
    spec: &ChannelSpec,
    case: &mut Case,
    diagnostics: &mut Diagnostics,
) -> Option<()> {
    let said = case.facts.change.take();
    if spec.source.source.changes() == GivenChanges::None {
        let Some(said) = said else { return Some(()) };
        let message = "the source of the channel gives no changes of a datastore";
        diagnostics.push(
            Diagnostic::error("project.test-change", &said.at, message)
                .with_help("remove this; what a sender says of itself stands in `peer`"),
        );
        return None;
    }
    let message = json::parse(&case.input).ok();
    let told = message.as_ref();
    let kind = said.as_ref().map_or(ChangeKind::Create, |said| said.kind);
    let first = u64::from(kind != ChangeKind::Create).saturating_add(1);
    let (resource_type, id, version) = match said {
        Some(said) => (said.resource_type, said.id, said.version),
        None => (None, None, None),
    };
    let told_type = || told?.resource_type().map(str::to_owned);
    let change = ResourceChange {
        kind,
        resource_type: resource_type.or_else(told_type).unwrap_or_default(),
        id: id.or_else(|| told?.id().map(str::to_owned)).unwrap_or_default(),
        version: version.unwrap_or(first),
    };
    let named = change.named().map(|(name, value)| (name.to_owned(), value));
    case.facts.told = kind;
    case.facts.peer.headers.extend(named);
    Some(())
}
