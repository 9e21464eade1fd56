//! The scheduling system: HL7 2.3, ISO 8859-1 without saying so, line feeds between segments, local times.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use pipehat_dictionary::Version;
use pipehat_testdata::{SegmentEnd, System, Told, Topic};

use super::{Peer, Speech};
use crate::demo::draft::Draft;
use crate::demo::random::Random;
use crate::demo::sending::{Arrival, Fate};
use crate::demo::system::System::Portal;

pub(super) const APPOINTMENTS: Peer =
    Peer { channel: "appointments", system: scheduling, speak: appointment };

/// Where appointments are, as the scheduling system calls it.
const CLINIC: &str = "Ambulanz S\u{fc}d";

fn scheduling() -> System {
    System {
        application: "TERMIN".to_owned(),
        receiving_application: "PORTAL".to_owned(),
        control_id_prefix: "SCH".to_owned(),
        charset: Some("8859/1".to_owned()),
        segment_end: SegmentEnd::LineFeed,
        ..System::new(Version::V2_3, &[Topic::Appointments])
    }
}

fn appointment(draft: &mut Draft<'_>, _: &mut Random, _: &Told) -> Speech {
    let time = in_utc(&draft.text("SCH-11.4")).unwrap_or_default();
    let arrival = Arrival::new(Portal, &draft.text("MSH-10"))
        .same(draft, &["PID-3.1", "PID-5.1", "SCH-2.1", "SCH-7.2", "AIL-3.1", "AIL-3.2"])
        .with("SCH-11.4", time);
    let lanes = vec![draft.text("PID-3.1")];
    // The other side has to know.
    draft.clear("MSH-18");
    if draft.count("AIL") > 0 {
        let latin: Vec<u8> = CLINIC.chars().filter_map(|one| u8::try_from(one).ok()).collect();
        draft.set_bytes("AIL-3.1", &latin);
    }
    Speech::taken(lanes, Fate::Arrives(vec![arrival]))
}

/// A time in Berlin, by day, when no clock is ever changed, in UTC.
fn in_utc(time: &str) -> Option<String> {
    let local = DateTime::strptime("%Y%m%d%H%M%S", time).ok()?;
    let berlin = TimeZone::get("Europe/Berlin").ok()?;
    let universal = local.to_zoned(berlin).ok()?.with_time_zone(TimeZone::UTC);
    Some(universal.strftime("%Y%m%d%H%M%S+0000").to_string())
}
