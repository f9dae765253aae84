//! The gate between starting and working: what a service stands on is checked first, and a service
//! whose ground is not as it must be ends instead of serving.

use std::fmt::Display;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::Shutdown;

/// The wait before what did not answer is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// Closed until the check has passed. Clones are one gate.
#[derive(Clone)]
pub struct Gate {
    open: CancellationToken,
    draining: CancellationToken,
}

impl Gate {
    /// A closed gate of a service that ends by `shutdown`.
    pub fn new(shutdown: &Shutdown) -> Self {
        Self { open: CancellationToken::new(), draining: shutdown.draining() }
    }

    /// Whether the check has passed. For readiness.
    pub fn is_open(&self) -> bool {
        self.open.is_cancelled()
    }

    /// Asks until there is an answer, opens, and stays until the end. `Ok(Err(sentence))` says what
    /// is not as it must be and ends the service; `Err` is no answer.
    ///
    /// # Errors
    /// The sentence.
    pub async fn keep<F, E>(self, ask: impl Fn() -> F) -> anyhow::Result<()>
    where
        F: Future<Output = Result<Result<(), String>, E>>,
        E: Display,
    {
        loop {
            let answer = tokio::select! {
                biased;
                () = self.draining.cancelled() => break,
                answer = ask() => answer,
            };
            match answer {
                Ok(Ok(())) => {
                    self.open.cancel();
                    break;
                }
                Ok(Err(sentence)) => anyhow::bail!(sentence),
                Err(error) => {
                    tracing::warn!(%error, "no answer yet to whether all is as it must be")
                }
            }
            tokio::select! {
                () = self.draining.cancelled() => {}
                () = tokio::time::sleep(ASK_AGAIN) => {}
            }
        }
        self.draining.cancelled().await;
        Ok(())
    }

    /// Runs `work` once the gate is open; not at all if the end comes first.
    pub async fn once_open<T>(self, work: impl Future<Output = T>) {
        tokio::select! {
            biased;
            () = self.open.cancelled() => drop(work.await),
            () = self.draining.cancelled() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::Context;

    #[tokio::test]
    async fn opens_when_the_ground_answers_that_it_is_sound() {
        let context = Context::for_test(());
        let gate = Gate::new(&context.shutdown);
        let asked = Cell::new(0);
        let ask = || {
            asked.set(asked.get() + 1);
            let answer = if asked.get() < 3 { Err("away") } else { Ok(Ok(())) };
            async move { answer }
        };
        let worked = Cell::new(false);
        let opened = gate.clone().once_open(async { worked.set(true) });
        let kept = gate.clone().keep(ask);
        tokio::pin!(kept);
        tokio::select! {
            _ = &mut kept => panic!("it stays until the end"),
            () = opened => assert!(worked.get()),
        }
        assert!(gate.is_open());
        assert_eq!(asked.get(), 3);
        context.shutdown.begin();
        kept.await.unwrap();
    }

    #[tokio::test]
    async fn ends_with_the_sentence_when_it_is_not() {
        let context = Context::for_test(());
        let gate = Gate::new(&context.shutdown);
        let kept = gate.clone().keep(|| async { Ok::<_, String>(Err("no roles".to_owned())) });
        assert_eq!(kept.await.unwrap_err().to_string(), "no roles");
        assert!(!gate.is_open());
        context.shutdown.begin();
        gate.once_open(async { panic!("the gate is closed") }).await;
    }
}
