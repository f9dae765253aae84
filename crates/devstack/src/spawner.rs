//! One thread that starts every child of a stack.
//!
//! The kernel sends a child its parent-death signal when the *thread* that started it ends, so
//! children must not come from a pool's threads. This one lives as long as its stack.

use std::sync::mpsc;

use anyhow::Context;
use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

struct Request {
    command: Command,
    runtime: Handle,
    reply: oneshot::Sender<std::io::Result<Child>>,
}

/// Starts processes from a thread of its own; dropping the last clone ends that thread, and with
/// it whatever it started.
#[derive(Clone)]
pub(crate) struct Spawner {
    requests: mpsc::Sender<Request>,
}

impl Spawner {
    pub(crate) fn start() -> anyhow::Result<Self> {
        let (requests, incoming) = mpsc::channel::<Request>();
        std::thread::Builder::new()
            .name("devstack-spawner".to_owned())
            .spawn(move || {
                for Request { mut command, runtime, reply } in incoming {
                    let _in_runtime = runtime.enter();
                    // Nobody listens any more when the start was given up; the child then ends
                    // with the stack.
                    let _ = reply.send(command.spawn());
                }
            })
            .context("cannot start a thread")?;
        Ok(Self { requests })
    }

    pub(crate) async fn spawn(&self, command: Command) -> anyhow::Result<Child> {
        let (reply, answer) = oneshot::channel();
        let request = Request { command, runtime: Handle::current(), reply };
        self.requests.send(request).context("the spawner thread has ended")?;
        Ok(answer.await.context("the spawner thread has ended")??)
    }
}
