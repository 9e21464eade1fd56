//! What end-to-end tests share: a project in a folder of its own, the running binary, partners
//! that speak MLLP, and synthetic messages.

mod api;
mod http;
mod lanes;
mod mllp;
mod pipehat;
mod ports;
mod random;
mod sample;
mod sink;
mod wait;

pub(crate) use api::Api;
pub(crate) use http::{Answered, Connection};
pub(crate) use lanes::check_lanes;
pub(crate) use mllp::{Link, Reply};
pub(crate) use pipehat::{Pipehat, Project};
pub(crate) use ports::free_port;
pub(crate) use random::Random;
pub(crate) use sample::{Sample, field, gender_table, texts};
pub(crate) use sink::{Answer, Sink};
pub(crate) use wait::{DEADLINE, eventually, until};
