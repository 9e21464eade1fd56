//! Systems that exchange files: the clinic drops batches, the registry takes what it finds.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::peers::batch;
use super::sending::Sending;
use super::simulation::Shared;
use super::system::System;

/// How often the clinic drops a file.
const BATCH_EVERY: Duration = Duration::from_secs(2);

/// How often the registry looks.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// The most messages of one file.
const BATCH_MAX: usize = 500;

/// Drops batch files until it is told to stop.
pub(super) async fn drop_batches(
    folder: PathBuf,
    mut sendings: mpsc::Receiver<Sending>,
    shared: Arc<Shared>,
    stop: CancellationToken,
) {
    for number in 1_u64.. {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(BATCH_EVERY) => {}
        }
        let given: Vec<Sending> =
            std::iter::from_fn(|| sendings.try_recv().ok()).take(BATCH_MAX).collect();
        if given.is_empty() {
            continue;
        }
        for sending in &given {
            shared.expectations.send(sending);
        }
        let bytes = batch(number, &given);
        let written = write(&folder, number, &bytes).await;
        if let Err(error) = written {
            shared.expectations.find(format!("the clinic could not write a file: {error}"));
        }
    }
}

/// Under another name first, so that nobody takes half a file.
async fn write(folder: &Path, number: u64, bytes: &[u8]) -> io::Result<()> {
    let unfinished = folder.join(format!("{number:06}.part"));
    tokio::fs::write(&unfinished, bytes).await?;
    tokio::fs::rename(&unfinished, folder.join(format!("{number:06}.hl7"))).await
}

/// Takes files as they come until it is told to stop, and once more then.
pub(super) async fn take_files(folder: PathBuf, shared: Arc<Shared>, stop: CancellationToken) {
    loop {
        let stopping = stop.is_cancelled();
        let (folder, shared_there) = (folder.clone(), Arc::clone(&shared));
        let taken = tokio::task::spawn_blocking(move || take(&folder, &shared_there)).await;
        if let Ok(Err(error)) = taken {
            shared.expectations.find(format!("the registry could not take a file: {error}"));
        }
        if stopping {
            return;
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

fn take(folder: &Path, shared: &Shared) -> io::Result<()> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden && path.extension().is_some_and(|extension| extension == "hl7") {
            files.push((numbers(&path), path));
        }
    }
    // The names hold Pipehat's numbers of the messages, which rise.
    files.sort();
    for (_, path) in files {
        shared.expectations.arrived(System::Registry, &std::fs::read(&path)?);
        std::fs::remove_file(&path)?;
    }
    Ok(())
}

/// The numbers in a name, so that 10 comes after 9.
fn numbers(path: &Path) -> Vec<u64> {
    let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
    name.split('-').filter_map(|part| part.parse().ok()).collect()
}
