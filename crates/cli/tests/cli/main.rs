//! The real binary: what it prints, how it exits, and what it does to files and peers.

mod bench_command;
mod bot_command;
mod clients;
mod generate;
mod golden;
mod masking;
mod messages;
mod peers;
mod projects;
mod running;
mod test_command;
