//! `pipehat client`: who may use the FHIR API.
//!
//! Works on the register in the data directory itself, whether a Pipehat runs on it or not; one that runs sees the
//! change at its next request.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use clap::Subcommand;
use pipehat_engine::project::{Project, ProjectSettings};
use pipehat_server::access::{
    Client, ClientFile, NewClient, PublicKey, ScopeProblem, ScopeReader, SmartScope, StandIn,
    read_keys, root_of,
};
use pipehat_server::{DataDirectory, OfflineUse, ProcessEnvironment};

use super::project::{DataArguments, configured_data, is_project};
use super::up::http_variable;
use crate::exit::{Exit, Failure};
use crate::resource_store::ResourceStore;
use crate::terminal::{Terminal, Tone, visible};

/// Where the API listens when nothing says otherwise.
const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8103);

/// A key set has some kilobytes.
const KEYS_BYTES_MAX: u64 = 1024 * 1024;

const EXAMPLES: &str = "\
Examples:
  pipehat client add lab --scope 'system/*.*'
  pipehat client add portal --scope system/Patient.rs --scope system/Task.rs
  pipehat client add ward --scope 'system/Encounter.rs?location=Location/w3'
  pipehat client add backend --scope 'system/*.rs' --jwks public-keys.json
  pipehat client list
  pipehat client rotate lab
  pipehat client revoke lab
  pipehat client stand-in lab Device/lab

A client signs in at /oauth2/token (client_credentials) and uses the token it gets for an hour, or sends its
id and secret with each request (HTTP Basic). `pipehat client COMMAND --help` says more.";

const STAND_IN_EXAMPLES: &str = "\
Examples:
  curl -X PUT -u \"$CLIENT_ID:$CLIENT_SECRET\" \\
       -H 'Content-Type: application/fhir+json' \\
       -d '{\"resourceType\":\"Device\",\"id\":\"lab\"}' \\
       \"$(pipehat token --url)/fhir/R4/Device/lab\"
  pipehat client stand-in lab Device/lab
  pipehat client stand-in lab --none

A client is no resource, and R4 has no type for one; where FHIR wants a sender or an author, a client such as
MedplumClient names what /auth/me calls its profile. Create the resource first: nothing is created here, and it
gives the client no rights.";

const ADD_EXAMPLES: &str = "\
Examples:
  pipehat client add lab --scope 'system/*.*' --data /var/lib/pipehat --json
  pipehat client add ward --scope 'system/Encounter.rs?location=Location/w3'
  pipehat client add backend --scope 'system/*.rs' --jwks public-keys.json

A scope is `system/TYPE.INTERACTIONS`: a resource type or `*`, and a part of `cruds` (create, read, update,
delete, search) or `read`, `write`, `*`. Search parameters behind `?` narrow it to resources that meet
them: for reads, searches, histories and what is written, before and after.

Clients may be added before the first `pipehat up`. A data directory that is not there yet is made, and said to
be, where --data or PIPEHAT_DATA names it, or the project does. The token_url is where the running Pipehat is,
or where the project in --project, beside the data or in this folder has it; behind a proxy, what its `base` says.

The secret is shown once and kept nowhere: put it where the client reads its secrets.";

/// Say who may use the FHIR API, and for what
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Add a client and print its id and secret
    #[command(after_help = ADD_EXAMPLES)]
    Add {
        /// What people call it
        #[arg(value_name = "NAME")]
        name: String,

        /// What it may do; several times for more
        #[arg(long = "scope", value_name = "SCOPE", required = true)]
        scopes: Vec<String>,

        #[command(flatten)]
        more: WithKeys,
    },
    /// List the clients
    List {
        /// Those that were revoked, too
        #[arg(long)]
        all: bool,

        /// Print JSON, a client a line
        #[arg(long)]
        json: bool,

        #[command(flatten)]
        place: Place,
    },
    /// Let a client in no longer, from this moment
    Revoke {
        /// Its id, or its name
        #[arg(value_name = "CLIENT")]
        client: String,

        #[command(flatten)]
        place: Place,
    },
    /// Say which resource stands for a client where FHIR wants a sender or an author
    #[command(after_help = STAND_IN_EXAMPLES)]
    StandIn {
        /// Its id, or its name
        #[arg(value_name = "CLIENT")]
        client: String,

        /// A Device, HealthcareService, Organization, Practitioner or PractitionerRole
        #[arg(value_name = "TYPE/ID", required_unless_present = "none")]
        resource: Option<String>,

        /// Nothing stands for it any more
        #[arg(long, conflicts_with = "resource")]
        none: bool,

        #[command(flatten)]
        place: Place,
    },
    /// Give a client a new secret; the old one and its tokens open nothing any more
    Rotate {
        /// Its id, or its name
        #[arg(value_name = "CLIENT")]
        client: String,

        #[command(flatten)]
        more: WithKeys,
    },
}

