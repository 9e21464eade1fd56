//! Reading a whole project.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pipehat_config::{Diagnostic, Diagnostics, Environment, Node, SourceFile, Span, nearest};
use pipehat_connectors::{BuildContext, CONNECTORS, Descriptor, LocalBots, LocalFhir, Secrets};
use pipehat_dictionary::profile::ProfileConstraints;
use pipehat_script::JsonGiven;
use pipehat_translate::Overlay;
use pipehat_translate::to_v2::Profile as Receiver;

use super::bot::{BotContext, BotName, BotSpec, bot};
use super::channel::{ChannelContext, ChannelSpec, channel};
use super::files::{DirectoryFiles, EntryKind, ProjectFiles};
use super::fingerprint::Revision;
use super::mappings::{Mappings, OVERLAYS, RECEIVERS};
use super::profiles::{self, Profiles, ProjectTables};
use super::settings::ProjectSettings;
use super::sftp;
use crate::program::{Table, Tables};

/// The most channels of a project: each holds a listener or a folder.
pub(super) const CHANNELS_MAX: usize = 20_000;

/// A project that can run.
pub struct Project {
    /// Its directory.
    pub directory: PathBuf,
    /// What concerns the installation as a whole.
    pub settings: ProjectSettings,
    /// Its channels, in the order of their names.
    pub channels: Vec<Arc<ChannelSpec>>,
    /// Its bots, in the order of their names.
    pub bots: Vec<Arc<BotSpec>>,
    /// Its code tables, by name.
    pub tables: BTreeMap<String, Arc<Table>>,
    /// What its channels know as the datastore of this installation; to be opened by whoever runs them.
    pub local_fhir: LocalFhir,
    /// Who runs the bots that its channels name; to be opened by whoever runs them.
    pub local_bots: LocalBots,
}

impl fmt::Debug for Project {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Project")
            .field("directory", &self.directory)
            .field("channels", &self.channels)
            .finish_non_exhaustive()
    }
}

/// What came of loading.
#[derive(Debug)]
pub struct Loaded {
    /// The project; none when there is an error among the diagnostics.
    pub project: Option<Project>,
    /// Every mistake of every file, in the order of files and lines.
    pub diagnostics: Diagnostics,
}

/// What loading may use.
pub struct LoadContext<'c> {
    /// The project's files.
    pub files: &'c dyn ProjectFiles,
    /// Its directory, which relative paths of certificates and folders start from.
    pub directory: &'c Path,
    /// Gives the values of `${…}`.
    pub environment: &'c dyn Environment,
    /// Gives what `secret:` refers to.
    pub secrets: &'c dyn Secrets,
    /// The connectors there are.
    pub connectors: &'c [&'static Descriptor],
}

impl Project {
    /// Reads the project in a directory, with every connector of this binary.
    pub fn load(directory: &Path, environment: &dyn Environment, secrets: &dyn Secrets) -> Loaded {
        let files = DirectoryFiles::new(directory);
        Self::load_from(&LoadContext {
            files: &files,
            directory,
            environment,
            secrets,
            connectors: CONNECTORS,
        })
    }

    /// Reads `pipehat.yaml` alone: for who looks for the data and not for the channels. The secrets it names need not
    /// be there.
    ///
    /// # Errors
    /// With what is wrong with the file.
    pub fn settings_in(
        directory: &Path,
        environment: &dyn Environment,
    ) -> Result<ProjectSettings, Diagnostics> {
        let mut diagnostics = Diagnostics::new();
        let settings = read_settings(directory, environment, &mut diagnostics);
        settings
            .filter(|_| !diagnostics.is_err())
            .map(|settings| settings.in_directory(directory))
            .ok_or(diagnostics)
    }

