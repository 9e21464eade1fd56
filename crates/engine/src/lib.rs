//! Channels, the path, lanes, deliveries, effects, revisions.
//!
//! The engine owns the path of a message: receive, journal, acknowledge, process, deliver,
//! settle. It guarantees that no positive acknowledgment leaves before the record that keeps the
//! message is on stable storage, that within a lane everything follows acceptance, and that every
//! message ends in exactly one disposition. It speaks no protocol (connectors do) and knows no
//! console, no SQL and no command line.

mod channel;
mod checkpoint;
mod codes;
mod control_id;
mod decisions;
mod duplicates;
mod effects;
mod engine;
mod lanes;
mod ledger;
mod log;
mod names;
pub mod program;
pub mod project;
mod prove;
pub mod record;
mod recovery;
mod retry;
mod sequence;
#[cfg(test)]
mod testing;

pub use channel::{ChannelStatus, DecideError, DestinationStatus, FailingBot, OnInterrupted};
pub use checkpoint::{Books, CheckpointError};
pub use codes::CODES;
pub use control_id::{ControlIds, InstallationTag};
pub use decisions::{Deciding, Stage, history, message_of};
pub use effects::{Effect, Effects, LookupAnswer, LookupRequest, Recording};
pub use engine::{ApplyReport, Engine, EngineError, EngineOptions, HandOverError};
pub use ledger::{Counters, DeliveryKey, Exception, Ledger, Lost, Queue};
pub use log::{Log, LogError};
pub use names::{ChannelName, DeliveryId, DestinationName, MessageId};
pub use prove::{ChannelProof, Proof, prove};
pub use retry::RetryPolicy;
pub use sequence::LinkNumber;
