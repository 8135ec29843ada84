//! Which web pages may read answers: none, unless their origin is listed.
//!
//! A few lines of our own, because a refusal is written at the edge, after every handler, and a page
//! has to be able to read those too. Cookies mean nothing here, so credentials are never allowed.
//! Neither list, of methods or of headers, follows what a request asks for.

use std::fmt;
use std::str::FromStr;

use actix_web::HttpResponse;
use actix_web::dev::RequestHead;
use actix_web::http::Method;
use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS,
    ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderName, HeaderValue, ORIGIN, VARY,
};
use thiserror::Error;

/// Says whether a request comes from a page, and from which (W3C Fetch Metadata).
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const METHODS: &str = "GET, HEAD, POST";
/// What a page may send.
const SENT: &str = "authorization, content-type, inference-header-content-length, traceparent, tracestate, x-api-key, x-request-id, \
                    x-request-priority, x-request-timeout-ms";
/// What a page may read.
const READ: &str = "inference-header-content-length, ratelimit, ratelimit-policy, retry-after, server-timing, x-request-id";
/// Seconds that a browser may go on without asking again; no browser takes more than two hours.
const MAX_AGE: u32 = 7200;

/// A page's origin (RFC 6454), or all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(String);

/// Why a word is no origin.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("expected an origin as a browser sends it, as in https://example.org or http://localhost:3000, or * for all")]
pub struct OriginError;

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        // A browser sends lower case, punycode, and no path: nothing else could ever match.
        let plain = |host: &str| {
            !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_:[]".contains(&byte))
        };
        if text == "*" || host.is_some_and(plain) { Ok(Self(text.to_owned())) } else { Err(OriginError) }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The origins that may.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Cors(Vec<Origin>);

impl Cors {
    pub(crate) fn new(origins: Vec<Origin>) -> Self {
        Self(origins)
    }

    /// The answer to a browser that asks what a page of a listed origin may send; nothing where this is
    /// no such question.
    pub(crate) fn preflight(&self, request: &RequestHead) -> Option<HttpResponse> {
        let asks = request.method == Method::OPTIONS && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        if !asks || self.allowed(request.headers()).is_none() {
            return None;
        }
        let mut answer = HttpResponse::NoContent();
        answer.insert_header((ACCESS_CONTROL_ALLOW_METHODS, METHODS)).insert_header((ACCESS_CONTROL_ALLOW_HEADERS, SENT));
        Some(answer.insert_header((ACCESS_CONTROL_MAX_AGE, MAX_AGE)).finish())
    }

    /// Lets the page that asked read the answer, if its origin is listed.
    pub(crate) fn dress(&self, request: &HeaderMap, answer: &mut HeaderMap) {
        if self.0.is_empty() {
            return;
        }
        answer.append(VARY, HeaderValue::from_static("origin"));
        if let Some(origin) = self.allowed(request) {
            answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            answer.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(READ));
        }
    }

    fn allowed(&self, request: &HeaderMap) -> Option<HeaderValue> {
        let origin = request.get(ORIGIN)?;
        self.0.iter().find_map(|Origin(listed)| match listed.as_str() {
            "*" => Some(HeaderValue::from_static("*")),
            listed => (listed.as_bytes() == origin.as_bytes()).then(|| origin.clone()),
        })
    }
}

/// Whether a page in a browser sent this, of whatever origin. Some requests a browser sends for any page without asking
/// first, and they reach ports that the page's author could not.
pub(crate) fn from_a_page(headers: &HeaderMap) -> bool {
    headers.contains_key(ORIGIN) || headers.get(FETCH_SITE).is_some_and(|site| site.as_bytes() != b"none")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_written_as_browsers_send_it() {
        for good in ["*", "https://example.org", "http://localhost:3000", "http://127.0.0.1:8000", "http://[::1]:80"] {
            assert_eq!(good.parse::<Origin>().map(|origin| origin.to_string()).as_deref(), Ok(good));
        }
        for bad in ["", "null", "example.org", "https://", "https://example.org/", "https://Example.org", "ftp://a", "https://*.a.org"] {
            assert_eq!(bad.parse::<Origin>(), Err(OriginError), "{bad}");
        }
    }
}