    /// Reads a project wherever its files are.
    pub fn load_from(context: &LoadContext<'_>) -> Loaded {
        let mut loader = Loader { context, diagnostics: Diagnostics::new(), sftp_names: None };
        let mappings = loader.mappings();
        let settings = loader.settings(&mappings);
        let (tables, table_bytes) = loader.tables();
        let (profiles, profile_bytes) = loader.profiles(&tables);
        let content = Content { tables, table_bytes, profiles, profile_bytes, mappings };
        let mut claims = Claims::new();
        if let Some((claim, span)) = settings.as_ref().and_then(|(_, listen)| listen.clone()) {
            loader.claim(&mut claims, claim, span, "the admin API".to_owned());
        }
        // A datastore alone is a project, too; settings that can't be read may ask for one.
        let datastore = settings.as_ref().is_none_or(|(settings, _)| settings.datastore.is_some());
        let needed = if datastore { Channels::MayBeNone } else { Channels::AtLeastOne };
        let local_fhir = LocalFhir::default();
        let offered = datastore.then_some(&local_fhir);
        let (bots, unread) = loader.bots(datastore, &content.mappings);
        let local_bots = LocalBots::default();
        let sound = bots.iter().map(|bot| (&*bot.spec.name, bot.spec.revision));
        // What is wrong with the others is told at their own files.
        let broken = unread.iter().map(|name| (name.as_str(), Revision([0; 32])));
        let named = broken.chain(sound).collect();
        let of_json = |bot: &ReadBot| (bot.spec.name.clone(), bot.spec.code.json_given());
        let json: BTreeMap<BotName, JsonGiven> = bots.iter().map(of_json).collect();
        let known = KnownBots { revisions: &named, json: &json, local: &local_bots };
        let channels = loader.channels(&content, &mut claims, needed, offered, &known);
        loader.check_reach(&bots, &unread, &channels);
        let known = settings.as_ref().map(|(settings, _)| settings);
        loader.check_sftp(&bots, &unread, known);
        loader.check_replies(&channels);
        let mut diagnostics = loader.diagnostics;
        diagnostics.sort();
        let project = settings.filter(|_| !diagnostics.is_err()).map(|(settings, _)| Self {
            directory: context.directory.to_owned(),
            settings,
            channels: channels.into_iter().map(Arc::new).collect(),
            bots: bots.into_iter().map(|read| Arc::new(read.spec)).collect(),
            tables: content
                .tables
                .into_iter()
                .filter_map(|(name, table)| Some((name, table?)))
                .collect(),
            local_fhir,
            local_bots,
        });
        Loaded { project, diagnostics }
    }

    /// The channel of a name.
    pub fn channel(&self, name: &str) -> Option<&Arc<ChannelSpec>> {
        self.channels.iter().find(|channel| &*channel.name == name)
    }
}

fn read_settings(
    directory: &Path,
    environment: &dyn Environment,
    diagnostics: &mut Diagnostics,
) -> Option<ProjectSettings> {
    const FILE: &str = "pipehat.yaml";
    let bytes = match DirectoryFiles::new(directory).read(FILE) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Some(ProjectSettings::default()),
        Err(error) => {
            diagnostics.push(unreadable(FILE, &error));
            return None;
        }
    };
    let file = SourceFile::from_bytes(FILE, &bytes, diagnostics)?;
    let mut node = Node::parse(&file, diagnostics)?;
    node.substitute(environment, diagnostics);
    ProjectSettings::read(&node, (None, None), directory, diagnostics)
}

fn unreadable(path: &str, error: &std::io::Error) -> Diagnostic {
    let message = format!("this can't be read: {error}");
    Diagnostic::error_in_file("project.unreadable", path, message)
        .with_help("check who may read it, and that it is what its name says")
}

/// What channels name: code tables, profiles and mappings, and their bytes for revisions.
pub(super) struct Content {
    pub(super) tables: Tables,
    pub(super) table_bytes: BTreeMap<String, Vec<u8>>,
    pub(super) profiles: Profiles,
    pub(super) profile_bytes: BTreeMap<String, Vec<u8>>,
    pub(super) mappings: Mappings,
}

impl Content {
    /// The bytes of a profile and of the code tables it names, as they count for a revision.
    pub(super) fn of_profile(&self, name: &str) -> Vec<(String, &[u8])> {
        let mut files = Vec::new();
        if let Some(bytes) = self.profile_bytes.get(name) {
            files.push((format!("profiles/{name}"), bytes.as_slice()));
        }
        let profile = self.profiles.get(name).and_then(Option::as_ref);
        for table in profile.iter().flat_map(|profile| profile.profile().code_tables()) {
            if let Some(bytes) = self.table_bytes.get(table) {
                files.push((format!("tables/{table}"), bytes.as_slice()));
            }
        }
        files
    }
}

