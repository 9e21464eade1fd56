//! TLS as a destination uses it: whom we trust, and how we show who we are.

use std::sync::Arc;

use pipehat_config::{Diagnostics, FieldSchema, Kind, Required, Settings};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::BuildContext;
use crate::tls::material::Material;
use crate::tls::{codes, material};

/// The keys of `tls:` in a destination.
pub(crate) const CLIENT_TLS: &[FieldSchema] = &[
    FieldSchema {
        name: "ca",
        kind: Kind::Text,
        required: Required::No,
        doc: "The PEM file with the authorities to trust, or with the very certificate the partner shows. Without it, \
              the public authorities that browsers trust (a copy comes with this release).",
        example: "certificates/lab-ca.pem",
    },
    FieldSchema {
        name: "cert",
        kind: Kind::Text,
        required: Required::No,
        doc: "The PEM file with the certificate we show, if the partner asks for one.",
        example: "certificates/us.pem",
    },
    FieldSchema {
        name: "key",
        kind: Kind::Text,
        required: Required::No,
        doc: "The private key of `cert`, in PEM: a secret (`secret:NAME`) or a file.",
        example: "secret:our-key",
    },
    FieldSchema {
        name: "server_name",
        kind: Kind::Text,
        required: Required::No,
        doc: "The name that the partner's certificate must have, when it is not the host we connect to.",
        example: "lab.example.org",
    },
];

/// A destination's TLS, ready to connect.
#[derive(Clone)]
pub(crate) struct ClientTls {
    config: Arc<ClientConfig>,
    server_name: ServerName<'static>,
}

impl ClientTls {
    /// Reads a `tls:` section that fits [`CLIENT_TLS`], for connections to this host.
    pub(crate) fn read(
        settings: &Settings,
        host: &str,
        context: &BuildContext<'_>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let server_name = server_name(settings, host, diagnostics);
        let verifier = verifier(settings, context, diagnostics);
        let identity = match (settings.contains("cert"), settings.contains("key")) {
            (false, false) => None,
            (true, true) => Some(material::identity(settings, context, diagnostics)?),
            (cert, _) => {
                let (present, missing) = if cert { ("cert", "key") } else { ("key", "cert") };
                let message = format!("`{present}` is here, but `{missing}` is not");
                let help = "to show a certificate, both it and its private key are needed";
                material::push(settings, present, codes::HALF_IDENTITY, message, help, diagnostics);
                return None;
            }
        };
        let builder = ClientConfig::builder_with_provider(material::provider())
            .with_safe_default_protocol_versions()
            .expect("ring has cipher suites for TLS 1.2 and 1.3")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier?));
        let config = match identity {
            None | Some(Material::Elsewhere) => builder.with_no_client_auth(),
            Some(Material::Here(identity)) => {
                match builder.with_client_auth_cert(identity.chain, identity.key) {
                    Ok(config) => config,
                    Err(error) => {
                        let message = format!("this certificate can't be used: {error}");
                        let help = "look at it with `openssl x509 -text`";
                        material::push(
                            settings,
                            "cert",
                            codes::FILE_INVALID,
                            message,
                            help,
                            diagnostics,
                        );
                        return None;
                    }
                }
            }
        };
        Some(Self { config: Arc::new(config), server_name: server_name? })
    }

    /// Shakes hands with a server we have just connected to.
    ///
    /// # Errors
    /// When the server does not speak TLS, is not trusted, or does not trust us.
    pub(crate) async fn connect<S>(&self, stream: S) -> std::io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        TlsConnector::from(self.config.clone()).connect(self.server_name.clone(), stream).await
    }

    /// What HTTP clients are made with. They take the server's name from the URL, or are told it by the caller.
    #[allow(dead_code, reason = "for the destinations that bring their own HTTP client")]
    pub(crate) fn config(&self) -> Arc<ClientConfig> {
        self.config.clone()
    }
}

impl std::fmt::Debug for ClientTls {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("ClientTls")
            .field("server_name", &self.server_name)
            .finish_non_exhaustive()
    }
}

fn server_name(
    settings: &Settings,
    host: &str,
    diagnostics: &mut Diagnostics,
) -> Option<ServerName<'static>> {
    let name = settings.text("server_name").unwrap_or(host);
    match ServerName::try_from(name.to_owned()) {
        Ok(name) => Some(name),
        Err(_) => {
            let message = "no certificate can have this name".to_owned();
            let help = "it must be a host name or an IP address";
            material::push(settings, "server_name", codes::SERVER_NAME, message, help, diagnostics);
            None
        }
    }
}

fn verifier(
    settings: &Settings,
    context: &BuildContext<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<NamedOrTrusted> {
    let (roots, named) = if settings.contains("ca") {
        material::authorities(settings, "ca", context, diagnostics)?
    } else {
        (material::public_authorities(), Vec::new())
    };
    let trusted =
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), material::provider());
    // It fails only without authorities, and there is at least one.
    Some(NamedOrTrusted { named, trusted: trusted.build().ok()? })
}

/// Trusts a certificate that stands in `ca` itself, and otherwise those which the authorities there have signed.
///
/// Devices in hospitals often show a certificate of their own making, marked as an authority and without the host's name:
/// webpki refuses those. One that is named in the configuration, byte for byte, needs nobody to vouch for it.
#[derive(Debug)]
struct NamedOrTrusted {
    named: Vec<CertificateDer<'static>>,
    trusted: Arc<WebPkiServerVerifier>,
}

impl ServerCertVerifier for NamedOrTrusted {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.named.iter().any(|named| named == end_entity) {
            return Ok(ServerCertVerified::assertion());
        }
        self.trusted.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.trusted.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.trusted.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.trusted.supported_verify_schemes()
    }
}
