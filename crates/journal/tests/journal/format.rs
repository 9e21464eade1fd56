//! Journals of earlier versions load. `UPDATE_GOLDEN=1` writes the current version's fixture anew,
//! which only a new format version may do.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use pipehat_journal::{
    Compression, FORMAT_VERSION, FileJournal, Journal, KeyRing, OpenOptions, Position,
};

use crate::{
    contract::{append, noise, position, record, scratch},
    damage::{chunks, copy},
};

/// The key of the fixtures; nothing else was ever sealed with it.
const KEY: &str = "key 5 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n";

fn fixture(version: u16, kind: &str) -> PathBuf {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/journal/fixtures");
    fixtures.join(format!("version-{version}-{kind}"))
}

fn keys(directory: &Path) -> KeyRing {
    let path = directory.join("key");
    fs::write(&path, KEY).expect("writes");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("sets");
    }
    KeyRing::load(&path).expect("loads")
}

fn options(directory: &Path, kind: &str) -> OpenOptions {
    OpenOptions {
        key: (kind == "sealed").then(|| keys(directory)),
        compression: if kind == "sealed" { Compression::Lz4 } else { Compression::None },
        chunk_bytes: 4096,
        ..OpenOptions::new(directory.join("journal"))
    }
}

fn head(number: u64) -> Vec<u8> {
    format!("record {number} ").repeat(30).into_bytes()
}

fn write(kind: &str) {
    let directory = scratch();
    let (journal, _) = FileJournal::open(options(directory.path(), kind)).expect("opens");
    for number in 1..=12 {
        let small = noise(100, number);
        let large = "large ".repeat(12_000);
        let bodies: &[&[u8]] = if number == 6 { &[&small, large.as_bytes()] } else { &[&small] };
        append(&journal, vec![record(number as u8, &head(number), bodies)]).expect("appends");
    }
    drop(journal);
    let target = fixture(FORMAT_VERSION, kind);
    fs::create_dir_all(&target).expect("a directory");
    for path in chunks(&directory.path().join("journal")) {
        fs::copy(&path, target.join(path.file_name().expect("a name"))).expect("copies");
    }
}

fn check(version: u16, kind: &str) {
    let directory = scratch();
    copy(&fixture(version, kind), &directory.path().join("journal"));
    let (journal, recovery) = FileJournal::open(options(directory.path(), kind)).expect("opens");
    assert_eq!((recovery.records(), recovery.torn), (12, None));
    for (entry, number) in journal.read(Position::FIRST).zip(1_u64..) {
        let entry = entry.expect("reads");
        assert_eq!((entry.position, u64::from(entry.kind)), (position(number), number));
        assert_eq!(entry.head, head(number));
        assert_eq!(journal.load(&entry.bodies[0]).expect("loads"), noise(100, number));
        if number == 6 {
            let large = journal.load(&entry.bodies[1]).expect("loads");
            assert_eq!(large, "large ".repeat(12_000));
        }
    }
    assert_eq!(append(&journal, vec![record(1, b"new", &[])]).expect("appends"), position(13));
}

#[test]
fn version_1_loads() {
    for kind in ["plain", "sealed"] {
        if env::var_os("UPDATE_GOLDEN").is_some() {
            write(kind);
        }
        check(1, kind);
    }
}
