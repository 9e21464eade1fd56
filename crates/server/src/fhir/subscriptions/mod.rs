//! Subscriptions (FHIR R4 §2.41.10, §3.7): whoever asked is told what changed.
//!
//! The [`Follower`](follower) reads the datastore's changes behind it, in their order, at its own pace. A change that
//! meets the criteria of a Subscription ([`watch`]: pure) is entered in the book of deliveries together with how far
//! the follower is; the [`Dispatcher`](dispatcher) sends what stands in the book, by a [`Subscriber`]: one calls
//! `rest-hook` endpoints by HTTP, others may take endpoints of their own (bots). Listeners at the `websocket` are
//! told that something is there.
//!
//! Guarantees:
//! - A write never waits for a Subscription, and a Subscription sees exactly the changes behind the one that made
//!   it active: Subscriptions are changes, too, and are read in the same order.
//! - Every match is delivered at least once, across kills; what can't be delivered becomes a dead letter that a
//!   person sees and can have delivered again.
//! - To one Subscription, the versions of one resource are delivered in their order: the next waits until the one
//!   before was delivered or given up. Other resources and other Subscriptions are not held up.
//! - Memory is bounded: a page of changes, and the deliveries under way.
//! - Only endpoints that the installation allows are called ([`endpoint`]), redirects are not followed, and what a
//!   client may not read all of, it can't subscribe to.
//!
//! Why a book, and not positions in the log of changes with sets of what is outstanding: one dead endpoint among many
//! would hold a position back for days, and every start would read all those changes again. The book's rows are
//! small, there is one only for a match, and nothing has to be read again.
//!
//! Refuses: the channels `email`, `sms` and `message`, payloads other than JSON, criteria that ask about other
//! resources (chains, `_has`).

mod delay;
mod dispatcher;
mod endpoint;
mod follower;
mod listeners;
mod rest_hook;
mod service;
mod subscriber;
mod subscription;
mod watch;
mod websocket;

pub(crate) use rest_hook::careful_client;

pub use delay::Patience;
pub use endpoint::{EndpointRules, HostRule, HostRuleError};
pub use service::{
    DeadLetter, Figures, Redelivered, StartSubscriptionsError, SubscriptionOptions,
    SubscriptionState, Subscriptions,
};
pub use subscriber::{Delivered, DeliveryFailure, Notice, Subscriber};

pub(super) use subscription::{criteria_type, runs_bot, sign};
pub(super) use websocket::PATH as WEBSOCKET_PATH;
pub(super) use websocket::upgrade;
