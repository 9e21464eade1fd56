//! Files: a folder that is watched, and a folder that is written to.
//!
//! The source takes each file exactly once: it is claimed by a rename, its messages are handed over in order, and after
//! a restart it goes on from the first message that the engine has not kept. A file leaves the working folder only when
//! each of its messages was kept or refused. Nothing is ever deleted or replaced, unless configured so.
//!
//! The destination writes under a hidden name, syncs, and renames: nobody sees half a file.
//!
//! File names may hold patient data, so none is logged or shown in a problem; the message's record has it.

mod appended;
mod codes;
mod config;
mod destination;
mod disk;
mod hand_over;
mod listing;
mod notes;
mod parts;
mod pattern;
mod reasons;
mod source;
mod template;
#[cfg(test)]
mod tests;
mod watch;
mod workplace;

pub(crate) use config::CONNECTOR;
