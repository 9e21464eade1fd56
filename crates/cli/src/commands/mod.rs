//! One module for each command: its arguments, its help, and what it does.

pub(crate) mod completions;
pub(crate) mod listen;
pub(crate) mod message;
pub(crate) mod new;
pub(crate) mod project;
pub(crate) mod send;
pub(crate) mod up;
