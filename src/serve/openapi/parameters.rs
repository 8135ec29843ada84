//! Headers and parts of paths.

use utoipa::openapi::Required;
use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

use super::scope::Scope;
use crate::serve::batching::Priority;

/// What every request may carry.
pub(super) fn request_id() -> Parameter {
    let about = "1 to 128 of `[A-Za-z0-9._-]`; anything else is replaced by a UUIDv7. Given back.";
    header("x-request-id", about, ObjectBuilder::new().schema_type(Type::String).build())
}

/// What a request that is computed may carry.
pub(super) fn scheduling() -> [Parameter; 2] {
    let whole = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).build();
    let words = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(Priority::ALL.map(Priority::name))).build();
    [
        header("x-request-timeout-ms", "Milliseconds until the answer is no longer wanted; capped by the server.", whole),
        header("x-request-priority", "How urgent it is.", words),
    ]
}

/// Where JSON is followed by binary tensors.
pub(super) fn json_bytes() -> Parameter {
    let whole = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)).build();
    header("inference-header-content-length", "How many bytes of the body are JSON, where binary tensors follow.", whole)
}

fn header(name: &str, about: &str, schema: Object) -> Parameter {
    let builder = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Header).required(Required::False);
    builder.description(Some(about)).schema(Some(schema)).build()
}

/// The part of a path that is called `name`.
pub(super) fn path(name: &str, scope: &Scope) -> Parameter {
    let (known, about) = match name {
        "id" => (&scope.models, "`name`, or `name@version`."),
        "version" => (&scope.versions, "One of the model's versions."),
        _ => (&scope.names, "A model's name."),
    };
    let words = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(known.iter().map(String::as_str))).build();
    let builder = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Path).required(Required::True);
    builder.description(Some(about)).schema(Some(words)).build()
}

pub(super) fn request_id_header() -> Header {
    described("The request's id: its own, or a new one.", ObjectBuilder::new().schema_type(Type::String).build())
}

pub(super) fn retry_after() -> Header {
    let seconds = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).build();
    described("Seconds after which to try again.", seconds)
}

pub(super) fn server_timing() -> Header {
    let about = "`tok;dur=…, queue;dur=…, infer;dur=…` in milliseconds.";
    described(about, ObjectBuilder::new().schema_type(Type::String).build())
}

pub(super) fn json_bytes_header() -> Header {
    let whole = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)).build();
    described("How many bytes of the body are JSON; the binary outputs follow.", whole)
}

fn described(about: &str, schema: Object) -> Header {
    HeaderBuilder::new().schema(Some(schema)).description(Some(about)).build()
}
