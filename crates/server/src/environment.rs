//! Where `${NAME}` and `secret:name` in a configuration come from.

use std::path::PathBuf;

use pipehat_config::{Environment, SecretText};
use pipehat_connectors::{Secrets, UnknownSecret};

/// The environment of this process, and its secrets: the variable `PIPEHAT_SECRET_<NAME>`, or
/// the file of that name in the folder `PIPEHAT_SECRETS` names, or in `/run/secrets`.
#[derive(Debug, Clone, Copy, Default)]
pub struct ProcessEnvironment;

impl ProcessEnvironment {
    fn find(name: &str) -> Option<Vec<u8>> {
        let variable: String = name
            .chars()
            .map(|letter| if letter == '-' { '_' } else { letter.to_ascii_uppercase() })
            .collect();
        if let Ok(value) = std::env::var(format!("PIPEHAT_SECRET_{variable}")) {
            return Some(value.into_bytes());
        }
        if name.is_empty() || name.contains(['/', '\\']) || name.starts_with('.') {
            return None;
        }
        let folder = std::env::var_os("PIPEHAT_SECRETS").map(PathBuf::from);
        let folders = folder.into_iter().chain([PathBuf::from("/run/secrets")]);
        folders.map(|folder| folder.join(name)).find_map(|file| {
            let mut content = std::fs::read(file).ok()?;
            // Editors end files with a line end that is no part of a password.
            while content.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
                content.pop();
            }
            Some(content)
        })
    }
}

/// The environment of this process for a configuration that is only looked at: one whose secrets need not be here, for
/// it runs elsewhere.
#[derive(Debug, Clone, Copy, Default)]
pub struct LookingOn;

impl Secrets for LookingOn {
    fn secret(&self, name: &str) -> Result<Vec<u8>, UnknownSecret> {
        Secrets::secret(&ProcessEnvironment, name)
    }

    fn stand_in(&self) -> Option<&'static [u8]> {
        Some(b"stand-in")
    }
}

impl Environment for ProcessEnvironment {
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn secret(&self, name: &str) -> Option<SecretText> {
        String::from_utf8(Self::find(name)?).ok().map(SecretText::new)
    }
}

impl Secrets for ProcessEnvironment {
    fn secret(&self, name: &str) -> Result<Vec<u8>, UnknownSecret> {
        Self::find(name).ok_or_else(|| UnknownSecret {
            name: name.to_owned(),
            remedy: format!(
                "set the variable PIPEHAT_SECRET_{}, or put a file `{name}` into the folder that \
                 PIPEHAT_SECRETS names",
                name.replace('-', "_").to_ascii_uppercase()
            ),
        })
    }
}
