//! A COMMIT whose answer was lost. The server is asked afterwards, on another connection, what became of the transaction: what is
//! then said is true, and only where it cannot be asked the outcome stays unknown.

use crate::{Db, Error};
use deadpool_postgres::{Object, Pool};
use std::time::Duration;
use tokio::time::Instant;
use tokio_postgres::Row;
use tokio_postgres::error::SqlState;

/// The number of the transaction, if it has written anything; and the life of the server that gave it. A server that crashed
/// gives numbers again which it had given to transactions that it lost: then somebody else's outcome would be read. It throws
/// its statistics away then, also where the process that started it lives on; so their age, with the age of the server, names a
/// life. Numbers of another server (after a failover) are none of ours either.
pub(crate) const WHO: &str = "SELECT pg_current_xact_id_if_assigned()::text, \
    concat_ws(' ', extract(epoch FROM pg_postmaster_start_time()), extract(epoch FROM pg_stat_get_bgwriter_stat_reset_time()))";
const FATE: &str = "SELECT concat_ws(' ', extract(epoch FROM pg_postmaster_start_time()), extract(epoch FROM pg_stat_get_bgwriter_stat_reset_time())), \
    pg_xact_status($1::text::xid8)";

/// Waits between two questions: doubled from the first to the second.
const SHORTEST: Duration = Duration::from_millis(5);
const LONGEST: Duration = Duration::from_millis(250);
/// Longest wait for one answer.
const ANSWER_WAIT: Duration = Duration::from_secs(2);

/// Which transaction it was, and on which server.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    xid: String,
    server: String,
}

impl Identity {
    /// From an answer to `WHO`; none if nothing was written.
    pub(crate) fn of(row: &Row) -> Result<Option<Self>, tokio_postgres::Error> {
        let (xid, server): (Option<String>, String) = (row.try_get(0)?, row.try_get(1)?);
        Ok(xid.map(|xid| Self { xid, server }))
    }
}

/// Whether a failed COMMIT may have happened all the same: there was no answer, or only that the server ends the connection.
pub(crate) fn is_lost(error: &tokio_postgres::Error) -> bool {
    error.code().is_none_or(ends_connection)
}

fn ends_connection(state: &SqlState) -> bool {
    state.code().starts_with("57P") || state.code().starts_with("08")
}

/// What became of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Committed,
    RolledBack,
    /// Its backend has not noticed yet, or is at it.
    InProgress,
    /// It is too long ago, or not this server's.
    Unknown,
}

impl Db {
    /// Asks until the answer is there, for as long as a transaction may take. `Ok`: it is committed.
    pub(crate) async fn resolve(&self, pool: &Pool, name: &'static str, identity: &Identity) -> Result<(), Error> {
        let deadline = Instant::now() + self.0.tx_timeout;
        let mut wait = SHORTEST;
        let fate = loop {
            match fate(pool, identity).await {
                Some(Fate::InProgress) | None if Instant::now() + wait < deadline => {
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(LONGEST);
                }
                fate => break fate.unwrap_or(Fate::Unknown),
            }
        };
        let (outcome, answer) = match fate {
            Fate::Committed => ("committed", Ok(())),
            Fate::RolledBack => ("rolled_back", Err(Error::CommitRolledBack(name))),
            Fate::InProgress | Fate::Unknown => ("unknown", Err(Error::CommitUnknown(name))),
        };
        tracing::warn!(name, outcome, "the answer to a commit was lost");
        self.0.metrics.lost_commit(name, outcome);
        answer
    }
}

/// None: the server could not be asked now.
async fn fate(pool: &Pool, identity: &Identity) -> Option<Fate> {
    let client = tokio::time::timeout(ANSWER_WAIT, pool.get()).await.ok()?.ok()?;
    let asked = async { client.query_one(&client.prepare_cached(FATE).await?, &[&identity.xid]).await };
    match tokio::time::timeout(ANSWER_WAIT, asked).await {
        Ok(Ok(row)) => Some(read(&row, identity).unwrap_or(Fate::Unknown)),
        // A number from the future: the server has not got so far.
        Ok(Err(error)) => (!is_lost(&error)).then_some(Fate::Unknown),
        Err(_) => {
            drop(Object::take(client));
            None
        }
    }
}

fn read(row: &Row, identity: &Identity) -> Option<Fate> {
    let (server, status): (String, Option<String>) = (row.try_get(0).ok()?, row.try_get(1).ok()?);
    Some(judge(identity, &server, status.as_deref()))
}

fn judge(identity: &Identity, server: &str, status: Option<&str>) -> Fate {
    match status {
        _ if server != identity.server => Fate::Unknown,
        Some("committed") => Fate::Committed,
        Some("aborted") => Fate::RolledBack,
        Some("in progress") => Fate::InProgress,
        _ => Fate::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_server_that_gave_the_number_is_believed() {
        let identity = Identity { xid: "7".to_owned(), server: "started then".to_owned() };
        let judged = |server, status| judge(&identity, server, status);
        assert_eq!(judged("started then", Some("committed")), Fate::Committed);
        assert_eq!(judged("started then", Some("aborted")), Fate::RolledBack);
        assert_eq!(judged("started then", Some("in progress")), Fate::InProgress);
        assert_eq!(judged("started then", None), Fate::Unknown, "too long ago");
        for status in ["committed", "aborted", "in progress"] {
            assert_eq!(judged("started since", Some(status)), Fate::Unknown, "somebody else's number");
        }
    }
}
