//! Every connector, one line each.

use crate::{Descriptor, fhir, file, http, mllp};

/// The connectors there are.
pub const CONNECTORS: &[&Descriptor] =
    &[&fhir::CONNECTOR, &file::CONNECTOR, &http::CONNECTOR, &mllp::CONNECTOR];

/// The connector of that name.
pub fn connector(name: &str) -> Option<&'static Descriptor> {
    CONNECTORS.iter().copied().find(|descriptor| descriptor.name == name)
}
