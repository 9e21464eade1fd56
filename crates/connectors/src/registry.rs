//! Every connector, one line each.

use crate::Descriptor;

/// The connectors there are.
pub const CONNECTORS: &[&Descriptor] = &[];

/// The connector of that name.
pub fn connector(name: &str) -> Option<&'static Descriptor> {
    CONNECTORS.iter().copied().find(|descriptor| descriptor.name == name)
}
