//! From the files of a project to the modules that run: TypeScript stripped of its types, imports resolved, packages
//! read from `node_modules`. Nothing is read that is outside of the project, and nothing is run.

mod builtin;
mod commonjs;
mod failure;
mod graph;
mod javascript;
mod links;
mod loops;
mod package;
mod position;
mod resolve;
mod results;
mod sources;
mod state;
mod syntax;
mod writes;

pub use failure::{ScriptError, ScriptErrors};
pub use sources::{ProjectDirectory, Sources};

pub(crate) use builtin::{BOOT, GLOBAL_BUFFER, HOST};
pub(crate) use graph::{Graph, Keep, Module};
pub(crate) use javascript::{TOP_LEVEL, is_commonjs};
pub(crate) use loops::loop_at;
pub(crate) use results::json_given;
