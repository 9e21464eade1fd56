//! The register of clients: a file of the data directory, which the command line changes and the server follows.
//!
//! Guarantees:
//! - A change is made under a lock and replaces the file at once: whoever reads sees the state before or after it.
//! - The server looks at the file's stamp whenever a client is asked for, and reads it anew when it changed. So a client
//!   works as soon as `client add` answers and is refused as soon as `client revoke` does, whether a server runs or not.
//! - The file is readable by its owner only, and holds no secret: only the hashes of secrets, and public keys.
//!
//! A file that can't be read opens nothing: every client is refused until it can.

use std::collections::{HashMap, HashSet};
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use super::client::{Client, NAME_BYTES_MAX, Proof, SecretHash};
use super::keys::PublicKey;
use super::scope::{SCOPES_MAX, SmartScope};
use super::stand_in::StandIn;
use super::told::{ClientEvent, Deed};
use crate::fhir::Clients;
use crate::installation::write_private;

const FORMAT: u32 = 1;

/// How many clients there may be, revoked ones among them.
pub const CLIENTS_MAX: usize = 10_000;

/// How many changes may wait for the audit.
const UNTOLD_MAX: usize = 20_000;

/// Why the register can't be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// The system could not.
    #[error("failed to access {path}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It is not what this release writes.
    #[error("{path} can't be read: it is damaged, or of a later release")]
    Content {
        /// Which file.
        path: PathBuf,
    },
    /// There is no such client.
    #[error("there is no client `{0}`; `pipehat client list` shows those there are")]
    Unknown(String),
    /// Several clients have the name.
    #[error(
        "several clients are called `{name}`: name the one you mean by its id, {}; `pipehat client list` says more",
        ids.join(" or ")
    )]
    Ambiguous {
        /// The name.
        name: String,
        /// Their ids.
        ids: Vec<String>,
    },
    /// It was revoked.
    #[error("the client `{0}` was revoked; add a new one")]
    Revoked(String),
    /// It has no secret.
    #[error("the client `{0}` has keys of its own and no secret: give its new key set with --jwks")]
    HasKeys(String),
    /// The name.
    #[error("a client's name has 1 to {NAME_BYTES_MAX} bytes, without control characters")]
    Name,
    /// The scopes.
    #[error("a client has 1 to {SCOPES_MAX} scopes")]
    Scopes,
    /// Too many.
    #[error("there are {CLIENTS_MAX} clients already")]
    Full,
    /// Too much was not told.
    #[error(
        "{UNTOLD_MAX} changes of clients wait for the audit: start Pipehat on this data, which takes them there"
    )]
    Untold,
    /// No randomness.
    #[error("the system has no randomness")]
    Random,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Content {
    format_version: u32,
    clients: Vec<Client>,
    /// What was done and does not stand in the audit yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    untold: Vec<ClientEvent>,
}

/// The file, to change it.
#[derive(Debug, Clone)]
pub struct ClientFile {
    path: PathBuf,
}

/// A client that was added or got a new secret.
#[derive(Debug, Clone)]
pub struct NewClient {
    /// The client.
    pub client: Client,
    /// Its secret, where it has one: nobody can show it again.
    pub secret: Option<String>,
}

