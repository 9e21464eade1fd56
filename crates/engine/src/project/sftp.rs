//! `sftp:` of `pipehat.yaml`: the servers that bots may be granted.
//!
//! ```yaml
//! sftp:
//!   laboratory:
//!     connect: sftp.example.org:22
//!     user: pipehat
//!     key: secret:laboratory-key
//!     host_key: SHA256:uNiVztksCsDhcc0u9e8BrMz2rMTo4FMQkJ1Ew3sZq0o
//!     directory: /outbox
//! ```

use std::collections::BTreeMap;
use std::path::Path;

use pipehat_config::{Diagnostic, Diagnostics, Map, Node, nearest};
use pipehat_connectors::{BuildContext, Secrets, SftpServer};

use super::bot::BotGrants;
use super::name::check_name;

/// The most servers of a project.
const SERVERS_MAX: usize = 200;

/// The servers by name.
pub(super) type SftpServers = BTreeMap<String, SftpServer>;

/// Reads the servers; nothing is connected.
pub(super) fn servers(
    node: &Node,
    secrets: &dyn Secrets,
    directory: &Path,
    diagnostics: &mut Diagnostics,
) -> Option<SftpServers> {
    let map = node.map("sftp", diagnostics)?;
    if map.iter().count() > SERVERS_MAX {
        let message = format!("a project has at most {SERVERS_MAX} SFTP servers");
        diagnostics.push(Diagnostic::error("sftp.setting", &node.span, message));
        return None;
    }
    let context = BuildContext { project: directory, secrets, channel: "", datastore: None };
    let mut servers = SftpServers::new();
    let mut sound = true;
    for (key, node) in map.iter() {
        sound &= check_name(&key.text, "an SFTP server", &key.span, diagnostics);
        match SftpServer::read(key, node, &context, diagnostics) {
            Some(server) => {
                servers.insert(key.text.clone(), server);
            }
            None => sound = false,
        }
    }
    sound.then_some(servers)
}

/// The names of the servers in a tree of `pipehat.yaml`, also of those that are broken.
pub(super) fn names(settings: &Node) -> Vec<String> {
    let servers = settings.as_map().and_then(|map| map.get("sftp")).and_then(Node::as_map);
    servers.into_iter().flat_map(Map::keys).map(|key| key.text.clone()).collect()
}

/// Refuses grants of servers that are not there. `allow` is the map that they stand in.
pub(super) fn check_grants(allow: Option<&Map>, servers: &[String], diagnostics: &mut Diagnostics) {
    let listed = allow.and_then(|allow| allow.get("sftp")).and_then(Node::as_list);
    for node in listed.unwrap_or_default() {
        let Some(scalar) = node.as_scalar() else { continue };
        let name = scalar.text();
        if servers.iter().any(|server| server == name) {
            continue;
        }
        let near = nearest(name, servers.iter().map(String::as_str));
        let message = format!("there is no SFTP server `{name}`");
        diagnostics.push(
            Diagnostic::error("bot.allow", &node.span, message)
                .with_nearest(near.filter(|_| !scalar.is_substituted()))
                .with_help(
                    "servers are named in pipehat.yaml: `sftp: { NAME: { connect: …, user: … } }`",
                ),
        );
    }
}

/// Warns of servers that nobody may use.
pub(super) fn warn_of_unused<'g>(
    servers: &SftpServers,
    grants: impl Iterator<Item = &'g BotGrants> + Clone,
    diagnostics: &mut Diagnostics,
) {
    for server in servers.values() {
        let name = server.name();
        if grants.clone().any(|grants| grants.sftp.iter().any(|granted| granted == name)) {
            continue;
        }
        let message = format!("no bot may use the SFTP server `{name}`");
        diagnostics.push(
            Diagnostic::warning("sftp.unused", server.span(), message)
                .with_help(format!("grant it in a bot's file: `allow: {{ sftp: [{name}] }}`")),
        );
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use pipehat_connectors::UnknownSecret;

    use super::*;
    use crate::project::testing::{TestEnvironment, files};
    use crate::project::{LoadContext, Loaded, Project};

    /// The one secret of these tests.
    struct OneSecret;

    impl Secrets for OneSecret {
        fn secret(&self, _: &str) -> Result<Vec<u8>, UnknownSecret> {
            Ok(b"open sesame".to_vec())
        }
    }

    const SERVER: &str = "sftp:\n  laboratory:\n    connect: sftp.example.org:22\n    user: pipehat\n    password: secret:laboratory\n    \
                          host_key: SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n";

    #[track_caller]
    fn check(settings: &str, allow: &str, expected: &[&str]) {
        let files = files("destinations:\n  out: { mllp: { connect: 127.0.0.1:1 } }\n")
            .with("pipehat.yaml", settings)
            .with("bots/collect.yaml", format!("bot: collect\nallow: {{ sftp: [{allow}] }}\n"))
            .with("bots/collect.ts", "export async function handler() {}\n");
        let Loaded { project, diagnostics } = Project::load_from(&LoadContext {
            files: &files,
            directory: Path::new("/nowhere"),
            environment: &TestEnvironment,
            secrets: &OneSecret,
            connectors: pipehat_connectors::CONNECTORS,
        });
        let told: Vec<_> = diagnostics.iter().map(|one| one.code).collect();
        assert_eq!(told, expected, "{diagnostics}");
        let names = project.map(|project| project.settings.sftp.into_keys().collect::<Vec<_>>());
        let sound = !expected.contains(&"bot.allow");
        let named = if settings.is_empty() { Vec::new() } else { vec!["laboratory".to_owned()] };
        assert_eq!(names, sound.then_some(named));
    }

    #[test]
    fn servers_are_granted_by_name() {
        check(SERVER, "laboratory", &[]);
        check(SERVER, "", &["sftp.unused"]);
        check(SERVER, "laboratroy", &["bot.allow", "sftp.unused"]);
        check("", "laboratory", &["bot.allow"]);
        check("", "", &[]);
        let deployed = format!("{SERVER}bots: {{ allow: {{ sftp: [laboratory] }} }}\n");
        check(&deployed, "", &[]);
    }
}
