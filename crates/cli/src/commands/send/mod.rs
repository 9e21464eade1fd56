//! `pipehat send`: messages from files to an MLLP peer, one by one or as fast as it takes them.

mod arguments;
mod exchange;
mod outgoing;
mod rate;
mod report;
mod run;

pub(crate) use arguments::Arguments;
pub(crate) use rate::{Rate, rate};
pub(crate) use run::{Sending, send_made};
