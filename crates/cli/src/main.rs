//! The `pipehat` binary: reads the command line, runs the command, and says how it ended.

use std::process::ExitCode;

use anyhow::Context as _;
use tracing_subscriber::EnvFilter;

mod admin;
mod command_line;
mod commands;
mod control_id;
mod demo;
mod duration;
mod exit;
mod input;
mod latency;
mod message_file;
mod output_file;
mod peer_address;
mod signals;
mod terminal;
mod tls;

use command_line::CommandLine;
use exit::Exit;
use terminal::Terminal;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let command_line = match CommandLine::try_parse_grouped() {
        Ok(command_line) => command_line,
        Err(error) => {
            // Help and version are errors to clap; writing them fails only where nobody reads them.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage.into() } else { Exit::Ok.into() };
        }
    };
    let terminal = Terminal::new(command_line.color, command_line.quiet);
    if let Err(error) = log_to_standard_error(&terminal) {
        terminal.error(format_args!("{error:#}"));
        return Exit::Usage.into();
    }
    match command_line.command.run(&terminal) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            if let Some(message) = failure.message() {
                terminal.error(message);
            }
            failure.exit().into()
        }
    }
}

/// What is logged when PIPEHAT_LOG says nothing: what somebody should look at, and that a changed
/// project has taken effect, for whoever has just saved it.
const LOGGED: &str = "warn,pipehat_server::reload=info";

/// Log lines of the library crates: warnings and errors, or what PIPEHAT_LOG asks for.
fn log_to_standard_error(terminal: &Terminal) -> anyhow::Result<()> {
    let filter = match std::env::var("PIPEHAT_LOG") {
        Ok(directives) => EnvFilter::try_new(directives).context(
            "PIPEHAT_LOG is not a list of levels: write it like `info,pipehat_engine=debug`",
        )?,
        Err(_) => EnvFilter::new(LOGGED),
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(terminal.error_has_colour())
        .init();
    Ok(())
}
