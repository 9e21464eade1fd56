//! Files are written whole, once, and under their own names.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use pipehat_message::Batches;
use tempfile::TempDir;

use super::{CONNECTOR, destination_with, folder, names_in, put};
use crate::contract::{
    Behaviour, DestinationCase, Partner, check_destination, message, outbound, soon,
};
use crate::{Attempt, Destination, Health};

/// What the contract's destination writes: a file for each message, or one for all.
struct DestinationFolders(&'static str);

struct DestinationFolder {
    parent: TempDir,
}

impl DestinationFolder {
    fn path(&self) -> PathBuf {
        self.parent.path().join("out")
    }
}

impl Partner for DestinationFolder {
    fn got(&self) -> Vec<Bytes> {
        let number = |name: &str| {
            let number = name.strip_prefix("contract-1-1-").and_then(|name| name.split('.').next());
            number.map_or(1, |number| number.parse::<u32>().expect("a number"))
        };
        let mut names = names_in(&self.path());
        names.retain(|name| !name.starts_with('.'));
        names.sort_by_key(|name| number(name));
        let mut got = Vec::new();
        for name in names {
            let content = fs::read(self.path().join(name)).expect("a file");
            got.extend(Batches::new(&content).map(|part| Bytes::copy_from_slice(part.bytes)));
        }
        got
    }
}

impl DestinationCase for DestinationFolders {
    type Partner = DestinationFolder;

    fn descriptor(&self) -> &'static crate::Descriptor {
        &CONNECTOR
    }

    async fn partner(&self, behaviour: Behaviour) -> Option<DestinationFolder> {
        let mut partner = DestinationFolder { parent: folder() };
        match behaviour {
            Behaviour::Accept => self.change(&mut partner, Behaviour::Accept).await,
            Behaviour::Absent => {}
            Behaviour::Refuse | Behaviour::DieBeforeAnswer => return None,
        }
        Some(partner)
    }

    async fn change(&self, partner: &mut DestinationFolder, _: Behaviour) {
        fs::create_dir(partner.path()).expect("the parent is there");
    }

    fn destination(
        &self,
        partner: &DestinationFolder,
        health: Arc<Health>,
    ) -> Arc<dyn Destination> {
        let yaml = format!("{{ folder: {}, {} }}", partner.path().display(), self.0);
        destination_with(&yaml, health).expect("the settings are sound")
    }
}

#[tokio::test]
async fn the_destination_keeps_the_contract() {
    for layout in ["append: false", "append: true, name: all.hl7"] {
        check_destination(DestinationFolders(layout)).await;
    }
}

fn out(folder: &Path, more: &str) -> Arc<dyn Destination> {
    let yaml = format!("{{ folder: {}, {more} }}", folder.display());
    destination_with(&yaml, Arc::default()).expect("the settings are sound")
}

async fn deliver(destination: &Arc<dyn Destination>, number: u64, control_id: &str) -> Attempt {
    let delivery = crate::Outbound { message: number, ..outbound(control_id) };
    soon("an attempt", destination.deliver(delivery)).await
}

const DELIVERED: Attempt = Attempt::Delivered { reply: None };

#[tokio::test]
async fn a_repeated_delivery_makes_no_second_file() {
    let folder = folder();
    let first = out(folder.path(), "segment_end: lf");
    assert_eq!(deliver(&first, 7, "A").await, DELIVERED);
    // After a crash, by another instance.
    let second = out(folder.path(), "segment_end: lf");
    assert_eq!(deliver(&second, 7, "A").await, DELIVERED);
    assert_eq!(names_in(folder.path()), ["contract-7-1.hl7"]);
    let written = fs::read(folder.path().join("contract-7-1.hl7")).expect("a file");
    assert!(!written.contains(&b'\r') && written.ends_with(b"\n"));
    // Another message under the number of an older installation is no repetition, but its repetition is.
    assert_eq!(deliver(&second, 7, "B").await, DELIVERED);
    assert_eq!(deliver(&second, 7, "B").await, DELIVERED);
    assert_eq!(names_in(folder.path()), ["contract-7-1-2.hl7", "contract-7-1.hl7"]);
}

