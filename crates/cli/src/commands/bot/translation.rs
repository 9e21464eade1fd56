//! What a bot translates by when it is run by hand, and what it may use: what the project's files say, as on a server.

use std::path::Path;

use pipehat_engine::program::TranslationSettings;
use pipehat_engine::project::Project;
use pipehat_script::{Ask, Limits};
use pipehat_server::access::{SmartScope, lacking};
use pipehat_server::{LookingOn, ProcessEnvironment};

use super::load::BotFile;
use crate::exit::Failure;

#[derive(Debug, thiserror::Error)]
enum PlaceError {
    #[error("{0} has mistakes, so what its channel says is not known: `pipehat check` tells them")]
    Mistakes(String),
    #[error("there is no channel `{0}` in the project")]
    NoChannel(String),
}

/// Where a bot runs: by itself, or as a step of a channel.
#[derive(Default)]
pub(super) struct Place {
    pub(super) translation: TranslationSettings,
    pub(super) limits: Limits,
    /// What a server says of it in the event's headers.
    pub(super) headers: Vec<(String, String)>,
    pub(super) granted: Granted,
    /// What is to be said where the bot's own file could not be gone by.
    pub(super) unread: Option<String>,
}

/// What a bot's own file lets it do in the datastore.
#[derive(Debug, Clone, Default)]
pub(super) struct Granted(
    /// None: it has no file yet, and nothing is refused.
    Option<Vec<SmartScope>>,
);

impl Granted {
    /// Why a server would refuse what is asked.
    pub(super) fn refusal(&self, ask: &Ask) -> Option<String> {
        match ask {
            Ask::Datastore { method, path, body, .. } => {
                lacking(self.0.as_deref()?, method, path, body)
            }
            _ => None,
        }
    }
}

impl Place {
    /// What the bot's own file says (`bots/NAME.yaml` beside it), and behind it the channel whose step it is to be.
    ///
    /// # Errors
    /// Where the channel is not there, or not known for the project's mistakes.
    pub(super) fn of(bot: &BotFile, channel: Option<&str>) -> Result<Self, Failure> {
        let file = bot.project.join(Path::new(&bot.entry).with_extension("yaml"));
        if channel.is_none() && !file.is_file() {
            return Ok(Self::default());
        }
        let loaded = Project::load(&bot.project, &ProcessEnvironment, &LookingOn);
        let Some(project) = loaded.project else {
            // A script under way may well stand in a project that is, too.
            return match channel {
                None => {
                    let own = Path::new(&bot.entry).with_extension("yaml");
                    let unread = format!(
                        "the project has mistakes, so the scopes, limits and `translate` of {} are not gone by: `pipehat \
                         check` tells them",
                        own.display()
                    );
                    Ok(Self { unread: Some(unread), ..Self::default() })
                }
                Some(_) => {
                    let project = bot.project.display().to_string();
                    Err(Failure::could_not(PlaceError::Mistakes(project)))
                }
            };
        };
        let own = project.bots.iter().find(|spec| spec.script == bot.entry);
        let limits = own.map(|spec| spec.limits.clone()).unwrap_or_default();
        // Scopes of a project that loaded can be read.
        let scopes = |texts: &[String]| {
            texts.iter().filter_map(|text| SmartScope::parse(text).ok()).collect()
        };
        let granted = Granted(own.map(|spec| scopes(&spec.scopes)));
        let own = own.map(|spec| spec.translation.clone()).unwrap_or_default();
        let mut headers = Vec::new();
        let translation = match channel {
            None => own,
            Some(name) => {
                let no_channel = || Failure::usage(PlaceError::NoChannel(name.to_owned()));
                let channel = project.channel(name).ok_or_else(no_channel)?;
                headers.push(("channel".to_owned(), name.to_owned()));
                own.or(&channel.translation)
            }
        };
        let zone = translation.to_fhir.zone.as_ref().and_then(|zone| zone.iana_name());
        headers.extend(zone.map(|zone| ("time-zone".to_owned(), zone.to_owned())));
        Ok(Self { translation, limits, headers, granted, unread: None })
    }
}
