//! What every journal must do, run on each implementation, and what only the one on disk can.

mod contract;
mod crash;
mod damage;
mod format;
mod lives;
mod properties;
mod repair;
mod sealing;

use proptest::test_runner::Config;

/// So many cases of a property, or what `PROPTEST_CASES` asks for.
fn cases(usual: u32) -> Config {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|asked| asked.parse().ok());
    Config { cases: asked.unwrap_or(usual), failure_persistence: None, ..Config::default() }
}
