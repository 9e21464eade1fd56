//! TLS for every connector that speaks over TCP: the same keys in every channel file, one way to check certificates.
//!
//! Always rustls with ring; TLS 1.2 and 1.3. There is no way to switch the check of a certificate off: a partner with a
//! certificate of its own making is trusted by naming that certificate in `ca`.
//!
//! What leaves this machine without TLS is a decision somebody has to write down: see [`exposure`].

mod client;
mod codes;
mod exposure;
mod material;
mod server;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub(crate) use client::{CLIENT_TLS, ClientTls};
pub use codes::TLS_CODES;
pub(crate) use exposure::{ACCEPTED_RISK, Direction, check_exposure, check_plaintext_listener};
pub(crate) use server::{SERVER_TLS, ServerTls, client_identity};
