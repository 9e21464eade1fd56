//! The search parameters in force: R4's, and those of SearchParameter resources here (FHIR R4 §3.1.1.7).

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use pipehat_resource::json::Value;
use pipehat_resource::outcome::{Issue, IssueCode};
use pipehat_resource::search::Registry;
use pipehat_store::datastore::{Outcome, StoredVersion};
use tokio::sync::Notify;

use super::conditions::instant;
use super::resource::{parameter, parameters};

const RESOURCE_TYPE: &str = "SearchParameter";

/// The registry in force, and the work that follows its changes.
#[derive(Debug)]
pub struct SearchParameters {
    registry: RwLock<Arc<Registry>>,
    wanted: Notify,
    progress: Mutex<Progress>,
}

/// How far the index is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// Whether it is being written anew.
    pub running: bool,
    /// Resources indexed anew.
    pub done: u64,
    /// Of how many.
    pub total: u64,
    /// When the last run ended well, in microseconds since 1970 (UTC).
    pub finished: Option<i64>,
    /// Whether the last run failed; the server's log says why.
    pub failed: bool,
}

impl SearchParameters {
    /// Starts with these.
    pub fn new(registry: Arc<Registry>) -> Self {
        Self {
            registry: RwLock::new(registry),
            wanted: Notify::new(),
            progress: Mutex::new(Progress::default()),
        }
    }

    /// Those in force now.
    pub fn registry(&self) -> Arc<Registry> {
        Arc::clone(&self.registry.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts others in force.
    pub fn replace(&self, registry: Arc<Registry>) {
        *self.registry.write().unwrap_or_else(PoisonError::into_inner) = registry;
    }

    /// Says how far the index is.
    pub fn report(&self, progress: Progress) {
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner) = progress;
    }

    /// Waits until the parameters have changed, or somebody asked for a new index.
    pub async fn changed(&self) {
        self.wanted.notified().await;
    }

    /// Has the index written anew in the background.
    pub(super) fn begin_reindex(&self) {
        self.wanted.notify_one();
    }

    /// Looks whether what was done concerns search parameters.
    pub(super) fn notice(&self, outcomes: &[Outcome]) {
        let concerns = |version: &StoredVersion| version.key.resource_type == RESOURCE_TYPE;
        let concerns = |outcome: &Outcome| match outcome {
            Outcome::Created(version) | Outcome::Updated(version) => concerns(version),
            Outcome::Deleted(versions) => versions.iter().any(concerns),
            Outcome::Unchanged(_) | Outcome::Read(_) | Outcome::Found(_) => false,
        };
        if outcomes.iter().any(concerns) {
            self.begin_reindex();
        }
    }

    /// What is wrong with a SearchParameter that is to be in force. Drafts and retired ones may be anything.
    pub(super) fn findings(&self, definition: &Value) -> Vec<Issue> {
        if !is_in_force(definition) {
            return Vec::new();
        }
        match self.registry().with(definition) {
            Ok(_) => Vec::new(),
            Err(refused) => refused
                .into_iter()
                .map(|refused| {
                    let place = refused.expression;
                    if refused.already_defined {
                        let text =
                            format!("{}; this one is kept and changes nothing", refused.problem);
                        return Issue::warning(IssueCode::Duplicate, text).at(place);
                    }
                    Issue::error(IssueCode::BusinessRule, refused.problem).at(place)
                })
                .collect(),
        }
    }

    /// How far the index is, as a Parameters resource.
    pub(super) fn progress(&self) -> Value {
        let progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let state = match &progress {
            Progress { running: true, .. } => "running",
            Progress { failed: true, .. } => "failed",
            _ => "idle",
        };
        let number = |number: u64| Value::from(i64::try_from(number).unwrap_or(i64::MAX));
        let mut parts = vec![
            parameter("state", "valueCode", state.into()),
            parameter("done", "valueDecimal", number(progress.done)),
            parameter("total", "valueDecimal", number(progress.total)),
        ];
        if let Some(finished) = progress.finished {
            parts.push(parameter("finished", "valueInstant", instant(finished).into()));
        }
        parameters(parts)
    }
}

/// Whether a SearchParameter resource counts.
pub(super) fn is_in_force(definition: &Value) -> bool {
    definition.text("status") == Some("active")
}
