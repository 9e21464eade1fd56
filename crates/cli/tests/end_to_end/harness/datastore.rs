//! A datastore of its own on this machine, and a client of it.

use std::process::Output;

use serde_json::Value;

use super::{Pipehat, Project, free_port};

/// A node with a datastore alone, at this port, and a client that may do something there.
pub(crate) struct Datastore {
    project: Project,
    port: u16,
    client: Value,
}

impl Datastore {
    pub(crate) fn new(scope: &str) -> Self {
        let (project, port) = (Project::new(), free_port());
        let yaml = format!("http: {{ listen: 127.0.0.1:{port} }}\ndatastore:\n");
        project.write("pipehat.yaml", &yaml);
        let Output { stdout, status, stderr } =
            project.run(&["client", "add", "lookups", "--scope", scope, "--json"]);
        assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
        let client = serde_json::from_slice(&stdout).expect("the client is JSON");
        Self { project, port, client }
    }

    pub(crate) fn up(&self) -> Pipehat {
        self.project.up_with(&["--http", &format!("127.0.0.1:{}", self.port)])
    }

    /// How a channel reaches it, its secret in the file that the variable names.
    pub(crate) fn settings(&self, more: &str) -> String {
        let base = format!("http://127.0.0.1:{}", self.port);
        let id = self.client["client_id"].as_str().expect("an id");
        format!(
            "{{ base: \"{base}/fhir/R4\", {more} timeout: 5s, client: {{ token_url: \"{base}/oauth2/token\", \
             id: \"{id}\", secret: secret:lookups }} }}"
        )
    }

    pub(crate) fn secret(&self) -> &str {
        self.client["client_secret"].as_str().expect("a secret")
    }

    /// What its processes have printed.
    pub(crate) fn printed(&self) -> String {
        self.project.printed()
    }
}
