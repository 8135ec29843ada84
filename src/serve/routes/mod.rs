//! The routes: which paths there are, whose dialect each speaks, and one file a family.

mod about;
mod admin;
mod bulk;
mod classify;
mod compat;
mod emotions;
mod explain;
pub(super) mod grpc;
mod intake;
mod judge;
mod lines;
mod oip;
mod openai;
mod page;
mod reference;
mod repository;

use actix_web::http::Method;
use actix_web::{HttpResponse, web};

use super::error::{ApiError, Dialect};

/// Every route there is. Metrics and logs know requests by these alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    /// The native classification.
    Emotions,
    /// The same, a line at a time.
    Bulk,
    /// The label sets that answers can be given in.
    LabelSets,
    /// text-embeddings-inference's classification.
    Predict,
    /// What text-embeddings-inference's clients ask of a server first.
    Info,
    /// Hugging Face's classification.
    Root,
    /// The page or a signpost, at the same place.
    Front,
    /// What the page is made of.
    Page,
    /// Hugging Face's classification by one model.
    Hf,
    /// vLLM's classification.
    Classify,
    /// The same where OpenAI's clients look for it.
    V1Classify,
    /// OpenAI's moderation.
    Moderations,
    /// Open Inference: the server.
    V2,
    /// Open Inference: whether the process runs.
    V2Live,
    /// Open Inference: whether it should get traffic.
    V2Ready,
    /// Open Inference: the model.
    V2Model,
    /// Open Inference: one version of it.
    V2Version,
    /// Open Inference: whether the model is ready.
    V2ModelReady,
    /// Open Inference: whether one version of it is.
    V2VersionReady,
    /// Open Inference: classification.
    V2Infer,
    /// Open Inference: classification by one version.
    V2VersionInfer,
    /// Open Inference: which models there are.
    V2Index,
    /// Open Inference: one more of them.
    V2Load,
    /// Open Inference: one less.
    V2Unload,
    /// Open Inference over gRPC: whether the process runs.
    GrpcLive,
    /// Whether it should get traffic.
    GrpcReady,
    /// Whether the model is ready.
    GrpcModelReady,
    /// The server.
    GrpcServer,
    /// The model.
    GrpcModel,
    /// Classification.
    GrpcInfer,
    /// gRPC's own health check.
    GrpcCheck,
    /// The same, and its changes.
    GrpcWatch,
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
    /// The API described to machines.
    Document,
    /// The same to people.
    Docs,
    /// Its files.
    DocsFile,
    /// Changes to the models, all of them.
    Admin,
    /// Everything else.
    Unmatched,
}

/// What there is to know of a route beside its handler.
struct Row {
    pattern: &'static str,
    dialect: Dialect,
    classifies: bool,
}

impl Route {
    pub(crate) const ALL: [Self; 40] = [
        Self::Emotions,
        Self::Bulk,
        Self::LabelSets,
        Self::Predict,
        Self::Info,
        Self::Root,
        Self::Page,
        Self::Hf,
        Self::Classify,
        Self::V1Classify,
        Self::Moderations,
        Self::V2,
        Self::V2Live,
        Self::V2Ready,
        Self::V2Model,
        Self::V2Version,
        Self::V2ModelReady,
        Self::V2VersionReady,
        Self::V2Infer,
        Self::V2VersionInfer,
        Self::V2Index,
        Self::V2Load,
        Self::V2Unload,
        Self::GrpcLive,
        Self::GrpcReady,
        Self::GrpcModelReady,
        Self::GrpcServer,
        Self::GrpcModel,
        Self::GrpcInfer,
        Self::GrpcCheck,
        Self::GrpcWatch,
        Self::Models,
        Self::Model,
        Self::Health,
        Self::Live,
        Self::Ready,
        Self::Metrics,
        Self::Document,
        Self::Docs,
        Self::DocsFile,
    ];

    /// The route that a router's pattern belongs to.
    pub(crate) fn of(pattern: Option<&str>) -> Self {
        if pattern.is_some_and(|pattern| pattern.starts_with(admin::PREFIX)) {
            return Self::Admin;
        }
        let route = pattern.and_then(|pattern| Self::ALL.into_iter().find(|route| route.pattern() == pattern));
        route.unwrap_or(Self::Unmatched)
    }

    /// The same to one method: whoever only reads `/` brings no text.
    pub(crate) fn asked_by(self, method: &Method) -> Self {
        let reads = method == Method::GET || method == Method::HEAD;
        if self == Self::Root && reads { Self::Front } else { self }
    }

