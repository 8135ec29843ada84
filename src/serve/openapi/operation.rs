//! One operation put together: what it takes, what it answers, how it refuses.

use serde_json::Value;
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::path::{HttpMethod, OperationBuilder, Parameter, PathItem};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Schema, Type};
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{Content, ContentBuilder, Ref, RefOr, Required, Response, ResponseBuilder};

use super::parameters;
use super::refusals::Refusals;
use crate::serve::config::Limits;
use crate::serve::error::Dialect;

/// One operation.
pub(super) struct Operation {
    pub(super) method: HttpMethod,
    pub(super) path: String,
    pub(super) id: &'static str,
    pub(super) tag: &'static str,
    pub(super) summary: &'static str,
    pub(super) description: &'static str,
    pub(super) parameters: Vec<Parameter>,
    pub(super) takes: Vec<Taken>,
    /// Whether no body at all is a mistake.
    pub(super) needs_body: bool,
    pub(super) answers: Vec<Answer>,
    pub(super) refusals: Refusals,
    pub(super) dialect: Dialect,
    pub(super) limits: Limits,
    /// Whether a server with keys asks for one.
    pub(super) keyed: bool,
}

/// A body that it takes.
pub(super) struct Taken {
    pub(super) content_type: &'static str,
    /// The component's name; bytes without one.
    pub(super) schema: Option<&'static str>,
    pub(super) examples: Vec<(&'static str, Value)>,
}

/// What it answers when nothing is wrong with the request.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) description: &'static str,
    pub(super) bodies: Vec<(&'static str, Shape)>,
    /// Whether it says where the time went.
    pub(super) timed: bool,
}

/// The form of an answer's body.
#[derive(Clone, Copy)]
pub(super) enum Shape {
    /// One of the components.
    Of(&'static str),
    /// A list of one of them.
    List(&'static str),
    /// A list of lists of one of them.
    Lists(&'static str),
    /// A list of one of them, or a list of such lists.
    ListOrLists(&'static str),
    /// Any object.
    Object,
    /// Plain text.
    Text,
    /// JSON, and binary tensors behind it.
    Bytes,
}

impl Shape {
    fn schema(self) -> RefOr<Schema> {
        let list = |name| ArrayBuilder::new().items(Ref::from_schema_name(name));
        match self {
            Self::Of(name) => Ref::from_schema_name(name).into(),
            Self::List(name) => list(name).into(),
            Self::Lists(name) => ArrayBuilder::new().items(list(name)).into(),
            Self::ListOrLists(name) => {
                let lists = ArrayBuilder::new().items(list(name));
                utoipa::openapi::schema::AnyOfBuilder::new().item(list(name)).item(lists).into()
            }
            Self::Object => ObjectBuilder::new().schema_type(Type::Object).into(),
            Self::Text | Self::Bytes => ObjectBuilder::new().schema_type(Type::String).into(),
        }
    }
}

impl Operation {
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn item(&self) -> PathItem {
        PathItem::new(self.method.clone(), self.operation())
    }

    fn operation(&self) -> OperationBuilder {
        let mut builder = OperationBuilder::new()
            .operation_id(Some(self.id))
            .tag(self.tag)
            .summary(Some(self.summary))
            .description((!self.description.is_empty()).then_some(self.description))
            .parameters(Some(self.parameters.iter().cloned().chain([parameters::request_id()])))
            .request_body(self.body());
        for answer in &self.answers {
            builder = builder.response(answer.status.to_string(), answer.response());
        }
        for (status, response) in self.refusals.responses(self.dialect, self.limits, self.keyed) {
            builder = builder.response(status, response);
        }
        match self.keyed {
            true => builder.securities(Some(keys())),
            false => builder,
        }
    }

    fn body(&self) -> Option<RequestBody> {
        let body = RequestBodyBuilder::new().required(Some(if self.needs_body { Required::True } else { Required::False }));
        let with = |body: RequestBodyBuilder, taken: &Taken| body.content(taken.content_type, taken.content());
        (!self.takes.is_empty()).then(|| self.takes.iter().fold(body, with).build())
    }
}

/// None, on a server without keys, or either way to send one.
fn keys() -> [SecurityRequirement; 3] {
    let none: [&str; 0] = [];
    [SecurityRequirement::default(), SecurityRequirement::new("bearer", none), SecurityRequirement::new("key", none)]
}

impl Taken {
    fn content(&self) -> Content {
        let schema = match self.schema {
            Some(name) => RefOr::from(Ref::from_schema_name(name)),
            None => ObjectBuilder::new().schema_type(Type::String).content_media_type("application/octet-stream").into(),
        };
        let examples = self.examples.iter().map(|(name, value)| (*name, ExampleBuilder::new().value(Some(value.clone())).build()));
        ContentBuilder::new().schema(Some(schema)).examples_from_iter(examples).build()
    }
}

impl Answer {
    fn response(&self) -> Response {
        let mut builder = ResponseBuilder::new().description(self.description).header("x-request-id", parameters::request_id_header());
        for (content_type, shape) in &self.bodies {
            builder = builder.content(*content_type, Content::new(Some(shape.schema())));
            if matches!(shape, Shape::Bytes) {
                builder = builder.header("inference-header-content-length", parameters::json_bytes_header());
            }
        }
        if self.timed {
            builder = builder.header("server-timing", parameters::server_timing());
        }
        if self.status == 503 {
            builder = builder.header("retry-after", parameters::retry_after());
        }
        builder.build()
    }
}
