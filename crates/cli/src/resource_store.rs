//! The FHIR datastore as commands work on it: that of the Pipehat that runs on the data, over its admin API, and
//! otherwise the data itself.

use std::path::Path;

use indicatif::ProgressBar;
use pipehat_engine::project::Project;
use pipehat_server::{
    DataDirectory, Imported, OfflineDatastore, OfflineUse, ProcessEnvironment, Reindexed,
    StatisticsView, UpkeepLine, UpkeepProgress, VerifiedView,
};

use crate::admin::Admin;
use crate::commands::project::{DataArguments, must_exist, show};
use crate::exit::Failure;
use crate::terminal::Terminal;

/// A line about progress, or a result with its faults, is never longer.
const ANSWER_LINE_BYTES_MAX: usize = 1024 * 1024;

/// A datastore to work on.
pub(crate) enum ResourceStore {
    /// Of a Pipehat that runs.
    Running(Admin),
    /// Of one that does not.
    Stopped { datastore: OfflineDatastore, runtime: tokio::runtime::Runtime },
}

impl ResourceStore {
    /// Finds the datastore of a project.
    pub(crate) fn open(
        project: &Path,
        data: &DataArguments,
        purpose: OfflineUse,
        terminal: &Terminal,
    ) -> Result<Self, Failure> {
        let loaded = Project::load(project, &ProcessEnvironment, &ProcessEnvironment);
        let settings = loaded.project.as_ref().map(|project| project.settings.clone());
        let data = data.directory(project, &settings.unwrap_or_default());
        if let Some(admin) = running(&data)? {
            return Ok(Self::Running(admin));
        }
        let Some(loaded_project) = loaded.project else {
            must_exist(project)?;
            show(&loaded.diagnostics, terminal);
            return Err(Failure::could_not(format!(
                "no Pipehat runs on {}, and the project in {} that says where its datastore is can't be read; \
                 name it with --project",
                data.root().display(),
                project.display()
            )));
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Failure::could_not)?;
        let opened = OfflineDatastore::open(&loaded_project, &data, purpose);
        let datastore = runtime.block_on(opened).map_err(Failure::could_not)?;
        Ok(Self::Stopped { datastore, runtime })
    }

    /// Hands on the resources of these types, or of all, line by line.
    pub(crate) fn export(
        &self,
        types: &[String],
        take: &mut dyn FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        match self {
            Self::Running(admin) => {
                let path = format!("/api/v1/datastore/export{}", query(types));
                admin.get_in_parts(&path, take)
            }
            Self::Stopped { datastore, runtime } => {
                runtime.block_on(datastore.tell("export")).map_err(Failure::could_not)?;
                let mut next = Some(0);
                while let Some(from) = next {
                    let page = runtime.block_on(datastore.export(types, from));
                    let (lines, following) = page.map_err(Failure::could_not)?;
                    take(&lines)?;
                    next = following;
                }
                Ok(())
            }
        }
    }

    /// Says that an import begins.
    pub(crate) fn begin_import(&self) -> Result<(), Failure> {
        match self {
            Self::Running(_) => Ok(()),
            Self::Stopped { datastore, runtime } => {
                runtime.block_on(datastore.tell("import")).map_err(Failure::could_not)
            }
        }
    }

    /// Takes lines in, of which the first has the number behind `lines_before`.
    pub(crate) fn import(&self, lines: Vec<u8>, lines_before: u64) -> Result<Imported, Failure> {
        match self {
            Self::Running(admin) => {
                let path = format!("/api/v1/datastore/import?lines_before={lines_before}");
                admin.post_lines(&path, lines)
            }
            Self::Stopped { datastore, runtime } => {
                runtime.block_on(datastore.import(&lines, lines_before)).map_err(Failure::could_not)
            }
        }
    }