    const fn row(self) -> Row {
        const fn asks(pattern: &'static str, dialect: Dialect) -> Row {
            Row { pattern, dialect, classifies: true }
        }
        const fn tells(pattern: &'static str, dialect: Dialect) -> Row {
            Row { pattern, dialect, classifies: false }
        }
        match self {
            Self::Emotions => asks("/v1/emotions", Dialect::Problem),
            // Its answer ends long after its head has left, so the head's time would say nothing.
            Self::Bulk => tells("/v1/emotions/bulk", Dialect::Problem),
            Self::LabelSets => tells("/v1/label_sets", Dialect::Problem),
            Self::Predict => asks("/predict", Dialect::Tei),
            Self::Info => tells("/info", Dialect::Tei),
            Self::Root => asks("/", Dialect::HuggingFace),
            Self::Front => tells("/", Dialect::HuggingFace),
            Self::Page => tells("/page/{file}", Dialect::Problem),
            Self::Hf => asks("/hf/{model}", Dialect::HuggingFace),
            Self::Classify => asks("/classify", Dialect::OpenAi),
            Self::V1Classify => asks("/v1/classify", Dialect::OpenAi),
            Self::Moderations => asks("/v1/moderations", Dialect::OpenAi),
            Self::V2 => tells("/v2", Dialect::OpenInference),
            Self::V2Live => tells("/v2/health/live", Dialect::OpenInference),
            Self::V2Ready => tells("/v2/health/ready", Dialect::OpenInference),
            Self::V2Model => tells("/v2/models/{model}", Dialect::OpenInference),
            Self::V2Version => tells("/v2/models/{model}/versions/{version}", Dialect::OpenInference),
            Self::V2ModelReady => tells("/v2/models/{model}/ready", Dialect::OpenInference),
            Self::V2VersionReady => tells("/v2/models/{model}/versions/{version}/ready", Dialect::OpenInference),
            Self::V2Infer => asks("/v2/models/{model}/infer", Dialect::OpenInference),
            Self::V2VersionInfer => asks("/v2/models/{model}/versions/{version}/infer", Dialect::OpenInference),
            Self::V2Index => tells("/v2/repository/index", Dialect::OpenInference),
            Self::V2Load => tells("/v2/repository/models/{model}/load", Dialect::OpenInference),
            Self::V2Unload => tells("/v2/repository/models/{model}/unload", Dialect::OpenInference),
            Self::GrpcLive => tells("/inference.GRPCInferenceService/ServerLive", Dialect::OpenInference),
            Self::GrpcReady => tells("/inference.GRPCInferenceService/ServerReady", Dialect::OpenInference),
            Self::GrpcModelReady => tells("/inference.GRPCInferenceService/ModelReady", Dialect::OpenInference),
            Self::GrpcServer => tells("/inference.GRPCInferenceService/ServerMetadata", Dialect::OpenInference),
            Self::GrpcModel => tells("/inference.GRPCInferenceService/ModelMetadata", Dialect::OpenInference),
            Self::GrpcInfer => asks("/inference.GRPCInferenceService/ModelInfer", Dialect::OpenInference),
            Self::GrpcCheck => tells("/grpc.health.v1.Health/Check", Dialect::OpenInference),
            Self::GrpcWatch => tells("/grpc.health.v1.Health/Watch", Dialect::OpenInference),
            Self::Models => tells("/v1/models", Dialect::Problem),
            Self::Model => tells("/v1/models/{id}", Dialect::Problem),
            Self::Health => tells("/health", Dialect::Problem),
            Self::Live => tells("/health/live", Dialect::Problem),
            Self::Ready => tells("/health/ready", Dialect::Problem),
            Self::Metrics => tells("/metrics", Dialect::Problem),
            Self::Document => tells("/openapi.json", Dialect::Problem),
            Self::Docs => tells("/docs", Dialect::Problem),
            Self::DocsFile => tells("/docs/{file:.*}", Dialect::Problem),
            Self::Admin => tells(admin::PREFIX, Dialect::Problem),
            Self::Unmatched => tells("unmatched", Dialect::Problem),
        }
    }

