//! What the process itself takes of the machine, by the names that Prometheus knows.

use std::fs;

use opentelemetry::metrics::Meter;

/// Ticks of `/proc/self/stat` in a second: what Linux tells user space, whatever its own clock is.
const TICKS_PER_SECOND: f64 = 100.0;

/// Observes the process whenever metrics are read.
pub(crate) fn observe(meter: &Meter) {
    meter
        .u64_observable_gauge("process.resident_memory")
        .with_unit("By")
        .with_description("Memory that the process holds")
        .with_callback(|observer| {
            if let Some(bytes) = resident_bytes() {
                observer.observe(bytes, &[]);
            }
        })
        .build();
    meter
        .f64_observable_counter("process.cpu")
        .with_unit("s")
        .with_description("Processor time that the process has used")
        .with_callback(|observer| {
            if let Some(seconds) = cpu_seconds() {
                observer.observe(seconds, &[]);
            }
        })
        .build();
    meter
        .u64_observable_gauge("process.open_fds")
        .with_description("Files and connections that are open")
        .with_callback(|observer| {
            if let Some(open) = fs::read_dir("/proc/self/fd").ok().and_then(|entries| entries.count().try_into().ok()) {
                observer.observe(open, &[]);
            }
        })
        .build();
}

fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

fn cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name of the program, in brackets, may have spaces: what follows it has none. utime and stime are fields 14 and 15.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let ticks = fields.next()?.parse::<f64>().ok()? + fields.next()?.parse::<f64>().ok()?;
    Some(ticks / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn the_process_sees_itself() {
        assert!(resident_bytes().unwrap() > 100_000);
        assert!(cpu_seconds().unwrap() >= 0.0);
    }
}
