//! What commands about a project share: where it is, where its data is, and what is wrong with it.

use std::path::{Path, PathBuf};

use pipehat_config::{Colour, Diagnostics};
use pipehat_engine::project::{Project, ProjectSettings};
use pipehat_server::{DataDirectory, ProcessEnvironment};
use serde_json::json;

use crate::exit::Failure;
use crate::terminal::Terminal;

/// Where a project and its data are.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ProjectArguments {
    /// The project directory
    #[arg(value_name = "DIR", default_value = ".")]
    pub(crate) directory: PathBuf,

    #[command(flatten)]
    data: DataArguments,
}

/// Where the data is.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct DataArguments {
    /// The data directory [env: PIPEHAT_DATA] [default: what pipehat.yaml says, or `data` in the
    /// project]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,

    /// The key file [env: PIPEHAT_KEY_FILE] [default: beside the data directory, DATA.key]
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
}

impl ProjectArguments {
    /// The project's data directory.
    pub(crate) fn data_directory(&self, settings: &ProjectSettings) -> DataDirectory {
        self.data.directory(&self.directory, settings)
    }
}

impl DataArguments {
    /// The data directory of a project with these settings.
    pub(crate) fn directory(&self, project: &Path, settings: &ProjectSettings) -> DataDirectory {
        let root = self.named().unwrap_or_else(|| configured_data(project, settings));
        let key_file = self.key_file.clone().or_else(|| variable("PIPEHAT_KEY_FILE"));
        let configured = settings.key_file.as_ref().map(|key| project.join(key));
        DataDirectory::new(root, key_file.or(configured))
    }

    /// The data directory that was named, on the command line or by the variable.
    pub(crate) fn named(&self) -> Option<PathBuf> {
        self.data.clone().or_else(|| variable("PIPEHAT_DATA"))
    }

    /// The data directory of the project in the current folder, or the one that was named.
    pub(crate) fn find(&self) -> Result<DataDirectory, Failure> {
        self.find_in(Path::new("."))
    }

    /// The data directory of a project, or the one that was named.
    pub(crate) fn find_in(&self, project: &Path) -> Result<DataDirectory, Failure> {
        let settings = match Project::settings_in(project, &ProcessEnvironment) {
            Ok(settings) => settings,
            Err(_) if self.named().is_some() => ProjectSettings::default(),
            Err(_) => {
                return Err(Failure::could_not(format!(
                    "{} can't be read, and so where the data is is not known: `pipehat check` shows its mistakes; or \
                     name the data directory with --data",
                    project.join("pipehat.yaml").display()
                )));
            }
        };
        Ok(self.directory(project, &settings))
    }
}

/// The data directory that a project has when none is named.
pub(crate) fn configured_data(project: &Path, settings: &ProjectSettings) -> PathBuf {
    project.join(settings.data.as_deref().unwrap_or("data"))
}

/// A variable, where it is set to something. (Clap's own reading would show the option as required in usage lines.)
fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// Whether there is a project in a folder.
pub(crate) fn is_project(directory: &Path) -> bool {
    // A file with the wrong ending is pointed at when the project is loaded.
    let signs = ["pipehat.yaml", "pipehat.yml", "channels"];
    signs.iter().any(|sign| directory.join(sign).exists())
}

/// Makes sure that there is a project in a folder.
pub(crate) fn must_exist(directory: &Path) -> Result<(), Failure> {
    let name = directory.display();
    if !directory.exists() {
        return Err(Failure::could_not(format!(
            "there is no folder {name}: name the folder of the project, or make a new one with \
             `pipehat new {name}`"
        )));
    }
    if !directory.is_dir() {
        return Err(Failure::could_not(format!(
            "{name} is not a folder: name the folder of the project, the one with pipehat.yaml and \
             channels/"
        )));
    }
    if !is_project(directory) {
        return Err(Failure::could_not(format!(
            "there is no project in {name}, neither pipehat.yaml nor a folder channels/: name the \
             folder of the project, or make a new one with `pipehat new DIR`"
        )));
    }
    Ok(())
}

/// Loads a project; shows its mistakes.
pub(crate) fn load(directory: &Path, terminal: &Terminal) -> Option<Project> {
    let loaded = Project::load(directory, &ProcessEnvironment, &ProcessEnvironment);
    show(&loaded.diagnostics, terminal);
    loaded.project
}

/// Shows mistakes and warnings on standard error.
pub(crate) fn show(diagnostics: &Diagnostics, terminal: &Terminal) {
    if terminal.wants_json() && diagnostics.is_err() {
        let count = diagnostics.errors();
        let message = format!("{count} mistake{}", if count == 1 { "" } else { "s" });
        terminal.error_object(json!({ "message": message, "diagnostics": records(diagnostics) }));
        return;
    }
    if !diagnostics.is_empty() {
        let colour = if terminal.error_has_colour() { Colour::Always } else { Colour::Never };
        eprint!("{}", diagnostics.render(colour));
    }
}

/// Mistakes and warnings for programs.
pub(crate) fn records(diagnostics: &Diagnostics) -> Vec<serde_json::Value> {
    let record = |record: pipehat_config::DiagnosticRecord| {
        json!({
            "severity": record.severity,
            "code": record.code,
            "file": record.file,
            "line": record.line,
            "column": record.column,
            "message": record.message,
            "suggestion": record.suggestion,
            "help": record.help,
        })
    };
    diagnostics.records().into_iter().map(record).collect()
}
