//! What happens to every call whatever its method, as the other edge does it to every request: an id, a look at its key, a deadline, the error's
//! shape, the counters and at most one line in the log.

use std::convert::Infallible;
use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use opentelemetry::trace::FutureExt;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::codegen::http::{HeaderMap, HeaderValue, Request, Response};
use tonic::service::Routes;
use tonic::{Code, Status};

use super::status;
use crate::serve::access::{Door, Presented, Who};
use crate::serve::app::App;
use crate::serve::edge::{Call, Departure, Outcome};
use crate::serve::error::{ApiError, Violation};
use crate::serve::routes::Route;
use crate::serve::routes::intake::Deadline;

const REQUEST_ID: &str = "x-request-id";
/// How long the client waits; its own library gives up then, too.
const TIMEOUT: &str = "grpc-timeout";
/// More digits than this are no timeout.
const TIMEOUT_DIGITS: usize = 8;

/// The outermost service.
#[derive(Clone)]
pub(super) struct Edge {
    pub(super) app: App,
    pub(super) routes: Routes,
}

impl Service<Request<Body>> for Edge {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Service::<Request<Body>>::poll_ready(&mut self.routes, context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        // The one that was asked whether it is ready answers.
        let fresh = self.routes.clone();
        let routes = std::mem::replace(&mut self.routes, fresh);
        Box::pin(pass(self.app.clone(), routes, request))
    }
}

async fn pass(app: App, mut routes: Routes, mut request: Request<Body>) -> Result<Response<Body>, Infallible> {
    let mut call = Call::begin(request.headers().get(REQUEST_ID).map(HeaderValue::as_bytes));
    let route = Route::of(Some(request.uri().path()));
    let span = app.telemetry.traces().and_then(|traces| traces.call(request.headers(), route, &call.id));
    let mut departure = Departure::of(&app, route, call.clone(), span.clone());
    let id = call.id.clone();
    let entered = enter(request.headers(), &app, route);
    if let Ok(who) = entered {
        call.who = who;
        departure.by(who);
    }
    let answer = async {
        entered?;
        let deadline = Deadline::after(asked(request.headers())?, &call, &app.settings.times);
        request.extensions_mut().insert(call);
        request.extensions_mut().insert(deadline);
        deadline.bound(async { Ok(routes.call(request).await.unwrap_or_else(|never| match never {})) }).await
    };
    let answer = match &span {
        Some(span) => answer.with_context(span.context()).await,
        None => answer.await,
    };
    let answer = answer.and_then(|response| foreign(&response, &app).map_or(Ok(response), Err));
    let mut response = answer.unwrap_or_else(|error| status::of(&error, &id).into_http());
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    departure.answer(Outcome::Grpc(code(&response)), told(&response));
    Ok(response)
}

/// Lets a call in by its key, as the other edge does, or refuses it before its method sees it.
fn enter(headers: &HeaderMap, app: &App, route: Route) -> Result<Who, ApiError> {
    let header = |name: &str| headers.get(name).map(HeaderValue::as_bytes);
    let door = if route.is_open() { Door::Open } else { Door::Api };
    app.access.check(Presented::new(header("authorization"), header("x-api-key")), door).map(|admitted| admitted.who)
}

/// How the call ended, as its head says. A stream whose head says nothing has begun well.
fn code(response: &Response<Body>) -> Code {
    response.headers().get(Status::GRPC_STATUS).map_or(Code::Ok, |code| Code::from_bytes(code.as_bytes()))
}

/// The error of ours behind a response.
fn told(response: &Response<Body>) -> Option<&ApiError> {
    response.extensions().get::<Status>()?.source()?.downcast_ref()
}

/// The framework's own refusals in our words: of a message that is too long, and of bytes that are none.
fn foreign(response: &Response<Body>, app: &App) -> Option<ApiError> {
    match (code(response), told(response)) {
        (Code::OutOfRange, None) => Some(ApiError::BodyTooLarge(app.settings.limits.body_bytes)),
        (Code::Internal, None) => Some(ApiError::Malformed("the message could not be read".to_owned())),
        _ => None,
    }
}

/// The client's timeout: up to eight digits and a unit.
fn asked(headers: &HeaderMap) -> Result<Option<Duration>, ApiError> {
    let Some(value) = headers.get(TIMEOUT) else { return Ok(None) };
    let wrong =
        || ApiError::Invalid(vec![Violation::header(TIMEOUT, format!("{TIMEOUT}: expected up to 8 digits and one of H M S m u n"))]);
    value.to_str().ok().and_then(duration).map(Some).ok_or_else(wrong)
}

fn duration(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let good = (1..=TIMEOUT_DIGITS).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    let count: u64 = digits.parse().ok().filter(|_| good)?;
    match unit {
        "H" => Some(Duration::from_secs(3600 * count)),
        "M" => Some(Duration::from_secs(60 * count)),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_digits_and_a_unit() {
        for (text, expected) in [
            ("1S", Some(Duration::from_secs(1))),
            ("99999999n", Some(Duration::from_nanos(99_999_999))),
            ("2H", Some(Duration::from_secs(7200))),
            ("3M", Some(Duration::from_secs(180))),
            ("250m", Some(Duration::from_millis(250))),
            ("7u", Some(Duration::from_micros(7))),
            ("", None),
            ("S", None),
            ("1", None),
            ("1s", None),
            ("-1S", None),
            ("+1S", None),
            ("1.5S", None),
            ("999999999S", None),
            ("1é", None),
        ] {
            assert_eq!(duration(text), expected, "{text:?}");
        }
    }
}