    /// Has the index follow the SearchParameters that were taken in; one that runs does so by itself.
    pub(crate) fn end_import(&self, bar: &ProgressBar) -> Result<(), Failure> {
        match self {
            Self::Running(_) => Ok(()),
            Self::Stopped { datastore, runtime } => runtime
                .block_on(datastore.follow_parameters(&|progress| advance(bar, progress)))
                .map_err(Failure::could_not),
        }
    }

    /// Writes the index anew.
    pub(crate) fn reindex(
        &self,
        types: &[String],
        bar: &ProgressBar,
    ) -> Result<Reindexed, Failure> {
        match self {
            Self::Running(admin) => {
                let path = format!("/api/v1/datastore/reindex{}", query(types));
                let line = last_line(admin, bar, |part| admin.post_in_parts(&path, part))?;
                match line {
                    Some(UpkeepLine::Reindexed(reindexed)) => Ok(reindexed),
                    line => Err(unexpected(admin, line)),
                }
            }
            Self::Stopped { datastore, runtime } => runtime
                .block_on(async {
                    datastore.tell("reindex").await?;
                    datastore.reindex(types, &|progress| advance(bar, progress)).await
                })
                .map_err(Failure::could_not),
        }
    }

    /// What it holds.
    pub(crate) fn statistics(&self) -> Result<StatisticsView, Failure> {
        match self {
            Self::Running(admin) => admin.get("/api/v1/datastore/statistics"),
            Self::Stopped { datastore, runtime } => {
                runtime.block_on(datastore.statistics()).map_err(Failure::could_not)
            }
        }
    }

    /// Whether everything in it agrees.
    pub(crate) fn verify(&self, bar: &ProgressBar) -> Result<VerifiedView, Failure> {
        match self {
            Self::Running(admin) => {
                let path = "/api/v1/datastore/verification";
                let line = last_line(admin, bar, |part| admin.get_in_parts(path, part))?;
                match line {
                    Some(UpkeepLine::Verified(verified)) => Ok(verified),
                    line => Err(unexpected(admin, line)),
                }
            }
            Self::Stopped { datastore, runtime } => runtime
                .block_on(datastore.verify(&|progress| advance(bar, progress)))
                .map_err(Failure::could_not),
        }
    }
}

/// The Pipehat that runs on this data. One that was killed left its address behind, and answers no more.
fn running(data: &DataDirectory) -> Result<Option<Admin>, Failure> {
    if data.read_admin().map_err(Failure::could_not)?.is_none() {
        return Ok(None);
    }
    Ok(Some(Admin::find(data)?).filter(Admin::is_there))
}

fn query(types: &[String]) -> String {
    if types.is_empty() { String::new() } else { format!("?types={}", types.join(",")) }
}

fn advance(bar: &ProgressBar, progress: UpkeepProgress) {
    bar.set_length(progress.all);
    bar.set_position(progress.done);
}

/// The line with the result, behind those about progress.
fn last_line(
    admin: &Admin,
    bar: &ProgressBar,
    ask: impl FnOnce(&mut dyn FnMut(&[u8]) -> Result<(), Failure>) -> Result<(), Failure>,
) -> Result<Option<UpkeepLine>, Failure> {
    let mut waiting: Vec<u8> = Vec::new();
    let mut last = None;
    ask(&mut |part| {
        for piece in part.split_inclusive(|byte| *byte == b'\n') {
            waiting.extend_from_slice(piece);
            if waiting.len() > ANSWER_LINE_BYTES_MAX {
                return Err(admin.broken_off(None));
            }
            if piece.ends_with(b"\n") {
                match admin.parse(&waiting)? {
                    UpkeepLine::Progress(progress) => advance(bar, progress),
                    line => last = Some(line),
                }
                waiting.clear();
            }
        }
        Ok(())
    })?;
    Ok(last)
}

fn unexpected(admin: &Admin, line: Option<UpkeepLine>) -> Failure {
    match line {
        Some(UpkeepLine::Error(error)) => Failure::could_not(error.message),
        _ => admin.broken_off(None),
    }
}
