//! Lists the TypeScript that is compiled into the binary: `modules/` (what bots import) and `src/web/` (the web's
//! globals). It is compiled to JavaScript when it is first used.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let mut table = String::from("&[\n");
    for (folder, prefix) in [("modules", ""), ("src/web", "web/"), ("src/sandbox", "sandbox/")] {
        println!("cargo::rerun-if-changed={folder}");
        let mut files = Vec::new();
        collect(&root.join(folder), &mut files);
        files.sort();
        for file in files {
            let inside = file.strip_prefix(root.join(folder)).expect("collected below it");
            let name = format!("{prefix}{}", inside.to_string_lossy().replace('\\', "/"));
            writeln!(table, "    ({name:?}, include_str!({file:?})),").expect("a string takes it");
        }
    }
    table.push_str("]\n");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    fs::write(out.join("modules.rs"), table).expect("OUT_DIR can be written");
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() {
            collect(&path, files);
        } else if name.ends_with(".ts") && !name.ends_with(".d.ts") && !name.ends_with(".test.ts") {
            files.push(path);
        }
    }
}
