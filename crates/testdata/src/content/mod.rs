//! What goes into the fields of the segments that people look at: one function for each segment, which says what a
//! field is to say. A field nobody speaks for stays empty, or is filled with something valid if it is required.

mod finance;
mod header;
mod master_file;
mod observation;
mod order;
mod patient;
mod pharmacy;
mod query;
mod schedule;
mod visit;

use crate::scene::Context;
use crate::value::Value;

/// What a field says: the field by its position, and which of its repetitions, from 0.
pub(crate) type Provider = for<'a> fn(&Context<'a>, u16, usize) -> Value<'a>;

pub(crate) use finance::charge_count;
pub(crate) use header::is_negative;
pub(crate) use observation::value_type;
pub(crate) use patient::allergy_count;
pub(crate) use query::LINES;
pub(crate) use visit::{bed_of, diagnosis_count};

/// Who speaks for a segment.
pub(crate) fn provider(segment: &[u8; 3]) -> Option<Provider> {
    Some(match segment {
        b"MSH" => header::msh,
        b"SFT" => header::sft,
        b"EVN" => header::evn,
        b"MSA" => header::msa,
        b"ERR" => header::err,
        b"NTE" => header::nte,
        b"PID" => patient::pid,
        b"PD1" => patient::pd1,
        b"MRG" => patient::mrg,
        b"NK1" => patient::nk1,
        b"AL1" => patient::al1,
        b"IAM" => patient::iam,
        b"PV1" => visit::pv1,
        b"PV2" => visit::pv2,
        b"DG1" => visit::dg1,
        b"PR1" => visit::pr1,
        b"NPU" => visit::npu,
        b"ROL" => visit::rol,
        b"PRT" => visit::prt,
        b"ORC" => order::orc,
        b"OBR" => order::obr,
        b"TQ1" => order::tq1,
        b"SPM" => order::spm,
        b"SAC" => order::sac,
        b"OBX" => observation::obx,
        b"TXA" => observation::txa,
        b"RXO" => pharmacy::rxo,
        b"RXE" => pharmacy::rxe,
        b"RXR" => pharmacy::rxr,
        b"RXD" => pharmacy::rxd,
        b"RXG" => pharmacy::rxg,
        b"RXA" => pharmacy::rxa,
        b"SCH" => schedule::sch,
        b"ARQ" => schedule::arq,
        b"RGS" => schedule::rgs,
        b"AIS" => schedule::ais,
        b"AIL" => schedule::ail,
        b"AIP" => schedule::aip,
        b"IN1" => finance::in1,
        b"IN2" => finance::in2,
        b"GT1" => finance::gt1,
        b"FT1" => finance::ft1,
        b"QRD" => query::qrd,
        b"QRF" => query::qrf,
        b"QPD" => query::qpd,
        b"RCP" => query::rcp,
        b"QAK" => query::qak,
        b"DSP" => query::dsp,
        b"QRI" => query::qri,
        b"MFI" => master_file::mfi,
        b"MFE" => master_file::mfe,
        b"MFA" => master_file::mfa,
        b"STF" => master_file::stf,
        b"PRA" => master_file::pra,
        b"LOC" => master_file::loc,
        b"CDM" => master_file::cdm,
        b"OM1" => master_file::om1,
        _ => return None,
    })
}
