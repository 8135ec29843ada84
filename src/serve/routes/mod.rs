//! The routes: which paths there are, whose dialect each speaks, and one file a family.

mod about;
mod admin;
mod classify;
mod compat;
mod emotions;
mod intake;

use actix_web::{HttpResponse, web};

use super::error::{ApiError, Dialect};

/// Every route there is. Metrics and logs know requests by these alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    /// The native classification.
    Emotions,
    /// text-embeddings-inference's classification.
    Predict,
    /// Hugging Face's classification (POST), a signpost (GET).
    Root,
    /// The list of models.
    Models,
    /// One model's card.
    Model,
    /// Readiness under its shortest name.
    Health,
    /// Whether the process runs.
    Live,
    /// Whether it should get traffic.
    Ready,
    /// Prometheus.
    Metrics,
    /// Changes to the models, all of them.
    Admin,
    /// Everything else.
    Unmatched,
}

impl Route {
    const ALL: [Self; 9] =
        [Self::Emotions, Self::Predict, Self::Root, Self::Models, Self::Model, Self::Health, Self::Live, Self::Ready, Self::Metrics];

    /// The route that a router's pattern belongs to.
    pub(crate) fn of(pattern: Option<&str>) -> Self {
        if pattern.is_some_and(|pattern| pattern.starts_with(admin::PREFIX)) {
            return Self::Admin;
        }
        let route = pattern.and_then(|pattern| Self::ALL.into_iter().find(|route| route.pattern() == pattern));
        route.unwrap_or(Self::Unmatched)
    }

    /// The path template.
    pub(crate) const fn pattern(self) -> &'static str {
        match self {
            Self::Emotions => "/v1/emotions",
            Self::Predict => "/predict",
            Self::Root => "/",
            Self::Models => "/v1/models",
            Self::Model => "/v1/models/{id}",
            Self::Health => "/health",
            Self::Live => "/health/live",
            Self::Ready => "/health/ready",
            Self::Metrics => "/metrics",
            Self::Admin => admin::PREFIX,
            Self::Unmatched => "unmatched",
        }
    }

    /// Whose error shape it uses.
    pub(crate) const fn dialect(self) -> Dialect {
        match self {
            Self::Predict => Dialect::Tei,
            Self::Root => Dialect::HuggingFace,
            Self::Emotions
            | Self::Models
            | Self::Model
            | Self::Health
            | Self::Live
            | Self::Ready
            | Self::Metrics
            | Self::Admin
            | Self::Unmatched => Dialect::Problem,
        }
    }

    /// Whether its requests bring texts.
    pub(crate) const fn classifies(self) -> bool {
        match self {
            Self::Emotions | Self::Predict | Self::Root => true,
            Self::Models | Self::Model | Self::Health | Self::Live | Self::Ready | Self::Metrics | Self::Admin | Self::Unmatched => false,
        }
    }
}

/// Which of the server's sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Port {
    /// Everybody's; the metrics are there only while there is no other place for them.
    Api {
        /// Whether they are.
        metrics: bool,
    },
    /// The operator's.
    Admin,
}

/// Tells the framework the routes of a port.
pub(crate) fn register(config: &mut web::ServiceConfig, port: Port) {
    match port {
        Port::Api { metrics } => {
            classifying(config);
            about(config, metrics);
        }
        Port::Admin => {
            admin::register(config);
            get(config, Route::Metrics, || web::get().to(about::metrics), || web::head().to(about::metrics));
            get(config, Route::Live, || web::get().to(about::live), || web::head().to(about::live));
        }
    }
    config.default_service(web::to(|| async { Err::<HttpResponse, _>(ApiError::NotFound) }));
}

fn classifying(config: &mut web::ServiceConfig) {
    let resource = |route: Route| web::resource(route.pattern());
    config
        .service(resource(Route::Emotions).route(web::post().to(emotions::emotions)).default_service(only("POST")))
        .service(resource(Route::Predict).route(web::post().to(compat::predict)).default_service(only("POST")))
        .service(
            resource(Route::Root)
                .route(web::post().to(compat::hugging_face))
                .route(web::get().to(about::signpost))
                .route(web::head().to(about::signpost))
                .default_service(only("GET, HEAD, POST")),
        );
}

fn about(config: &mut web::ServiceConfig, metrics: bool) {
    get(config, Route::Models, || web::get().to(about::models), || web::head().to(about::models));
    get(config, Route::Model, || web::get().to(about::model), || web::head().to(about::model));
    get(config, Route::Health, || web::get().to(about::ready), || web::head().to(about::ready));
    get(config, Route::Live, || web::get().to(about::live), || web::head().to(about::live));
    get(config, Route::Ready, || web::get().to(about::ready), || web::head().to(about::ready));
    if metrics {
        get(config, Route::Metrics, || web::get().to(about::metrics), || web::head().to(about::metrics));
    }
}

/// A route that only tells, under GET and HEAD.
fn get(config: &mut web::ServiceConfig, route: Route, handler: fn() -> actix_web::Route, head: fn() -> actix_web::Route) {
    config.service(web::resource(route.pattern()).route(handler()).route(head()).default_service(only("GET, HEAD")));
}

/// Answers any other method with what is allowed.
fn only(allow: &'static str) -> actix_web::Route {
    web::to(move || async move { Err::<HttpResponse, _>(ApiError::MethodNotAllowed(allow)) })
}
