//! Certificates for tests: an authority and what it signs, as files in a folder of their own.

use std::path::{Path, PathBuf};

use pipehat_config::{Diagnostics, FieldSchema, Node, Settings, SourceFile};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

use crate::{BuildContext, Secrets, UnknownSecret};

/// A project directory that holds `ca.pem`, and for each name `NAME.pem` and `NAME.key`.
pub(crate) struct Project {
    folder: TempDir,
}

impl Project {
    /// Certificates for `localhost` and these subjects, all of one authority.
    pub(crate) fn with(subjects: &[&str]) -> Self {
        let project = Self::empty();
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "test authority");
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        project.write("ca.pem", &certificate.pem());
        let issuer = Issuer::new(params, key);
        for subject in subjects {
            let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
            params.distinguished_name.push(DnType::CommonName, *subject);
            let key = KeyPair::generate().expect("a key");
            let certificate = params.signed_by(&key, &issuer).expect("a certificate");
            project.write(&format!("{subject}.pem"), &certificate.pem());
            project.write(&format!("{subject}.key"), &key.serialize_pem());
        }
        project
    }

    pub(crate) fn empty() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder") }
    }

    /// A certificate that vouches for itself, is marked as an authority and names no host.
    pub(crate) fn write_self_signed(&self, name: &str) {
        self.write_self_signed_until(name, jiff::civil::date(4000, 1, 1));
    }

    /// The same, which expires on that day.
    pub(crate) fn write_self_signed_until(&self, name: &str, end: jiff::civil::Date) {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let [month, day] = [end.month(), end.day()].map(i8::unsigned_abs);
        params.not_after = rcgen::date_time_ymd(end.year().into(), month, day);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        self.write(&format!("{name}.pem"), &certificate.pem());
        self.write(&format!("{name}.key"), &key.serialize_pem());
    }

    pub(crate) fn write(&self, name: &str, content: &str) {
        std::fs::write(self.path().join(name), content).expect("the folder can be written");
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    pub(crate) fn context(&self) -> BuildContext<'_> {
        BuildContext { project: self.path(), secrets: self, channel: "test", datastore: None }
    }
}

/// A secret is the file of that name with `.key`.
impl Secrets for Project {
    fn secret(&self, name: &str) -> Result<Vec<u8>, UnknownSecret> {
        std::fs::read(self.file(&format!("{name}.key"))).map_err(|_| UnknownSecret {
            name: name.to_owned(),
            remedy: "put it into the secrets folder".to_owned(),
        })
    }
}

/// Settings from YAML that fits the schema.
pub(crate) fn settings(yaml: &str, schema: &'static [FieldSchema]) -> Settings {
    let file = SourceFile::new("test.yaml", yaml);
    let mut diagnostics = Diagnostics::new();
    let node = Node::parse(&file, &mut diagnostics);
    let settings = node.and_then(|node| Settings::read(&node, "test", schema, &mut diagnostics));
    settings.unwrap_or_else(|| panic!("these settings do not fit their schema:\n{diagnostics}"))
}
