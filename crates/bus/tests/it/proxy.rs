//! A TCP proxy before the broker that can fall silent, and can speak in the broker's name.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{broadcast, watch};
use tokio::task::JoinSet;

/// Said in the broker's name, to every client that is connected.
#[derive(Clone, Debug)]
pub enum Say {
    Blocked,
    Unblocked,
}

pub struct Proxy {
    pub address: SocketAddr,
    silent: watch::Sender<bool>,
    say: broadcast::Sender<Say>,
    /// Connections that were opened, and those the client has ended.
    pub opened: watch::Receiver<(usize, usize)>,
    _tasks: JoinSet<()>,
}

impl Proxy {
    pub async fn start(broker: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::on(listener, broker)
    }

    pub fn on(listener: TcpListener, broker: String) -> Self {
        let address = listener.local_addr().unwrap();
        let silent = watch::Sender::new(false);
        let (say, _) = broadcast::channel(16);
        let (count, opened) = watch::channel((0, 0));
        let mut tasks = JoinSet::new();
        let (silence, speech, count) = (silent.subscribe(), say.clone(), Arc::new(count));
        tasks.spawn(async move {
            let mut pipes = JoinSet::new();
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let server = TcpStream::connect(&broker).await.unwrap();
                count.send_modify(|count| count.0 += 1);
                let (silence, speech) = (silence.clone(), speech.subscribe());
                let count = Arc::clone(&count);
                pipes.spawn(async move {
                    pipe(client, server, silence, speech).await;
                    count.send_modify(|count| count.1 += 1);
                });
            }
        });
        Self { address, silent, say, opened, _tasks: tasks }
    }

    /// From now on nothing passes on connections that are open, and nothing is closed: a peer that
    /// hangs. (New connections pass again when the silence ends.)
    pub fn silence(&self, silent: bool) {
        self.silent.send_replace(silent);
    }

    pub fn say(&self, what: Say) {
        self.say.send(what).unwrap();
    }
}

/// Runs until the client has gone.
async fn pipe(
    client: TcpStream,
    server: TcpStream,
    mut silence: watch::Receiver<bool>,
    mut speech: broadcast::Receiver<Say>,
) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let mut deaf = *silence.borrow();
    let (mut up, mut piece) = (vec![0; 65_536], vec![0; 65_536]);
    let mut down = Vec::new();
    let mut server_open = true;
    loop {
        tokio::select! {
            got = from_client.read(&mut up) => match got {
                Ok(0) | Err(_) => return,
                Ok(bytes) if !deaf => { let _ = to_server.write_all(&up[..bytes]).await; }
                Ok(_) => {}
            },
            got = from_server.read(&mut piece), if server_open && !deaf => match got {
                Ok(0) | Err(_) => { server_open = false; let _ = to_client.shutdown().await; }
                Ok(bytes) => {
                    // Whole frames only, so that there is always room for one of ours between two.
                    down.extend_from_slice(&piece[..bytes]);
                    while let Some(length) = frame(&down) {
                        let frame: Vec<u8> = down.drain(..length).collect();
                        let _ = to_client.write_all(&frame).await;
                    }
                }
            },
            what = speech.recv() => {
                let _ = to_client.write_all(&spoken(&what.unwrap())).await;
            }
            // Once deaf, a connection stays so: its stream has a hole.
            _ = silence.changed() => deaf |= *silence.borrow(),
        }
    }
}

/// The length of the first frame, when all of it is here.
fn frame(bytes: &[u8]) -> Option<usize> {
    let size = u32::from_be_bytes(bytes.get(3..7)?.try_into().unwrap());
    let length = usize::try_from(size).unwrap() + 8;
    (bytes.len() >= length).then_some(length)
}

/// connection.blocked("alarm") or connection.unblocked on channel 0.
fn spoken(what: &Say) -> Vec<u8> {
    let method: &[u8] = match what {
        Say::Blocked => b"\x00\x0a\x00\x3c\x05alarm",
        Say::Unblocked => b"\x00\x0a\x00\x3d",
    };
    let size = u32::try_from(method.len()).unwrap().to_be_bytes();
    [&[1, 0, 0][..], &size, method, &[0xce]].concat()
}
