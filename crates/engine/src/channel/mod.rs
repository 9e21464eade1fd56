//! One running channel: its task, its intake, its destinations.

mod answer;
mod asking;
mod conductor;
mod decide;
mod intake;
mod json;
mod load;
mod outbox;
mod path;
mod post;
mod processing;
mod reply;
mod standstill;
mod status;
#[cfg(test)]
mod tests;

pub use conductor::DecideError;
pub use outbox::OnInterrupted;
pub use status::{ChannelStatus, DestinationStatus, FailingBot};

pub(crate) use conductor::{ChannelHandle, Conductor, Input, Services};
pub(crate) use decide::{Standing, received_again};
pub(crate) use intake::{ChannelIntake, Door, Incoming, Terms};
pub(crate) use load::siblings;
