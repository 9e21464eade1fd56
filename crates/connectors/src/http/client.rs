//! The HTTP client of destinations: it goes where the configuration says, and nowhere else.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::future::FutureExt;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, Proxy, Response, redirect};
use rustls::ClientConfig;

/// An unused connection is closed after this long: many servers close theirs after a minute, and a request sent into
/// that moment would be interrupted.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// How connections are made.
#[derive(Clone)]
pub(crate) struct ClientOptions {
    /// The host to look up instead of the URL's, and its port.
    pub(crate) resolve: Option<(String, u16)>,
    /// Goes between, where the network demands it.
    pub(crate) proxy: Option<Proxy>,
    /// For plain HTTP too: the client is not made without.
    pub(crate) tls: ClientConfig,
    /// How long connecting may take, TLS included.
    pub(crate) connect_timeout: Duration,
    /// How long a request may take, connecting included.
    pub(crate) timeout: Duration,
    /// How many connections are kept open.
    pub(crate) connections: usize,
}

/// A client with these options.
///
/// # Errors
/// When none can be made of the TLS settings.
pub(crate) fn build(options: &ClientOptions) -> reqwest::Result<Client> {
    let mut builder = Client::builder()
        // Where messages go is configured here, and nowhere else: not by a response, not by the environment.
        .redirect(redirect::Policy::none())
        .no_proxy()
        .http1_only()
        .retry(reqwest::retry::never())
        .connect_timeout(options.connect_timeout)
        .timeout(options.timeout)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_max_idle_per_host(options.connections)
        .tls_backend_preconfigured(options.tls.clone());
    if let Some(proxy) = options.proxy.clone() {
        builder = builder.proxy(proxy);
    }
    if let Some((host, port)) = options.resolve.clone() {
        builder = builder.dns_resolver(Arc::new(Elsewhere { host, port }));
    }
    builder.build()
}

/// Looks up one host, whatever name it is asked for.
struct Elsewhere {
    host: String,
    port: u16,
}

impl Resolve for Elsewhere {
    fn resolve(&self, _: Name) -> Resolving {
        let (host, port) = (self.host.clone(), self.port);
        async move {
            let addresses: Vec<SocketAddr> = tokio::net::lookup_host((host, port)).await?.collect();
            Ok(Box::new(addresses.into_iter()) as Addrs)
        }
        .boxed()
    }
}

/// A response's body.
pub(crate) enum Reply {
    /// All of it.
    Whole(Bytes),
    /// The first bytes of one that is too large to keep.
    Cut(Bytes),
}

/// Reads a response's body, and no more of it than may be kept.
pub(crate) async fn read(response: &mut Response, bytes_max: usize) -> reqwest::Result<Reply> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await? {
        let room = bytes_max.saturating_sub(body.len());
        if chunk.len() > room {
            body.extend_from_slice(chunk.get(..room).unwrap_or_default());
            return Ok(Reply::Cut(body.freeze()));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Reply::Whole(body.freeze()))
}

/// What the system or TLS says lies behind an error. Never the whole text: it has the URL in it, which may hold secrets.
pub(crate) fn cause(error: &reqwest::Error) -> Option<String> {
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<std::io::Error>() {
            return Some(innermost(error));
        }
        source = error.source();
    }
    None
}

/// TLS wraps its errors into the system's, more than once.
fn innermost(error: &std::io::Error) -> String {
    let Some(inner) = error.get_ref() else { return error.kind().to_string() };
    if let Some(inner) = inner.downcast_ref::<std::io::Error>() {
        return innermost(inner);
    }
    match inner.downcast_ref::<rustls::Error>() {
        Some(inner) => format!("TLS: {inner}"),
        None => error.kind().to_string(),
    }
}
