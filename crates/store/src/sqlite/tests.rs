//! The contract, and what is SQLite's own.

mod contract {
    use tempfile::TempDir;

    use crate::{IndexKeys, SqliteMessageIndex, SqliteMessageSearch, contract};

    fn open(epoch_messages: u64) -> (SqliteMessageIndex, SqliteMessageSearch, TempDir) {
        let directory = tempfile::tempdir().expect("directory");
        let keys = IndexKeys::new([1; 32], [2; 32]);
        let path = directory.path().join("messages.sqlite");
        let opened = SqliteMessageIndex::open_with_epochs(&path, keys, epoch_messages);
        let index = opened.expect("open").index;
        let search = index.search();
        (index, search, directory)
    }

    mod one_epoch {
        fn open() -> (crate::SqliteMessageIndex, crate::SqliteMessageSearch, tempfile::TempDir) {
            super::open(1_000_000)
        }
        super::contract::message_index_contract!(open);
    }

    mod many_epochs {
        fn open() -> (crate::SqliteMessageIndex, crate::SqliteMessageSearch, tempfile::TempDir) {
            super::open(4)
        }
        super::contract::message_index_contract!(open);
    }
}
