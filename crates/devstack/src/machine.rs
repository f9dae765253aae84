//! What the machine offers: memory, free ports, random text.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;

use anyhow::Context;
use rand::RngExt;
use rand::distr::{Alphanumeric, SampleString};

const MIB: u64 = 1024 * 1024;

/// Memory in MiB that processes started here may use: the machine's, or the container's limit.
pub(crate) fn memory_mib() -> u64 {
    let total = fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("MemTotal:"))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok()
    });
    let limit = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"]
        .iter()
        .find_map(|path| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok());
    let total_mib = total.map_or(2048, |kib| kib / 1024);
    limit.map_or(total_mib, |bytes| total_mib.min(bytes / MIB))
}

/// A port on 127.0.0.1 that nobody uses now, outside the range from which the kernel takes the
/// ports of outgoing connections: a server that binds it seconds later still finds it free.
pub fn free_port() -> anyhow::Result<u16> {
    let candidates = quiet_ports();
    for _ in 0..200 {
        let port = rand::rng().random_range(candidates.clone());
        if is_free(port) {
            return Ok(port);
        }
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
    Ok(listener.local_addr()?.port())
}

/// Whether a server could listen on 127.0.0.1 at this port now.
pub(crate) fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

fn quiet_ports() -> Range<u16> {
    let outgoing_from = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")
        .ok()
        .and_then(|text| text.split_whitespace().next()?.parse::<u16>().ok())
        .unwrap_or(32768);
    if outgoing_from > 12_000 { 10_000..outgoing_from } else { 10_000..60_000 }
}

/// Random letters and digits: safe in an address, a file name and a shell.
pub(crate) fn random_text(length: usize) -> String {
    Alphanumeric.sample_string(&mut rand::rng(), length)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_free_port_can_be_bound() {
        let port = free_port().unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        assert!(!is_free(port));
        drop(listener);
        assert!(is_free(port));
    }

    #[test]
    fn memory_is_read() {
        assert!(memory_mib() > 64);
    }

    #[test]
    fn random_text_is_plain_and_differs() {
        let (one, other) = (random_text(24), random_text(24));
        assert_eq!(one.len(), 24);
        assert!(one.chars().all(|c| c.is_ascii_alphanumeric()));
        assert_ne!(one, other);
    }
}
