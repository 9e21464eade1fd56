//! One connection: TCP, SSH with a server whose key is known, the login, and the session on top.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use russh::client::{self, AuthResult, ChannelOpenHandle, KeyboardInteractiveAuthResponse, Msg};
use russh::keys::ssh_key::{EcdsaCurve, PublicKey};
use russh::keys::{Algorithm, HashAlg, PrivateKeyWithHashAlg, PublicKeyOrCertificate};
use russh::{Channel, ChannelMsg, ChannelStream, Disconnect, MethodKind, MethodSet, Preferred};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::DropGuard;

use super::SftpError;
use super::config::{Login, Rules};
use super::host_keys::{HostKeys, Verdict, fingerprint};
use super::session::Session;
use super::wire::Wire;

/// How long saying good-bye may take.
const GOODBYE: Duration = Duration::from_secs(1);

/// Without an answer to so many probes in a row, the server is gone.
const PROBES_MAX: usize = 3;

/// How often a server may ask for the password in other words: one that asks for more is no use to a program.
const PROMPTS_MAX: usize = 3;

/// The window of what a server may send before it is read: two of the largest packets and more.
const WINDOW_BYTES: u32 = 1024 * 1024;

/// The keys that servers may show. RSA only with SHA-2 (RFC 8332): with SHA-1 it can be forged.
const KEYS: [Algorithm; 6] = [
    Algorithm::Ed25519,
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
    Algorithm::Rsa { hash: Some(HashAlg::Sha512) },
    Algorithm::Rsa { hash: Some(HashAlg::Sha256) },
];

/// A connection. Dropped, it is closed at once.
pub(super) struct Connection {
    pub(super) session: Session<ChannelStream<Msg>>,
    /// The directory, without links.
    pub(super) directory: Vec<u8>,
    ssh: client::Handle<Verifier>,
    /// Holds the socket open.
    _open: DropGuard,
}

impl Connection {
    /// Connects and logs in.
    pub(super) async fn open(rules: &Rules, deadline: Instant) -> Result<Self, SftpError> {
        let address = rules.connect.to_string();
        let connecting = async {
            let (mut ssh, open) = connect(rules, &address).await?;
            log_in(&mut ssh, rules, &address).await?;
            let channel = sftp_channel(&ssh, &address).await?;
            Ok::<_, SftpError>((ssh, open, channel))
        };
        let until = Instant::now()
            .checked_add(rules.connect_timeout)
            .map_or(deadline, |until| until.min(deadline));
        let (ssh, open, channel) = timeout_at(until, connecting).await.unwrap_or_else(|_| {
            Err(SftpError::Unreachable { address, why: "no answer in time".to_owned() })
        })?;
        let mut session = Session::open(channel.into_stream(), rules.limits, deadline).await?;
        let directory = match session.real_path(rules.directory.as_bytes()).await {
            Ok(directory) => directory,
            Err(SftpError::NotFound | SftpError::Failed { .. }) => {
                return Err(SftpError::NoDirectory(rules.directory.clone()));
            }
            Err(error) => return Err(error),
        };
        Ok(Self { session, directory, ssh, _open: open })
    }

    /// Whether it is known to be closed; one that is not may be dead all the same.
    pub(super) fn is_closed(&self) -> bool {
        self.ssh.is_closed()
    }

    /// Says good-bye, and closes.
    pub(super) async fn close(self) {
        let Self { session, ssh, _open, .. } = self;
        drop(session);
        // Whether it is heard makes no difference.
        let _ = timeout(GOODBYE, async {
            let _ = ssh.disconnect(Disconnect::ByApplication, "", "").await;
            let _ = ssh.await;
        })
        .await;
    }
}

