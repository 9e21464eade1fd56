//! `pipehat types`: what editors and `tsc` need to know of bots: the modules, the sandbox, FHIR's types.

use std::fs;
use std::path::{Path, PathBuf};

use pipehat_script::declarations;
use serde_json::json;

use crate::exit::{Exit, Failure};
use crate::output_file;
use crate::terminal::{Terminal, Tone};

mod resources;

const EXAMPLES: &str = "\
Examples:
  pipehat types              for the project in this folder
  pipehat types feeds        for the one in the folder feeds
  npx tsc -p .               then checks the types of its bots

The files go into .pipehat/types, and say what Pipehat of this version has: make
them again after an update, and leave them out of version control. A
tsconfig.json is written where there is none; one that is there stays, and what
it needs is told.";

/// Write the TypeScript types of bots, for editors and tsc
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The project directory
    #[arg(value_name = "DIR", default_value = ".")]
    directory: PathBuf,

    /// What was written, as JSON
    #[arg(long)]
    json: bool,
}

/// Where the files go, below the project.
const FOLDER: &str = ".pipehat/types";

const CONFIGURATION: &str = "tsconfig.json";

const TSCONFIG: &str = r#"{
  "extends": "./.pipehat/types/tsconfig.bots.json",
  "include": ["bots/**/*.ts", ".pipehat/types/sandbox.d.ts"]
}
"#;

/// What bots are checked by. `lib` has no DOM: what the sandbox has is in `sandbox.d.ts`.
const TSCONFIG_BOTS: &str = r#"{
  "compilerOptions": {
    "target": "es2023",
    "module": "es2022",
    "moduleResolution": "bundler",
    "lib": ["es2023"],
    "types": [],
    "strict": true,
    "noEmit": true,
    "skipLibCheck": true,
    "allowImportingTsExtensions": true,
    "paths": {
      "pipehat": ["./pipehat/index.d.ts"],
      "@medplum/core": ["./medplum/index.d.ts"],
      "@medplum/fhirtypes": ["./fhirtypes.d.ts"]
    }
  }
}
"#;

#[derive(Debug, thiserror::Error)]
#[error("cannot make {}", directory.display())]
struct NotMade {
    directory: PathBuf,
    #[source]
    source: std::io::Error,
}

#[derive(Debug, thiserror::Error)]
#[error("there is no folder {}", .0.display())]
struct NoFolder(PathBuf);

impl Arguments {
    pub(crate) fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        if !self.directory.is_dir() {
            return Err(Failure::could_not(NoFolder(self.directory)));
        }
        let folder = self.directory.join(FOLDER);
        let written = write_all(&folder)?;
        let configuration = self.directory.join(CONFIGURATION);
        let is_new = !configuration.exists();
        if is_new {
            output_file::create(&configuration, TSCONFIG.as_bytes())?;
        }
        // Whoever keeps the project under version control needs no line about these.
        output_file::replace(&folder.join(".gitignore"), b"*\n")?;
        if self.json {
            let result = json!({
                "folder": folder.display().to_string(),
                "files": written,
                "tsconfig": if is_new { "written" } else { "kept" },
            });
            terminal.write(|output| writeln!(output, "{result:#}"))?;
            return Ok(Exit::Ok);
        }
        if terminal.is_quiet() {
            return Ok(Exit::Ok);
        }
        terminal.write(|output| {
            writeln!(
                output,
                "{}  {} files in {}",
                terminal.paint(Tone::Good, "wrote"),
                written.len(),
                folder.display()
            )?;
            if is_new {
                return writeln!(
                    output,
                    "{}  {}",
                    terminal.paint(Tone::Good, "wrote"),
                    configuration.display()
                );
            }
            if extends_ours(&configuration) {
                return Ok(());
            }
            writeln!(
                output,
                "{} is yours and stays as it is; so that it finds these types, it needs\n  \
                 \"extends\": \"./{FOLDER}/tsconfig.bots.json\"\n  \
                 and {FOLDER}/sandbox.d.ts under \"include\"",
                configuration.display()
            )
        })?;
        Ok(Exit::Ok)
    }
}

/// Writes the files, and tells their names below the folder.
fn write_all(folder: &Path) -> Result<Vec<String>, Failure> {
    let mut written = Vec::new();
    let mut write = |name: &str, text: &str| -> Result<(), Failure> {
        let path = folder.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(|source| {
                Failure::could_not(NotMade { directory: parent.to_owned(), source })
            })?;
        }
        output_file::replace(&path, text.as_bytes())?;
        written.push(name.to_owned());
        Ok(())
    };
    for (name, text) in declarations() {
        write(name, text)?;
    }
    write("fhirtypes.d.ts", &resources::declarations())?;
    write("tsconfig.bots.json", TSCONFIG_BOTS)?;
    Ok(written)
}

fn extends_ours(configuration: &Path) -> bool {
    fs::read_to_string(configuration).is_ok_and(|text| text.contains("tsconfig.bots.json"))
}