impl ClientFile {
    /// At a path.
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// All clients, revoked ones too.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn list(&self) -> Result<Vec<Client>, RegisterError> {
        Ok(self.load()?.clients)
    }

    /// Adds a client: with keys of its own, or with a secret made here.
    ///
    /// # Errors
    /// When what is given is not right, or the file can't be written.
    pub fn add(
        &self,
        name: &str,
        scopes: Vec<SmartScope>,
        keys: Option<Vec<PublicKey>>,
        now: &str,
    ) -> Result<NewClient, RegisterError> {
        if name.is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) {
            return Err(RegisterError::Name);
        }
        if scopes.is_empty() || scopes.len() > SCOPES_MAX {
            return Err(RegisterError::Scopes);
        }
        let (proof, secret) = proof(keys)?;
        let client = Client {
            id: new_id()?,
            name: name.to_owned(),
            scopes,
            proof,
            generation: 1,
            created: now.to_owned(),
            stand_in: None,
            revoked: None,
        };
        self.change(|clients| {
            if clients.len() >= CLIENTS_MAX {
                return Err(RegisterError::Full);
            }
            clients.push(client.clone());
            Ok(((), Some((Deed::Add, client.clone()))))
        })?;
        Ok(NewClient { client, secret })
    }

    /// Revokes a client, named by its id or its name. One that was revoked before stays as it is.
    ///
    /// # Errors
    /// When there is none, or the file can't be written.
    pub fn revoke(&self, named: &str, now: &str) -> Result<Client, RegisterError> {
        self.must_exist(named)?;
        self.change(|clients| {
            let client = find(clients, named)?;
            let is_news = client.is_active();
            client.revoked.get_or_insert_with(|| now.to_owned());
            let event = is_news.then(|| (Deed::Revoke, client.clone()));
            Ok((client.clone(), event))
        })
    }

    /// Gives a client a new secret, or new keys; what it had before opens nothing any more, its tokens neither.
    ///
    /// # Errors
    /// When there is none, or the file can't be written.
    pub fn rotate(
        &self,
        named: &str,
        keys: Option<Vec<PublicKey>>,
    ) -> Result<NewClient, RegisterError> {
        self.must_exist(named)?;
        self.change(|clients| {
            let client = find(clients, named)?;
            if !client.is_active() {
                return Err(RegisterError::Revoked(named.to_owned()));
            }
            if keys.is_none() && !client.keys().is_empty() {
                return Err(RegisterError::HasKeys(named.to_owned()));
            }
            let (proof, secret) = proof(keys)?;
            client.proof = proof;
            client.generation = client.generation.saturating_add(1);
            let event = Some((Deed::Rotate, client.clone()));
            Ok((NewClient { client: client.clone(), secret }, event))
        })
    }

    /// Says which resource stands for a client, or that none does.
    ///
    /// # Errors
    /// When there is no such client, or the file can't be written.
    pub fn stand_in(
        &self,
        named: &str,
        stand_in: Option<StandIn>,
    ) -> Result<Client, RegisterError> {
        self.must_exist(named)?;
        self.change(|clients| {
            let client = find(clients, named)?;
            if !client.is_active() {
                return Err(RegisterError::Revoked(named.to_owned()));
            }
            let is_news = client.stand_in != stand_in;
            client.stand_in = stand_in;
            let event = is_news.then(|| (Deed::StandIn, client.clone()));
            Ok((client.clone(), event))
        })
    }

    /// Forgets changes that stand in the audit.
    fn told(&self, events: &[ClientEvent]) -> Result<(), RegisterError> {
        self.rewrite(|content| {
            content.untold.retain(|event| !events.iter().any(|told| told.id == event.id));
            Ok(())
        })
    }

    /// Where nobody was ever added, there may not even be the folder for the lock.
    fn must_exist(&self, named: &str) -> Result<(), RegisterError> {
        if self.path.exists() { Ok(()) } else { Err(RegisterError::Unknown(named.to_owned())) }
    }

    /// Changes the clients; with it, in the same step, stands what was done.
    fn change<T>(
        &self,
        work: impl FnOnce(&mut Vec<Client>) -> Result<(T, Option<(Deed, Client)>), RegisterError>,
    ) -> Result<T, RegisterError> {
        self.rewrite(|content| {
            let (answer, done) = work(&mut content.clients)?;
            if let Some((deed, client)) = done {
                if content.untold.len() >= UNTOLD_MAX {
                    return Err(RegisterError::Untold);
                }
                content.untold.push(ClientEvent::now(new_id()?, deed, &client));
            }
            Ok(answer)
        })
    }

    fn rewrite<T>(
        &self,
        work: impl FnOnce(&mut Content) -> Result<T, RegisterError>,
    ) -> Result<T, RegisterError> {
        let lock_path = self.path.with_extension("lock");
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| RegisterError::Io { path, source }
        };
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&lock_path)
            .map_err(io(&lock_path))?;
        flock(&lock, FlockOperation::LockExclusive)
            .map_err(|error| io(&lock_path)(error.into()))?;
        let mut content = self.load()?;
        let answer = work(&mut content)?;
        content.format_version = FORMAT;
        let text =
            serde_json::to_vec_pretty(&content).map_err(|error| io(&self.path)(error.into()))?;
        write_private(&self.path, &text).map_err(io(&self.path))?;
        Ok(answer)
    }

    fn load(&self) -> Result<Content, RegisterError> {
        match fs::read(&self.path) {
            Ok(text) => serde_json::from_slice(&text)
                .ok()
                .filter(|content: &Content| content.format_version == FORMAT)
                .ok_or_else(|| RegisterError::Content { path: self.path.clone() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Content::default()),
            Err(source) => Err(RegisterError::Io { path: self.path.clone(), source }),
        }
    }
}

