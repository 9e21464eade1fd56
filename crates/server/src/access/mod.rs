//! Who may use the FHIR API, and the record of who did.
//!
//! A **client** is registered on the command line ([`ClientFile`]) with scopes, and a secret or public keys. It signs
//! in at `/oauth2/token` (OAuth 2 client credentials; SMART Backend Services) or sends id and secret with each request
//! (HTTP Basic). [`AccessService`] tells the API who is behind a request and what it may do; each access is told to the
//! audit log ([`LogTrail`]) and can be searched as an AuditEvent ([`AuditEvents`]).
//!
//! Guarantees:
//! - Nothing is open but discovery and the CapabilityStatement.
//! - A revoked client, or a secret that was replaced, opens nothing from that moment on; nor do tokens given before.
//! - Secrets, tokens and assertions are compared in constant time, and stand in no log, file or error.
//! - While the audit can't be written, nobody gets in.
//!
//! Refuses: users and patients as principals, refresh tokens, keys by `jwks_uri` (the server would have to call out).

mod address;
mod assertion;
mod audit;
mod client;
mod failures;
mod granted;
mod keys;
mod lacking;
mod oauth;
mod register;
mod routes;
mod scope;
mod service;
mod stand_in;
mod token;
mod told;

pub use address::root_of;
pub use audit::{AuditEvents, LogTrail};
pub use client::{Client, Proof};
pub use granted::{ScopeProblem, ScopeReader};
pub use keys::{KeysError, PublicKey, read_keys};
pub use lacking::lacking;
pub use register::{CLIENTS_MAX, ClientFile, ClientRegister, NewClient, RegisterError};
pub use scope::{ScopeError, SmartScope};
pub use service::{AccessService, AccessSettings};
pub use stand_in::{NoStandIn, StandIn};

pub(crate) use audit::event_reference;
pub(crate) use granted::scopes_of;
pub(crate) use service::ADMIN;