#[derive(Debug, clap::Args)]
struct WithKeys {
    /// Its public keys, a JSON Web Key Set: it signs in by private_key_jwt and has no secret
    #[arg(long, value_name = "FILE")]
    jwks: Option<PathBuf>,

    /// Print JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    place: Place,
}

/// Where the clients stand.
#[derive(Debug, clap::Args)]
struct Place {
    /// The project directory [default: the one beside the data, or this folder]
    #[arg(long, value_name = "DIR")]
    project: Option<PathBuf>,

    #[command(flatten)]
    data: DataArguments,
}

impl Arguments {
    pub(crate) fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        match self.action {
            Action::Add { name, scopes, more } => {
                let scopes = scopes_of(&scopes, &more.place, terminal)?;
                let keys = more.keys()?;
                let data = more.place.data_to_add_to(terminal)?;
                let file = ClientFile::new(data.clients());
                let others = file.list().map_err(Failure::could_not)?;
                let added = file.add(&name, scopes, keys, &now()).map_err(Failure::could_not)?;
                if others.iter().any(|other| other.name == name && other.is_active()) {
                    terminal.warn(format_args!(
                        "another client is called `{}`, too: `revoke` and `rotate` will need their ids",
                        visible(&name)
                    ));
                }
                show(&added, &more.place.token_url(&data)?, more.json, terminal)?;
            }
            Action::List { all, json, place } => {
                let file = ClientFile::new(place.data_in_use()?.clients());
                let mut clients = file.list().map_err(Failure::could_not)?;
                clients.retain(|client| all || client.is_active());
                list(&clients, json, terminal)?;
            }
            Action::Revoke { client, place } => {
                let file = ClientFile::new(place.data_in_use()?.clients());
                let revoked = file.revoke(&client, &now()).map_err(Failure::could_not)?;
                terminal.note(format_args!(
                    "{} ({}) is revoked: neither its credentials nor its tokens open anything",
                    visible(&revoked.name),
                    revoked.id
                ));
            }
            Action::StandIn { client, resource, none: _, place } => {
                let stand_in = resource.map(|text| StandIn::parse(&text)).transpose();
                let stand_in = stand_in.map_err(|error| Failure::usage(error.to_string()))?;
                let file = ClientFile::new(place.data_in_use()?.clients());
                let client = file.stand_in(&client, stand_in).map_err(Failure::could_not)?;
                let (name, id) = (visible(&client.name), &client.id);
                match &client.stand_in {
                    Some(stand_in) => {
                        terminal.note(format_args!("{stand_in} stands for {name} ({id})"))
                    }
                    None => terminal.note(format_args!("nothing stands for {name} ({id})")),
                }
            }
            Action::Rotate { client, more } => {
                let keys = more.keys()?;
                let data = more.place.data_in_use()?;
                let file = ClientFile::new(data.clients());
                let rotated = file.rotate(&client, keys).map_err(Failure::could_not)?;
                show(&rotated, &more.place.token_url(&data)?, more.json, terminal)?;
            }
        }
        Ok(Exit::Ok)
    }
}

impl Place {
    fn project(&self) -> &Path {
        self.project.as_deref().unwrap_or(Path::new("."))
    }

    /// A data directory that is one.
    fn data_in_use(&self) -> Result<DataDirectory, Failure> {
        let data = self.data.find_in(self.project())?;
        if data.is_in_use() {
            return Ok(data);
        }
        Err(Failure::could_not(format!(
            "{} is no data directory of a Pipehat (it has neither clients.json nor installation.json): name the one \
             you mean with --data",
            data.root().display()
        )))
    }

