//! TLS for the test peers: whom to trust and what to show, from PEM files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::{self, PemObject as _};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::exit::Failure;

/// How `send` speaks TLS.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "TLS")]
pub(crate) struct ClientOptions {
    /// Encrypt the connection; the peer's certificate must be signed by one of --ca
    #[arg(long, requires = "ca")]
    tls: bool,

    /// Certificates to trust (PEM): an authority's, or the peer's own self-signed one; implies --tls
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,

    /// Our certificate chain (PEM), where the peer wants one
    #[arg(long, value_name = "FILE", requires = "key", requires = "ca")]
    cert: Option<PathBuf>,

    /// The private key of our certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,

    /// The name in the peer's certificate, if it is not the host's
    #[arg(long, value_name = "NAME", requires = "ca")]
    server_name: Option<String>,
}

/// How `listen` speaks TLS.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "TLS")]
pub(crate) struct ServerOptions {
    /// Encrypt connections; needs --cert and --key
    #[arg(long, requires = "cert")]
    tls: bool,

    /// Our certificate chain (PEM); implies --tls
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,

    /// The private key of our certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,

    /// Ask peers for a certificate signed by one of these (PEM)
    #[arg(long, value_name = "FILE", requires = "cert")]
    ca: Option<PathBuf>,
}

/// What keeps TLS from being set up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[error("cannot read {what} from {}", path.display())]
    Pem {
        what: &'static str,
        path: PathBuf,
        #[source]
        source: pem::Error,
    },
    #[error("{} holds no certificate", path.display())]
    NoCertificate { path: PathBuf },
    #[error("the certificates in {} cannot be trusted", path.display())]
    Authority {
        path: PathBuf,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("the certificate in {} and its key do not work together", path.display())]
    OwnCertificate {
        path: PathBuf,
        #[source]
        source: rustls::Error,
    },
    #[error("`{name}` cannot be the name in a certificate: give one with --server-name")]
    ServerName { name: String },
    #[error("TLS cannot be set up")]
    Setup(#[source] rustls::Error),
}

impl From<TlsError> for Failure {
    fn from(error: TlsError) -> Self {
        Self::could_not(error)
    }
}

/// For a client that speaks plain HTTP to this machine and is asked for its TLS all the same: left to
/// itself it would read the system's certificates, which a small container does not have.
pub(crate) fn trusting_nobody() -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Setup)?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth())
}

/// TLS towards one peer.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) connector: TlsConnector,
    pub(crate) name: ServerName<'static>,
}

impl ClientOptions {
    /// TLS if it is wanted.
    pub(crate) fn client(&self, host: &str) -> Result<Option<Client>, TlsError> {
        let Some(ca) = &self.ca else { return Ok(None) };
        let builder =
            ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .map_err(TlsError::Setup)?
                .with_root_certificates(authorities(ca)?);
        let config = match (&self.cert, &self.key) {
            (Some(cert), Some(key)) => {
                let own = builder.with_client_auth_cert(certificates(cert)?, private_key(key)?);
                own.map_err(|source| TlsError::OwnCertificate { path: cert.clone(), source })?
            }
            _ => builder.with_no_client_auth(),
        };
        let name = self.server_name.as_deref().unwrap_or(host);
        let server_name = ServerName::try_from(name.to_owned())
            .map_err(|_| TlsError::ServerName { name: name.to_owned() })?;
        let connector = TlsConnector::from(Arc::new(config));
        Ok(Some(Client { connector, name: server_name }))
    }
}

impl ServerOptions {
    /// TLS if it is wanted.
    pub(crate) fn acceptor(&self) -> Result<Option<TlsAcceptor>, TlsError> {
        let (Some(cert), Some(key)) = (&self.cert, &self.key) else { return Ok(None) };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Setup)?;
        let builder = match &self.ca {
            Some(ca) => {
                let roots = Arc::new(authorities(ca)?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider).build();
                builder.with_client_cert_verifier(verifier.map_err(|source| {
                    TlsError::Authority { path: ca.clone(), source: source.into() }
                })?)
            }
            None => builder.with_no_client_auth(),
        };
        let config = builder
            .with_single_cert(certificates(cert)?, private_key(key)?)
            .map_err(|source| TlsError::OwnCertificate { path: cert.clone(), source })?;
        Ok(Some(TlsAcceptor::from(Arc::new(config))))
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let certificates = read.map_err(|source| TlsError::Pem {
        what: "certificates",
        path: path.to_owned(),
        source,
    })?;
    if certificates.is_empty() {
        return Err(TlsError::NoCertificate { path: path.to_owned() });
    }
    Ok(certificates)
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(path).map_err(|source| TlsError::Pem {
        what: "a private key",
        path: path.to_owned(),
        source,
    })
}

fn authorities(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|source| TlsError::Authority {
            path: path.to_owned(),
            source: source.into(),
        })?;
    }
    Ok(roots)
}