async fn connect(
    rules: &Rules,
    address: &str,
) -> Result<(client::Handle<Verifier>, DropGuard), SftpError> {
    let unreachable = |why: std::io::Error| SftpError::Unreachable {
        address: address.to_owned(),
        why: said(&why),
    };
    let host = (rules.connect.host(), rules.connect.port());
    let stream = TcpStream::connect(host).await.map_err(unreachable)?;
    stream.set_nodelay(true).map_err(unreachable)?;
    let (wire, open) = Wire::new(stream);
    let shown = Arc::new(Mutex::new(None));
    let verifier = Verifier { keys: rules.host_keys.clone(), shown: Arc::clone(&shown) };
    let preferred =
        Preferred { key: rules.host_keys.preferred(&KEYS).into(), ..Preferred::DEFAULT };
    let config = client::Config {
        preferred,
        window_size: WINDOW_BYTES,
        keepalive_interval: rules.keep_alive,
        keepalive_max: PROBES_MAX,
        ..client::Config::default()
    };
    match client::connect_stream(Arc::new(config), wire, verifier).await {
        Ok(ssh) => Ok((ssh, open)),
        Err(error) => {
            let shown = shown.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
            Err(match shown {
                Some((key, reason)) => untrusted(address, &key, reason),
                None => ssh_failed(address, &error),
            })
        }
    }
}

fn untrusted(address: &str, key: &PublicKey, reason: &'static str) -> SftpError {
    SftpError::HostKey {
        address: address.to_owned(),
        algorithm: key.algorithm().to_string(),
        fingerprint: fingerprint(key),
        reason,
    }
}

/// What went wrong below SFTP, without outside text.
fn ssh_failed(address: &str, error: &russh::Error) -> SftpError {
    use russh::Error;
    let address = address.to_owned();
    let why = match error {
        Error::IO(error) => return SftpError::Unreachable { address, why: said(error) },
        Error::NoCommonAlgo { kind, .. } => format!(
            "both sides have no {kind:?} algorithm in common: the server knows only old ones, which are not safe"
        ),
        Error::Version => "what answers there is no SSH server".to_owned(),
        Error::HUP | Error::Disconnect | Error::SendError | Error::RecvError => {
            "the server hung up".to_owned()
        }
        Error::WrongServerSig => "the server does not hold the key that it shows".to_owned(),
        Error::UnknownAlgo => "the server uses an unknown algorithm".to_owned(),
        _ => "the server does not keep to the protocol".to_owned(),
    };
    SftpError::Ssh { address, why }
}

/// A system's error in plain words.
fn said(error: &std::io::Error) -> String {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::ConnectionRefused => "nobody listens there".to_owned(),
        ErrorKind::ConnectionReset
        | ErrorKind::UnexpectedEof
        | ErrorKind::BrokenPipe
        | ErrorKind::ConnectionAborted => "the server hung up".to_owned(),
        ErrorKind::TimedOut => "no answer in time".to_owned(),
        _ => error.to_string(),
    }
}

