//! The example projects that are measured, carried inside the binary.

use std::net::SocketAddr;
use std::path::Path;

use pipehat_config::{Colour, Environment, SecretText};
use pipehat_connectors::{CONNECTORS, Secrets, UnknownSecret};
use pipehat_engine::project::{LoadContext, MemoryFiles, Project};

/// Which example.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Example {
    /// In and kept.
    Intake,
    /// In, changed, and out to the address.
    Relay(SocketAddr),
    /// The same, changed by a bot.
    RelayBot(SocketAddr),
}

#[derive(Debug, thiserror::Error)]
#[error("the example project is not accepted:\n{0}")]
pub(super) struct ExampleError(String);

impl Example {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Intake => "intake",
            Self::Relay(_) => "relay",
            Self::RelayBot(_) => "relay-bot",
        }
    }

    /// The checked project, listening on any free port.
    pub(super) fn load(self) -> Result<Project, ExampleError> {
        let files = match self {
            Self::Intake => MemoryFiles::new().with(
                "channels/intake.yaml",
                include_str!("../../../../../examples/intake/channels/intake.yaml"),
            ),
            Self::Relay(_) => MemoryFiles::new()
                .with(
                    "channels/relay.yaml",
                    include_str!("../../../../../examples/relay/channels/relay.yaml"),
                )
                .with(
                    "tables/gender.csv",
                    include_str!("../../../../../examples/relay/tables/gender.csv"),
                ),
            Self::RelayBot(_) => MemoryFiles::new()
                .with(
                    "channels/relay-bot.yaml",
                    include_str!("../../../../../examples/relay-bot/channels/relay-bot.yaml"),
                )
                .with(
                    "bots/relay.yaml",
                    include_str!("../../../../../examples/relay-bot/bots/relay.yaml"),
                )
                .with(
                    "bots/relay.ts",
                    include_str!("../../../../../examples/relay-bot/bots/relay.ts"),
                ),
        };
        let loaded = Project::load_from(&LoadContext {
            files: &files,
            directory: Path::new("."),
            environment: &self,
            secrets: &self,
            connectors: CONNECTORS,
        });
        loaded.project.ok_or_else(|| ExampleError(loaded.diagnostics.render(Colour::Never)))
    }
}

impl Environment for Example {
    fn variable(&self, name: &str) -> Option<String> {
        match (name, self) {
            ("PIPEHAT_LISTEN", _) => Some("127.0.0.1:0".to_owned()),
            ("PIPEHAT_TARGET", Self::Relay(target) | Self::RelayBot(target)) => {
                Some(target.to_string())
            }
            _ => None,
        }
    }

    fn secret(&self, _: &str) -> Option<SecretText> {
        None
    }
}

impl Secrets for Example {
    fn secret(&self, name: &str) -> Result<Vec<u8>, UnknownSecret> {
        Err(UnknownSecret { name: name.to_owned(), remedy: "the examples have none".to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_are_accepted() {
        let target = ([127, 0, 0, 1], 2576).into();
        for example in [Example::Intake, Example::Relay(target), Example::RelayBot(target)] {
            let project = example.load().unwrap();
            assert_eq!(project.channels.len(), 1);
            assert_eq!(&*project.channels[0].name, example.name());
        }
    }
}
