//! `pipehat completions`: scripts that let a shell complete commands and options.

use clap::ValueEnum;
use clap_complete::Shell as Generator;

use crate::command_line::CommandLine;
use crate::exit::{Exit, Failure};
use crate::terminal::Terminal;

const EXAMPLES: &str = "\
Examples:
  pipehat completions bash > ~/.local/share/bash-completion/completions/pipehat
  pipehat completions zsh > ~/.zfunc/_pipehat
  pipehat completions fish > ~/.config/fish/completions/pipehat.fish";

/// Print a completion script for a shell
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The shell
    shell: Shell,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

impl Arguments {
    pub(crate) fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let generator = match self.shell {
            Shell::Bash => Generator::Bash,
            Shell::Zsh => Generator::Zsh,
            Shell::Fish => Generator::Fish,
        };
        let mut script = Vec::new();
        clap_complete::generate(generator, &mut CommandLine::grouped(), "pipehat", &mut script);
        terminal.write(|output| output.write_all(&script))?;
        Ok(Exit::Ok)
    }
}
