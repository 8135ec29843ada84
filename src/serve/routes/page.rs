//! `GET /` and `GET /page/{file}`: the page for whoever asks for HTML, the signpost for everybody else.

use actix_web::http::StatusCode;
use actix_web::http::header::{
    ACCEPT, Accept, CACHE_CONTROL, CONTENT_SECURITY_POLICY, ETAG, EntityTag, Header, IfNoneMatch, Quality, REFERRER_POLICY, VARY,
};
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};

use super::about;
use crate::serve::app::App;
use crate::serve::error::ApiError;
use crate::serve::page::{self, Asset, POLICY};

/// `GET /`.
pub(super) async fn root(request: HttpRequest, app: Data<App>) -> HttpResponse {
    let mut response = if wants_html(&request) { give(&request, page::index()) } else { about::signpost(app).await };
    response.headers_mut().insert(VARY, ACCEPT.into());
    response
}

/// `GET /page/{file}`.
pub(super) async fn file(request: HttpRequest, name: Path<String>) -> Result<HttpResponse, ApiError> {
    page::find(&name).map(|asset| give(&request, asset)).ok_or(ApiError::NotFound)
}

/// Whether HTML is named, and ranked above JSON. A client that takes anything gets the signpost, as
/// programs do.
fn wants_html(request: &HttpRequest) -> bool {
    let Ok(Accept(accepted)) = Accept::parse(request) else { return false };
    let rank = |type_: &str, subtype: &str| {
        let named = accepted.iter().filter(|accept| accept.item.type_() == type_ && accept.item.subtype() == subtype);
        named.map(|accept| accept.quality).max()
    };
    rank("text", "html").is_some_and(|html| html > rank("application", "json").unwrap_or(Quality::ZERO))
}

/// A file, or word that the one the browser has is still good. It asks each time: the files belong
/// together, and change with the program.
fn give(request: &HttpRequest, asset: &Asset) -> HttpResponse {
    let tag = EntityTag::new_strong(asset.tag.clone());
    let known = match IfNoneMatch::parse(request) {
        Ok(IfNoneMatch::Any) => true,
        Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|known| known.weak_eq(&tag)),
        Err(_) => false,
    };
    let mut response = HttpResponse::build(if known { StatusCode::NOT_MODIFIED } else { StatusCode::OK });
    response.insert_header((ETAG, tag.to_string())).insert_header((CACHE_CONTROL, "no-cache"));
    response.insert_header((CONTENT_SECURITY_POLICY, POLICY)).insert_header((REFERRER_POLICY, "no-referrer"));
    if known { response.finish() } else { response.content_type(asset.kind).body(asset.text) }
}
