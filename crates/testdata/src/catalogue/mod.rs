//! What is ordered, found, given and charged: a small choice of each, with its codes and what is usual.
//!
//! Codes of LOINC, UCUM, CVX, ICD-10 and CPT-like local lists are facts of everyday practice; the figures are rounded
//! from textbooks and good enough to look right, not to treat anyone.

mod clinic;
mod laboratory;
mod medication;
mod report;

pub(crate) use clinic::{ALLERGIES, CHARGES, Charge, DIAGNOSES, PROCEDURES, SERVICES};
pub(crate) use laboratory::{PANELS, Panel, Test, VITALS, Value as TestValue};
pub(crate) use medication::{MEDICATIONS, Medication, VACCINES, Vaccine};
pub(crate) use report::{CULTURES, CultureFinding, IMAGING, Imaging, NOTES, PDF_BASE64};

/// A code of a coding system with its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Coded {
    pub(crate) code: &'static str,
    pub(crate) text: &'static str,
    /// Table 0396.
    pub(crate) system: &'static str,
}

impl Coded {
    pub(crate) const fn new(code: &'static str, text: &'static str, system: &'static str) -> Self {
        Self { code, text, system }
    }
}

/// A unit of UCUM.
pub(crate) const fn unit(code: &'static str) -> Coded {
    Coded::new(code, code, "UCUM")
}
