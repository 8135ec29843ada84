//! The parent that a request's headers name: W3C Trace Context (<https://www.w3.org/TR/trace-context/>), section 3.
//!
//! A header that breaks a rule is ignored as a whole, and the request begins a trace of its own. The SDK's propagator
//! takes short ids and a trailing dash; this does not.

use std::str::FromStr;

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

/// Length of a version 00 header: `00-` 32 digits `-` 16 digits `-` 2 digits.
const LENGTH: usize = 55;
/// Longer states are left out: none has to be passed on that is longer.
const MAX_STATE: usize = 512;

/// The span that the request was sent by, if it says so in good form, once. `all` gives every header of a name, those that are
/// no text as nothing.
pub(super) fn of<'a>(all: impl Fn(&'static str) -> Vec<Option<&'a str>>) -> Option<SpanContext> {
    let [Some(parent)] = all("traceparent")[..] else { return None };
    let (trace, span, sampled) = parse(parent)?;
    let flags = if sampled { TraceFlags::SAMPLED } else { TraceFlags::default() };
    Some(SpanContext::new(trace, span, flags, true, state(all("tracestate"))))
}

fn parse(header: &str) -> Option<(TraceId, SpanId, bool)> {
    let bytes = header.as_bytes();
    let (version, rest) = (header.get(..2)?, bytes.get(LENGTH..)?);
    // A later version may say more, after another dash.
    let ends = rest.is_empty() || version != "00" && rest[0] == b'-';
    let dashes = [2, 35, 52].iter().all(|&at| bytes[at] == b'-');
    let [trace, span, flags] = [3..35, 36..52, 53..55].map(|range| header.get(range).filter(|digits| is_hex(digits)));
    if !is_hex(version) || version == "ff" || !ends || !dashes {
        return None;
    }
    let (trace, span) = (TraceId::from_hex(trace?).ok()?, SpanId::from_hex(span?).ok()?);
    let flags = u8::from_str_radix(flags?, 16).ok()?;
    (trace != TraceId::INVALID && span != SpanId::INVALID).then_some((trace, span, flags & 1 == 1))
}

fn is_hex(digits: &str) -> bool {
    digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// What the sender's own tracing says beside, passed on as it is; nothing where it is malformed.
fn state(parts: Vec<Option<&str>>) -> TraceState {
    let whole = parts.into_iter().flatten().collect::<Vec<_>>().join(",");
    if whole.len() > MAX_STATE { TraceState::NONE } else { TraceState::from_str(&whole).unwrap_or(TraceState::NONE) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_breaks_a_rule_is_no_parent() {
        const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
        const SPAN: &str = "00f067aa0ba902b7";
        let written = |version: &str, trace: &str, span: &str, rest: &str| format!("{version}-{trace}-{span}-{rest}");
        let good = [
            (written("00", TRACE, SPAN, "01"), true),
            (written("00", TRACE, SPAN, "00"), false),
            (written("00", TRACE, SPAN, "ff"), true),
            (written("00", TRACE, SPAN, "02"), false),
            (written("01", TRACE, SPAN, "01"), true),
            (written("fe", TRACE, SPAN, "01-what-comes-later"), true),
        ];
        for (header, sampled) in &good {
            assert_eq!(parse(header).map(|(.., sampled)| sampled), Some(*sampled), "{header}");
        }
        let (upper, zero) = (TRACE.to_uppercase(), "0".repeat(32));
        let bad = [
            written("ff", TRACE, SPAN, "01"),
            written("0g", TRACE, SPAN, "01"),
            written("0A", TRACE, SPAN, "01"),
            written("0", TRACE, SPAN, "01"),
            written("00", &upper, SPAN, "01"),
            written("00", &zero, SPAN, "01"),
            written("00", TRACE, &zero[..16], "01"),
            written("00", &TRACE[1..], SPAN, "01"),
            written("00", &format!("{TRACE}0"), SPAN, "01"),
            written("00", TRACE, &SPAN[1..], "01"),
            written("00", TRACE, SPAN, "1"),
            written("00", TRACE, SPAN, "0G"),
            written("00", TRACE, SPAN, "01-"),
            written("00", TRACE, SPAN, "01-more"),
            written("01", TRACE, SPAN, "01more"),
            written("00", TRACE, SPAN, "+1"),
            format!("00_{TRACE}-{SPAN}-01"),
            format!("00-{TRACE}-{SPAN}"),
            format!("00-{}é-{SPAN}-01", &TRACE[2..]),
            String::new(),
        ];
        for header in &bad {
            assert_eq!(parse(header), None, "{header}");
        }
        assert_eq!((good.len(), bad.len()), (6, 20));
    }
}
