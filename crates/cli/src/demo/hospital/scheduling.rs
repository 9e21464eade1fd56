//! The scheduling system: HL7 2.3, ISO 8859-1, line feeds between segments, local times.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use pipehat_message::AcknowledgmentCode;

use super::people::Hospital;
use super::{ControlIds, identity};
use crate::demo::dialect::{Dialect, DialectCharset, HeaderFields, USUAL, Writer};
use crate::demo::random::Random;
use crate::demo::sending::{Arrival, Fate, Sending};
use crate::demo::system::System;

const DIALECT: Dialect = Dialect {
    application: "TERMIN",
    facility: "GENERAL",
    version: "2.3",
    encoding_characters: USUAL,
    segment_end: "\n",
    charset: DialectCharset::Latin1,
};

/// Booked, moved, cancelled, not come.
const EVENTS: [(u32, &str); 4] = [(60, "S12"), (20, "S13"), (12, "S15"), (8, "S26")];

/// A room as the scheduling system calls it, and in words.
const ROOMS: [(u32, (&str, &str)); 5] = [
    (1, ("R1", "Room 1")),
    (1, ("R2", "Room 2")),
    (1, ("CT", "Computed tomography")),
    (1, ("MR", "Magnetic resonance")),
    (1, ("Küche", "Küche")),
];

/// Appointments.
#[derive(Debug)]
pub(crate) struct Scheduling {
    random: Random,
    ids: ControlIds,
}

impl Scheduling {
    /// The system of this seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self { random: Random::of(seed, "scheduling"), ids: ControlIds::new("SCH") }
    }

    /// The next appointment.
    pub(crate) fn next(&mut self, hospital: &mut Hospital) -> Option<Sending> {
        let patient = hospital.anyone(&mut self.random)?;
        let event = self.random.weighted(&EVENTS);
        let (room, room_name) = self.random.weighted(&ROOMS);
        let (local, universal) = self.time()?;
        let control_id = self.ids.next();
        let d = &DIALECT;
        let header = HeaderFields {
            kind: &["SIU", event],
            control_id: &control_id,
            receiver: "PORTAL",
            acknowledgments: None,
        };
        let mut writer = Writer::new(d, header);
        writer.segment(
            "SCH",
            &[
                (1, format!("T{}", self.random.between(10_000, 99_999))),
                (7, d.components(&["Aufklärungsgespräch"])),
                (11, d.components(&["", "", "", &local])),
            ],
        );
        writer.segment("PID", &identity(d, &patient));
        writer.segment("RGS", &[(1, "1".to_owned())]);
        writer.segment("AIL", &[(1, "1".to_owned()), (3, d.components(&[room]))]);
        let arrival = Arrival::new(System::Portal, &control_id)
            .with("PID-3.1", &patient.number)
            .with_bytes("PID-5.1", d.bytes(&patient.family))
            .with_bytes("SCH-7.1", d.bytes("Aufklärungsgespräch"))
            .with("SCH-11.4", universal)
            .with_bytes("AIL-3.1", d.bytes(room_name));
        Some(Sending {
            channel: "appointments",
            control_id,
            bytes: writer.finish(),
            lanes: vec![patient.number],
            acknowledgment: AcknowledgmentCode::Aa,
            fate: Fate::Arrives(vec![arrival]),
        })
    }

    /// A time in Berlin by day, when no clock is ever changed, and the same in UTC.
    fn time(&mut self) -> Option<(String, String)> {
        let random = &mut self.random;
        let month = i8::try_from(random.between(1, 12)).ok()?;
        let day = i8::try_from(random.between(1, 28)).ok()?;
        let hour = i8::try_from(random.between(8, 17)).ok()?;
        let minute = i8::try_from(random.between(0, 3) * 15).ok()?;
        let local = DateTime::new(2027, month, day, hour, minute, 0, 0).ok()?;
        let berlin = TimeZone::get("Europe/Berlin").ok()?;
        let universal = local.to_zoned(berlin).ok()?.with_time_zone(TimeZone::UTC);
        let written = universal.strftime("%Y%m%d%H%M+0000").to_string();
        Some((local.strftime("%Y%m%d%H%M").to_string(), written))
    }
}
