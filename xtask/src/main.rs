//! Developer chores: the pages under `docs/` that are made from the code, and the dictionary's file.
//!
//! ```text
//! cargo xtask docs           writes docs/connectors.md, docs/codes.md and docs/validation.md
//! cargo xtask openapi        writes docs/openapi.json
//! cargo xtask definitions    writes crates/dictionary/src/definitions.bin
//! cargo xtask resource-definitions FOLDER    writes crates/resource/definitions
//! cargo xtask search-parameters FOLDER    writes crates/resource/definitions/search-parameters.tsv
//! cargo xtask mapping --check   says whether every row of the mapping tables is run or has its reason
//! cargo xtask docs --check   says whether they are current, and writes nothing
//! ```
//!
//! The tests of this crate check the same, so that no change leaves a page behind.

mod code_pages;
mod connector_pages;
mod definitions;
#[cfg(test)]
mod guide;
mod mapping;
mod page;
mod resource_definitions;
mod search_parameters;
mod validation_page;

use std::process::ExitCode;

use anyhow::{Result, bail};

use page::{PAGES, Page};

const USAGE: &str = "usage: cargo xtask docs|openapi|definitions [--check]\n       \
    cargo xtask mapping [--check]\n       \
    cargo xtask resource-definitions FOLDER [--check]\n       \
    cargo xtask search-parameters FOLDER [--check]";

fn main() -> Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if let [command @ ("resource-definitions" | "search-parameters"), folder, rest @ ..] =
        words.as_slice()
    {
        let check = match rest {
            [] => false,
            ["--check"] => true,
            _ => bail!(USAGE),
        };
        let is_current = match *command {
            "search-parameters" => search_parameters::run(folder.as_ref(), check)?,
            _ => resource_definitions::run(folder, check)?,
        };
        return Ok(if is_current { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let (command, check) = match words.as_slice() {
        [command] => (*command, false),
        [command, "--check"] => (*command, true),
        _ => bail!(USAGE),
    };
    if command == "definitions" {
        return definitions(check);
    }
    if command == "mapping" {
        let is_sound = mapping::run(check);
        return Ok(if is_sound { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let pages: Vec<&Page> = PAGES.iter().filter(|page| page.command == command).collect();
    if pages.is_empty() {
        bail!(USAGE);
    }
    let mut stale = false;
    for page in pages {
        if !check {
            page.write()?;
        } else if !page.is_current()? {
            stale = true;
            eprintln!("{} is not current: run `cargo xtask {command}`", page.path);
        }
    }
    Ok(if stale { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn definitions(check: bool) -> Result<ExitCode> {
    if !check {
        definitions::write()?;
    } else if !definitions::is_current()? {
        eprintln!("{} is not current: run `cargo xtask definitions`", definitions::FILE);
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}
