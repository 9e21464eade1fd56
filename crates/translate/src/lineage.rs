//! Where each element came from.

/// For each element of the output, the places of the input it was made from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lineage {
    /// In the order of the output.
    pub sources: Vec<Source>,
}

/// One element of the output, and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The element: `Bundle.entry[1].resource.identifier[0].value`.
    pub element: String,
    /// The places it was made from: `PID-3[1].1`.
    pub paths: Vec<String>,
    /// The row that says so: `segments PID[Patient] PID-3`.
    pub rule: String,
}