    /// The data directory that a client is to be added to; made where it is not there and was named.
    fn data_to_add_to(&self, terminal: &Terminal) -> Result<DataDirectory, Failure> {
        let data = self.data.find_in(self.project())?;
        let root = data.root().display();
        if !data.is_in_use() && self.data.named().is_none() && !is_project(self.project()) {
            return Err(Failure::could_not(format!(
                "there is no project in {}, and {root} is no data directory of a Pipehat: name the project's folder \
                 with --project, or the data directory with --data",
                self.project().display()
            )));
        }
        let (is_there, has_clients) = (data.root().exists(), data.clients().exists());
        data.create().map_err(Failure::could_not)?;
        if !is_there {
            let named =
                if self.data.named().is_some() { format!(" --data {root}") } else { String::new() };
            terminal.note(format_args!(
                "made the data directory {root}, which was not there; `pipehat up{named}` runs on it"
            ));
        } else if !has_clients {
            terminal.note(format_args!("the first client of {root}: made its clients.json"));
        }
        Ok(data)
    }

    /// Where clients sign in: at the Pipehat that runs on this data, or as the project says.
    fn token_url(&self, data: &DataDirectory) -> Result<String, Failure> {
        let root = match data.read_admin().ok().flatten() {
            Some(running) => running.public_url.unwrap_or(running.url),
            None => {
                let settings = self.settings_for(data);
                match settings.datastore.as_ref().and_then(|datastore| datastore.base.as_deref()) {
                    Some(base) => root_of(base).to_owned(),
                    None => {
                        let listen = http_variable()?.or(settings.http.listen).unwrap_or(LISTEN);
                        format!("http://{listen}")
                    }
                }
            }
        };
        Ok(format!("{root}/oauth2/token"))
    }

    /// The settings of the project that the data belongs to: the one that was named, or that has its data there.
    fn settings_for(&self, data: &DataDirectory) -> ProjectSettings {
        let of = |project: &Path| {
            is_project(project)
                .then(|| Project::settings_in(project, &ProcessEnvironment).ok())
                .flatten()
        };
        if let Some(project) = &self.project {
            return of(project).unwrap_or_default();
        }
        let beside = data.root().parent().filter(|parent| !parent.as_os_str().is_empty());
        let beside = beside.and_then(|project| {
            let settings = of(project)?;
            let own = configured_data(project, &settings).canonicalize().ok()?;
            (own == data.root().canonicalize().ok()?).then_some(settings)
        });
        beside.or_else(|| of(Path::new("."))).unwrap_or_default()
    }
}

impl WithKeys {
    fn keys(&self) -> Result<Option<Vec<PublicKey>>, Failure> {
        let Some(path) = &self.jwks else { return Ok(None) };
        let wrong = |text: String| Failure::could_not(format!("{}: {text}", path.display()));
        let size = std::fs::metadata(path).map_err(|error| wrong(error.to_string()))?.len();
        if size > KEYS_BYTES_MAX {
            return Err(wrong(format!("a key set has at most {KEYS_BYTES_MAX} bytes")));
        }
        let text = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
        read_keys(&String::from_utf8_lossy(&text))
            .map(Some)
            .map_err(|error| wrong(error.to_string()))
    }
}

/// Scopes, of which one argument may hold several with spaces between. Only where one asks by a parameter that R4 does
/// not have, the datastore is asked for its own.
fn scopes_of(
    texts: &[String],
    place: &Place,
    terminal: &Terminal,
) -> Result<Vec<SmartScope>, Failure> {
    if texts.iter().any(|text| text.trim().is_empty()) {
        return Err(Failure::usage(
            "a scope is empty: write what the client may do, such as 'system/*.*' or system/Patient.rs",
        ));
    }
    let texts: Vec<&str> = texts.iter().flat_map(|text| text.split_whitespace()).collect();
    let mut reader = ScopeReader::default();
    let mut unseen = String::new();
    if texts.iter().any(|text| matches!(reader.read(text), Err(ScopeProblem::Filter(_)))) {
        let store = ResourceStore::open(place.project(), &place.data, OfflineUse::Read, terminal);
        match store.and_then(|store| store.search_parameters()) {
            Ok(lines) => reader = ScopeReader::with_parameters(&lines),
            Err(failure) => {
                let why = failure.message().unwrap_or_default();
                unseen =
                    format!("; whether the datastore has such a parameter can't be seen: {why}");
            }
        }
    }
    let mut scopes: Vec<SmartScope> = Vec::new();
    for text in texts {
        let scope = reader.read(text).map_err(|error| {
            Failure::usage(format!("the scope `{}`: {error}{unseen}", visible(text)))
        })?;
        if let Some(types) = reader.narrowed_to(&scope) {
            terminal.warn(format_args!(
                "the scope `{}` gives nothing of resources that have no such search parameter; it covers {}",
                visible(text),
                types.join(", ")
            ));
        }
        if !scopes.contains(&scope) {
            scopes.push(scope);
        }
    }
    Ok(scopes)
}

