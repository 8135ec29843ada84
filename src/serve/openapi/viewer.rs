//! The files of the page that shows a document: Swagger UI, compiled in.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use utoipa_swagger_ui::Config;

/// What the page needs, and no more: its own scripts, the styles that its script writes, its pictures
/// (which stand in its styles), and requests to this server.
pub(crate) const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Without the validator: it is somebody else's server.
static CONFIG: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| Arc::new(Config::new(["../openapi.json"]).validator_url("none")));

/// A file by its name, with what it calls itself; the page itself without a name.
pub(crate) fn file(name: &str) -> Option<(Cow<'static, [u8]>, String)> {
    let file = utoipa_swagger_ui::serve(name, Arc::clone(&CONFIG)).ok().flatten()?;
    Some((file.bytes, file.content_type))
}