#[tokio::test]
async fn existing_files_are_kept_replaced_or_park() {
    let files = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    for (on_existing, second, expected) in [
        ("suffix", DELIVERED, files(&["X-2.hl7", "X.hl7"])),
        ("replace", DELIVERED, files(&["X.hl7"])),
        (
            "park",
            Attempt::Impossible { code: "file.name-taken", detail: String::new() },
            files(&["X.hl7"]),
        ),
    ] {
        let folder = folder();
        put(folder.path(), "X.hl7", "older");
        let yaml = format!("name: \"{{MSH-10}}.hl7\", on_existing: {on_existing}");
        let attempt = deliver(&out(folder.path(), &yaml), 1, "X").await;
        let attempt = match attempt {
            Attempt::Impossible { code, .. } => Attempt::Impossible { code, detail: String::new() },
            other => other,
        };
        assert_eq!(attempt, second, "{on_existing}");
        assert_eq!(names_in(folder.path()), expected, "{on_existing}");
        let content = fs::read(folder.path().join("X.hl7")).expect("a file");
        assert_eq!(content == b"older", on_existing != "replace", "{on_existing}");
    }
}

#[tokio::test]
async fn a_name_that_can_t_be_made_parks() {
    let folder = folder();
    let destination = out(folder.path(), "name: \"{source_file}\"");
    let attempt = deliver(&destination, 1, "X").await;
    assert!(matches!(attempt, Attempt::Impossible { code: "file.name-template", .. }));
    assert_eq!(names_in(folder.path()), [] as [String; 0]);
}

#[tokio::test]
async fn messages_are_appended_whole_and_once() {
    let folder = folder();
    let first = out(folder.path(), "append: true, name: all.hl7, segment_end: crlf");
    assert_eq!(deliver(&first, 1, "A").await, DELIVERED);
    assert_eq!(deliver(&first, 2, "B").await, DELIVERED);
    let second = out(folder.path(), "append: true, name: all.hl7, segment_end: crlf");
    assert_eq!(deliver(&second, 2, "B").await, DELIVERED);
    let written = fs::read_to_string(folder.path().join("all.hl7")).expect("a file");
    let expected = [message("A"), message("B")].concat();
    assert_eq!(written, String::from_utf8_lossy(&expected).replace('\r', "\r\n"));
}

#[tokio::test]
async fn a_failed_write_leaves_nothing_and_says_so() {
    let parent = folder();
    let missing = parent.path().join("missing");
    let attempt = deliver(&out(&missing, "on_existing: suffix"), 1, "A").await;
    match attempt {
        Attempt::NotSent { code: "file.write-failed", detail } => {
            assert!(detail.contains("missing") && detail.contains("no such"), "{detail}");
        }
        other => panic!("{other:?}"),
    }
}

/// Nobody but us and the group: messages are about patients.
#[cfg(unix)]
#[tokio::test]
async fn others_may_not_read_what_is_written() {
    use std::os::unix::fs::PermissionsExt;
    for layout in ["append: false", "append: true"] {
        for (mode, more_than_us) in [("\"0640\"", 0o040), ("\"0600\"", 0)] {
            let folder = folder();
            let more = format!("{layout}, mode: {mode}, name: a.hl7");
            assert_eq!(deliver(&out(folder.path(), &more), 1, "A").await, DELIVERED);
            let metadata = fs::metadata(folder.path().join("a.hl7")).expect("a file");
            let written = metadata.permissions().mode();
            assert_eq!(written & 0o600, 0o600, "{layout} {mode}");
            // The umask of whoever runs this may take the group's right away.
            assert_eq!(written & 0o077 & !more_than_us, 0, "{layout} {mode}");
        }
    }
}
