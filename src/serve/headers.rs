//! The headers that every answer carries, and the one place that says what a page may load.
//!
//! An answer that brings a `Content-Security-Policy` or a `Cache-Control` of its own keeps it; HTML
//! without one gets the page's [`POLICY`], everything else may load nothing. There is no `Server` banner: what runs
//! here is nobody's business who has not asked.

use actix_web::HttpResponse;
use actix_web::http::ConnectionType;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, CROSS_ORIGIN_RESOURCE_POLICY, HeaderMap, HeaderName, HeaderValue,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};

use super::access::Standing;
use super::page::POLICY;

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// What data may load.
const DATA: &str = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What the headers of one answer say about its request.
pub(super) struct About<'a> {
    pub(super) id: &'a str,
    pub(super) draining: bool,
    /// Where the request's key stands, if it has a rate.
    pub(super) standing: Option<Standing>,
}

/// Puts on the headers that every answer has.
pub(super) fn dress(response: &mut HttpResponse, about: &About<'_>) {
    if about.draining {
        response.head_mut().set_connection_type(ConnectionType::Close);
    }
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(about.id) {
        headers.insert(REQUEST_ID, id);
    }
    let html = headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    if !headers.contains_key(CONTENT_SECURITY_POLICY) {
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(if html { POLICY } else { DATA }));
    }
    if !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    for (name, value) in [
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (CROSS_ORIGIN_RESOURCE_POLICY, "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Some(standing) = about.standing {
        rates(headers, standing);
    }
}

/// The fields of draft-ietf-httpapi-ratelimit-headers-10: `q` what fits at once, `w` the seconds in which
/// that comes back, `r` what is left of it, `t` the seconds until all of it is there again.
fn rates(headers: &mut HeaderMap, Standing { unit, quota, window, remaining, reset }: Standing) {
    let unit = unit.name();
    for (name, value) in
        [(RATE_LIMIT_POLICY, format!("\"{unit}\";q={quota};w={window}")), (RATE_LIMIT, format!("\"{unit}\";r={remaining};t={reset}"))]
    {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
}
