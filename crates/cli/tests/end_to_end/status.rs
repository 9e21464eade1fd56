//! What `pipehat status` says to whoever has to decide whether to get up.

use crate::harness::{Project, eventually};

#[test]
fn status_asks_for_a_person_while_a_folder_of_a_source_is_away() {
    let project = Project::new();
    project.write(
        "channels/drop.yaml",
        "channel: drop\nsource: { file: { folder: drop, poll: 1s } }\n",
    );
    let _node = project.up();
    let status = || {
        let output = project.run(&["status"]);
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    eventually("it says so", || {
        let (code, said) = status();
        code == Some(1) && said.contains("there is no such file or folder")
    });
    std::fs::create_dir(project.directory().join("drop")).expect("a folder");
    eventually("all is well", || status().0 == Some(0));
}
