//! `pipehat bot`: the bots of a running Pipehat, their runs, and what was given up.

mod runs;

use clap::Subcommand;

use crate::exit::{Exit, Failure};
use crate::terminal::Terminal;

const EXAMPLES: &str = "\
Examples:
  pipehat bot list
  pipehat bot runs --bot identity --state failed
  pipehat bot show 4711
  pipehat bot show 4711 --contents
  pipehat bot dead
  pipehat bot replay 4711
  pipehat bot replay --bot identity

They ask the Pipehat that runs on this data. `list` exits with 1 when runs were given up.";

/// See the bots, their runs, and run again what was given up
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the bots, what triggers them, what waits and what was given up
    List(runs::List),
    /// Show runs, the latest first
    Runs(runs::Runs),
    /// Show one run; with --contents its input, result, log and what it asked
    Show(runs::Show),
    /// Show runs that were given up
    Dead(runs::Dead),
    /// Have runs that were given up, or failed, run again
    Replay(runs::Replay),
}

impl Arguments {
    pub(crate) fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        match self.command {
            Command::List(command) => command.run(terminal),
            Command::Runs(command) => command.run(terminal),
            Command::Show(command) => command.run(terminal),
            Command::Dead(command) => command.run(terminal),
            Command::Replay(command) => command.run(terminal),
        }
    }
}
