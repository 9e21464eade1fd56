//! What `pipehat status` says to whoever has to decide whether to get up.

use crate::harness::{Link, Project, Sample, Sink, eventually, free_port};

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
        code == Some(1)
            && said.contains("there is no such file or folder")
            && said.contains("[file.folder-unreadable], since 20")
    });
    std::fs::create_dir(project.directory().join("drop")).expect("a folder");
    eventually("all is well", || status().0 == Some(0));
}

#[test]
fn a_partner_that_is_back_is_tried_when_a_person_says_so() {
    let port = free_port();
    let project = Project::new();
    project.write(
        "channels/lab.yaml",
        &format!(
            "channel: lab
source: {{ mllp: {{ listen: 127.0.0.1:0 }} }}
destinations:
  lab:
    mllp: {{ connect: 127.0.0.1:{port} }}
    retry: {{ first: 1h, most: 1h }}
"
        ),
    );
    let node = project.up();
    let sample = Sample::new("LAB", 1, 1);
    assert_eq!(Link::open(&node.address("lab")).ask(&sample.bytes()).code(), "AA");
    let api = node.api();
    eventually("the first attempt failed", || {
        api.channel("lab")["destinations"][0]["health"]["state"] == "down"
    });
    let sink = Sink::on(port);
    eventually("it is delivered", || {
        let output = project.run(&["retry", "lab"]);
        assert_eq!(output.status.code(), Some(0));
        sink.count() == 1
    });
    assert_eq!(project.run(&["retry", "lib"]).status.code(), Some(3));
    let found = project.run(&["messages", "find", "--channel", "lib"]);
    let said = String::from_utf8_lossy(&found.stderr).into_owned();
    assert!(said.contains("no channel is called `lib`; there are: lab"), "{said}");
}

#[test]
fn the_token_is_shown_of_a_pipehat_that_runs_and_clients_are_told_where_to_sign_in() {
    let project = Project::new();
    project.write(
        "pipehat.yaml",
        "http: { listen: 127.0.0.1:0 }\ndatastore: { base: \"https://fhir.example.org/fhir/R4\" }\n",
    );
    let node = project.up();
    let token = project.run(&["token"]);
    assert!(token.status.success() && token.stdout.len() > 40);
    let added = project.run(&["client", "add", "lab", "--scope", "system/*.*", "--json"]);
    let added: serde_json::Value = serde_json::from_slice(&added.stdout).expect("JSON");
    assert_eq!(added["token_url"], "https://fhir.example.org/oauth2/token");
    let (public, _) = added["token_url"].as_str().unwrap().rsplit_once("/token").unwrap();
    let known = node.api().get("/.well-known/smart-configuration");
    assert_eq!(known["token_endpoint"], format!("{public}/token"));
    node.kill();
    let token = project.run(&["token"]);
    assert_eq!((token.status.code(), token.stdout.len()), (Some(3), 0));
}
