//! The `source` section of a channel, and building connectors.

use pipehat_config::{Diagnostics, Fields, Misplaced, Node, Settings};
use pipehat_connectors::{BuildContext, Descriptor};

use super::channel::SourceSpec;
use super::fingerprint::fingerprint;

/// What people write inside the connector's section.
const TWO_LEVELS_UP: [Misplaced; 4] = [
    Misplaced { key: "reply", hint: "`reply` belongs to the channel, beside `source`" },
    Misplaced { key: "charset", hint: "`charset` belongs to the channel, beside `source`" },
    Misplaced { key: "order", hint: "`order` belongs to the channel, beside `source`" },
    Misplaced { key: "retry", hint: "`retry` belongs to a destination: a source does not send" },
];

/// Reads a `source`: exactly one connector that can receive.
pub(super) fn source(
    node: &Node,
    connectors: &[&'static Descriptor],
    context: &BuildContext<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<SourceSpec> {
    let receiving: Vec<&'static str> = connectors
        .iter()
        .filter(|connector| connector.source.is_some())
        .map(|connector| connector.name)
        .collect();
    let mut fields = Fields::of(node, "source", diagnostics)?;
    for key in ["charset", "time_zone", "reply", "accept", "order", "duplicates"] {
        fields.misplaced(key, "this belongs to the channel: write it beside `source`, not inside");
    }
    let chosen = fields.exactly_one(&receiving);
    fields.finish();
    let (name, node) = chosen?;
    let descriptor = connectors.iter().find(|connector| connector.name == name)?;
    let receiving = descriptor.source.as_ref()?;
    let settings =
        Settings::read_with_hints(node, name, receiving.schema, &TWO_LEVELS_UP, diagnostics)?;
    let source = (receiving.build)(&settings, context, diagnostics)?;
    let claim = (receiving.claim)(&settings);
    Some(SourceSpec {
        connector: descriptor.name,
        descriptor,
        fingerprint: fingerprint(name, node),
        settings,
        source,
        claim,
    })
}
