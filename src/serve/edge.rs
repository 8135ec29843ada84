//! What happens to every request whatever its route: an id, the error's shape, the headers, the
//! counters and at most one line in the log. The text of a request is never in any of them.

use std::sync::Arc;
use std::time::Instant;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{CACHE_CONTROL, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use actix_web::http::{ConnectionType, StatusCode};
use actix_web::middleware::Next;
use actix_web::{HttpMessage, HttpRequest, HttpResponse, ResponseError, web};
use opentelemetry::trace::FutureExt;
use tonic::Code;
use uuid::Uuid;

use super::app::App;
use super::clock;
use super::error::{ApiError, Dialect};
use super::held::Held;
use super::routes::{Route, grpc};
use super::shutdown::InFlight;
use super::telemetry::traces::RequestSpan;
use super::telemetry::{Rejection, Telemetry};
use super::wire::problem;

/// Longest request id taken over from a client.
const MAX_ID: usize = 128;
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What a handler needs to know of its own request.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// The client's id where it sent a good one, else a `UUIDv7`.
    pub(crate) id: String,
    /// When the head had arrived.
    pub(crate) started: Instant,
}

impl Call {
    /// Of a request whose head has just arrived, by what it calls itself where that is
    /// `[A-Za-z0-9._-]{1,128}`.
    pub(crate) fn begin(named: Option<&[u8]>) -> Self {
        let good =
            |id: &&str| (1..=MAX_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        let named = named.and_then(|id| std::str::from_utf8(id).ok()).filter(good);
        Self { id: named.map_or_else(|| Uuid::now_v7().to_string(), str::to_owned), started: clock::now() }
    }

    /// Of a request that came through [`edge`].
    pub(crate) fn of(request: &HttpRequest) -> Self {
        request.extensions().get::<Self>().cloned().expect("every request passes the edge: this is a bug")
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.row(Dialect::Problem).status
    }
}

/// The outermost middleware.
pub(crate) async fn edge(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let app = request.app_data::<web::Data<App>>().cloned().expect("the app's data is registered: this is a bug");
    let route = Route::of(request.match_pattern().as_deref());
    let call = Call::begin(request.headers().get(REQUEST_ID).map(HeaderValue::as_bytes));
    let span = app.telemetry.traces().and_then(|traces| traces.request(request.request(), route, &call.id));
    let mut departure = Departure::of(&app, route, call.clone(), span.clone());
    request.extensions_mut().insert(call.clone());
    let held = Held::of(&mut request);
    let answered = next.call(request);
    let (request, response) = match &span {
        Some(span) => answered.with_context(span.context()).await?,
        None => answered.await?,
    }
    .into_parts();
    let error = response.error().map(|error| error.as_error::<ApiError>().cloned().unwrap_or_else(|| foreign(response.status())));
    let dialect = if route == Route::Unmatched { Dialect::of_path(request.path()) } else { route.dialect() };
    let mut response = match &error {
        Some(error) => problem::render(error, dialect, &call.id),
        None => response.map_into_boxed_body(),
    };
    dress(&mut response, &call.id, app.lifecycle.is_draining());
    departure.answer(Outcome::Http(response.status()), error.as_ref());
    let response = match held {
        Some(held) => held.until(response),
        None => response,
    };
    Ok(ServiceResponse::new(request, response))
}

/// The framework's own refusals have no text of their own worth telling.
fn foreign(status: StatusCode) -> ApiError {
    if status.is_client_error() { ApiError::Malformed("the request could not be read".to_owned()) } else { ApiError::Internal }
}

fn dress(response: &mut HttpResponse, id: &str, draining: bool) {
    if draining {
        response.head_mut().set_connection_type(ConnectionType::Close);
    }
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
    // Only what may be kept says so itself.
    if !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}

/// How a request ended, in the words of its protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Http(StatusCode),
    Grpc(Code),
}

impl Outcome {
    /// For metrics and logs: a status's digits, or a code's name.
    fn word(&self) -> &str {
        match self {
            Self::Http(status) => status.as_str(),
            Self::Grpc(code) => grpc::word(*code),
        }
    }

    /// Whether a client could not have done better.
    pub(super) fn is_the_servers_fault(self) -> bool {
        match self {
            Self::Http(status) => status.is_server_error(),
            Self::Grpc(code) => matches!(
                code,
                Code::Unknown | Code::DeadlineExceeded | Code::Unimplemented | Code::Internal | Code::Unavailable | Code::DataLoss
            ),
        }
    }
}

/// Counts a request once, whether it is answered or its client leaves first.
pub(crate) struct Departure {
    call: Call,
    route: Route,
    telemetry: Arc<Telemetry>,
    span: Option<RequestSpan>,
    answered: bool,
    /// Released last: the drain waits for it.
    _in_flight: InFlight,
}

impl Departure {
    pub(crate) fn of(app: &App, route: Route, call: Call, span: Option<RequestSpan>) -> Self {
        let telemetry = Arc::clone(&app.telemetry);
        telemetry.in_flight(route, 1);
        Self { call, route, telemetry, span, answered: false, _in_flight: app.lifecycle.enter() }
    }

    pub(crate) fn answer(&mut self, outcome: Outcome, error: Option<&ApiError>) {
        self.answered = true;
        let status = outcome.word();
        let took = clock::now().saturating_duration_since(self.call.started);
        self.telemetry.response(self.route, status, took);
        if let Some(reason) = error.and_then(rejection) {
            self.telemetry.rejected(reason);
        }
        let (id, route, ms) = (self.call.id.as_str(), self.route.pattern(), clock::millis(took));
        let trace = self.span.as_ref().map(RequestSpan::trace_id);
        if error == Some(&ApiError::Internal) {
            tracing::error!(id, trace, route, %status, ms, "answered");
        } else {
            tracing::debug!(id, trace, route, %status, ms, "answered");
        }
        if let Some(span) = &self.span {
            span.answered(outcome, error);
        }
    }
}

impl Drop for Departure {
    fn drop(&mut self) {
        self.telemetry.in_flight(self.route, -1);
        if !self.answered {
            self.telemetry.rejected(Rejection::Abandoned);
            if let Some(span) = &self.span {
                span.abandoned();
            }
            tracing::debug!(id = self.call.id, route = self.route.pattern(), status = 499, "the client left");
        }
    }
}

fn rejection(error: &ApiError) -> Option<Rejection> {
    match error {
        ApiError::Overloaded(_) => Some(Rejection::Overloaded),
        ApiError::Draining(_) => Some(Rejection::Draining),
        ApiError::NotReady(_) => Some(Rejection::NotReady),
        ApiError::Deadline(_) => Some(Rejection::Deadline),
        ApiError::Malformed(_)
        | ApiError::NotFound
        | ApiError::UnknownModel(_)
        | ApiError::Conflict(_)
        | ApiError::BundleRefused(_)
        | ApiError::MethodNotAllowed(_)
        | ApiError::BodyTimeout
        | ApiError::BodyTooLarge(_)
        | ApiError::TooManyTexts(_)
        | ApiError::UnsupportedMediaType(_)
        | ApiError::Invalid(_)
        | ApiError::EmptyText(_)
        | ApiError::TextTooLong(_)
        | ApiError::Internal => None,
    }
}
