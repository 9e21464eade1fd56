//! The `evidence` of a profile's file.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use pipehat_config::{Diagnostic, Diagnostics, Fields, Node};
use pipehat_message::SegmentName;

use crate::profile::evidence::{ElementEvidence, Evidence, SegmentEvidence};
use crate::profile::place::Place;
use crate::profile::write::precision_of;

const COUNT: RangeInclusive<i64> = 0..=i64::MAX;

pub(super) fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Evidence> {
    let mut fields = Fields::of(node, "evidence", diagnostics)?;
    let messages = fields.required("messages", count);
    let unreadable = fields.optional("unreadable", count);
    let mut counts_of =
        |key| fields.optional(key, |node, diagnostics| counts(node, diagnostics, text));
    let (types, versions, charsets) =
        (counts_of("types"), counts_of("versions"), counts_of("charsets"));
    let not_ascii = fields.optional("not_ascii", count);
    let not_utf8 = fields.optional("not_utf8", count);
    let segments = fields.optional("segments", segments);
    let elements = fields.optional("fields", elements);
    fields.finish();
    Some(Evidence {
        messages: messages?,
        unreadable: unreadable.unwrap_or(0),
        types: types.unwrap_or_default(),
        versions: versions.unwrap_or_default(),
        charsets: charsets.unwrap_or_default(),
        not_ascii: not_ascii.unwrap_or(0),
        not_utf8: not_utf8.unwrap_or(0),
        segments: segments.unwrap_or_default(),
        elements: elements.unwrap_or_default(),
    })
}

fn count(node: &Node, diagnostics: &mut Diagnostics) -> Option<u64> {
    node.integer(COUNT, diagnostics).and_then(|count| u64::try_from(count).ok())
}

fn text(key: &str) -> Option<String> {
    Some(key.to_owned())
}

fn segment_name(key: &str) -> Option<SegmentName> {
    key.parse().ok()
}

/// A map of counts.
fn counts<K: Ord>(
    node: &Node,
    diagnostics: &mut Diagnostics,
    key: fn(&str) -> Option<K>,
) -> Option<BTreeMap<K, u64>> {
    let map = node.map("counts", diagnostics)?;
    let mut counts = BTreeMap::new();
    for (name, node) in map.iter() {
        match key(&name.text) {
            Some(read) => {
                counts.insert(read, count(node, diagnostics)?);
            }
            None => diagnostics.push(Diagnostic::error(
                "profile.evidence",
                &name.span,
                "nothing is counted under this name",
            )),
        }
    }
    Some(counts)
}

fn segments(
    node: &Node,
    diagnostics: &mut Diagnostics,
) -> Option<BTreeMap<SegmentName, SegmentEvidence>> {
    let mut segments = BTreeMap::new();
    for (key, node) in node.map("segments", diagnostics)?.iter() {
        let Some(name) = segment_name(&key.text) else {
            diagnostics.push(Diagnostic::error(
                "profile.evidence",
                &key.span,
                "this is no segment",
            ));
            continue;
        };
        let mut fields = Fields::of(node, "segment", diagnostics)?;
        let messages = fields.required("messages", count);
        let total = fields.required("total", count);
        let most = fields.required("most", count);
        let after = fields
            .optional("after", |node, diagnostics| counts(node, diagnostics, segment_name))
            .unwrap_or_default();
        fields.finish();
        segments.insert(
            name,
            SegmentEvidence { messages: messages?, total: total?, most: most?, after },
        );
    }
    Some(segments)
}

fn elements(
    node: &Node,
    diagnostics: &mut Diagnostics,
) -> Option<BTreeMap<Place, ElementEvidence>> {
    let mut elements = BTreeMap::new();
    for (key, node) in node.map("fields", diagnostics)?.iter() {
        let Ok(place) = Place::parse(&key.text) else {
            diagnostics.push(Diagnostic::error("profile.evidence", &key.span, "this is no field"));
            continue;
        };
        let mut fields = Fields::of(node, "field", diagnostics)?;
        let valued = fields.required("valued", count);
        let of = fields.required("of", count);
        let null = fields.optional("null", count).unwrap_or(0);
        let repeats = fields
            .optional("repeats", |node, diagnostics| {
                counts(node, diagnostics, |key| key.parse().ok())
            })
            .unwrap_or_default();
        // What never repeats is written without it.
        let once = u64::from(valued.is_some_and(|valued| valued > 0));
        let most = fields.optional("most", count).unwrap_or(once);
        let length = fields.optional("length", |node, diagnostics| {
            let (least, most) = super::usage::range(node, u32::MAX, diagnostics)?;
            Some((u64::from(least), u64::from(most?)))
        });
        let codes = fields
            .optional("codes", |node, diagnostics| counts(node, diagnostics, text))
            .unwrap_or_default();
        let other_codes = fields.optional("other_codes", count).unwrap_or(0);
        let precisions = fields
            .optional("precision", |node, diagnostics| counts(node, diagnostics, precision_of))
            .unwrap_or_default();
        let zoned = fields.optional("with_offset", count).unwrap_or(0);
        let numbers = fields.optional("numbers", count).unwrap_or(0);
        fields.finish();
        elements.insert(
            place,
            ElementEvidence {
                valued: valued?,
                of: of?,
                null,
                repeats,
                most,
                length,
                codes,
                other_codes,
                precisions,
                zoned,
                numbers,
            },
        );
    }
    Some(elements)
}
