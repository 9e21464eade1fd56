//! How a query is refused: by the response it would have got, with nothing found in it (HL7 v2.5.1 §5.3 to §5.5, and
//! §5.10.2 for original mode queries).
//!
//! A response says which query it is about by QAK-1, and repeats the query's own definition. Where no response of a query
//! can be told from its type, a general acknowledgment refuses it.

use super::code::AcknowledgmentCode;
use super::received::{Segment, Segments};
use super::version::Version;
use crate::Header;

/// Message types (MSH-9.1) that ask for something and are of no use once nobody waits for the answer.
const QUERIES: [&[u8]; 14] = [
    b"QBP", b"QRY", b"QSB", b"QVR", b"QCN", b"EQQ", b"OSQ", b"RQC", b"RQI", b"RQP", b"RQQ", b"SPQ",
    b"SQM", b"VQQ",
];

/// `VXQ` is older than the naming of queries.
const VACCINATION_QUERY: &[u8] = b"VXQ";

/// Whether a message is a query, by MSH-9.1.
#[must_use]
pub fn is_query(header: &Header<'_>) -> bool {
    let code = header.message_code();
    code == VACCINATION_QUERY || QUERIES.contains(&code)
}

/// The response that refuses one query.
#[derive(Clone)]
pub(super) struct QueryResponse<'a> {
    /// MSH-9.1 to 9.3.
    pub(super) message_code: &'static str,
    pub(super) event: Vec<u8>,
    pub(super) structure: Vec<u8>,
    pub(super) acknowledges_query: bool,
    /// QAK-1.
    pub(super) tag: &'a [u8],
    /// QAK-3.
    pub(super) name: &'a [u8],
    /// What of the query is repeated.
    pub(super) echoed: Vec<&'a [u8]>,
    /// ORF^R04 has its ERR and QAK behind what is repeated.
    pub(super) echoed_first: bool,
}

impl<'a> QueryResponse<'a> {
    /// The response of this query; `None` where none can be told.
    pub(super) fn to(header: &Header<'a>, message: &'a [u8]) -> Option<Self> {
        let version = Version::of(header.version_id());
        let trigger = header.trigger_event();
        match header.message_code() {
            b"QBP" => Some(Self::by_parameter(header, version, message)),
            b"QRY" => {
                let (code, event, echoes) = match trigger {
                    b"A19" => ("ADR", "A19", true),
                    b"Q01" => ("DSR", "Q01", true),
                    b"Q02" => ("QCK", "Q02", false),
                    b"R02" => ("ORF", "R04", true),
                    b"T12" => ("DOC", "T12", true),
                    _ => return None,
                };
                Some(Self::original(code, event, echoes, version, header, message))
            }
            b"SQM" => Some(Self::original("SQR", "S25", false, version, header, message)),
            b"OSQ" => {
                let response = Self::original("OSR", "Q06", true, version, header, message);
                Some(Self { acknowledges_query: false, ..response })
            }
            _ => None,
        }
    }

    /// Query by parameter: RSP, RTB or RDY (HL7 v2.5.1 §5.4).
    fn by_parameter(header: &Header<'a>, version: Version, message: &'a [u8]) -> Self {
        let trigger = header.trigger_event();
        let event = response_event(trigger);
        let message_code = match (trigger, header.message_structure()) {
            (b"Q13", _) | (_, b"QBP_Q13") => "RTB",
            (b"Q15", _) | (_, b"QBP_Q15") => "RDY",
            _ => "RSP",
        };
        let structure = match (message_code, &*event) {
            ("RTB", _) => b"RTB_K13".to_vec(),
            ("RDY", _) => b"RDY_K15".to_vec(),
            (_, b"K22") if version.shares_query_structures() => b"RSP_K21".to_vec(),
            (_, b"K24") if version.has_error_location() => b"RSP_K23".to_vec(),
            (_, event) => [b"RSP_", event].concat(),
        };
        let definition = segment(header, message, b"QPD");
        Self {
            message_code,
            structure,
            event,
            acknowledges_query: true,
            tag: definition.map_or(b"", |definition| definition.field(2)),
            name: definition.map_or(b"", |definition| definition.field(1)),
            echoed: definition.map(Segment::raw).into_iter().collect(),
            echoed_first: false,
        }
    }

    /// Original mode: what is repeated is QRD and QRF.
    fn original(
        message_code: &'static str,
        event: &'static str,
        echoes: bool,
        version: Version,
        header: &Header<'a>,
        message: &'a [u8],
    ) -> Self {
        let definition = segment(header, message, b"QRD");
        let filter = segment(header, message, b"QRF");
        let echoed = definition.into_iter().chain(filter).map(Segment::raw);
        Self {
            message_code,
            event: event.into(),
            structure: format!("{message_code}_{event}").into(),
            acknowledges_query: version.has_query_acknowledgment(),
            tag: definition.map_or(b"", |definition| definition.field(4)),
            name: b"",
            echoed: echoed.filter(|_| echoes).collect(),
            echoed_first: message_code == "ORF",
        }
    }
}

/// QAK-2 (table 0208) beside this MSA-1.
pub(super) fn response_status(code: AcknowledgmentCode) -> &'static str {
    match code {
        AcknowledgmentCode::Aa | AcknowledgmentCode::Ca => "OK",
        AcknowledgmentCode::Ae | AcknowledgmentCode::Ce => "AE",
        AcknowledgmentCode::Ar | AcknowledgmentCode::Cr => "AR",
    }
}

/// The trigger event of the response: Q22 is answered by K22. Sites number their own pairs in a row (Z81 and Z82 in
/// HL7 v2.5.1 §5.6, ZV1 and ZV2 in IHE's patient demographics and visit query).
fn response_event(trigger: &[u8]) -> Vec<u8> {
    match trigger {
        [b'Q', number @ ..] => [b"K", number].concat(),
        [b'Z', .., digit @ b'0'..=b'8'] => {
            let mut event = trigger.to_vec();
            if let Some(last) = event.last_mut() {
                *last = digit.saturating_add(1);
            }
            event
        }
        [b'Z', tens @ b'0'..=b'8', b'9'] => vec![b'Z', tens.saturating_add(1), b'0'],
        other => other.to_vec(),
    }
}

fn segment<'a>(header: &Header<'a>, message: &'a [u8], name: &[u8; 3]) -> Option<Segment<'a>> {
    Segments::of(message, header.delimiters()).find(|segment| segment.is(name))
}
