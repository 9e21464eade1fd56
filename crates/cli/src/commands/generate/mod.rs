//! `pipehat generate`: synthetic messages of any type and version, to a file, a directory or a peer.

mod arguments;
mod destination;
mod list;

pub(crate) use arguments::Arguments;
