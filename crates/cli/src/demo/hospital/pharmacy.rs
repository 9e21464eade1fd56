//! The pharmacy's charges: several in one message, dates as 31/12/2025, lines ended by CR LF.

use pipehat_message::AcknowledgmentCode;

use super::people::Hospital;
use super::{ControlIds, identity};
use crate::demo::dialect::{Dialect, DialectCharset, HeaderFields, USUAL, Writer};
use crate::demo::random::Random;
use crate::demo::sending::{Arrival, Fate, Sending};
use crate::demo::system::System;

const DIALECT: Dialect = Dialect {
    application: "APOTHEKE",
    facility: "GENERAL",
    version: "2.3.1",
    encoding_characters: USUAL,
    segment_end: "\r\n",
    charset: DialectCharset::Utf8,
};

/// What billing says to a charge it does not know.
pub(crate) const UNKNOWN_CHARGE: &str = "charge code is not in the price list";

/// A charge as the pharmacy calls it, and as billing does; none: it does not know it.
const CHARGES: [(u32, (&str, Option<&str>)); 6] = [
    (40, ("PARA", Some("N02BE01"))),
    (30, ("IBU", Some("M01AE01"))),
    (20, ("AMOX", Some("J01CA04"))),
    (10, ("MORPH", Some("N02AA01"))),
    (10, ("HEP", Some("B01AB01"))),
    (1, ("X99", None)),
];

/// Charges for billing.
#[derive(Debug)]
pub(crate) struct Pharmacy {
    random: Random,
    ids: ControlIds,
}

impl Pharmacy {
    /// The pharmacy of this seed. Each of its connections is told apart by a prefix.
    pub(crate) fn new(seed: u64, prefix: &'static str) -> Self {
        Self { random: Random::of(seed, prefix), ids: ControlIds::new(prefix) }
    }

    /// The next charges.
    pub(crate) fn next(&mut self, hospital: &mut Hospital) -> Option<Sending> {
        let patient = hospital.inpatient(&mut self.random)?;
        let control_id = self.ids.next();
        let d = &DIALECT;
        let header = HeaderFields {
            kind: &["DFT", "P03"],
            control_id: &control_id,
            receiver: "BILLING",
            acknowledgments: None,
        };
        let mut writer = Writer::new(d, header);
        writer.segment("EVN", &[(1, "P03".to_owned())]);
        writer.segment("PID", &identity(d, &patient));
        let mut arrival = Arrival::new(System::Billing, &control_id)
            .with("PID-3.1", &patient.number)
            .with("PID-5.1", &patient.family);
        let paths =
            [("FT1(1)-4", "FT1(1)-7.1"), ("FT1(2)-4", "FT1(2)-7.1"), ("FT1(3)-4", "FT1(3)-7.1")];
        let count = self.random.between(1, 3) as usize;
        for (at, (date_at, code_at)) in paths.into_iter().take(count).enumerate() {
            let (month, day) = (self.random.between(1, 12), self.random.between(1, 28));
            let (code, billed) = self.random.weighted(&CHARGES);
            writer.segment(
                "FT1",
                &[
                    (1, (at + 1).to_string()),
                    (4, format!("{day:02}/{month:02}/2025")),
                    (6, "CG".to_owned()),
                    (7, d.components(&[code])),
                    (10, self.random.between(1, 5).to_string()),
                ],
            );
            arrival = arrival
                .with(date_at, format!("2025{month:02}{day:02}"))
                .with(code_at, billed.unwrap_or(code));
            if billed.is_none() {
                arrival.refused = Some(UNKNOWN_CHARGE);
            }
        }
        Some(Sending {
            channel: "charges",
            control_id,
            bytes: writer.finish(),
            lanes: Vec::new(),
            acknowledgment: AcknowledgmentCode::Aa,
            fate: Fate::Arrives(vec![arrival]),
        })
    }
}
