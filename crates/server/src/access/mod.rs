//! Who may use the FHIR API.

mod assertion;
mod client;
mod failures;
mod keys;
mod register;
mod scope;
mod token;

pub use client::{Client, Proof};
pub use keys::{KeysError, PublicKey, read_keys};
pub use register::{ClientFile, ClientRegister, NewClient, RegisterError};
pub use scope::{ScopeError, SmartScope};
