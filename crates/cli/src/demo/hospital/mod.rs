//! What happens in the demo hospital: its people, and what each system tells of them.

mod clinic;
mod laboratory;
mod people;
mod pharmacy;
mod registration;
mod scheduling;
mod ward;

pub(crate) use clinic::Clinic;
pub(crate) use laboratory::Laboratory;
pub(crate) use people::Hospital;
pub(crate) use pharmacy::Pharmacy;
pub(crate) use registration::Registration;
pub(crate) use scheduling::Scheduling;
pub(crate) use ward::{LabOrders, Prescriptions};

use super::dialect::Dialect;
use people::Patient;

/// Control ids of one system: `LAB0000001` and on.
#[derive(Debug)]
struct ControlIds {
    prefix: &'static str,
    last: u64,
}

impl ControlIds {
    fn new(prefix: &'static str) -> Self {
        Self { prefix, last: 0 }
    }

    fn next(&mut self) -> String {
        self.last += 1;
        format!("{}{:07}", self.prefix, self.last)
    }
}

/// PID-3 and PID-5, as most systems here write them.
fn identity(dialect: &Dialect, patient: &Patient) -> Vec<(usize, String)> {
    vec![
        (1, "1".to_owned()),
        (3, dialect.components(&[&patient.number, "", "", "GENERAL", "MR"])),
        (5, dialect.components(&[&patient.family, patient.given])),
    ]
}
