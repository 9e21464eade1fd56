//! A full disk: senders are told so, nothing that was acknowledged is lost, and the node goes on
//! by itself when there is room again (promises 1, 3 and 4).

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::{Link, Project, Sample, Sink, check_lanes, eventually};

/// A file system of its own, small enough to fill at once. Taken away when dropped.
struct SmallDisk {
    mounted: PathBuf,
}

impl SmallDisk {
    /// None when this process may not mount.
    fn mount(at: &Path) -> Option<Self> {
        fs::create_dir_all(at).expect("a folder can be made");
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=24m,mode=0700", "tmpfs"])
            .arg(at)
            .stderr(std::process::Stdio::null())
            .status();
        let mounted = status.is_ok_and(|status| status.success());
        mounted.then(|| Self { mounted: at.to_owned() })
    }

    /// Takes all room there is.
    fn fill(&self) {
        let mut file = File::options()
            .create(true)
            .append(true)
            .open(self.mounted.join("ballast"))
            .expect("the ballast can be opened");
        for size in [1 << 20, 4096] {
            let block = vec![0; size];
            while file.write_all(&block).is_ok() {}
        }
    }

    fn empty(&self) {
        fs::remove_file(self.mounted.join("ballast")).expect("the ballast can be removed");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.mounted).status();
    }
}

/// A project whose data lie on a small disk; none, loudly, where none can be mounted.
fn site(sink: &Sink) -> Option<(SmallDisk, Project)> {
    let project = Project::new();
    let at = project.folder().join("disk");
    let Some(disk) = SmallDisk::mount(&at) else {
        println!("SKIPPED: this process may not mount a tmpfs; run as root to test a full disk");
        return None;
    };
    let project = project.with_data(at.join("data"));
    project.write("pipehat.yaml", "journal: { chunk: 1MiB, compression: none }\n");
    project.write(
        "channels/lab.yaml",
        &format!(
            "channel: lab
source: {{ mllp: {{ listen: 127.0.0.1:0 }} }}
order: by PID-3.1
destinations:
  lab:
    mllp: {{ connect: {}, connections: 4 }}
    retry: {{ first: 10ms, most: 100ms }}
",
            sink.address()
        ),
    );
    Some((disk, project))
}

/// Messages of four patients in turn, long enough to use up a chunk soon.
fn samples() -> impl Iterator<Item = Sample> {
    (0..).map(|number| {
        let mut sample = Sample::new("DISK", number % 4, number / 4 + 1);
        sample.filler = 3_000;
        sample
    })
}

#[test]
fn a_full_disk_refuses_and_recovers_by_itself() {
    let sink = Sink::new();
    let Some((disk, project)) = site(&sink) else { return };
    let node = project.up();
    let api = node.api();
    let mut link = Link::open(&node.address("lab"));
    let mut samples = samples();
    let mut kept: BTreeMap<String, Vec<Sample>> = BTreeMap::new();
    let mut keep = |sample: Sample| kept.entry(sample.patient_id()).or_default().push(sample);
    for sample in samples.by_ref().take(40) {
        assert_eq!(link.ask(&sample.bytes()).code(), "AA");
        keep(sample);
    }

    disk.fill();
    let refused = loop {
        let sample = samples.next().expect("there are always more");
        // What is refused beside other records may find room alone.
        let kept = (0..3).any(|_| {
            let code = link.ask(&sample.bytes()).code();
            assert!(code == "AA" || code == "AR", "not kept, and to be sent again: {code}");
            code == "AA"
        });
        if !kept {
            break sample;
        }
        keep(sample);
    };
    // Small ones are refused as well, and the connection stays.
    for _ in 0..20 {
        let small = Sample::new("SMALL", 1, 1);
        let code = link.ask(&small.bytes()).code();
        if code == "AA" {
            keep(small);
            break;
        }
        assert_eq!(code, "AR");
    }
    assert_eq!(link.ask(&refused.bytes()).code(), "AR");

    disk.empty();
    // The sender does what it was told: it sends the same message again.
    eventually("the node takes messages again", || link.ask(&refused.bytes()).code() == "AA");
    keep(refused);
    for sample in samples.by_ref().take(40) {
        assert_eq!(link.ask(&sample.bytes()).code(), "AA");
        keep(sample);
    }
    eventually("all is delivered", || api.counter("lab", "in_flight") == 0);
    check_lanes(
        "lab",
        &sink,
        &kept,
        |bytes| crate::harness::field(bytes, "PID-3.1"),
        Sample::bytes,
    );
    api.proof();
    assert_eq!(api.call("GET", "/health/ready", None).0, 200);
    assert!(node.stop().success());
    project.prove();
}

#[test]
fn killed_on_a_full_disk_it_has_all_that_was_acknowledged() {
    let sink = Sink::new();
    let Some((disk, project)) = site(&sink) else { return };
    let node = project.up();
    let mut link = Link::open(&node.address("lab"));
    let mut kept: BTreeMap<String, Vec<Sample>> = BTreeMap::new();
    disk.fill();
    // Many at once: some are kept, and the last of them are refused.
    let mut samples = samples();
    'sending: loop {
        let together: Vec<Sample> = samples.by_ref().take(16).collect();
        let bytes: Vec<Vec<u8>> = together.iter().map(Sample::bytes).collect();
        link.send(bytes.iter().map(Vec::as_slice)).expect("the connection stays");
        let mut refused = false;
        for sample in together {
            let reply = link.receive().expect("each gets an answer");
            assert_eq!(reply.control_id(), sample.control_id());
            if reply.code() == "AA" {
                kept.entry(sample.patient_id()).or_default().push(sample);
            } else {
                assert_eq!(reply.code(), "AR");
                refused = true;
            }
        }
        if refused {
            break 'sending;
        }
    }
    // One at a time, and smaller, some still find room between those that find none.
    let (mut alone, mut refused_in_a_row) = (0, 0);
    for number in 0..200 {
        let mut sample = Sample::new("ALONE", number % 4, number / 4 + 1);
        sample.filler = 700 * (number % 5) as usize;
        match link.ask(&sample.bytes()).code().as_str() {
            "AA" => {
                (alone, refused_in_a_row) = (alone + 1, 0);
                kept.entry(sample.patient_id()).or_default().push(sample);
            }
            code => {
                assert_eq!(code, "AR");
                refused_in_a_row += 1;
            }
        }
        if refused_in_a_row == 20 {
            break;
        }
    }
    println!("{alone} kept on a full disk");
    node.kill();
    sink.wait_disconnected();
    sink.next_run();
    disk.empty();

    let node = project.up();
    let api = node.api();
    eventually("all is delivered", || api.counter("lab", "in_flight") == 0);
    check_lanes(
        "lab",
        &sink,
        &kept,
        |bytes| crate::harness::field(bytes, "PID-3.1"),
        Sample::bytes,
    );
    api.proof();
}
