//! What happens to every request whatever its route: an id, a look at its key, the error's shape, the
//! headers, the counters and at most one line in the log. The text of a request is never in any of
//! them, nor is a key.

use std::sync::Arc;
use std::time::Instant;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{HttpMessage, HttpRequest, HttpResponse, ResponseError, web};
use opentelemetry::trace::FutureExt;
use tonic::Code;
use uuid::Uuid;

use super::access::{Access, Admitted, Door, Presented, Standing, Who};
use super::app::App;
use super::error::{ApiError, Dialect};
use super::headers::{About, REQUEST_ID, dress};
use super::held::Held;
use super::routes::{Port, Route, grpc};
use super::shutdown::InFlight;
use super::telemetry::traces::RequestSpan;
use super::telemetry::{Rejection, Telemetry};
use super::wire::problem;
use super::{clock, cors};

/// Longest request id taken over from a client.
const MAX_ID: usize = 128;
const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// What a handler needs to know of its own request.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// The client's id where it sent a good one, else a `UUIDv7`.
    pub(crate) id: String,
    /// When the head had arrived.
    pub(crate) started: Instant,
    /// Whose key it brought.
    pub(crate) who: Who,
}

impl Call {
    /// Of a request whose head has just arrived, by what it calls itself where that is
    /// `[A-Za-z0-9._-]{1,128}`.
    pub(crate) fn begin(named: Option<&[u8]>) -> Self {
        let good =
            |id: &&str| (1..=MAX_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        let named = named.and_then(|id| std::str::from_utf8(id).ok()).filter(good);
        Self { id: named.map_or_else(|| Uuid::now_v7().to_string(), str::to_owned), started: clock::now(), who: Who::default() }
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
    let route = Route::of(request.match_pattern().as_deref()).asked_by(request.method());
    let call = Call::begin(request.headers().get(REQUEST_ID).map(HeaderValue::as_bytes));
    let span = app.telemetry.traces().and_then(|traces| traces.request(request.request(), route, &call.id));
    let mut departure = Departure::of(&app, route, call, span.clone());
    let held = Held::of(&mut request);
    let entered = match app.cors.preflight(request.head()) {
        Some(answer) => Err(answer),
        None => enter(&request, &app, route).map_err(HttpResponse::from_error),
    };
    let (request, response, admitted) = match entered {
        // Not by `into_response`, which would forget the error.
        Err(answer) => (request.into_parts().0, answer, None),
        Ok(Admitted { who, standing }) => {
            departure.by(who);
            request.extensions_mut().insert(departure.call.clone());
            let (request, response) = within(span, next.call(request)).await?.map_into_boxed_body().into_parts();
            (request, response, standing)
        }
    };
    let error = response.error().map(|error| error.as_error::<ApiError>().cloned().unwrap_or_else(|| foreign(response.status())));
    let standing = standing(&response, error.as_ref()).or(admitted);
    let dialect = if route == Route::Unmatched { Dialect::of_path(request.path()) } else { route.dialect() };
    let mut response = match &error {
        Some(error) => problem::render(error, dialect, &departure.call.id),
        None => response,
    };
    dress(&mut response, &About { id: &departure.call.id, draining: app.lifecycle.is_draining(), standing });
    app.cors.dress(request.headers(), response.headers_mut());
    departure.answer(Outcome::Http(response.status()), error.as_ref());
    let response = match held {
        Some(held) => held.until(response),
        None => response,
    };
    Ok(ServiceResponse::new(request, response))
}

/// Runs what answers a request inside its span.
async fn within<T>(span: Option<RequestSpan>, answer: impl Future<Output = T>) -> T {
    match span {
        Some(span) => answer.with_context(span.context()).await,
        None => answer.await,
    }
}

/// Lets a request in, or refuses it before its route sees it.
fn enter(request: &ServiceRequest, app: &App, route: Route) -> Result<Admitted, ApiError> {
    let door = door(app.port, route, request.method());
    // With keys a page would have to bring one, which no browser lets it do unasked.
    if door == Door::Admin && app.access.is_open() && cors::from_a_page(request.headers()) {
        return Err(ApiError::Forbidden("the admin port takes nothing from a page in a browser"));
    }
    let header = |name: HeaderName| request.headers().get(name).map(|value| value.as_bytes());
    let presented = Presented::new(header(AUTHORIZATION), header(API_KEY));
    app.access.check(presented, door)
}

/// What a request stands before. Whatever nobody thought of asks for a key.
fn door(port: Port, route: Route, method: &Method) -> Door {
    let reads = method == Method::GET || method == Method::HEAD;
    match port {
        _ if route == Route::Metrics => Door::Metrics,
        _ if reads && route.is_open() => Door::Open,
        Port::Admin => Door::Admin,
        Port::Api { .. } => Door::Api,
    }
}

/// Where the request's key stands after it was answered.
fn standing(response: &HttpResponse, error: Option<&ApiError>) -> Option<Standing> {
    match error {
        Some(ApiError::RateLimited(standing)) => Some(*standing),
        _ => response.extensions().get::<Standing>().copied(),
    }
}

/// The framework's own refusals have no text of their own worth telling.
fn foreign(status: StatusCode) -> ApiError {
    if status.is_client_error() { ApiError::Malformed("the request could not be read".to_owned()) } else { ApiError::Internal }
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
    access: Arc<Access>,
    span: Option<RequestSpan>,
    answered: bool,
    /// Released last: the drain waits for it.
    _in_flight: InFlight,
}

impl Departure {
    pub(crate) fn of(app: &App, route: Route, call: Call, span: Option<RequestSpan>) -> Self {
        let (telemetry, access) = (Arc::clone(&app.telemetry), Arc::clone(&app.access));
        telemetry.in_flight(route, 1);
        Self { call, route, telemetry, access, span, answered: false, _in_flight: app.lifecycle.enter() }
    }

    /// Says whose request it is.
    pub(crate) fn by(&mut self, who: Who) {
        self.call.who = who;
    }

    pub(crate) fn answer(&mut self, outcome: Outcome, error: Option<&ApiError>) {
        self.answered = true;
        let status = outcome.word();
        let took = clock::now().saturating_duration_since(self.call.started);
        self.telemetry.response(self.route, status, took);
        if let Some(reason) = error.and_then(rejection) {
            self.telemetry.rejected(reason);
        }
        let key = self.access.name(self.call.who);
        if let Some(key) = key {
            self.telemetry.key_request(key);
        }
        let (id, route, ms) = (self.call.id.as_str(), self.route.pattern(), clock::millis(took));
        let trace = self.span.as_ref().map(RequestSpan::trace_id);
        if error == Some(&ApiError::Internal) {
            tracing::error!(id, trace, route, %status, ms, key, "answered");
        } else {
            tracing::debug!(id, trace, route, %status, ms, key, "answered");
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
        ApiError::Unauthorized(_) => Some(Rejection::Unauthorized),
        ApiError::Forbidden(_) => Some(Rejection::Forbidden),
        ApiError::RateLimited(_) => Some(Rejection::RateLimited),
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
