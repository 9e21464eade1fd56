//! TypeScript bots in a sandbox.
//!
//! A [`Script`] is compiled once; a [`Worker`] keeps a warm runtime of it and runs it for one [`Event`] after another.
//! A script reaches nothing by itself: the clock, randomness and all of the outside come in through its [`Host`], and
//! all that was asked and answered is recorded, so that a run can be done again as it was ([`Replay`]).

mod compile;
mod conceal;
mod declarations;
mod event;
mod host;
mod limits;
mod replay;
mod run;
mod sandbox;
mod script;
mod worker;

pub use compile::{ProjectDirectory, ScriptError, ScriptErrors, Sources};
pub use conceal::Concealed;
pub use declarations::declarations;
pub use event::{Event, Input};
pub use host::{Answer, Ask, AskError, Begun, Host, LogLevel, LogLine};
pub use limits::Limits;
pub use replay::Replay;
pub use run::{Limit, Output, Recorded, Run, RunError, RunErrorKind};
pub use script::{JsonGiven, Reuse, Script};
pub use worker::Worker;
