//! The demo hospital: simulated systems that talk to each other through a real project.
//!
//! What happens in the hospital is made up by `pipehat_testdata`; each peer adds its dialect. The
//! simulation knows what it sends and what must arrive where, so that what it reports is a
//! check from end to end: by those who send and receive, beside what Pipehat's own books say.
//! Everything in it is made up.

mod connection;
mod conversation;
mod draft;
mod exchange_folder;
mod expectations;
mod observer;
mod outages;
mod partner;
mod peers;
mod project;
mod random;
mod reports;
mod screen;
mod sender;
mod sending;
mod session;
mod simulation;
mod snapshot;
mod summary;
mod system;
mod table;
mod view;

pub(crate) use session::{SessionOptions, Watched, run};