    /// The path template.
    pub(crate) const fn pattern(self) -> &'static str {
        self.row().pattern
    }

    /// Whose error shape it uses.
    pub(crate) const fn dialect(self) -> Dialect {
        self.row().dialect
    }

    /// Whether machines ask it all the time and nobody wants to know of each: probes and scrapes.
    pub(crate) const fn is_polled(self) -> bool {
        matches!(
            self,
            Self::Health
                | Self::Live
                | Self::Ready
                | Self::Metrics
                | Self::V2Live
                | Self::V2Ready
                | Self::GrpcLive
                | Self::GrpcReady
                | Self::GrpcCheck
                | Self::GrpcWatch
        )
    }

    /// Whether anybody may read it without a key. A route that is not listed asks for one.
    pub(crate) const fn is_open(self) -> bool {
        self.is_polled() && !matches!(self, Self::Metrics)
            || matches!(self, Self::Front | Self::Page | Self::Document | Self::Docs | Self::DocsFile)
    }

    /// Whether its requests bring texts.
    pub(crate) const fn classifies(self) -> bool {
        self.row().classifies
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
            register_root(config);
            register_asking(config);
            register_telling(config);
            if metrics {
                register_metrics(config);
                register_reference(config, web::get().to(reference::public::<true>), web::head().to(reference::public::<true>));
            } else {
                register_reference(config, web::get().to(reference::public::<false>), web::head().to(reference::public::<false>));
            }
        }
        Port::Admin => {
            admin::register(config);
            repository::register(config);
            register_reference(config, web::get().to(reference::admin), web::head().to(reference::admin));
            register_metrics(config);
        }
    }
    config.default_service(web::to(|| async { Err::<HttpResponse, _>(ApiError::NotFound) }));
}

fn register_root(config: &mut web::ServiceConfig) {
    let root = web::resource(Route::Root.pattern())
        .route(web::post().to(compat::hugging_face))
        .route(web::get().to(page::root))
        .route(web::head().to(page::root));
    config.service(root.default_service(only("GET, HEAD, POST")));
}

fn register_metrics(config: &mut web::ServiceConfig) {
    let metrics = web::resource(Route::Metrics.pattern()).route(web::get().to(about::metrics)).route(web::head().to(about::metrics));
    config.service(metrics.default_service(only("GET, HEAD")));
}

/// A port's document, and the page that shows it.
fn register_reference(config: &mut web::ServiceConfig, get: actix_web::Route, head: actix_web::Route) {
    let tell = |route: Route, get: actix_web::Route, head: actix_web::Route| {
        web::resource(route.pattern()).route(get).route(head).default_service(only("GET, HEAD"))
    };
    config
        .service(tell(Route::Document, get, head))
        .service(tell(Route::Docs, web::get().to(reference::page), web::head().to(reference::page)))
        .service(tell(Route::DocsFile, web::get().to(reference::file), web::head().to(reference::file)));
}

/// The routes that take a body.
fn register_asking(config: &mut web::ServiceConfig) {
    let mut post = |route: Route, handler: actix_web::Route| {
        config.service(web::resource(route.pattern()).route(handler).default_service(only("POST")));
    };
    post(Route::Emotions, web::post().to(emotions::emotions));
    post(Route::Bulk, web::post().to(bulk::bulk));
    post(Route::Hf, web::post().to(compat::hugging_face_of));
    post(Route::Predict, web::post().to(compat::predict));
    post(Route::Classify, web::post().to(openai::vllm_classify));
    post(Route::V1Classify, web::post().to(openai::vllm_classify));
    post(Route::Moderations, web::post().to(openai::moderations));
    post(Route::V2Infer, web::post().to(oip::infer));
    post(Route::V2VersionInfer, web::post().to(oip::infer));
}

/// The routes that only tell something.
fn register_telling(config: &mut web::ServiceConfig) {
    let mut get = |route: Route, get: actix_web::Route, head: actix_web::Route| {
        config.service(web::resource(route.pattern()).route(get).route(head).default_service(only("GET, HEAD")));
    };
    macro_rules! tell {
        ($($route:ident => $handler:path),* $(,)?) => {
            $(get(Route::$route, web::get().to($handler), web::head().to($handler));)*
        };
    }
    tell! {
        Page => page::file,
        LabelSets => about::label_sets,
        Info => compat::info,
        Models => about::models,
        Model => about::model,
        Health => about::ready,
        Live => about::live,
        Ready => about::ready,
        V2 => oip::server,
        V2Live => oip::live,
        V2Ready => oip::ready,
        V2Model => oip::model,
        V2Version => oip::model,
        V2ModelReady => oip::model_ready,
        V2VersionReady => oip::model_ready,
    }
}

/// Answers any other method with what is allowed.
fn only(allow: &'static str) -> actix_web::Route {
    web::to(move || async move { Err::<HttpResponse, _>(ApiError::MethodNotAllowed(allow)) })
}
