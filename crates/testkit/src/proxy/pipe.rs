//! One connection through a proxy: its greeting, then messages in both directions until it ends or is cut.

use std::future::pending;
use std::io;
use std::ops::ControlFlow::{self, Break, Continue};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::watch;

use super::frame::{Frame, Protocol, Side, length, number};
use super::rule::{Act, judge};
use super::{Say, Shared, lock};

/// How long one that has lost its peer is heard out.
const LAST_WORDS: Duration = Duration::from_secs(10);

const SSL_REQUEST: usize = 80_877_103;
const GSS_REQUEST: usize = 80_877_104;

/// How a connection ended.
pub(super) enum End {
    /// The client has gone.
    Gone,
    /// A rule ended it before or after a message of this side.
    Cut(Act, Side),
}

/// Runs until the client has gone or a rule has cut the connection. Whether one has.
pub(super) async fn run(mut client: TcpStream, mut server: TcpStream, shared: &Shared) -> io::Result<bool> {
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    greet(&mut client, &mut server, shared.protocol).await?;
    let end = {
        let deaf = watch::Sender::new(*shared.silent.borrow());
        let ((from_client, to_client), (from_server, to_server)) = (client.split(), server.split());
        let pump = |from| Pump { from, shared, deaf: &deaf, held: Vec::new() };
        tokio::select! {
            end = pump(Side::Client).up(from_client, to_server) => end,
            end = pump(Side::Server).down(from_server, to_client) => end,
            never = shared.falls_silent(&deaf) => never,
        }
    };
    let (mut heard, reset) = match end {
        End::Gone => return Ok(false),
        End::Cut(Act::CutAfter, Side::Client) => (server, client),
        End::Cut(Act::CutAfter, Side::Server) => (client, server),
        End::Cut(..) => {
            client.set_zero_linger()?;
            server.set_zero_linger()?;
            return Ok(true);
        }
    };
    reset.set_zero_linger()?;
    drop(reset);
    let hear_out = async {
        heard.shutdown().await?;
        tokio::io::copy(&mut heard, &mut tokio::io::sink()).await
    };
    // It may have been reset itself.
    let _ = tokio::time::timeout(LAST_WORDS, hear_out).await;
    Ok(true)
}

/// What a client says before messages begin. Wishes for encryption are denied here: the server would do the same.
async fn greet(client: &mut TcpStream, server: &mut TcpStream, protocol: Protocol) -> io::Result<()> {
    let mut greeting = [0; 8];
    loop {
        client.read_exact(&mut greeting).await?;
        let wish = number(&greeting[4..]);
        if protocol == Protocol::Amqp || ![SSL_REQUEST, GSS_REQUEST].contains(&wish) {
            break;
        }
        client.write_all(b"N").await?;
    }
    server.write_all(&greeting).await?;
    if protocol == Protocol::Postgres {
        let mut rest = vec![0; number(&greeting[..4]).saturating_sub(greeting.len()).min(65_536)];
        client.read_exact(&mut rest).await?;
        server.write_all(&rest).await?;
    }
    Ok(())
}

/// One direction.
struct Pump<'a> {
    from: Side,
    shared: &'a Shared,
    /// Whether this connection has fallen silent. It stays so: its streams have a hole.
    deaf: &'a watch::Sender<bool>,
    /// What has come and was not passed on yet.
    held: Vec<u8>,
}

impl Pump<'_> {
    async fn up(mut self, mut from: ReadHalf<'_>, mut to: WriteHalf<'_>) -> End {
        let mut piece = vec![0; 65_536];
        loop {
            match from.read(&mut piece).await {
                Ok(0) | Err(_) => return End::Gone,
                // A client that is not answered goes some day, and that must be seen.
                Ok(_) if *self.deaf.borrow() => {}
                Ok(bytes) => {
                    self.held.extend_from_slice(&piece[..bytes]);
                    if let Break(end) = self.pass(&mut to).await {
                        return end;
                    }
                }
            }
        }
    }

    async fn down(mut self, mut from: ReadHalf<'_>, mut to: WriteHalf<'_>) -> End {
        let mut piece = vec![0; 65_536];
        let (mut speech, mut deaf) = (self.shared.say.subscribe(), self.deaf.subscribe());
        loop {
            tokio::select! {
                got = from.read(&mut piece), if !*deaf.borrow() => match got {
                    Ok(0) | Err(_) => {
                        let _ = to.shutdown().await;
                        return pending().await;
                    }
                    Ok(bytes) => {
                        self.held.extend_from_slice(&piece[..bytes]);
                        if let Break(end) = self.pass(&mut to).await {
                            return end;
                        }
                    }
                },
                // Only whole messages are passed on, so there is always room for one between two.
                Ok(what) = speech.recv() => drop(to.write_all(what.frame()).await),
                _ = deaf.changed() => {}
            }
        }
    }

    /// Passes on the whole messages that are here, those that came together together.
    async fn pass(&mut self, to: &mut WriteHalf<'_>) -> ControlFlow<End> {
        let (mut passed, mut seen) = (0, 0);
        while let Some(length) = length(self.shared.protocol, &self.held[seen..])
            && let Some(bytes) = self.held.get(seen..seen + length)
        {
            let act = self.shared.judge(&Frame { from: self.from, protocol: self.shared.protocol, bytes });
            let end = match act {
                Act::Pass => {
                    seen += length;
                    continue;
                }
                Act::CutAfter => seen + length,
                Act::Delay(_) | Act::CutBefore | Act::Silence => seen,
            };
            // Its reader may be gone: then its other direction ends this.
            let _ = to.write_all(&self.held[passed..end]).await;
            passed = end;
            match act {
                Act::Pass => {}
                Act::Delay(time) => tokio::time::sleep(time).await,
                Act::CutBefore | Act::CutAfter => return Break(End::Cut(act, self.from)),
                Act::Silence => {
                    self.deaf.send_replace(true);
                    return Continue(());
                }
            }
            seen += length;
        }
        let _ = to.write_all(&self.held[passed..seen]).await;
        self.held.drain(..seen);
        Continue(())
    }
}

impl Shared {
    fn judge(&self, frame: &Frame<'_>) -> Act {
        judge(&lock(&self.rules), frame)
    }

    /// Makes a connection deaf when the whole proxy falls silent.
    async fn falls_silent(&self, deaf: &watch::Sender<bool>) -> End {
        let mut silent = self.silent.subscribe();
        if silent.wait_for(|silent| *silent).await.is_ok() {
            deaf.send_replace(true);
        }
        pending().await
    }
}

impl Say {
    /// `connection.blocked("alarm")` or `connection.unblocked`, on channel 0.
    fn frame(self) -> &'static [u8] {
        match self {
            Self::Blocked => b"\x01\0\0\0\0\0\x0a\0\x0a\0\x3c\x05alarm\xce",
            Self::Unblocked => b"\x01\0\0\0\0\0\x04\0\x0a\0\x3d\xce",
        }
    }
}
