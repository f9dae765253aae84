//! W3C trace context: which trace a piece of work belongs to, as the parent of a span and as the text `traceparent` that is
//! passed on over HTTP, through the outbox and over AMQP.
#![doc = include_str!("../README.md")]

use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use opentelemetry::{Context, trace::Status};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The target of every span that is part of a trace. Their level is `debug`, so that logs do not repeat them; what is
/// exported goes by this target and not by `RUST_LOG`.
pub const TARGET: &str = "trace";

/// Length of `00-<trace id>-<span id>-<flags>`.
const LENGTH: usize = 55;

/// Whether this is a trace context of version 00 that may be passed on.
#[must_use]
pub fn is_valid(text: &str) -> bool {
    remote(text).is_some()
}

/// What came with a request or a message, if it is valid.
#[must_use]
pub fn valid(text: Option<&str>) -> Option<String> {
    text.filter(|text| is_valid(text)).map(str::to_owned)
}

/// Lets a new span continue the trace of `traceparent`; without one, it begins its own or stays where it was made.
#[must_use]
pub fn continued(span: Span, traceparent: Option<&str>) -> Span {
    if let Some(remote) = traceparent.filter(|_| !span.is_disabled()).and_then(remote) {
        // Refused only when the span has begun, and a new one has not.
        let _ = span.set_parent(Context::new().with_remote_span_context(remote));
    }
    span
}

/// What goes out from within the span: its own context when it is recorded, else what came in.
#[must_use]
pub fn passed_on(span: &Span, came: Option<&str>) -> Option<String> {
    if span.is_disabled() {
        return came.map(str::to_owned);
    }
    let context = span.context();
    let own = context.span().span_context().clone();
    if !own.is_valid() || !own.is_sampled() {
        return came.map(str::to_owned);
    }
    Some(format!("00-{}-{}-{:02x}", own.trace_id(), own.span_id(), own.trace_flags()))
}

/// Marks the span as one that went wrong.
pub fn failed(span: &Span, code: &'static str) {
    span.set_status(Status::error(code));
}

fn remote(text: &str) -> Option<SpanContext> {
    let lower = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte) || byte == b'-';
    if text.len() != LENGTH || !text.bytes().all(lower) {
        return None;
    }
    let mut parts = text.split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || version != "00" || trace.len() != 32 || span.len() != 16 {
        return None;
    }
    let (trace, span) = (TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?);
    let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()?);
    let context = SpanContext::new(trace, span, flags, true, TraceState::NONE);
    context.is_valid().then_some(context)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn only_valid_trace_contexts_are_passed_on() {
        assert!(is_valid(GOOD));
        assert!(remote(GOOD).unwrap().is_sampled());
        assert!(!remote(&GOOD.replace("-01", "-00")).unwrap().is_sampled());
        for bad in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            "00-4bf92f3577b34da6a3ce929d0e0e47-3600f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0g",
        ] {
            assert!(!is_valid(bad), "{bad}");
        }
    }

    #[test]
    fn without_an_exporter_what_came_is_passed_on() {
        let span = continued(tracing::debug_span!(target: TARGET, "work"), Some(GOOD));
        assert_eq!(passed_on(&span, Some(GOOD)).as_deref(), Some(GOOD));
        assert_eq!(passed_on(&span, None), None);
        assert_eq!(valid(Some("x")), None);
        assert_eq!(valid(Some(GOOD)).as_deref(), Some(GOOD));
    }
}
