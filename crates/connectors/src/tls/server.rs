//! TLS as a source offers it: our certificate, and who may connect.

use std::sync::Arc;

use pipehat_config::{Diagnostics, FieldSchema, Kind, Required, Settings};
use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls_pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::BuildContext;
use crate::tls::material::Material;
use crate::tls::{codes, material};

/// The keys of `tls:` in a source.
pub(crate) const SERVER_TLS: &[FieldSchema] = &[
    FieldSchema {
        name: "cert",
        kind: Kind::Text,
        required: Required::Yes,
        doc: "The PEM file with our certificate, followed by those of its authorities.",
        example: "certificates/adt.pem",
    },
    FieldSchema {
        name: "key",
        kind: Kind::Text,
        required: Required::Yes,
        doc: "The private key of the certificate, in PEM: a secret (`secret:NAME`) or a file.",
        example: "secret:adt-key",
    },
    FieldSchema {
        name: "client_ca",
        kind: Kind::Text,
        required: Required::No,
        doc: "The PEM file with the authorities whose certificates clients must show. Without it a client shows none.",
        example: "certificates/partners.pem",
    },
];

/// A source's TLS, ready to accept connections.
#[derive(Clone)]
pub(crate) struct ServerTls {
    config: Arc<ServerConfig>,
}

impl ServerTls {
    /// Reads a `tls:` section that fits [`SERVER_TLS`].
    pub(crate) fn read(
        settings: &Settings,
        context: &BuildContext<'_>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let identity = material::identity(settings, context, diagnostics);
        let builder = ServerConfig::builder_with_provider(material::provider())
            .with_safe_default_protocol_versions()
            .expect("ring has cipher suites for TLS 1.2 and 1.3");
        let builder = if settings.contains("client_ca") {
            let (roots, _) = material::authorities(settings, "client_ca", context, diagnostics)?;
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), material::provider());
            // It fails only without authorities, and there is at least one.
            builder.with_client_cert_verifier(verifier.build().ok()?)
        } else {
            builder.with_no_client_auth()
        };
        let Material::Here(identity) = identity? else {
            return Some(Self {
                config: Arc::new(builder.with_cert_resolver(Arc::new(NoIdentity))),
            });
        };
        match builder.with_single_cert(identity.chain, identity.key) {
            Ok(config) => Some(Self { config: Arc::new(config) }),
            Err(error) => {
                let message = format!("this certificate can't be used: {error}");
                let help = "look at it with `openssl x509 -text`";
                material::push(settings, "cert", codes::FILE_INVALID, message, help, diagnostics);
                None
            }
        }
    }

    /// Shakes hands with a client that has just connected.
    ///
    /// # Errors
    /// When the client does not speak TLS, or shows no certificate that is trusted.
    pub(crate) async fn accept<S>(&self, stream: S) -> std::io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        TlsAcceptor::from(self.config.clone()).accept(stream).await
    }
}

/// Stands for an identity that is not here: nobody connects to a configuration that is only looked at.
#[derive(Debug)]
struct NoIdentity;

impl ResolvesServerCert for NoIdentity {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        None
    }
}

impl std::fmt::Debug for ServerTls {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("ServerTls").finish_non_exhaustive()
    }
}

/// The subject of the certificate that the client showed and that was verified.
pub(crate) fn client_identity<S>(stream: &TlsStream<S>) -> Option<String> {
    subject(stream.get_ref().1.peer_certificates()?.first()?)
}

fn subject(certificate: &CertificateDer<'_>) -> Option<String> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    Some(certificate.subject().to_string())
}
