//! Refusals of messages of a claimed file, noted beside it until the file is finished.

use std::io;
use std::path::{Path, PathBuf};

use tokio::fs;
use tokio::io::AsyncWriteExt;

use super::reasons::{REASONS_MAX, Reason, Reasons};

/// The notes of one file: the numbers of its refused messages, one in each line.
#[derive(Debug)]
pub(super) struct Notes {
    path: PathBuf,
}

impl Notes {
    /// The notes kept there.
    pub(super) fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// What was noted before we were stopped.
    pub(super) async fn read(&self, reasons: &mut Reasons) -> io::Result<()> {
        let noted = match fs::read_to_string(&self.path).await {
            Ok(noted) => noted,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let messages = noted.lines().take(REASONS_MAX).filter_map(|line| line.parse().ok());
        messages.for_each(|message| reasons.add(Reason::Rejected { message }));
        Ok(())
    }

    /// Notes a refused message, counted from 1.
    pub(super) async fn add(&self, message: u64) -> io::Result<()> {
        let mut file = fs::File::options().create(true).append(true).open(&self.path).await?;
        file.write_all(format!("{message}\n").as_bytes()).await?;
        file.flush().await
    }

    /// Where they are, for whoever removes them.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_noted_is_known_again() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("0123.notes");
        let mut reasons = Reasons::default();
        Notes::at(path.clone()).read(&mut reasons).await?;
        assert!(reasons.is_empty());
        Notes::at(path.clone()).add(3).await?;
        Notes::at(path.clone()).add(17).await?;
        Notes::at(path).read(&mut reasons).await?;
        let mut expected = Reasons::default();
        expected.add(Reason::Rejected { message: 3 });
        expected.add(Reason::Rejected { message: 17 });
        assert_eq!(reasons, expected);
        Ok(())
    }
}
