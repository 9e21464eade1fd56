//! Certificates and keys from files and secrets.
//!
//! Every mistake is a diagnostic at the setting that names the file. Nothing of a key's content reaches a message.

use std::path::Path;
use std::sync::Arc;

use pipehat_config::{Diagnostic, Diagnostics, Settings};
use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls_pki_types::pem::{Error as PemError, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer, X509Certificate};
use zeroize::Zeroizing;

use crate::BuildContext;
use crate::tls::codes;

/// What a reference to a secret starts with.
const SECRET_PREFIX: &str = "secret:";

/// The most bytes a certificate file may have: bundles of all public authorities have a quarter of a mebibyte.
const PEM_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// A certificate that expires within so many days is warned of.
const EXPIRY_WARNING_DAYS: i64 = 30;

/// The one provider of cryptography.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// A certificate chain with its key.
pub(super) struct Identity {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
}

/// What a setting leads to.
pub(super) enum Material<T> {
    Here(T),
    /// A secret that is not here, where the configuration is only looked at.
    Elsewhere,
}

impl<T> Material<T> {
    fn read<U>(self, read: impl FnOnce(T) -> Option<U>) -> Option<Material<U>> {
        match self {
            Self::Here(material) => read(material).map(Material::Here),
            Self::Elsewhere => Some(Material::Elsewhere),
        }
    }
}

/// Reads `cert` and `key`, which belong together.
pub(super) fn identity(
    settings: &Settings,
    context: &BuildContext<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<Material<Identity>> {
    let chain = content(settings, "cert", context, diagnostics)
        .and_then(|pem| pem.read(|pem| certificates(&pem, settings, "cert", diagnostics)));
    let key = content(settings, "key", context, diagnostics)
        .and_then(|pem| pem.read(|pem| private_key(&pem, settings, diagnostics)));
    let (Material::Here(chain), Material::Here(key)) = (chain?, key?) else {
        return Some(Material::Elsewhere);
    };
    let identity = Identity { chain, key };
    belong_together(&identity, settings, diagnostics).then_some(Material::Here(identity))
}

/// The certificates of a file.
fn certificates(
    pem: &[u8],
    settings: &Settings,
    name: &'static str,
    diagnostics: &mut Diagnostics,
) -> Option<Vec<CertificateDer<'static>>> {
    let read: Result<Vec<_>, PemError> = CertificateDer::pem_slice_iter(pem).collect();
    let mistake = match read {
        Ok(certificates) if !certificates.is_empty() => {
            warn_of_age(&certificates, settings, name, diagnostics);
            return Some(certificates);
        }
        Ok(_) => "there is no certificate in it",
        Err(_) => "it can't be read as PEM",
    };
    report(
        settings,
        name,
        mistake,
        "a certificate starts with the line `-----BEGIN CERTIFICATE-----`; convert other forms with \
         `openssl x509 -inform der -outform pem`",
        diagnostics,
    );
    None
}

/// Says which certificates are not valid today, or not for long. Renewing one takes days where several parties must agree.
fn warn_of_age(
    certificates: &[CertificateDer<'static>],
    settings: &Settings,
    name: &'static str,
    diagnostics: &mut Diagnostics,
) {
    let span = settings.span_of(name).unwrap_or_else(|| settings.span());
    for certificate in certificates {
        // One that can't be read is an error elsewhere.
        let Ok((_, certificate)) = X509Certificate::from_der(certificate) else { continue };
        let validity = certificate.validity();
        let (code, message) = match validity.time_to_expiration().map(|left| left.whole_days()) {
            None => (codes::CERTIFICATE_INVALID_TODAY, "is not valid today".to_owned()),
            Some(days) if days < EXPIRY_WARNING_DAYS => {
                (codes::CERTIFICATE_EXPIRES, format!("expires in {days} days"))
            }
            Some(_) => continue,
        };
        let message = format!("the certificate of {} {message}", certificate.subject());
        let help = format!("it is valid from {} to {}", validity.not_before, validity.not_after);
        diagnostics.push(Diagnostic::warning(code, span, message).with_help(help));
    }
}

/// The certificates of `ca` as the only authorities that are trusted.
pub(super) fn authorities(
    settings: &Settings,
    name: &'static str,
    context: &BuildContext<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<(RootCertStore, Vec<CertificateDer<'static>>)> {
    let certificates = match content(settings, name, context, diagnostics)? {
        Material::Here(pem) => certificates(&pem, settings, name, diagnostics)?,
        Material::Elsewhere => return Some((public_authorities(), Vec::new())),
    };
    let mut roots = RootCertStore::empty();
    for certificate in &certificates {
        if roots.add(certificate.clone()).is_err() {
            let mistake = "a certificate in it is damaged or of a kind that is not supported";
            report(settings, name, mistake, "ask the partner for the file again", diagnostics);
            return None;
        }
    }
    Some((roots, certificates))
}

/// Those that browsers trust.
pub(super) fn public_authorities() -> RootCertStore {
    RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned())
}

fn private_key(
    pem: &[u8],
    settings: &Settings,
    diagnostics: &mut Diagnostics,
) -> Option<PrivateKeyDer<'static>> {
    let mistake = match PrivateKeyDer::from_pem_slice(pem) {
        Ok(key) => return Some(key),
        Err(PemError::NoItemsFound) if is_encrypted(pem) => {
            "the private key is locked with a password"
        }
        Err(PemError::NoItemsFound) => "there is no private key in it",
        Err(_) => "it can't be read as PEM",
    };
    report(
        settings,
        "key",
        mistake,
        "a private key starts with the line `-----BEGIN PRIVATE KEY-----`; `openssl pkey` unlocks and converts others",
        diagnostics,
    );
    None
}

