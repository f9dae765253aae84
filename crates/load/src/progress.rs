//! What is shown while something works: a bar on a terminal, plain lines elsewhere; and how long each part took.

use std::io::{IsTerminal, stderr};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// One part of the work, done.
#[derive(Clone, Debug)]
pub struct Phase {
    pub name: String,
    pub took: Duration,
    /// How many events or enrollments were sent in it; none where it only waited.
    pub sent: Option<u64>,
}

impl Phase {
    pub fn per_second(&self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        self.sent.map(|sent| sent as f64 / self.took.as_secs_f64())
    }

    fn line(&self) -> String {
        let took = self.took.as_secs_f64();
        match (self.sent, self.per_second()) {
            (Some(sent), Some(rate)) => {
                format!("{}: {} in {took:.1} s, {rate:.0} a second", self.name, grouped(sent))
            }
            _ => format!("{}: {took:.1} s", self.name),
        }
    }
}

/// A part of the work that is under way.
pub struct Progress {
    name: String,
    begin: Instant,
    total: Option<u64>,
    bar: ProgressBar,
}

impl Progress {
    /// Work of a known size.
    pub fn of(name: &str, total: u64) -> Self {
        let style = "{msg} [{bar:30}] {human_pos}/{human_len} {per_sec} {eta}";
        Self::start(name, Some(total), ProgressBar::new(total), style)
    }

    /// Waiting, with a word on what is waited for.
    pub fn waiting(name: &str) -> Self {
        Self::start(name, None, ProgressBar::new_spinner(), "{spinner} {msg} {elapsed}")
    }

    /// Shows nothing.
    pub fn silent() -> Self {
        Self { name: String::new(), begin: Instant::now(), total: None, bar: ProgressBar::hidden() }
    }

    fn start(name: &str, total: Option<u64>, bar: ProgressBar, style: &str) -> Self {
        if stderr().is_terminal() {
            bar.set_style(ProgressStyle::with_template(style).unwrap_or(ProgressStyle::default_bar()));
            bar.set_message(name.to_owned());
            bar.enable_steady_tick(Duration::from_millis(100));
        } else {
            bar.set_draw_target(indicatif::ProgressDrawTarget::hidden());
            eprintln!("{name} …");
        }
        Self { name: name.to_owned(), begin: Instant::now(), total, bar }
    }

    /// So much more is done.
    pub fn add(&self, count: u64) {
        self.bar.inc(count);
    }

    /// The same for another thread.
    pub fn adder(&self) -> impl Fn(u64) + Send + 'static {
        let bar = self.bar.clone();
        move |count| bar.inc(count)
    }

    /// What is waited for now.
    pub fn say(&self, what: &str) {
        self.bar.set_message(format!("{}: {what}", self.name));
    }

    /// Ends it with one line.
    pub fn done(self) -> Phase {
        self.bar.finish_and_clear();
        let phase = Phase { name: self.name.clone(), took: self.begin.elapsed(), sent: self.total };
        eprintln!("{}", phase.line());
        phase
    }
}

/// `69659` as people write it: `69,659`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 2);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (69_659, "69,659"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn a_phase_says_how_fast_it_was() {
        let phase = Phase { name: "sending".to_owned(), took: Duration::from_secs(2), sent: Some(5_000) };
        assert_eq!(phase.line(), "sending: 5,000 in 2.0 s, 2500 a second");
        let waited = Phase { sent: None, ..phase };
        assert_eq!(waited.line(), "sending: 2.0 s");
    }
}
