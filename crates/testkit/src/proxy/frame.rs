//! Messages as they are on the wire: where one ends, and what a rule may ask about it.

/// Which protocol passes through a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// PostgreSQL 3: a type, a length that counts itself, a body.
    Postgres,
    /// AMQP 0-9-1: type, channel, size, payload, 0xCE.
    Amqp,
}

/// Who sent a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The program under test.
    Client,
    /// PostgreSQL or RabbitMQ.
    Server,
}

/// One whole message after the greeting of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// Who sent it.
    pub from: Side,
    pub(super) protocol: Protocol,
    pub(super) bytes: &'a [u8],
}

/// The length of the first message, once enough of it is here to tell.
pub(super) fn length(protocol: Protocol, bytes: &[u8]) -> Option<usize> {
    match protocol {
        Protocol::Postgres => Some(number(bytes.get(1..5)?) + 1),
        Protocol::Amqp => Some(number(bytes.get(3..7)?) + 8),
    }
}

/// A big-endian number.
pub(super) fn number(bytes: &[u8]) -> usize {
    bytes.iter().fold(0, |sum, byte| (sum << 8) | usize::from(*byte))
}

impl<'a> Frame<'a> {
    /// The type of a PostgreSQL message (`b'Q'`), or of an AMQP frame (1 is a method).
    pub fn tag(&self) -> u8 {
        self.bytes.first().copied().unwrap_or_default()
    }

    /// What it carries: of a PostgreSQL message all behind the length, of an AMQP frame its payload.
    pub fn body(&self) -> &'a [u8] {
        match self.protocol {
            Protocol::Postgres => self.bytes.get(5..).unwrap_or_default(),
            Protocol::Amqp => self.bytes.get(7..self.bytes.len().saturating_sub(1)).unwrap_or_default(),
        }
    }

    /// PostgreSQL: the SQL of a client's `Query` or `Parse`.
    pub fn statement(&self) -> Option<&'a str> {
        let text = match (self.protocol, self.from, self.tag()) {
            (Protocol::Postgres, Side::Client, b'Q') => self.body(),
            // The name of the statement comes first.
            (Protocol::Postgres, Side::Client, b'P') => after_nul(self.body())?,
            _ => return None,
        };
        until_nul(text)
    }

    /// PostgreSQL: what the server says it has done, as in `INSERT 0 1` or `COMMIT`.
    pub fn completed(&self) -> Option<&'a str> {
        let completed = (self.protocol, self.from, self.tag()) == (Protocol::Postgres, Side::Server, b'C');
        completed.then(|| until_nul(self.body())).flatten()
    }

    /// AMQP: class and number of a method, as in (60, 40) for `basic.publish`.
    pub fn method(&self) -> Option<(usize, usize)> {
        let method = self.protocol == Protocol::Amqp && self.tag() == 1;
        method.then(|| Some((number(self.body().get(..2)?), number(self.body().get(2..4)?)))).flatten()
    }
}

fn until_nul(bytes: &[u8]) -> Option<&str> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    std::str::from_utf8(&bytes[..end]).ok()
}

fn after_nul(bytes: &[u8]) -> Option<&[u8]> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    bytes.get(end + 1..)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn postgres(from: Side, bytes: &[u8]) -> Frame<'_> {
        Frame { from, protocol: Protocol::Postgres, bytes }
    }

    fn amqp(bytes: &[u8]) -> Frame<'_> {
        Frame { from: Side::Client, protocol: Protocol::Amqp, bytes }
    }

    #[test]
    fn a_length_is_known_once_the_head_is_here() {
        let query = b"Q\0\0\0\x0bCOMMIT\0rest";
        for part in 0..5 {
            assert_eq!(length(Protocol::Postgres, &query[..part]), None);
        }
        assert_eq!(length(Protocol::Postgres, &query[..5]), Some(12));
        assert_eq!(length(Protocol::Postgres, query), Some(12));
        let heartbeat = [8, 0, 0, 0, 0, 0, 0, 0xce, 1];
        for part in 0..7 {
            assert_eq!(length(Protocol::Amqp, &heartbeat[..part]), None);
        }
        assert_eq!(length(Protocol::Amqp, &heartbeat), Some(8));
    }

    #[test]
    fn a_length_may_be_large() {
        let head = [b'D', 0x01, 0x02, 0x03, 0x04];
        assert_eq!(length(Protocol::Postgres, &head), Some(0x0102_0304 + 1));
        let head = [3, 0xff, 0xff, 0x01, 0x02, 0x03, 0x04];
        assert_eq!(length(Protocol::Amqp, &head), Some(0x0102_0304 + 8));
    }

    #[test]
    fn sql_is_found_in_query_and_parse_of_the_client_only() {
        let query = b"Q\0\0\0\x0bCOMMIT\0";
        assert_eq!(postgres(Side::Client, query).statement(), Some("COMMIT"));
        assert_eq!(postgres(Side::Server, query).statement(), None);
        let parse = b"P\0\0\0\x13s1\0SELECT 1\0\0\0";
        assert_eq!(postgres(Side::Client, parse).statement(), Some("SELECT 1"));
        let bind = b"B\0\0\0\x06\0\0";
        assert_eq!(postgres(Side::Client, bind).statement(), None);
    }

    #[test]
    fn what_the_server_completed_is_found() {
        let done = b"C\0\0\0\x0bCOMMIT\0";
        assert_eq!(postgres(Side::Server, done).completed(), Some("COMMIT"));
        // The same letter from the client is `Close`.
        assert_eq!(postgres(Side::Client, done).completed(), None);
    }

    #[test]
    fn methods_are_found_in_method_frames_only() {
        let publish = [1, 0, 1, 0, 0, 0, 4, 0, 60, 0, 40, 0xce];
        assert_eq!(amqp(&publish).method(), Some((60, 40)));
        assert_eq!(amqp(&publish).body(), [0, 60, 0, 40]);
        let header = [2, 0, 1, 0, 0, 0, 4, 0, 60, 0, 0, 0xce];
        assert_eq!(amqp(&header).method(), None);
        let heartbeat = [8, 0, 0, 0, 0, 0, 0, 0xce];
        assert_eq!(amqp(&heartbeat).method(), None);
        assert!(amqp(&heartbeat).body().is_empty());
    }

    #[test]
    fn a_broken_message_answers_nothing_and_does_not_panic() {
        for bytes in [&b""[..], b"Q", b"Q\0\0\0\x05x", b"P\0\0\0\x04", b"\x01\0\0\0\0\0\x02\0\x3c\xce"] {
            for from in [Side::Client, Side::Server] {
                for protocol in [Protocol::Postgres, Protocol::Amqp] {
                    let frame = Frame { from, protocol, bytes };
                    assert_eq!((frame.statement(), frame.completed(), frame.method()), (None, None, None));
                }
            }
        }
    }
}
