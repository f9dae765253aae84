//! One HTTP/1.1 connection that is kept alive, as thin as it can be: on the machine that is measured, what the sender costs is
//! taken from what is measured.

use std::io::{Error, ErrorKind, Result};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longest answer that is read.
const MOST_BYTES: usize = 4 * 1024 * 1024;

/// Where requests go.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// `host:port`
    pub(crate) address: String,
    pub(crate) path: String,
}

impl Target {
    /// The events of an ingest service at this address.
    pub(crate) fn events_of(url: &str) -> Option<Self> {
        let address = url.strip_prefix("http://")?.trim_end_matches('/');
        let is_plain = !address.is_empty() && !address.contains(['/', '?', '@']);
        let address = if address.contains(':') { address.to_owned() } else { format!("{address}:80") };
        is_plain.then(|| Self { address, path: "/api/v1/events?results=errors".to_owned() })
    }

    /// What begins every request by this token, up to the length of the body.
    pub(crate) fn head(&self, token: &str) -> String {
        format!(
            "POST {} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: ",
            self.path, self.address
        )
    }
}

/// A connection, and the bytes that came on it.
pub(crate) struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(target: &Target) -> Result<Self> {
        let stream = TcpStream::connect(&target.address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, read: Vec::with_capacity(4_096) })
    }

    /// Sends a whole request, and gives the status and the body of the answer.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> Result<(u16, &[u8])> {
        self.stream.write_all(request).await?;
        self.read.clear();
        let (status, body) = loop {
            if let Some((status, from, length)) = head_of(&self.read)? {
                break (status, from..from + length);
            }
            self.more().await?;
        };
        while self.read.len() < body.end {
            self.more().await?;
        }
        Ok((status, &self.read[body]))
    }

    async fn more(&mut self) -> Result<()> {
        if self.read.len() > MOST_BYTES {
            return Err(Error::new(ErrorKind::InvalidData, "the answer is too long"));
        }
        match self.stream.read_buf(&mut self.read).await? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

/// Status, and where the body begins and how long it is; none while the head is not complete.
fn head_of(read: &[u8]) -> Result<Option<(u16, usize, usize)>> {
    let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let bad = |what: &str| Error::new(ErrorKind::InvalidData, what.to_owned());
    let head = std::str::from_utf8(&read[..end]).map_err(|_| bad("the head of the answer is not text"))?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| bad("the answer has no status"))?;
    let length =
        lines.filter_map(|line| line.split_once(':')).find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length = length.and_then(|(_, length)| length.trim().parse().ok());
    Ok(Some((status, end + 4, length.ok_or_else(|| bad("the answer has no length"))?)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_head_tells_status_and_length() {
        let answer = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\ncontent-length: 2\r\n\r\n{}";
        assert_eq!(head_of(answer).unwrap(), Some((503, answer.len() - 2, 2)));
        assert_eq!(head_of(&answer[..answer.len() - 4]).unwrap(), None);
        assert!(head_of(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
        assert!(head_of(b"nonsense\r\n\r\n").is_err());
    }

    #[test]
    fn only_plain_addresses_are_taken() {
        assert_eq!(Target::events_of("http://127.0.0.1:8081/").unwrap().address, "127.0.0.1:8081");
        assert_eq!(Target::events_of("http://ingest").unwrap().address, "ingest:80");
        for bad in ["https://a", "http://", "http://a/b", "http://u:p@a", "a:1"] {
            assert!(Target::events_of(bad).is_none(), "{bad}");
        }
    }
}