/// Whether a project needs channels.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Channels {
    AtLeastOne,
    MayBeNone,
}

/// The most overlays and the most receivers of a project: an overlay holds all of HL7's tables, compiled with it.
const MAPPINGS_MAX: usize = 200;

/// The most bots of a project: each that ran lately holds memory.
const BOTS_MAX: usize = 1_000;

/// The bots that channels may name.
struct KnownBots<'b> {
    revisions: &'b BTreeMap<&'b str, Revision>,
    /// Where handlers return JSON for certain.
    json: &'b BTreeMap<BotName, JsonGiven>,
    local: &'b LocalBots,
}

/// A bot, and its file.
struct ReadBot {
    spec: BotSpec,
    node: Node,
}

struct Loader<'c> {
    context: &'c LoadContext<'c>,
    diagnostics: Diagnostics,
    /// The SFTP servers that are named; none where the settings can't be read.
    sftp_names: Option<Vec<String>>,
}

impl Loader<'_> {
    /// The settings, and what the admin API holds alone with its place.
    fn settings(
        &mut self,
        mappings: &Mappings,
    ) -> Option<(ProjectSettings, Option<(String, Span)>)> {
        let Some(bytes) = self.read("pipehat.yaml")? else {
            if let Ok(Some(_)) = self.context.files.read("pipehat.yml") {
                self.diagnostics.push(wrong_ending("pipehat.yml", "pipehat.yaml"));
            } else {
                self.sftp_names = Some(Vec::new());
            }
            return Some((ProjectSettings::default(), None));
        };
        let node = self.tree("pipehat.yaml", &bytes)?;
        self.sftp_names = Some(sftp::names(&node));
        let directory = self.context.directory;
        let known = (Some(self.context.secrets), Some(mappings));
        let settings = ProjectSettings::read(&node, known, directory, &mut self.diagnostics)?
            .in_directory(directory);
        let listen = settings.http.listen.and_then(|address| {
            let address = Some(address).filter(|address| address.port() != 0)?;
            let http = node.as_map().and_then(|map| map.get("http")).and_then(Node::as_map);
            let span = http.and_then(|map| map.get("listen")).map(|node| node.span.clone())?;
            Some((format!("tcp {address}"), span))
        });
        Some((settings, listen))
    }

    /// The file's tree, variables put in.
    fn tree(&mut self, name: &str, bytes: &[u8]) -> Option<Node> {
        let file = SourceFile::from_bytes(name, bytes, &mut self.diagnostics)?;
        let mut node = Node::parse(&file, &mut self.diagnostics)?;
        node.substitute(self.context.environment, &mut self.diagnostics);
        Some(node)
    }

    /// A file's bytes. None when it can't be read, which is then reported; inside that, none when
    /// it is not there.
    fn read(&mut self, path: &str) -> Option<Option<Vec<u8>>> {
        match self.context.files.read(path) {
            Ok(bytes) => Some(bytes),
            Err(error) => {
                self.unreadable(path, &error);
                None
            }
        }
    }

    fn unreadable(&mut self, path: &str, error: &std::io::Error) {
        self.diagnostics.push(unreadable(path, error));
    }

    /// The files of a folder with this ending; others are passed over, or reported when they look
    /// like a slip.
    fn names(&mut self, folder: &str, ending: &str, slips: &[&str]) -> Vec<String> {
        let entries = match self.context.files.list(folder) {
            Ok(entries) => entries,
            Err(error) => {
                self.unreadable(folder, &error);
                return Vec::new();
            }
        };
        let mut names = Vec::new();
        for entry in entries {
            if entry.kind == EntryKind::Folder || entry.name.starts_with('.') {
                continue;
            }
            if let Some(stem) = entry.name.strip_suffix(ending) {
                names.push(stem.to_owned());
            } else if let Some(stem) = slips.iter().find_map(|slip| entry.name.strip_suffix(slip)) {
                let path = format!("{folder}/{}", entry.name);
                self.diagnostics.push(wrong_ending(&path, &format!("{stem}{ending}")));
            }
        }
        names
    }

    fn tables(&mut self) -> (Tables, BTreeMap<String, Vec<u8>>) {
        let mut tables = Tables::new();
        let mut contents = BTreeMap::new();
        for name in self.names("tables", ".csv", &[".CSV", ".tsv", ".txt", ".xlsx", ".xls", ".ods"])
        {
            let path = format!("tables/{name}.csv");
            let Some(Some(bytes)) = self.read(&path) else { continue };
            let table = self.table(&name, &path, &bytes);
            tables.insert(name.clone(), table);
            contents.insert(name, bytes);
        }
        (tables, contents)
    }

    fn table(&mut self, name: &str, path: &str, bytes: &[u8]) -> Option<Arc<Table>> {
        let Ok(text) = std::str::from_utf8(bytes) else {
            // Says where, and how to save it.
            let shown = bytes.get(..bytes.len().min(4 * 1024 * 1024)).unwrap_or(bytes);
            if SourceFile::from_bytes(path, shown, &mut self.diagnostics).is_some() {
                self.diagnostics.push(Diagnostic::error_in_file(
                    "config.not-utf8",
                    path,
                    "this file is not saved as UTF-8",
                ));
            }
            return None;
        };
        let mistakes = match Table::parse(name, text) {
            Ok(table) => return Some(Arc::new(table)),
            Err(mistakes) => mistakes,
        };
        let file = SourceFile::new(path, text);
        for mistake in mistakes {
            let start = file.offset(mistake.line, 1).unwrap_or(file.text().len());
            let span = Span::new(&file, start, start + file.line(mistake.line).len());
            self.diagnostics.push(
                Diagnostic::error("project.table", &span, mistake.message).with_help(mistake.help),
            );
        }
        None
    }

    /// Every profile is checked, whether or not a channel uses it.
    fn profiles(&mut self, tables: &Tables) -> (Profiles, BTreeMap<String, Vec<u8>>) {
        let mut profiles = Profiles::new();
        let mut contents = BTreeMap::new();
        for name in self.names("profiles", ".yaml", &[".yml", ".YAML", ".YML", ".json", ".xml"]) {
            let path = format!("profiles/{name}.yaml");
            let Some(Some(bytes)) = self.read(&path) else { continue };
            let tables = ProjectTables(tables);
            let profile = profiles::read(&name, &path, &bytes, &tables, &mut self.diagnostics);
            let constraints = profile.map(|profile| ProfileConstraints::new(Arc::new(profile)));
            profiles.insert(name.clone(), constraints);
            contents.insert(name, bytes);
        }
        (profiles, contents)
    }

    /// Every overlay and receiver is checked, whether or not a channel uses it.
    fn mappings(&mut self) -> Mappings {
        let mut mappings = Mappings::default();
        for (path, bytes) in self.mapping_files(OVERLAYS) {
            let node = self.plain_tree(&path, &bytes);
            let overlay = node.and_then(|node| Overlay::read(&node, &mut self.diagnostics));
            mappings.add_overlay(path, overlay, bytes);
        }
        for (path, bytes) in self.mapping_files(RECEIVERS) {
            let node = self.plain_tree(&path, &bytes);
            let receiver = node.and_then(|node| Receiver::read(&node, &mut self.diagnostics));
            mappings.add_receiver(path, receiver, bytes);
        }
        mappings
    }

    fn mapping_files(&mut self, folder: &str) -> Vec<(String, Vec<u8>)> {
        let names = self.names(folder, ".yaml", &[".yml", ".YAML", ".YML", ".json"]);
        if names.len() > MAPPINGS_MAX {
            let message = format!("a project has at most {MAPPINGS_MAX} files in `{folder}`");
            self.diagnostics.push(Diagnostic::error_in_file("project.mapping", folder, message));
            return Vec::new();
        }
        let files = names.into_iter().filter_map(|name| {
            let path = format!("{folder}/{name}.yaml");
            let bytes = self.read(&path)??;
            Some((path, bytes))
        });
        files.collect()
    }

    /// The file's tree as it stands. Variables are not put in: a mapping says the same on every machine.
    fn plain_tree(&mut self, name: &str, bytes: &[u8]) -> Option<Node> {
        let file = SourceFile::from_bytes(name, bytes, &mut self.diagnostics)?;
        Node::parse(&file, &mut self.diagnostics)
    }

    /// The bots, and the names of those whose files can't be read.
    fn bots(&mut self, datastore: bool, mappings: &Mappings) -> (Vec<ReadBot>, Vec<String>) {
        let names = self.names("bots", ".yaml", &[".yml", ".YAML", ".YML"]);
        if names.len() > BOTS_MAX {
            let message = format!("a project has at most {BOTS_MAX} bots");
            self.diagnostics.push(Diagnostic::error_in_file("project.bots", "bots", message));
            return (Vec::new(), names);
        }
        let context = BotContext { secrets: Some(self.context.secrets), datastore, mappings };
        let (mut bots, mut broken) = (Vec::new(), Vec::new());
        for stem in names {
            let path = format!("bots/{stem}.yaml");
            let node = self.read(&path).flatten().and_then(|bytes| {
                let node = self.tree(&path, &bytes)?;
                let files = self.context.files;
                let read = bot(&node, &stem, &bytes, files, &context, &mut self.diagnostics);
                Some(ReadBot { spec: read?, node })
            });
            match node {
                Some(read) => bots.push(read),
                None => broken.push(stem),
            }
        }
        (bots, broken)
    }

    /// Refuses bots that are to reach channels and bots that are not there.
    fn check_reach(&mut self, bots: &[ReadBot], broken: &[String], channels: &[ChannelSpec]) {
        let named_channels: Vec<&str> = channels.iter().map(|channel| &*channel.name).collect();
        let mut named_bots: Vec<&str> = bots.iter().map(|bot| &*bot.spec.name).collect();
        named_bots.extend(broken.iter().map(String::as_str));
        for ReadBot { node, .. } in bots {
            let allow = node.as_map().and_then(|map| map.get("allow")).and_then(Node::as_map);
            for (key, what, known) in
                [("channels", "channel", &named_channels), ("bots", "bot", &named_bots)]
            {
                let listed = allow.and_then(|allow| allow.get(key)).and_then(Node::as_list);
                for node in listed.unwrap_or_default() {
                    let Some(scalar) = node.as_scalar() else { continue };
                    // What a broken file was to be is told there.
                    let broken = self.diagnostics.is_err() && key == "channels";
                    if known.contains(&scalar.text()) || broken {
                        continue;
                    }
                    let near = nearest(scalar.text(), known.iter().copied());
                    let message = format!("there is no {what} `{}`", scalar.text());
                    self.diagnostics.push(
                        Diagnostic::error("bot.allow", &node.span, message)
                            .with_nearest(near.filter(|_| !scalar.is_substituted())),
                    );
                }
            }
        }
    }

    /// Refuses grants of SFTP servers that are not there, and warns of servers that nobody may use.
    fn check_sftp(
        &mut self,
        bots: &[ReadBot],
        broken: &[String],
        settings: Option<&ProjectSettings>,
    ) {
        if let Some(servers) = &self.sftp_names {
            for ReadBot { node, .. } in bots {
                let allow = node.as_map().and_then(|map| map.get("allow")).and_then(Node::as_map);
                sftp::check_grants(allow, servers, &mut self.diagnostics);
            }
        }
        // A file that can't be read may be the one that grants it.
        if let Some(settings) = settings.filter(|_| broken.is_empty()) {
            let grants = bots.iter().map(|bot| &bot.spec.allow).chain([&settings.bots.allow]);
            sftp::warn_of_unused(&settings.sftp, grants, &mut self.diagnostics);
        }
    }

    /// Replies go to a channel that there is, and to another one: they would go round in a circle.
    fn check_replies(&mut self, channels: &[ChannelSpec]) {
        let broken = self.diagnostics.is_err();
        for channel in channels {
            let known = || {
                channels.iter().map(|channel| &*channel.name).filter(|name| *name != &*channel.name)
            };
            let all = channel
                .destinations
                .iter()
                .filter_map(|destination| destination.replies_to.as_ref());
            for (name, span) in all {
                // What a broken file was to be is told there.
                if known().any(|known| known == &**name) || broken {
                    continue;
                }
                let message = if *name == channel.name {
                    "replies can't go to the channel whose messages they answer".to_owned()
                } else {
                    format!("there is no channel `{name}`")
                };
                self.diagnostics.push(
                    Diagnostic::error("channel.replies-to", span, message)
                        .with_nearest(nearest(name, known()))
                        .with_help("name a channel that takes the replies as its messages"),
                );
            }
        }
    }

    fn channels(
        &mut self,
        content: &Content,
        claims: &mut Claims,
        needed: Channels,
        datastore: Option<&LocalFhir>,
        bots: &KnownBots<'_>,
    ) -> Vec<ChannelSpec> {
        let build = BuildContext {
            project: self.context.directory,
            secrets: self.context.secrets,
            channel: "",
            datastore,
        };
        let context = ChannelContext {
            connectors: self.context.connectors,
            build: &build,
            content,
            bots: bots.revisions,
            bots_of_json: bots.json,
            local_bots: bots.local,
        };
        let names = self.names("channels", ".yaml", &[".yml", ".YAML", ".YML", ".json"]);
        if names.is_empty() && needed == Channels::AtLeastOne {
            self.no_channels();
        }
        if names.len() > CHANNELS_MAX {
            let message = format!("a project has at most {CHANNELS_MAX} channels");
            self.diagnostics.push(
                Diagnostic::error_in_file("project.channels", "channels", message)
                    .with_help("run several installations, each with a part of them"),
            );
            return Vec::new();
        }
        let mut specs = Vec::new();
        for stem in names {
            let path = format!("channels/{stem}.yaml");
            let Some(Some(bytes)) = self.read(&path) else { continue };
            let Some(node) = self.tree(&path, &bytes) else { continue };
            let read = channel(&node, &stem, &bytes, &context, &mut self.diagnostics);
            if let Some((claim, span)) = read.claim {
                self.claim(claims, claim, span, format!("the channel `{stem}`"));
            }
            specs.extend(read.spec);
        }
        specs
    }

    fn no_channels(&mut self) {
        if self.diagnostics.iter().any(|one| one.file().starts_with("channels")) {
            return;
        }
        let entries = self.context.files.list("").unwrap_or_default();
        let folders = entries.iter().filter(|entry| entry.kind == EntryKind::Folder);
        let near = nearest("channels", folders.map(|entry| entry.name.as_str()))
            .filter(|near| *near != "channels");
        let error = Diagnostic::error_in_file(
            "project.no-channels",
            "channels",
            "this project has no channel",
        );
        self.diagnostics.push(match near {
            Some(near) => error.with_help(format!("rename the folder `{near}` to `channels`")),
            None => error.with_help(
                "add a file `channels/NAME.yaml`; `pipehat new DIR` makes a project to begin with",
            ),
        });
    }

    /// Two channels can't listen at one address or take from one folder.
    fn claim(&mut self, claims: &mut Claims, claim: String, span: Span, owner: String) {
        let (place, all_addresses) = place_of(&claim);
        let rivals = claims.entry(place).or_default();
        let rival = rivals.iter().find(|rival| {
            rival.claim == claim || all_addresses == Some(true) || rival.all_addresses == Some(true)
        });
        if let Some(rival) = rival {
            let other = &rival.owner;
            self.diagnostics.push(
                Diagnostic::error(
                    "project.clash",
                    &span,
                    format!("{other} and {owner} can't both have `{claim}`"),
                )
                .with_label(&rival.span, format!("{other} has it here"))
                .with_help(
                    "give one of them another port or folder, or switch it off: `enabled: false`",
                ),
            );
            return;
        }
        rivals.push(Claim { claim, all_addresses, owner, span });
    }
}

/// What channels hold alone, by port or by the claim itself.
type Claims = BTreeMap<String, Vec<Claim>>;

/// What one of them holds alone.
struct Claim {
    claim: String,
    /// For a port: whether it is taken on every address of the machine.
    all_addresses: Option<bool>,
    owner: String,
    span: Span,
}

/// `tcp 10.0.0.1:2575` clashes only with claims for the same port.
fn place_of(claim: &str) -> (String, Option<bool>) {
    let address = claim.strip_prefix("tcp ").and_then(|text| text.parse::<SocketAddr>().ok());
    match address {
        Some(address) => {
            (format!("tcp port {}", address.port()), Some(address.ip().is_unspecified()))
        }
        None => (claim.to_owned(), None),
    }
}

fn wrong_ending(path: &str, likely: &str) -> Diagnostic {
    Diagnostic::error_in_file("project.file-ending", path, "a file with this ending is not read")
        .with_help(format!("save it as `{likely}`, or move it elsewhere"))
}
