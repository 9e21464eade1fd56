//! Values of v2 as values of FHIR: texts, numbers, times, names of authorities and coding systems.

mod authority;
mod media;
mod number;
mod time;

pub(crate) use authority::{
    Authority, YEARLY, code_system, edition, is_oid, on_base, sender_system,
};
pub(crate) use media::{is_media_type, media_type};
pub(crate) use number::{compared, decimal, whole};
pub(crate) use time::{
    Clock, Doubt, Moment, date, date_time, instant, is_after, is_same_instant, later, time_of_day,
};
