//! SFTP: files on other people's servers, over SSH.
//!
//! An [`SftpServer`] is one server that `pipehat.yaml` names, with its login, the keys by which it is known, and a
//! small pool of connections. It lists, gets, puts, renames and removes files below one directory.
//!
//! What it guarantees:
//! * A server whose key is not pinned is never spoken to: neither user nor password goes out before its key is known.
//! * A file stands under its final name whole or not at all: it is written beside it, synced where the server can, and
//!   renamed.
//! * No path leads out of the directory: not by `..`, not from the root, and not by a link as far as the server tells.
//! * Nothing that a server sends takes more memory than the limits of its settings; each answer has its time.
//!
//! What it refuses to do: it learns no key by itself, logs no name of a file (one may hold a patient's number), and
//! decides nothing about when something is tried again.
//!
//! The protocol is that of draft-ietf-secsh-filexfer-02 (version 3), which every server speaks, with OpenSSH's
//! extensions (its file `PROTOCOL`) where a server offers them. It is written here, over `russh`: the packets are few,
//! and what bounds them is ours to promise.

mod codes;
mod config;
mod connection;
mod error;
mod host_keys;
mod packet;
mod path;
mod pool;
mod server;
mod session;
#[cfg(test)]
mod tests;
mod wire;

pub use codes::SFTP_CODES;
pub use config::SFTP_SERVER;
pub use error::SftpError;
pub use packet::FileKind;
pub use server::{SftpCounts, SftpServer};
pub use session::SftpEntry;
