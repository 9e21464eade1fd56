//! Running the binary with nothing of the developer's environment.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The binary, in the directory with the golden inputs.
pub(crate) fn pipehat() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pipehat"));
    command.env_clear().current_dir(golden().join("input"));
    command
}

pub(crate) fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden")
}

/// Runs it to its end with this standard input.
pub(crate) fn run(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = pipehat()
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut stdin = child.stdin.take().expect("standard input is piped");
    let input = input.to_vec();
    // A command that does not read its input may be gone before all is written.
    let writer = std::thread::spawn(move || stdin.write_all(&input).ok());
    let output = child.wait_with_output().expect("the binary ends");
    writer.join().expect("the input was written");
    output
}

/// What it prints to standard output; it must have gone well.
#[track_caller]
pub(crate) fn stdout(arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let output = run(arguments, input);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {error}");
    output.stdout
}

/// The JSON it prints.
#[track_caller]
pub(crate) fn json(arguments: &[&str], input: &[u8]) -> serde_json::Value {
    serde_json::from_slice(&stdout(arguments, input)).expect("JSON")
}
