//! How one system writes: its version's plan, its character set, its dialect, its numbers.

use std::sync::Arc;

use pipehat_dictionary::Structure;
use pipehat_dictionary::profile::Profile;
use pipehat_message::Charset;

use crate::charset::charset;
use crate::dialect::{Dialect, Wanted};
use crate::generator::{Settings, SettingsError};
use crate::people::Culture;
use crate::plan::{self, NodePlan, Plan};
use crate::scene::Scene;
use crate::system::{Spelling, System, Topic};

/// Control ids begin behind this number, so that all have seven digits for long.
const CONTROL_IDS_FROM: u64 = 1_000_000;

/// One system as it writes.
#[derive(Debug)]
pub(crate) struct Voice {
    pub(crate) plan: Plan,
    /// MSH-12.
    version_id: &'static str,
    structures: Vec<(Structure, Arc<[NodePlan]>)>,
    /// What MSH-18 says.
    declared: &'static str,
    /// `None` for UTF-8 and ASCII, which need no encoding.
    charset: Option<Charset>,
    dialect: Option<Dialect>,
    spelling: Option<Spelling>,
    /// `None` for one who tells of everything.
    system: Option<Arc<System>>,
    control_id: u64,
}

impl Voice {
    /// One who tells of everything.
    pub(crate) fn new(settings: &Settings) -> Result<Self, SettingsError> {
        let (declared, charset) = charset(settings)?;
        Ok(Self {
            plan: Plan::new(settings.version),
            version_id: settings.version_id,
            structures: Vec::new(),
            declared,
            charset: charset.filter(|charset| charset.name() != "UTF-8"),
            dialect: None,
            spelling: None,
            system: None,
            control_id: CONTROL_IDS_FROM,
        })
    }

    /// One of several.
    pub(crate) fn of_system(settings: &Settings, system: System) -> Result<Self, SettingsError> {
        let version = system.version;
        let settings = Settings {
            version,
            version_id: version.as_str(),
            charset: system.charset.clone(),
            ..settings.clone()
        };
        let mut voice = Self::new(&settings)?;
        system.check(voice.charset.as_ref())?;
        voice.dialect = system.profile.clone().map(Dialect::new);
        voice.spelling = system.spelling();
        voice.system = Some(Arc::new(system));
        Ok(voice)
    }

    /// Takes on a partner's dialect.
    pub(crate) fn take_profile(&mut self, profile: Arc<Profile>) {
        self.dialect = Some(Dialect::new(profile));
        self.structures.clear();
    }

    /// Whether it can write all names of a culture.
    pub(crate) fn writes(&self, culture: &Culture) -> bool {
        match &self.charset {
            _ if self.declared.is_empty() => culture.names().all(str::is_ascii),
            None => true,
            Some(charset) => culture.names().all(|name| charset.encode(name).is_ok()),
        }
    }

    pub(crate) fn tells(&self, topic: Topic) -> bool {
        self.system.as_ref().is_none_or(|system| system.topics.contains(&topic))
    }

    /// What the scene knows of who speaks.
    pub(crate) fn set_scene(&self, scene: &mut Scene) {
        scene.version = self.plan.version;
        scene.version_id = self.version_id;
        scene.charset = self.declared;
        scene.sender.clone_from(&self.system);
    }

    pub(crate) fn next_control_id(&mut self) -> u64 {
        self.control_id += 1;
        self.control_id
    }

    /// The nodes of a structure, with what the dialect asks of them.
    pub(crate) fn nodes(&mut self, structure: Structure) -> Arc<[NodePlan]> {
        if let Some((_, nodes)) = self.structures.iter().find(|(known, _)| *known == structure) {
            return nodes.clone();
        }
        let mut nodes = self.plan.structure(structure);
        for (name, wanted) in self.dialect.iter().flat_map(Dialect::segments) {
            plan::require(&mut nodes, name, wanted == Wanted::Must);
        }
        let nodes: Arc<[NodePlan]> = nodes.into();
        self.structures.push((structure, nodes.clone()));
        nodes
    }

    /// Whether what is assembled is the message already.
    pub(crate) fn is_direct(&self) -> bool {
        let is_text =
            self.charset.is_none() && !(self.declared.is_empty() && self.system.is_some());
        is_text && self.dialect.is_none() && self.spelling.is_none()
    }

    /// Makes a message of what was assembled: in the character set, the dialect and the spelling of the system.
    pub(crate) fn finish(&self, assembled: &[u8], scene: &Scene, out: &mut Vec<u8>) {
        let mut message = self.encode(assembled);
        if let Some(dialect) = &self.dialect
            && let Some(changed) = dialect.apply(&message, scene.now, scene.seed)
        {
            message = changed;
        }
        match &self.spelling {
            Some(spelling) => spelling.write(&message, out),
            None => out.extend_from_slice(&message),
        }
    }

    /// In the system's character set; what that lacks is a question mark.
    fn encode(&self, assembled: &[u8]) -> Vec<u8> {
        let text = String::from_utf8_lossy(assembled);
        match &self.charset {
            None if self.declared.is_empty() => {
                text.chars().map(|one| if one.is_ascii() { one as u8 } else { b'?' }).collect()
            }
            None => assembled.to_vec(),
            Some(charset) => match charset.encode(&text) {
                Ok(bytes) => bytes.into_owned(),
                Err(_) => {
                    let mut known = String::with_capacity(text.len());
                    let mut buffer = [0; 4];
                    for one in text.chars() {
                        let is_known = charset.encode(one.encode_utf8(&mut buffer)).is_ok();
                        known.push(if is_known { one } else { '?' });
                    }
                    charset.encode(&known).map(|bytes| bytes.into_owned()).unwrap_or_default()
                }
            },
        }
    }
}
