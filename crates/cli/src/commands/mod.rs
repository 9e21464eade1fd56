//! One module for each command: its arguments, its help, and what it does.

pub(crate) mod bench;
pub(crate) mod bot;
pub(crate) mod check;
pub(crate) mod client;
pub(crate) mod completions;
pub(crate) mod datastore;
pub(crate) mod demo;
pub(crate) mod dictionary;
pub(crate) mod generate;
pub(crate) mod journal;
pub(crate) mod listen;
pub(crate) mod mask;
pub(crate) mod message;
pub(crate) mod messages;
pub(crate) mod new;
pub(crate) mod profile;
pub(crate) mod project;
pub(crate) mod prove;
pub(crate) mod retry;
pub(crate) mod send;
pub(crate) mod status;
pub(crate) mod subscriptions;
pub(crate) mod test;
pub(crate) mod token;
pub(crate) mod types;
pub(crate) mod up;
