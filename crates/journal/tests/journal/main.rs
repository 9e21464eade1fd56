//! What every journal must do, run on each implementation, and what only the one on disk can.

mod contract;
mod crash;
mod damage;
mod format;
mod properties;
mod repair;
mod sealing;