/// By the key first, where there is one, then by the password: servers may ask for both.
async fn log_in(
    ssh: &mut client::Handle<Verifier>,
    rules: &Rules,
    address: &str,
) -> Result<(), SftpError> {
    let Login { user, password, key } = &rules.login;
    let failed = |error: russh::Error| ssh_failed(address, &error);
    let mut offers = MethodSet::empty();
    if let Some(key) = key {
        let hash = match ssh.best_supported_rsa_hash().await.map_err(failed)? {
            Some(Some(hash)) => hash,
            _ => HashAlg::Sha256,
        };
        let key = PrivateKeyWithHashAlg::new(Arc::clone(key), Some(hash));
        match ssh.authenticate_publickey(user, key).await.map_err(failed)? {
            AuthResult::Success => return Ok(()),
            AuthResult::Failure { remaining_methods, .. } => offers = remaining_methods,
        }
    }
    if let Some(password) = password {
        match ssh.authenticate_password(user, password.expose()).await.map_err(failed)? {
            AuthResult::Success => return Ok(()),
            AuthResult::Failure { remaining_methods, .. } => {
                // Many servers ask for the password in this way alone.
                let asks = remaining_methods.contains(&MethodKind::KeyboardInteractive);
                offers = remaining_methods;
                if asks && answer_prompts(ssh, user, password.expose()).await.map_err(failed)? {
                    return Ok(());
                }
            }
        }
    }
    let tried = match (key.is_some(), password.is_some()) {
        (true, true) => "key and password",
        (true, false) => "key",
        _ => "password",
    };
    Err(SftpError::LoginRefused {
        address: address.to_owned(),
        user: user.clone(),
        tried,
        offers: offers.iter().map(<&'static str>::from).collect(),
    })
}

/// RFC 4256: the password is the answer to the one question whose answer is not shown.
async fn answer_prompts(
    ssh: &mut client::Handle<Verifier>,
    user: &str,
    password: &str,
) -> Result<bool, russh::Error> {
    let mut asked = ssh.authenticate_keyboard_interactive_start(user, None).await?;
    for _ in 0..PROMPTS_MAX {
        let prompts = match asked {
            KeyboardInteractiveAuthResponse::Success => return Ok(true),
            KeyboardInteractiveAuthResponse::Failure { .. } => return Ok(false),
            KeyboardInteractiveAuthResponse::InfoRequest { prompts, .. } => prompts,
        };
        let answers = match &*prompts {
            [] => Vec::new(),
            [one] if !one.echo => vec![password.to_owned()],
            // A second factor, a new password: nothing that a program can know.
            _ => return Ok(false),
        };
        asked = ssh.authenticate_keyboard_interactive_respond(answers).await?;
    }
    Ok(matches!(asked, KeyboardInteractiveAuthResponse::Success))
}

async fn sftp_channel(
    ssh: &client::Handle<Verifier>,
    address: &str,
) -> Result<Channel<Msg>, SftpError> {
    let failed = |error: russh::Error| ssh_failed(address, &error);
    let mut channel = ssh.channel_open_session().await.map_err(|error| match error {
        russh::Error::ChannelOpenFailure(_) => SftpError::NoSftp { address: address.to_owned() },
        error => failed(error),
    })?;
    channel.request_subsystem(true, "sftp").await.map_err(failed)?;
    loop {
        match channel.wait().await {
            Some(ChannelMsg::Success) => return Ok(channel),
            // How much may be sent, and words for people.
            Some(ChannelMsg::WindowAdjusted { .. } | ChannelMsg::ExtendedData { .. }) => {}
            Some(_) => return Err(SftpError::NoSftp { address: address.to_owned() }),
            None => return Err(failed(russh::Error::HUP)),
        }
    }
}

/// Looks at the server's key, and takes nothing that the server would open.
pub(super) struct Verifier {
    keys: HostKeys,
    /// The key that was not trusted, and why.
    shown: Arc<Mutex<Option<(PublicKey, &'static str)>>>,
}

impl client::Handler for Verifier {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        shown: &PublicKeyOrCertificate,
    ) -> Result<bool, Self::Error> {
        let key = shown.public_key();
        match self.keys.check(&key) {
            Verdict::Trusted => Ok(true),
            Verdict::Unknown(reason) => {
                let mut shown =
                    self.shown.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                *shown = Some((key, reason));
                Ok(false)
            }
        }
    }

    // A channel whose `reply` is dropped is refused.

    async fn server_channel_open_forwarded_tcpip(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        _: ChannelOpenHandle,
        _: &mut client::Session,
    ) -> Result<(), Self::Error> {
        Ok(())
    }

    async fn server_channel_open_forwarded_streamlocal(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: ChannelOpenHandle,
        _: &mut client::Session,
    ) -> Result<(), Self::Error> {
        Ok(())
    }

    async fn server_channel_open_agent_forward(
        &mut self,
        _: Channel<Msg>,
        _: ChannelOpenHandle,
        _: &mut client::Session,
    ) -> Result<(), Self::Error> {
        Ok(())
    }

    async fn server_channel_open_session(
        &mut self,
        _: Channel<Msg>,
        _: ChannelOpenHandle,
        _: &mut client::Session,
    ) -> Result<(), Self::Error> {
        Ok(())
    }

    async fn server_channel_open_direct_tcpip(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        _: ChannelOpenHandle,
        _: &mut client::Session,
    ) -> Result<(), Self::Error> {
        Ok(())
    }

    async fn server_channel_open_direct_streamlocal(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: ChannelOpenHandle,
        _: &mut client::Session,
    ) -> Result<(), Self::Error> {
        Ok(())
    }

    async fn server_channel_open_x11(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: ChannelOpenHandle,
        _: &mut client::Session,
    ) -> Result<(), Self::Error> {
        Ok(())
    }
}
