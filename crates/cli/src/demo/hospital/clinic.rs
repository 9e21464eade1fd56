//! The vaccination clinic: a batch file with what was given since the one before.

use pipehat_message::AcknowledgmentCode;

use super::people::Hospital;
use super::{ControlIds, identity};
use crate::demo::dialect::{Dialect, DialectCharset, HeaderFields, USUAL, Writer};
use crate::demo::random::Random;
use crate::demo::sending::{Arrival, Fate, Sending};
use crate::demo::system::System;

const DIALECT: Dialect = Dialect {
    application: "IMPF",
    facility: "CLINIC",
    version: "2.5.1",
    encoding_characters: USUAL,
    segment_end: "\r",
    charset: DialectCharset::Utf8,
};

/// The clinic.
#[derive(Debug)]
pub(crate) struct Clinic {
    random: Random,
    ids: ControlIds,
}

impl Clinic {
    /// The clinic of this seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self { random: Random::of(seed, "clinic"), ids: ControlIds::new("VAC") }
    }

    /// The next vaccination.
    pub(crate) fn next(&mut self, hospital: &mut Hospital) -> Option<Sending> {
        let patient = hospital.anyone(&mut self.random)?;
        let refused = self.random.once_in(8);
        let control_id = self.ids.next();
        let d = &DIALECT;
        let header = HeaderFields {
            kind: &["VXU", "V04", "VXU_V04"],
            control_id: &control_id,
            receiver: "ANY",
            acknowledgments: None,
        };
        let mut writer = Writer::new(d, header);
        writer.segment("PID", &identity(d, &patient));
        writer.segment("ORC", &[(1, "RE".to_owned())]);
        let vaccine = self.random.pick(&["140", "207", "03", "115"]);
        writer.segment(
            "RXA",
            &[
                (1, "0".to_owned()),
                (2, "1".to_owned()),
                (3, "20260302".to_owned()),
                (5, d.components(&[vaccine, "", "CVX"])),
                (6, "0.5".to_owned()),
                (20, if refused { "RE" } else { "CP" }.to_owned()),
            ],
        );
        let fate = if refused {
            Fate::Filtered
        } else {
            let arrival = Arrival::new(System::Registry, &control_id)
                .with("MSH-5", "REGISTRY")
                .with("PID-5.1", &patient.family)
                .with("RXA-5.1", vaccine);
            Fate::Arrives(vec![arrival])
        };
        Some(Sending {
            channel: "vaccinations",
            control_id,
            bytes: writer.finish(),
            lanes: vec!["all".to_owned()],
            acknowledgment: AcknowledgmentCode::Aa,
            fate,
        })
    }

    /// A file of these, with batch and file headers that count them.
    pub(crate) fn batch(&mut self, sendings: &[Sending]) -> Vec<u8> {
        let number = self.random.between(1, 999_999);
        let header = "|^~\\&|IMPF|CLINIC|REGISTRY||";
        let mut bytes = format!("FHS{header}||||{number}\rBHS{header}\r").into_bytes();
        for sending in sendings {
            bytes.extend_from_slice(&sending.bytes);
        }
        bytes.extend_from_slice(format!("BTS|{}\rFTS|1\r", sendings.len()).as_bytes());
        bytes
    }
}
