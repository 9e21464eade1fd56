//! The FHIR R4 REST API at `/fhir/R4`, over a [`Datastore`](pipehat_store::datastore::Datastore).
//!
//! A request is read as far as it goes without the datastore ([`address`], [`negotiation`], [`conditions`]…: pure),
//! becomes one interaction or a group of them, and the outcome becomes an answer ([`render`], [`bundle`]). What
//! stands in a Bundle takes the same way as what comes by HTTP.
//!
//! Guarantees:
//! - Nothing is answered before [`Access`] knows who asks and [`AuditTrail`] has taken the fact; only the
//!   CapabilityStatement is open.
//! - Whatever comes in, the answer is a resource or an OperationOutcome that says what and where, and no value of a
//!   patient stands in a log or in the text of an error.
//! - Bodies, parameters, entries and pages have limits; what is stored goes out as its bytes where nothing must
//!   change.
//!
//! Refuses: XML and RDF (406, 415), other versions of FHIR.

mod access;
mod address;
mod answer;
mod audit;
mod batch;
mod binary;
mod body;
mod bots;
mod bundle;
mod capability;
mod coding;
mod conditional_reference;
mod conditions;
mod everything;
mod given_back;
mod head;
mod history;
mod local;
mod meta;
mod negotiation;
mod operation;
mod paging;
mod parameters;
mod prefer;
mod problem;
mod query_string;
mod read;
mod recording;
mod render;
mod request;
mod resource;
mod search;
mod service;
mod shape;
mod subscriptions;
mod transaction;
mod unknown_parameters;
mod validate;
mod visibility;
mod write;

pub(crate) use access::lacking_words;
pub(crate) use address::is_id;
pub(crate) use conditions::instant;
pub(crate) use head::request_id;
pub(crate) use query_string::Query;
pub(crate) use render::{common_headers, preflight};
pub(crate) use resource::new_id;
pub(crate) use service::{PROJECT, now};

pub use access::{
    Access, AccessRefusal, AccessRequest, Clients, Decision, Permission, Principal, Scope, Scopes,
    TokenAccess,
};
pub use audit::{AuditFact, AuditTrail, AuditUnavailable, NoAudit, Recorded};
pub use body::REQUEST_BYTES_MAX;
pub(crate) use bots::{BotAnswer, BotCall, BotCalls};
pub(crate) use local::{BotDatastore, bot_of};
pub use local::{LocalDatastore, channel_of};
pub use parameters::SearchParameters;
pub(crate) use problem::Problem;
pub use service::{FhirOptions, FhirService};
pub(crate) use subscriptions::careful_client;
pub use subscriptions::{
    DeadLetter, Delivered, DeliveryFailure, EndpointRules, Figures, HostRule, HostRuleError,
    Notice, Patience, Redelivered, StartSubscriptionsError, Subscriber, SubscriptionOptions,
    SubscriptionState, Subscriptions,
};