fn now() -> String {
    jiff::Timestamp::now().round(jiff::Unit::Second).unwrap_or_default().to_string()
}

fn show(
    NewClient { client, secret }: &NewClient,
    token_url: &str,
    json: bool,
    terminal: &Terminal,
) -> Result<(), Failure> {
    let scopes: Vec<&str> = client.scopes.iter().map(SmartScope::as_str).collect();
    if json {
        let mut line = serde_json::json!({
            "client_id": client.id,
            "name": client.name,
            "scopes": scopes,
            "token_url": token_url,
        });
        if let (Some(secret), Some(object)) = (secret, line.as_object_mut()) {
            object.insert("client_secret".to_owned(), secret.as_str().into());
        }
        return Ok(terminal.write(|output| writeln!(output, "{line}"))?);
    }
    let id = terminal.paint(Tone::Strong, &client.id);
    terminal.write(|output| {
        writeln!(output, "client_id      {id}")?;
        if let Some(secret) = secret {
            writeln!(output, "client_secret  {}", terminal.paint(Tone::Strong, secret))?;
        }
        writeln!(output, "token_url      {token_url}")?;
        for (number, scope) in scopes.iter().enumerate() {
            let title = if number == 0 { "scope" } else { "" };
            writeln!(output, "{title:<13}  {scope}")?;
        }
        Ok(())
    })?;
    match secret {
        Some(_) => terminal.note(format_args!(
            "the secret is shown this once; a token comes from\n  curl -u CLIENT_ID:CLIENT_SECRET \
             -d grant_type=client_credentials {token_url}"
        )),
        None => terminal.note(format_args!(
            "it signs in by private_key_jwt (SMART Backend Services) with one of its {} keys",
            client.keys().len()
        )),
    }
    Ok(())
}

fn list(clients: &[Client], json: bool, terminal: &Terminal) -> Result<(), Failure> {
    if json {
        let mut lines = String::new();
        for client in clients {
            let scopes: Vec<&str> = client.scopes.iter().map(SmartScope::as_str).collect();
            let line = serde_json::json!({
                "client_id": client.id,
                "name": client.name,
                "scopes": scopes,
                "signs_in_by": proof(client),
                "created": client.created,
                "stand_in": client.stand_in,
                "revoked": client.revoked,
            });
            let _ = writeln!(lines, "{line}");
        }
        return Ok(terminal.write(|output| output.write_all(lines.as_bytes()))?);
    }
    if clients.is_empty() {
        terminal
            .note("there are no clients; `pipehat client add NAME --scope 'system/*.*'` adds one");
        return Ok(());
    }
    terminal.write(|output| {
        for client in clients {
            let name = terminal.paint(Tone::Strong, visible(&client.name));
            writeln!(output, "{name}  {}  {}, since {}", client.id, proof(client), client.created)?;
            for scope in &client.scopes {
                writeln!(output, "  {scope}")?;
            }
            if let Some(stand_in) = &client.stand_in {
                writeln!(output, "  {stand_in} stands for it")?;
            }
            if let Some(revoked) = &client.revoked {
                writeln!(output, "  revoked {revoked}")?;
            }
        }
        Ok(())
    })?;
    Ok(())
}

fn proof(client: &Client) -> &'static str {
    if client.keys().is_empty() { "secret" } else { "keys" }
}
