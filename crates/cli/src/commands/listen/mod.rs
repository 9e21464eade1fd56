//! `pipehat listen`: a test peer that acknowledges what comes and shows it.

mod answer;
mod arguments;
mod folder;
mod run;
mod told;

pub(crate) use arguments::Arguments;
