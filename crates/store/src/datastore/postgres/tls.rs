//! TLS to PostgreSQL, as libpq's `sslmode` has it.
//!
//! | `sslmode` | encrypted | the server's certificate |
//! | --- | --- | --- |
//! | `disable` | never | |
//! | `prefer` (when nothing is said) | where the server can | not looked at |
//! | `require` | always | not looked at; as `verify-ca` where `sslrootcert` is given |
//! | `verify-ca` | always | of an authority in `sslrootcert` |
//! | `verify-full` | always | that, and made out for the host in the address |
//!
//! A certificate that stands in `sslrootcert` itself is trusted as it is.

use std::fmt;
use std::future::Future;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::config::SslMode;
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};

/// What an address says about TLS, as it stands there.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct TlsOptions {
    pub(super) mode: Option<String>,
    pub(super) root_certificates: Option<String>,
    pub(super) certificate: Option<String>,
    pub(super) key: Option<String>,
}

/// Makes connections encrypted.
#[derive(Clone)]
pub(super) struct Tls(Arc<ClientConfig>);

impl TlsOptions {
    /// Reads the files that are named, relative ones from the directory. What can't be had is said.
    pub(super) fn build(&self, directory: &Path) -> Result<(SslMode, Tls), String> {
        let mode = self.mode.as_deref().unwrap_or("prefer");
        let ssl_mode = match mode {
            "disable" => SslMode::Disable,
            "prefer" => SslMode::Prefer,
            "require" | "verify-ca" | "verify-full" => SslMode::Require,
            "allow" => {
                return Err(
                    "`sslmode=allow` is not supported; say `prefer`, which encrypts where \
                            the server can, or `require`"
                        .to_owned(),
                );
            }
            other => {
                return Err(format!(
                    "`sslmode={other}` is none of disable, prefer, require, verify-ca, verify-full"
                ));
            }
        };
        let roots = match &self.root_certificates {
            None if mode.starts_with("verify") => {
                return Err(format!(
                    "`sslmode={mode}` needs `sslrootcert=FILE` with the certificates of the \
                     authorities that are trusted (PEM), or `sslrootcert=system` for the public ones"
                ));
            }
            None => None,
            Some(_) if matches!(mode, "disable" | "prefer") => {
                return Err(format!(
                    "`sslrootcert` changes nothing with `sslmode={mode}`, which accepts any server; \
                     say `sslmode=verify-full`"
                ));
            }
            Some(place) => Some(Roots::read(place, directory)?),
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = Verifier::new(roots, mode == "verify-full", &provider)?;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let config = match (&self.certificate, &self.key) {
            (None, None) => builder.with_no_client_auth(),
            (Some(certificate), Some(key)) => {
                let certificates = certificates("sslcert", &directory.join(certificate))?;
                let key = directory.join(key);
                let read = PrivateKeyDer::from_pem_file(&key).map_err(|error| {
                    format!("`sslkey`: {} can't be read: {}", key.display(), why_unread(&error))
                })?;
                builder.with_client_auth_cert(certificates, read).map_err(|error| {
                    format!("`sslcert` and `sslkey` can't be used together: {error}")
                })?
            }
            _ => return Err("`sslcert` and `sslkey` are given together or not at all".to_owned()),
        };
        Ok((ssl_mode, Tls(Arc::new(config))))
    }
}

/// What the system or the file's form says, without the library's own words around it.
fn why_unread(error: &rustls::pki_types::pem::Error) -> String {
    match error {
        rustls::pki_types::pem::Error::Io(error) => error.to_string(),
        rustls::pki_types::pem::Error::NoItemsFound => "there is nothing of PEM in it".to_owned(),
        other => other.to_string(),
    }
}

fn certificates(option: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let place = path.display();
    let unread = |error: rustls::pki_types::pem::Error| {
        format!("`{option}`: {place} can't be read: {}", why_unread(&error))
    };
    let certificates = CertificateDer::pem_file_iter(path)
        .map_err(unread)?
        .collect::<Result<Vec<_>, _>>()
        .map_err(unread)?;
    if certificates.is_empty() {
        return Err(format!("`{option}`: there is no certificate (PEM) in {place}"));
    }
    Ok(certificates)
}

/// Who may vouch for the server.
struct Roots {
    store: RootCertStore,
    /// Those in the file, trusted as they are.
    named: Vec<CertificateDer<'static>>,
}

impl Roots {
    fn read(place: &str, directory: &Path) -> Result<Self, String> {
        let mut store = RootCertStore::empty();
        if place == "system" {
            store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
            return Ok(Self { store, named: Vec::new() });
        }
        let path = directory.join(place);
        let named = certificates("sslrootcert", &path)?;
        let (added, _) = store.add_parsable_certificates(named.iter().cloned());
        if added == 0 {
            return Err(format!("`sslrootcert`: no certificate in {} can be used", path.display()));
        }
        Ok(Self { store, named })
    }
}

/// Looks at the server's certificate as far as is asked.
#[derive(Debug)]
struct Verifier {
    /// `None` where any will do.
    chain: Option<Arc<WebPkiServerVerifier>>,
    named: Vec<CertificateDer<'static>>,
    by_name: bool,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    fn new(
        roots: Option<Roots>,
        by_name: bool,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, String> {
        let (chain, named) = match roots {
            None => (None, Vec::new()),
            Some(Roots { store, named }) => {
                let builder = WebPkiServerVerifier::builder_with_provider(
                    Arc::new(store),
                    Arc::clone(provider),
                );
                let chain = builder.build().map_err(|error| format!("`sslrootcert`: {error}"))?;
                (Some(chain), named)
            }
        };
        Ok(Self { chain, named, by_name, provider: Arc::clone(provider) })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(chain) = &self.chain else { return Ok(ServerCertVerified::assertion()) };
        if self.named.contains(end_entity) {
            if self.by_name {
                let certificate = ParsedCertificate::try_from(end_entity)?;
                rustls::client::verify_server_name(&certificate, server_name)?;
            }
            return Ok(ServerCertVerified::assertion());
        }
        match chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            // The name is looked at when all else is right.
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.by_name => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Tls")
    }
}

impl<S> MakeTlsConnect<S> for Tls
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = Encrypted<S>;
    type TlsConnect = Handshake;
    type Error = io::Error;

    fn make_tls_connect(&mut self, host: &str) -> io::Result<Handshake> {
        // A socket of this machine has no name, and is not encrypted.
        let name = ServerName::try_from(host.to_owned()).ok();
        Ok(Handshake { config: Arc::clone(&self.0), name })
    }
}

/// What becomes an encrypted connection.
pub(super) struct Handshake {
    config: Arc<ClientConfig>,
    name: Option<ServerName<'static>>,
}

impl<S> TlsConnect<S> for Handshake
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = Encrypted<S>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Encrypted<S>>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        Box::pin(async move {
            let name = self.name.ok_or_else(|| {
                io::Error::new(io::ErrorKind::InvalidData, "the host has no name for TLS")
            })?;
            let connector = tokio_rustls::TlsConnector::from(self.config);
            Ok(Encrypted(Box::new(connector.connect(name, stream).await?)))
        })
    }
}

/// An encrypted connection.
pub(super) struct Encrypted<S>(Box<tokio_rustls::client::TlsStream<S>>);

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for Encrypted<S> {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Encrypted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Encrypted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
