//! Sub-identifiers of results (OBX-4, HL7 v2.5.1 §7.4.2.4): several results of one code that stand together are told apart
//! by them. Where the resources have none, the results are numbered in their order.

use std::collections::HashMap;

use super::encode::{Node, SegmentFields};
use super::segments::Made;

const CODE: u16 = 3;
const SUB_ID: u16 = 4;

/// Numbers results that nothing else tells apart.
pub(super) fn number_results(made: &mut [Made]) {
    // Results stand together, with their notes between them.
    let is_of_results = |own: &Made| matches!(own.name.as_str(), "OBX" | "NTE");
    for group in made.chunk_by_mut(|one, other| is_of_results(one) && is_of_results(other)) {
        let results = group.iter_mut().filter(|own| own.name.as_str() == "OBX");
        let mut by_code: HashMap<Vec<u8>, Vec<&mut SegmentFields>> = HashMap::new();
        for fields in results.map(|own| &mut own.fields) {
            by_code.entry(fields.written(CODE)).or_default().push(fields);
        }
        for (code, same) in by_code {
            if code.is_empty() || same.len() < 2 || same.iter().any(|own| own.has(SUB_ID)) {
                continue;
            }
            for (number, fields) in (1_u32..).zip(same) {
                fields.field_mut(SUB_ID).push(Node::text(number.to_string()));
            }
        }
    }
}
