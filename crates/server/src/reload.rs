//! A changed project directory takes effect: all of it, or nothing.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, SystemTime};

use pipehat_config::{Colour, Diagnostics, Severity};
use pipehat_engine::project::Project;
use pipehat_engine::{ApplyReport, EngineError};
use tokio::time::timeout;

use crate::bots::{BotSet, ChannelBots};
use crate::environment::ProcessEnvironment;
use crate::node::Shared;
use crate::project_watch::{PARTS, ProjectWatch};

/// How often the directory is looked at. Polling sees what no event announces: mounted volumes.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// When no further change is told for so long, whoever changes has finished: several files that
/// are saved together take effect together.
const QUIET: Duration = Duration::from_millis(30);

/// Changes that go on longer are left to polling.
const QUIET_MAX: Duration = Duration::from_millis(500);

/// Files looked at; a project has a few hundred.
const FILES_MAX: usize = 100_000;

/// Why a changed configuration was not applied.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReloadError {
    /// It has mistakes.
    #[error("the configuration has mistakes; the one before runs on")]
    Mistakes {
        /// What they are, for people.
        rendered: String,
        /// How many.
        count: usize,
        /// Where the first of them are: `channels/adt.yaml:3:5`.
        places: Vec<Arc<str>>,
    },
    /// A source could not start.
    #[error("the configuration can't take effect; the one before runs on")]
    Engine(#[from] EngineError),
}

/// Applies the project directory as it is now.
pub(crate) async fn reload(shared: &Shared, by: &str) -> Result<ApplyReport, ReloadError> {
    let _one_at_a_time = shared.applying.lock().await;
    let directory = shared.project.clone();
    let load = move || Project::load(&directory, &ProcessEnvironment, &ProcessEnvironment);
    let loaded = tokio::task::spawn_blocking(load).await.map_err(|_| EngineError::Failed)?;
    let Some(project) = loaded.project else {
        let error = ReloadError::Mistakes {
            rendered: loaded.diagnostics.render(Colour::Never),
            count: loaded.diagnostics.errors(),
            places: places(&loaded.diagnostics),
        };
        refuse(shared, &error);
        return Err(error);
    };
    if let Some(local) = &shared.local_fhir {
        project.local_fhir.open(Arc::clone(local));
    }
    project.local_bots.open(Arc::new(ChannelBots(Arc::clone(&shared.bots))));
    let set = BotSet::of(&project, &ProcessEnvironment);
    let bots = set.changes_since(&shared.bots.set());
    let report = shared.engine.apply(&project, by).await.map_err(|error| {
        let error = ReloadError::Engine(error);
        refuse(shared, &error);
        error
    })?;
    shared.bots.use_set(set);
    shared.bots.write_resources().await;
    shared.take_paths(&project);
    *shared.refused.lock().unwrap_or_else(PoisonError::into_inner) = None;
    tracing::info!(
        channels_added = %Listed(&report.added),
        channels_changed = %Listed(&report.changed),
        channels_removed = %Listed(&report.removed),
        bots_added = %Listed(&bots.added),
        bots_changed = %Listed(&bots.changed),
        bots_removed = %Listed(&bots.removed),
        by,
        "configuration applied"
    );
    Ok(report)
}

/// Where mistakes are.
fn places(diagnostics: &Diagnostics) -> Vec<Arc<str>> {
    let records = diagnostics.records().into_iter();
    let errors = records.filter(|record| record.severity == Severity::Error.as_str());
    let places = errors.map(|record| match (record.line, record.column) {
        (Some(line), Some(column)) => format!("{}:{line}:{column}", record.file),
        _ => record.file,
    });
    places.map(Arc::from).collect()
}

/// How many names a line of the log has.
const NAMES_MAX: usize = 20;

/// Names with commas; `-` where there is none.
struct Listed<'n>(&'n [Arc<str>]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.0.iter().take(NAMES_MAX).map(AsRef::as_ref).collect();
        match (names.as_slice(), self.0.len().saturating_sub(NAMES_MAX)) {
            ([], _) => formatter.write_str("-"),
            (names, 0) => formatter.write_str(&names.join(",")),
            (names, more) => write!(formatter, "{} and {more} more", names.join(",")),
        }
    }
}

fn refuse(shared: &Shared, error: &ReloadError) {
    let text = match error {
        ReloadError::Mistakes { rendered, .. } => rendered.clone(),
        ReloadError::Engine(error) => {
            let mut text = error.to_string();
            let mut source = std::error::Error::source(error);
            while let Some(cause) = source {
                text.push_str(": ");
                text.push_str(&cause.to_string());
                source = cause.source();
            }
            text
        }
    };
    *shared.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
}

/// Applies changes as they are made, until the node stops.
pub(crate) async fn watch(shared: Arc<Shared>, before: ProjectLook) {
    let mut applied = before;
    let mut seen = applied.clone();
    let mut watch = ProjectWatch::start(&shared.project);
    loop {
        let told = tokio::select! {
            () = shared.stop.cancelled() => return,
            () = watch.changed() => is_quiet(&watch).await,
            () = tokio::time::sleep(LOOK_EVERY) => false,
        };
        let now = look(shared.project.clone()).await;
        // Two equal looks: whoever writes has finished.
        if now != applied && (told || now == seen) {
            applied = now;
            watch.follow();
            match reload(&shared, "a change of the project directory").await {
                Ok(_) => {}
                Err(ReloadError::Mistakes { rendered, count, places }) => {
                    tracing::error!(
                        mistakes = count,
                        at = %Listed(&places),
                        "changed configuration refused, the one before runs on"
                    );
                    eprintln!("{rendered}");
                }
                Err(error) => tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "changed configuration refused, the one before runs on"
                ),
            }
        } else {
            seen = now;
        }
    }
}

/// Waits for the end of changes; whether it came.
async fn is_quiet(watch: &ProjectWatch) -> bool {
    let quiet = async { while timeout(QUIET, watch.changed()).await.is_ok() {} };
    timeout(QUIET_MAX, quiet).await.is_ok()
}

/// How the files of a project directory look: names, sizes, times of change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProjectLook(BTreeMap<PathBuf, (u64, Option<SystemTime>)>);

impl ProjectLook {
    /// Looks at a project directory. To be done before the project is loaded, so that no change
    /// falls between.
    pub fn of(project: &Path) -> Self {
        let mut look = Self::default();
        for part in PARTS {
            visit(&project.join(part), 0, &mut look.0);
        }
        look
    }
}

async fn look(project: PathBuf) -> ProjectLook {
    tokio::task::spawn_blocking(move || ProjectLook::of(&project)).await.unwrap_or_default()
}

fn visit(path: &Path, depth: usize, files: &mut BTreeMap<PathBuf, (u64, Option<SystemTime>)>) {
    const DEPTH_MAX: usize = 4;
    let Ok(metadata) = std::fs::metadata(path) else { return };
    if metadata.is_file() {
        files.insert(path.to_owned(), (metadata.len(), metadata.modified().ok()));
    } else if depth < DEPTH_MAX && files.len() < FILES_MAX {
        let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
        for entry in entries {
            visit(&entry.path(), depth + 1, files);
        }
    }
}
