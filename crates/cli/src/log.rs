//! Log lines of the library crates: warnings and errors, or what PIPEHAT_LOG asks for.

use std::path::Path;
use std::sync::Mutex;

use anyhow::Context as _;
use tracing_subscriber::EnvFilter;

use crate::terminal::Terminal;

/// What is logged when PIPEHAT_LOG says nothing: what somebody should look at, and that a changed
/// project has taken effect, for whoever has just saved it.
const LOGGED: &str = "warn,pipehat_server::reload=info";

/// Logs to standard error.
pub(crate) fn to_standard_error(terminal: &Terminal) -> anyhow::Result<()> {
    let lines = tracing_subscriber::fmt().with_env_filter(filter()?);
    lines.with_ansi(terminal.error_has_colour()).with_writer(std::io::stderr).init();
    Ok(())
}

/// Logs to a file, for commands that need the terminal for themselves.
pub(crate) fn to_file(path: &Path) -> anyhow::Result<()> {
    let file = std::fs::File::create(path)
        .with_context(|| format!("the log file {} can't be written", path.display()))?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter()?).with_ansi(false);
    lines.with_writer(Mutex::new(file)).init();
    Ok(())
}

fn filter() -> anyhow::Result<EnvFilter> {
    match std::env::var("PIPEHAT_LOG") {
        Ok(directives) => EnvFilter::try_new(directives).context(
            "PIPEHAT_LOG is not a list of levels: write it like `info,pipehat_engine=debug`",
        ),
        Err(_) => Ok(EnvFilter::new(LOGGED)),
    }
}
