//! Opens one AMQP connection on the main runtime, and can end it for certain.

use std::io;
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_rs::traits::Reactor;
use async_rs::{Runtime, TokioRuntime};
use lapin::uri::AMQPUri;
use lapin::{AsyncTcpStream, Connection, ConnectionProperties};
use tokio::runtime::Handle;

use crate::error::{Error, within};
use crate::settings::Settings;

/// A connection, and the hand on its socket. Dropping this ends both.
pub(crate) struct Dialled {
    pub(crate) connection: Connection,
    hand: Hand,
}

impl Dialled {
    /// Says good-bye (bounded), then ends the socket whatever the answer was.
    pub(crate) async fn close(&self, limit: Duration) {
        let status = self.connection.status();
        if status.connected() && !status.blocked() {
            let closing = self.connection.close(200, "OK".into());
            if let Err(error) = within(limit, "connection.close", closing).await {
                tracing::debug!(%error, "the connection did not close politely");
            }
        }
        self.hand.0.end();
    }
}

/// A second handle on the TCP socket that lapin's thread reads. lapin has no way to abort a
/// connection whose peer is silent: its thread, buffers and socket would stay until the peer
/// speaks again. Shutting the socket down makes that thread see end of file and stop.
#[derive(Clone, Default)]
struct Socket(Arc<Mutex<State>>);

#[derive(Default)]
enum State {
    #[default]
    Waiting,
    Open(TcpStream),
    Ended,
}

/// Ends the socket when it goes, also in the middle of connecting.
struct Hand(Socket);

impl Drop for Hand {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl Socket {
    fn attach(&self, stream: TcpStream) -> io::Result<()> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*state, State::Ended) {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        *state = State::Open(stream);
        Ok(())
    }

    fn end(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let State::Open(stream) = std::mem::replace(&mut *state, State::Ended) {
            // Fails only when the peer has already ended it.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

/// Connects as `role` ("publish", "consume", …). lapin's own recovery stays off: its default
/// properties neither retry nor recover.
pub(crate) async fn dial(settings: &Settings, role: &str, handle: Handle) -> Result<Dialled, Error> {
    let name = format!("{} {role}", settings.client_name);
    let properties = ConnectionProperties::default().with_connection_name(name.into());
    let limit = settings.connect_timeout();
    let hand = Hand(Socket::default());
    let socket = hand.0.clone();
    // What `connect_with_runtime` does, with a hand kept on the socket.
    let connecting = Connection::connector(
        settings.uri()?,
        Runtime::tokio_with_handle(handle),
        async move |uri, runtime| Ok(open(&uri, &runtime, &socket, limit).await?),
        properties,
    );
    let connection = within(limit, "connect", connecting).await?;
    Ok(Dialled { connection, hand })
}

type Stream = AsyncTcpStream<<TokioRuntime as Reactor>::TcpStream>;

async fn open(uri: &AMQPUri, runtime: &TokioRuntime, socket: &Socket, limit: Duration) -> io::Result<Stream> {
    let addresses = runtime.to_socket_addrs((uri.authority.host.clone(), uri.authority.port));
    let stream = tokio::time::timeout(limit, runtime.tcp_connect(addresses)).await??;
    socket.attach(TcpStream::from(stream.get_ref().as_fd().try_clone_to_owned()?))?;
    Ok(AsyncTcpStream::Plain(stream))
}