fn proof(keys: Option<Vec<PublicKey>>) -> Result<(Proof, Option<String>), RegisterError> {
    match keys {
        Some(keys) => Ok((Proof::Keys(keys), None)),
        None => {
            let mut random = [0_u8; 32];
            getrandom::fill(&mut random).map_err(|_| RegisterError::Random)?;
            let secret = hex(&random);
            Ok((Proof::Secret(SecretHash::of(&secret)), Some(secret)))
        }
    }
}

fn find<'a>(clients: &'a mut [Client], named: &str) -> Result<&'a mut Client, RegisterError> {
    let by_id = clients.iter().position(|client| client.id == named);
    let position = match by_id {
        Some(position) => position,
        None => {
            let called: Vec<(usize, &Client)> = clients
                .iter()
                .enumerate()
                .filter(|(_, client)| client.name == named && client.is_active())
                .collect();
            match called.as_slice() {
                [] => return Err(RegisterError::Unknown(named.to_owned())),
                [(position, _)] => *position,
                several => {
                    let ids = several.iter().map(|(_, client)| client.id.clone()).collect();
                    return Err(RegisterError::Ambiguous { name: named.to_owned(), ids });
                }
            }
        }
    };
    clients.get_mut(position).ok_or_else(|| RegisterError::Unknown(named.to_owned()))
}

/// A random UUID (RFC 9562 §5.4).
pub(crate) fn new_id() -> Result<String, RegisterError> {
    let mut random = [0_u8; 16];
    getrandom::fill(&mut random).map_err(|_| RegisterError::Random)?;
    random[6] = random[6] & 0x0f | 0x40;
    random[8] = random[8] & 0x3f | 0x80;
    let digits = hex(&random);
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32];
    Ok(parts.map(|part| digits.get(part).unwrap_or_default().to_owned()).join("-"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The clients, as the server follows them.
#[derive(Debug)]
pub struct ClientRegister {
    file: ClientFile,
    state: RwLock<Arc<State>>,
}

#[derive(Debug, Default)]
struct State {
    stamp: Option<Stamp>,
    clients: HashMap<String, Arc<Client>>,
    revoked: Arc<HashSet<String>>,
    untold: Arc<[ClientEvent]>,
}

/// What changes when the file is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

impl ClientRegister {
    /// Over a file, which need not be there yet.
    pub fn new(path: PathBuf) -> Self {
        Self { file: ClientFile::new(path), state: RwLock::default() }
    }

    /// A client that may ask, by its id.
    pub fn client(&self, id: &str) -> Option<Arc<Client>> {
        self.current().clients.get(id).filter(|client| client.is_active()).cloned()
    }

    /// What a client is called, also where it was revoked; as far as the register was read.
    pub fn name(&self, id: &str) -> Option<Arc<str>> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        state.clients.get(id).map(|client| client.name.as_str().into())
    }

    /// What was done to clients and does not stand in the audit yet.
    pub(super) fn untold(&self) -> Arc<[ClientEvent]> {
        Arc::clone(&self.current().untold)
    }

    /// These stand in the audit.
    pub(super) fn told(&self, events: &[ClientEvent]) -> Result<(), RegisterError> {
        self.file.told(events)
    }

    fn current(&self) -> Arc<State> {
        // The name of a file that is replaced, and perhaps its number, stay: its time and size tell.
        let stamp = fs::metadata(&self.file.path).ok().map(|found| Stamp {
            inode: found.ino(),
            size: found.size(),
            changed: (found.ctime(), found.ctime_nsec()),
        });
        {
            let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
            if state.stamp == stamp {
                return Arc::clone(&state);
            }
        }
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if state.stamp != stamp {
            *state = Arc::new(self.read(stamp, &state));
        }
        Arc::clone(&state)
    }

    fn read(&self, stamp: Option<Stamp>, before: &State) -> State {
        match self.file.load() {
            Ok(Content { clients, untold, .. }) => {
                let revoked = clients.iter().filter(|client| !client.is_active());
                let revoked = Arc::new(revoked.map(|client| client.id.clone()).collect());
                let clients = clients
                    .into_iter()
                    .map(|client| (client.id.clone(), Arc::new(client)))
                    .collect();
                State { stamp, clients, revoked, untold: untold.into() }
            }
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "the register of clients can't be read; every client is refused until it can"
                );
                let revoked = Arc::clone(&before.revoked);
                State { stamp, clients: HashMap::new(), revoked, untold: Arc::default() }
            }
        }
    }
}