fn is_encrypted(pem: &[u8]) -> bool {
    memchr::memmem::find(pem, b"ENCRYPTED").is_some()
}

/// Whether the key is the one the certificate was made for, and of a kind that can be used.
fn belong_together(
    identity: &Identity,
    settings: &Settings,
    diagnostics: &mut Diagnostics,
) -> bool {
    let loaded = provider().key_provider.load_private_key(identity.key.clone_key());
    let mistake = match loaded {
        Err(_) => "this kind of private key is not supported",
        Ok(key) => {
            match rustls::sign::CertifiedKey::new(identity.chain.clone(), key).keys_match() {
                // A provider that can't tell is taken at its word: the handshake would show it.
                Ok(())
                | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {
                    return true;
                }
                Err(rustls::Error::InconsistentKeys(_)) => {
                    "this key does not belong to the certificate in `cert`"
                }
                Err(_) => "the first certificate in `cert` is damaged",
            }
        }
    };
    let help = "the first certificate in `cert` must be the one of this key, those of its authorities follow";
    report(settings, "key", mistake, help, diagnostics);
    false
}

/// The bytes behind a setting: of the secret it refers to, or of the file it names.
fn content(
    settings: &Settings,
    name: &'static str,
    context: &BuildContext<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<Material<Zeroizing<Vec<u8>>>> {
    let written = settings.text(name)?;
    if let Some(secret) = written.strip_prefix(SECRET_PREFIX) {
        return match context.secrets.secret(secret.trim()) {
            Ok(bytes) => Some(Material::Here(Zeroizing::new(bytes))),
            Err(unknown) => {
                let message = format!("there is no secret `{}`", unknown.name);
                if context.secrets.stand_in().is_some() {
                    let span = settings.span_of(name).unwrap_or_else(|| settings.span());
                    diagnostics.push(
                        Diagnostic::warning(codes::SECRET_UNKNOWN, span, message)
                            .with_help(unknown.remedy),
                    );
                    return Some(Material::Elsewhere);
                }
                push(settings, name, codes::SECRET_UNKNOWN, message, unknown.remedy, diagnostics);
                None
            }
        };
    }
    match read_file(&context.path(written)) {
        Ok(bytes) => Some(Material::Here(Zeroizing::new(bytes))),
        Err(error) => {
            let message = format!("this file can't be read: {error}");
            let help = "a relative path starts from the project directory";
            push(settings, name, codes::FILE_UNREADABLE, message, help, diagnostics);
            None
        }
    }
}

fn read_file(path: &Path) -> std::io::Result<Vec<u8>> {
    if std::fs::metadata(path)?.len() > PEM_BYTES_MAX {
        return Err(std::io::Error::other("it is far too large for a certificate"));
    }
    std::fs::read(path)
}

fn report(
    settings: &Settings,
    name: &'static str,
    mistake: &str,
    help: &str,
    diagnostics: &mut Diagnostics,
) {
    push(settings, name, codes::FILE_INVALID, mistake.to_owned(), help, diagnostics);
}

pub(super) fn push(
    settings: &Settings,
    name: &'static str,
    code: &'static str,
    message: String,
    help: impl Into<String>,
    diagnostics: &mut Diagnostics,
) {
    let span = settings.span_of(name).unwrap_or_else(|| settings.span());
    diagnostics.push(Diagnostic::error(code, span, message).with_help(help));
}
