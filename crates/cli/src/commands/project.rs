//! What commands about a project share: where it is, where its data is, and what is wrong with it.

use std::path::{Path, PathBuf};

use pipehat_config::{Colour, Diagnostics};
use pipehat_engine::project::{Project, ProjectSettings};
use pipehat_server::{DataDirectory, ProcessEnvironment};

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
    /// The data directory [default: what pipehat.yaml says, or `data` in the project]
    #[arg(long, value_name = "DIR", env = "PIPEHAT_DATA")]
    pub(crate) data: Option<PathBuf>,

    /// The key file [default: beside the data directory, DATA.key]
    #[arg(long, value_name = "FILE", env = "PIPEHAT_KEY_FILE")]
    pub(crate) key_file: Option<PathBuf>,
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
        let configured = settings.data.as_ref().map(|data| project.join(data));
        let root = self.data.clone().or(configured).unwrap_or_else(|| project.join("data"));
        let key_file = settings.key_file.as_ref().map(|key| project.join(key));
        DataDirectory::new(root, self.key_file.clone().or(key_file))
    }

    /// The data directory of the project in the current folder, or the one that was named.
    pub(crate) fn find(&self) -> DataDirectory {
        let here = Path::new(".");
        let settings = if self.data.is_some() {
            ProjectSettings::default()
        } else {
            let loaded = Project::load(here, &ProcessEnvironment, &ProcessEnvironment);
            loaded.project.map(|project| project.settings).unwrap_or_default()
        };
        self.directory(here, &settings)
    }
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
    // A file with the wrong ending is pointed at when the project is loaded.
    let signs = ["pipehat.yaml", "pipehat.yml", "channels"];
    if !signs.iter().any(|sign| directory.join(sign).exists()) {
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
    if !diagnostics.is_empty() {
        let colour = if terminal.error_has_colour() { Colour::Always } else { Colour::Never };
        eprint!("{}", diagnostics.render(colour));
    }
}
