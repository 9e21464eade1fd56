//! An SSH server before the made-up files, with logins to choose from.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use russh::keys::ssh_key::private::{Ed25519Keypair, KeypairData};
use russh::keys::{HashAlg, PrivateKey};
use russh::server::{self, Auth, Response, Session};
use russh::{Channel, ChannelId, MethodKind, MethodSet};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::fake::Fake;

pub(super) const PASSWORD: &str = "open sesame";

/// How the server lets users in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry {
    Password,
    /// By questions (RFC 4256) alone.
    Questions,
    /// By questions of which the second asks for something else.
    SecondFactor,
    /// Lets everybody in, and offers nothing.
    NoSftp,
}

/// A server that listens.
pub(super) struct SshServer {
    pub(super) address: SocketAddr,
    pub(super) fake: Arc<Fake>,
    /// How many connections there were.
    pub(super) connections: Arc<AtomicUsize>,
    /// How many logins were tried.
    pub(super) logins: Arc<AtomicUsize>,
    _task: JoinSet<()>,
}

/// The server's key.
pub(super) fn host_key() -> PrivateKey {
    let pair = Ed25519Keypair::from_seed(&[7; 32]);
    PrivateKey::new(KeypairData::Ed25519(pair), "").expect("a key")
}

pub(super) fn fingerprint() -> String {
    host_key().public_key().fingerprint(HashAlg::Sha256).to_string()
}

impl SshServer {
    pub(super) async fn start(entry: Entry, fake: Arc<Fake>) -> Self {
        let methods = match entry {
            Entry::Password | Entry::NoSftp => MethodKind::Password,
            Entry::Questions | Entry::SecondFactor => MethodKind::KeyboardInteractive,
        };
        let config = Arc::new(server::Config {
            keys: vec![host_key()],
            methods: MethodSet::from(&[methods][..]),
            auth_rejection_time: Duration::ZERO,
            ..server::Config::default()
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (connections, logins) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let mut task = JoinSet::new();
        let counted = (Arc::clone(&connections), Arc::clone(&logins));
        let served = Arc::clone(&fake);
        task.spawn(async move {
            let mut peers = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                counted.0.fetch_add(1, Ordering::SeqCst);
                let peer = Peer {
                    entry,
                    fake: Arc::clone(&served),
                    logins: Arc::clone(&counted.1),
                    asked: 0,
                    channel: None,
                };
                let config = Arc::clone(&config);
                peers.spawn(async move {
                    if let Ok(session) = server::run_stream(config, socket, peer).await {
                        let _ = session.await;
                    }
                });
            }
        });
        Self { address, fake, connections, logins, _task: task }
    }

    /// The settings of a client that knows this server.
    pub(super) fn settings(&self) -> String {
        format!(
            "connect: \"{}\", user: pipehat, password: secret:password, host_key: \"{}\"",
            self.address,
            fingerprint()
        )
    }
}

struct Peer {
    entry: Entry,
    fake: Arc<Fake>,
    logins: Arc<AtomicUsize>,
    asked: usize,
    channel: Option<Channel<server::Msg>>,
}

impl server::Handler for Peer {
    type Error = russh::Error;

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, Self::Error> {
        self.logins.fetch_add(1, Ordering::SeqCst);
        let takes = matches!(self.entry, Entry::Password | Entry::NoSftp);
        let right = user == "pipehat" && password == PASSWORD;
        Ok(if takes && right { Auth::Accept } else { Auth::reject() })
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        _: &str,
        _: &str,
        response: Option<Response<'a>>,
    ) -> Result<Auth, Self::Error> {
        let question = |text: &'static str| Auth::Partial {
            name: Cow::Borrowed(""),
            instructions: Cow::Borrowed(""),
            prompts: Cow::Owned(vec![(Cow::Borrowed(text), false)]),
        };
        let Some(mut response) = response else { return Ok(question("Password: ")) };
        self.asked += 1;
        let right = response.next().is_some_and(|answer| &*answer == PASSWORD.as_bytes());
        if self.entry == Entry::SecondFactor && self.asked == 1 {
            return Ok(Auth::Partial {
                name: Cow::Borrowed(""),
                instructions: Cow::Borrowed(""),
                prompts: Cow::Owned(vec![
                    (Cow::Borrowed("Code: "), true),
                    (Cow::Borrowed("PIN: "), false),
                ]),
            });
        }
        Ok(if right && self.entry == Entry::Questions { Auth::Accept } else { Auth::reject() })
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<server::Msg>,
        reply: server::ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        self.channel = Some(channel);
        reply.accept().await;
        Ok(())
    }

    async fn subsystem_request(
        &mut self,
        id: ChannelId,
        _: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        match self.channel.take() {
            Some(channel) if self.entry != Entry::NoSftp => {
                session.channel_success(id)?;
                tokio::spawn(Arc::clone(&self.fake).serve(channel.into_stream()));
            }
            _ => session.channel_failure(id)?,
        }
        Ok(())
    }
}
