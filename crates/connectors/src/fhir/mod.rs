//! FHIR R4: resources are written to a datastore, here or elsewhere; and what changes here starts a channel.
//!
//! The payload is JSON: a resource, or a Bundle that is a batch or transaction. What is asked of the server is decided
//! from the payload and the settings alone ([`request`]: pure), so that a retry asks the same; the answer is judged by
//! its status, and a batch by those of its entries ([`answers`]).
//!
//! What a Bundle says it does not speak of ([`kept`]) stays as it stands: the datastore here sees to that itself; a server
//! elsewhere is asked first what stands.
//!
//! A search for a step of a channel ([`lookup`]) changes nothing, and may be asked again whatever became of it.
//!
//! Conditional forms can be sent again without harm. A create without a condition can't: interrupted, it is set aside
//! unless the configuration says otherwise.

mod answers;
mod codes;
mod config;
mod criteria;
mod destination;
mod kept;
mod lookup;
mod peer;
mod peer_settings;
mod request;
mod source;
mod template;
#[cfg(test)]
mod tests;
mod token;

pub(crate) use config::CONNECTOR;
