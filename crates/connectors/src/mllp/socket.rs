//! Sockets as both directions want them.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, TcpStream};

/// Connections the system holds for us until they are accepted: a burst of partners after a restart.
const BACKLOG: i32 = 1024;

/// Probes of a silent connection, after its keep-alive time.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// Listens, also while connections of a former run are still in their last wait.
pub(super) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Elsewhere this option would let two programs share the port.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    TcpListener::from_std(socket.into())
}

/// Sends each write at once, and notices a partner that is gone without a word.
///
/// A connection that refuses an option works without it: what matters fails on its own.
pub(super) fn prepare(stream: &TcpStream, keep_alive: Option<Duration>) {
    let _ = stream.set_nodelay(true);
    if let Some(time) = keep_alive {
        let probes = TcpKeepalive::new().with_time(time).with_interval(KEEP_ALIVE_INTERVAL);
        let _ = SockRef::from(stream).set_tcp_keepalive(&probes);
    }
}
