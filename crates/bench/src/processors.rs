//! What the processors did during a row, as the kernel counts it: a virtual machine whose host is busy measures its host.

/// Ticks since the start of the machine: the line `cpu` of `/proc/stat`, proc(5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Processors {
    all: u64,
    idle: u64,
    stolen: u64,
}

/// Ticks, of 10 ms, of all processors together.
const FEW: u64 = 100;

/// Shares of all processors, in percent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shares {
    pub busy: f64,
    /// Ready to work, and the host gave the time to others.
    pub stolen: f64,
}

impl Processors {
    /// As of now; none where the kernel does not tell.
    pub fn now() -> Option<Self> {
        Self::parse(&std::fs::read_to_string("/proc/stat").ok()?)
    }

    /// user, nice, system, idle, iowait, irq, softirq, steal; what follows is counted in user and nice already.
    fn parse(text: &str) -> Option<Self> {
        let ticks = text.lines().next()?.strip_prefix("cpu ")?.split_whitespace().take(8);
        let ticks: Vec<u64> = ticks.map(|ticks| ticks.parse().ok()).collect::<Option<_>>()?;
        let [.., idle, iowait, _, _, stolen] = ticks[..] else { return None };
        Some(Self { all: ticks.iter().sum(), idle: idle + iowait, stolen })
    }

    /// None for what took no time: a few ticks say nothing.
    pub fn since(self, before: Self) -> Option<Shares> {
        let [all, idle, stolen] = [self.all - before.all, self.idle - before.idle, self.stolen - before.stolen];
        #[expect(clippy::cast_precision_loss, reason = "shares for people")]
        let share = |ticks: u64| 100.0 * ticks as f64 / all as f64;
        (all >= FEW).then(|| Shares { busy: share(all - idle - stolen), stolen: share(stolen) })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn shares_are_of_all_that_passed() {
        let parse = |text| Processors::parse(text).unwrap();
        let before = parse("cpu  100 0 50 800 20 0 10 20 7 0\ncpu0 1 2 3\n");
        let after = parse("cpu  140 0 60 830 30 0 10 30 9 0\n");
        assert_eq!(after.since(before), Some(Shares { busy: 50.0, stolen: 10.0 }));
        assert_eq!(before.since(before), None);
        assert_eq!(Processors::parse("cpu  1 2 3\n"), None);
        assert_eq!(Processors::parse(""), None);
    }
}