impl Clients for ClientRegister {
    fn revoked(&self) -> Arc<HashSet<String>> {
        Arc::clone(&self.current().revoked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-01-02T03:04:05Z";

    fn scopes(text: &str) -> Vec<SmartScope> {
        SmartScope::parse_list(text).unwrap()
    }

    #[test]
    fn a_client_works_at_once_and_until_it_is_revoked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clients.json");
        let file = ClientFile::new(path.clone());
        let register = ClientRegister::new(path.clone());
        assert_eq!(register.client("nobody"), None);
        let added = file.add("lab", scopes("system/*.*"), None, NOW).unwrap();
        let secret = added.secret.unwrap();
        let found = register.client(&added.client.id).unwrap();
        assert!(
            found.has_secret(&secret) && !found.has_secret("") && !found.has_secret(&secret[1..])
        );
        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.contains(&secret), "the secret itself is not kept");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);

        let rotated = file.rotate("lab", None).unwrap();
        let found = register.client(&added.client.id).unwrap();
        assert!(found.has_secret(&rotated.secret.unwrap()) && !found.has_secret(&secret));
        assert_eq!(found.generation, 2);

        file.revoke(&added.client.id, NOW).unwrap();
        assert_eq!(register.client(&added.client.id), None);
        assert!(register.revoked().contains(&added.client.id));
        let again = file.revoke(&added.client.id, "later").unwrap();
        assert_eq!(again.revoked.as_deref(), Some(NOW));
        assert!(matches!(file.rotate(&added.client.id, None), Err(RegisterError::Revoked(_))));
        assert!(matches!(file.revoke("lab", NOW), Err(RegisterError::Unknown(_))));
    }

    #[test]
    fn a_resource_stands_for_a_client_until_another_does() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clients.json");
        let file = ClientFile::new(path.clone());
        let register = ClientRegister::new(path);
        let id = file.add("lab", scopes("system/*.rs"), None, NOW).unwrap().client.id;
        assert_eq!(register.client(&id).unwrap().stand_in, None);
        let device = StandIn::parse("Device/lab").unwrap();
        for _ in 0..2 {
            file.stand_in("lab", Some(device.clone())).unwrap();
        }
        assert_eq!(register.client(&id).unwrap().stand_in, Some(device));
        file.stand_in(&id, None).unwrap();
        assert_eq!(register.client(&id).unwrap().stand_in, None);
        let told = register.untold();
        let told: Vec<(Deed, &str)> =
            told.iter().map(|event| (event.deed, event.of.as_str())).collect();
        assert_eq!(
            told[1..],
            [
                (Deed::StandIn, "lab: stood for by Device/lab"),
                (Deed::StandIn, "lab: stood for by nothing")
            ]
        );
        file.revoke("lab", NOW).unwrap();
        assert!(matches!(file.stand_in(&id, None), Err(RegisterError::Revoked(_))));
        assert!(matches!(file.stand_in("nobody", None), Err(RegisterError::Unknown(_))));
    }

    #[test]
    fn what_was_done_waits_until_it_was_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clients.json");
        let file = ClientFile::new(path.clone());
        let added = file.add("lab", scopes("system/*.rs"), None, NOW).unwrap().client;
        file.rotate("lab", None).unwrap();
        file.revoke("lab", NOW).unwrap();
        file.revoke(&added.id, NOW).unwrap();
        let register = ClientRegister::new(path);
        let untold = register.untold();
        let deeds: Vec<Deed> = untold.iter().map(|event| event.deed).collect();
        assert_eq!(deeds, [Deed::Add, Deed::Rotate, Deed::Revoke], "once each");
        assert!(untold.iter().all(|event| event.client == added.id && event.of.contains("lab")));
        file.add("other", scopes("system/*.rs"), None, NOW).unwrap();
        register.told(&untold).unwrap();
        let left = register.untold();
        assert_eq!(left.len(), 1, "what came meanwhile is not forgotten");
        assert_ne!(left[0].client, added.id);
    }

    #[test]
    fn what_can_not_be_read_opens_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clients.json");
        let file = ClientFile::new(path.clone());
        let register = ClientRegister::new(path.clone());
        let added = file.add("lab", scopes("system/*.*"), None, NOW).unwrap();
        assert!(register.client(&added.client.id).is_some());
        fs::write(&path, "{").unwrap();
        assert!(register.client(&added.client.id).is_none());
        assert!(matches!(
            file.add("x", scopes("system/*.*"), None, NOW),
            Err(RegisterError::Content { .. })
        ));
    }

    #[test]
    fn names_are_for_one_client() {
        let folder = tempfile::tempdir().unwrap();
        let file = ClientFile::new(folder.path().join("clients.json"));
        let add = |name: &str, list: &str| file.add(name, scopes(list), None, NOW);
        let first = add("twin", "system/*.*").unwrap().client.id;
        let second = add("twin", "system/*.*").unwrap().client.id;
        let told = file.revoke("twin", NOW).unwrap_err().to_string();
        assert!(told.contains(&first) && told.contains(&second), "{told}");
        file.revoke(&first, NOW).unwrap();
        assert_eq!(file.revoke("twin", NOW).unwrap().id, second);
        assert!(matches!(add("", "system/*.*"), Err(RegisterError::Name)));
        assert!(matches!(add("a\nb", "system/*.*"), Err(RegisterError::Name)));
        assert!(matches!(
            add(&"x".repeat(NAME_BYTES_MAX + 1), "system/*.*"),
            Err(RegisterError::Name)
        ));
        add(&"x".repeat(NAME_BYTES_MAX), "system/*.*").unwrap();
        assert!(matches!(add("none", ""), Err(RegisterError::Scopes)));
    }

    #[test]
    fn changes_at_once_lose_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = ClientFile::new(folder.path().join("clients.json"));
        std::thread::scope(|scope| {
            for number in 0..8 {
                let file = &file;
                scope.spawn(move || {
                    for turn in 0..5 {
                        let name = format!("{number}-{turn}");
                        file.add(&name, scopes("system/*.*"), None, NOW).unwrap();
                    }
                });
            }
        });
        assert_eq!(file.list().unwrap().len(), 40);
    }

    #[test]
    fn ids_are_random_uuids() {
        let id = new_id().unwrap();
        let lengths: Vec<usize> = id.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
        assert_eq!(id.as_bytes().get(14), Some(&b'4'));
        assert_ne!(id, new_id().unwrap());
    }
}
