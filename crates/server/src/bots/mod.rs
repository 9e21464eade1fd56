//! Bots in the server: scripts run for changes of the datastore, for calls, by the clock and as steps of channels.
//!
//! A run has an identity and scopes of its own, never those of whoever caused it, and reaches what the bot's file
//! grants. It goes on threads of its own, so that nothing else waits for a script. Every run is recorded: what it was
//! given, what it asked and was answered, what it logged and what came of it, sealed.
//!
//! Who waits for a run is told how it ended. What nobody waits for (a cron time, a webhook with `answer: accepted`, a call
//! with `respond-async`) is kept before it is promised, tried again by the bot's `retry`, and then a dead letter that a
//! person may have run again. A change of the datastore is tried again by its Subscription, in the resource's order.
//!
//! What a run sends to channels goes out when it has succeeded, and not at all where it failed.

mod calls;
mod clock;
mod deployed;
mod failing;
mod failure;
mod files;
mod host;
mod hosts;
mod input;
mod jobs;
mod own_changes;
mod pool;
mod record;
mod resources;
mod service;
mod step;
mod subscriber;
mod webhook;

pub(crate) use calls::Calls;
pub(crate) use deployed::{BotSet, Deployed};
pub(crate) use failing::Failures;
pub use service::BotsError;
pub(crate) use service::{Bots, BotsOptions};
pub(crate) use step::ChannelBots;
pub(crate) use subscriber::BotSubscriber;
pub(crate) use webhook::router as webhook_router;
