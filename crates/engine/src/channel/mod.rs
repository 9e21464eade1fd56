//! One running channel: its task, its intake, its destinations.

mod conductor;
mod intake;
mod load;
mod outbox;
mod reply;
mod status;

pub use outbox::OnInterrupted;
pub use status::{ChannelStatus, DestinationStatus};

pub(crate) use conductor::{ChannelHandle, Conductor, Services};
pub(crate) use intake::ChannelIntake;
