//! Reads what callers send, so that their mistakes are answered in the API's own form.

use axum::Json;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::problem::ApiError;

/// A body of JSON.
pub(super) struct JsonBody<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        match Json::from_request(request, state).await {
            Ok(Json(body)) => Ok(Self(body)),
            Err(rejection) => Err(ApiError::bad_request(rejection.body_text())),
        }
    }
}

/// The number of a message in an address.
pub(super) struct Number(pub(super) u64);

impl<S: Send + Sync> FromRequestParts<S> for Number {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(number)) => Ok(Self(number)),
            Err(_) => Err(ApiError::bad_request("a message is named by its number")),
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::{StatusCode, header};
    use axum::response::IntoResponse;

    use super::*;
    use crate::api::SearchRequest;

    async fn check(content_type: &str, body: &'static str, expected: Result<(), &str>) {
        let request = Request::builder().header(header::CONTENT_TYPE, content_type);
        let request = request.body(Body::from(body)).expect("a request");
        let read = JsonBody::<SearchRequest>::from_request(request, &()).await;
        match (read, expected) {
            (Ok(_), Ok(())) => {}
            (Err(error), Err(expected)) => {
                assert_eq!(error.code, "api.bad-request");
                assert!(error.message.contains(expected), "{}", error.message);
                assert_eq!(error.into_response().status(), StatusCode::BAD_REQUEST);
            }
            (read, _) => panic!("{:?}", read.map(|_| ()).map_err(|error| error.message)),
        }
    }

    #[tokio::test]
    async fn mistakes_are_answered_in_the_form_of_the_api() {
        let json = "application/json";
        check(json, r#"{ "channels": ["adt-in"] }"#, Ok(())).await;
        check(json, r#"{ "channel": ["adt-in"] }"#, Err("expected one of `channels`")).await;
        check(json, "{", Err("EOF")).await;
        check("text/plain", "{}", Err("application/json")).await;
    }
}
