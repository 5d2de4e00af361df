//! Which responses refuse the bearers of one provider.
//!
//! | the response | refuses the bearer |
//! |---|---|
//! | 401 | yes, unless every `Bearer` challenge names another reason |
//! | 400, 403 with `error="invalid_token"` | yes |
//! | gRPC status 16 in headers or trailers | yes, unless challenges name another reason |
//! | a status, a code or a gRPC status that [`Sending`] declares | yes; statuses are subject to challenges, as a 401 is |
//! | what `reject_if` of the user recognises | yes |
//! | everything else, 403 included | no: the token is good, and lacks a right |
//!
//! A challenge that the source can meet with another token, such as `insufficient_scope` with step-up, is not judged
//! here. [`adapter::can_meet`](crate::adapter::can_meet) asks the source of the bearer's own provider.
//!
//! The usual case over HTTP, in which nothing is declared, looks at the status of a response. It looks at nothing
//! else unless that is 400, 401 or 403.

use std::{fmt, sync::Arc};

use http::{HeaderMap, StatusCode};

mod verdict;

pub(crate) use self::verdict::refuses_bearer;
pub use self::verdict::{is_grpc_rejection, is_rejection};
use crate::{resource::sending::Sending, source::challenge::raw_challenges};

/// The head of a response, as [`reject_if`](crate::TokenProviderBuilder::reject_if) sees it: the status, and the
/// headers or the trailers.
#[derive(Clone, Copy)]
pub struct ResponseHead<'a> {
    status: StatusCode,
    headers: &'a HeaderMap,
}

impl<'a> ResponseHead<'a> {
    /// The HTTP status. For trailers: the status of the response that they end.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The headers, or the trailers.
    pub fn headers(&self) -> &'a HeaderMap {
        self.headers
    }
}

/// Without the headers, which may contain anything.
impl fmt::Debug for ResponseHead<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseHead").field("status", &self.status).finish_non_exhaustive()
    }
}

/// A user's function that recognises refusals.
pub(crate) type RefusalTest = Arc<dyn Fn(ResponseHead<'_>) -> bool + Send + Sync>;

/// Which responses refuse the bearers of one provider; made by
/// [`TokenProvider::refusals`](crate::TokenProvider::refusals).
///
/// A clone shares everything. It costs nothing unless something beyond the usual was declared.
///
/// ```
/// use bearer_token::{Sending, StaticToken, TokenProvider};
/// use http::{HeaderMap, StatusCode};
///
/// # fn main() -> Result<(), bearer_token::Error> {
/// let sending = Sending::new().reject_on_status(StatusCode::FORBIDDEN);
/// let provider = TokenProvider::builder(StaticToken::new("hvs.CAESIJ")).sending(sending).build()?;
/// let refusals = provider.refusals();
/// assert!(refusals.include(StatusCode::FORBIDDEN, &HeaderMap::new()));
/// assert!(!refusals.are_usual());
/// # Ok(()) }
/// ```
#[derive(Clone, Default)]
pub struct Refusals {
    declared: Option<Arc<Declared>>,
}

/// What the user declared beyond the usual.
struct Declared {
    test: Option<RefusalTest>,
    scheme: String,
    statuses: Box<[StatusCode]>,
    codes: Box<[String]>,
    grpc: Box<[i32]>,
}

impl Refusals {
    /// The refusals of a provider. `Default` if nothing is declared, which takes no memory.
    pub(crate) fn new(test: Option<RefusalTest>, sending: &Sending) -> Self {
        let Sending { statuses, codes, grpc, .. } = sending;
        if test.is_none() && statuses.is_empty() && codes.is_empty() && grpc.is_empty() {
            return Refusals::default();
        }
        let declared = Declared {
            test,
            scheme: sending.scheme_name().to_owned(),
            statuses: statuses.clone().into(),
            codes: codes.clone().into(),
            grpc: grpc.clone().into(),
        };
        Refusals { declared: Some(Arc::new(declared)) }
    }

    /// Whether nothing is declared beyond [`is_rejection`] and [`is_grpc_rejection`]. Then an adapter needs only those.
    #[inline]
    pub fn are_usual(&self) -> bool {
        self.declared.is_none()
    }

    /// Whether a response with this status and these headers refuses the bearer: [`is_rejection`], and what the user
    /// declared.
    #[inline]
    pub fn include(&self, status: StatusCode, headers: &HeaderMap) -> bool {
        is_rejection(status, headers)
            || self.declared.as_deref().is_some_and(|declared| declared.includes_response(status, headers))
    }

    /// Whether these trailers of a response with this status refuse the bearer: [`is_grpc_rejection`], and what the
    /// user declared.
    #[inline]
    pub fn include_trailers(&self, status: StatusCode, trailers: &HeaderMap) -> bool {
        is_grpc_rejection(trailers)
            || self.declared.as_deref().is_some_and(|declared| declared.includes(status, trailers))
    }
}

impl Declared {
    /// Whether the head of a response refuses the bearer by what was declared.
    fn includes_response(&self, status: StatusCode, headers: &HeaderMap) -> bool {
        (self.statuses.contains(&status) && refuses_bearer(headers)) || self.includes(status, headers)
    }

    /// Whether headers or trailers refuse the bearer by something other than the declared statuses.
    fn includes(&self, status: StatusCode, headers: &HeaderMap) -> bool {
        self.names_code(headers)
            || (self.has_grpc_status(headers) && refuses_bearer(headers))
            || self.test.as_ref().is_some_and(|test| test(ResponseHead { status, headers }))
    }

    /// Whether a challenge for `Bearer`, or for the scheme of this provider, has one of the declared errors.
    fn names_code(&self, headers: &HeaderMap) -> bool {
        let mut found = false;
        if !self.codes.is_empty() {
            raw_challenges(headers, |challenge| {
                let is_ours = [b"bearer", self.scheme.as_bytes()]
                    .iter()
                    .any(|scheme| challenge.scheme.eq_ignore_ascii_case(scheme));
                let error = challenge.parameter("error").filter(|_| is_ours);
                found |= error.is_some_and(|error| self.codes.iter().any(|code| code.as_bytes() == error));
            });
        }
        found
    }

    /// Whether `grpc-status` has one of the declared numbers.
    fn has_grpc_status(&self, headers: &HeaderMap) -> bool {
        if self.grpc.is_empty() {
            return false;
        }
        let status = headers.get("grpc-status").and_then(|status| status.to_str().ok());
        status.and_then(|status| status.parse().ok()).is_some_and(|status| self.grpc.contains(&status))
    }
}

impl fmt::Debug for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refusals").field("are_usual", &self.are_usual()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, header::WWW_AUTHENTICATE};

    use super::*;

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    fn status(status: u16) -> StatusCode {
        StatusCode::from_u16(status).unwrap()
    }

    #[test]
    fn l55_declared_refusals_add_to_the_usual_ones() {
        let test: RefusalTest = Arc::new(|response| {
            response.status().as_u16() == 498 || response.headers().get("grpc-status").is_some_and(|code| code == "7")
        });
        let refusals = Refusals::new(Some(test), &Sending::new());
        let (none, denied) = (HeaderMap::new(), headers(&[("grpc-status", "7")]));
        for (code, headers, declared, usual) in [
            (498, &none, true, false),
            (401, &none, true, true),
            (403, &none, false, false),
            (200, &denied, true, false),
        ] {
            assert_eq!(refusals.include(status(code), headers), declared, "{code}");
            assert_eq!(Refusals::default().include(status(code), headers), usual, "{code}");
        }
        assert!(refusals.include_trailers(StatusCode::OK, &denied));
        assert!(!Refusals::default().include_trailers(StatusCode::OK, &denied));
    }

    #[test]
    fn a_declared_status_means_the_bearer_unless_challenges_say_otherwise() {
        let sending = Sending::new().reject_on_status(StatusCode::FORBIDDEN).reject_on_status(status(498));
        let refusals = Refusals::new(None, &sending);
        for (code, challenge, expected) in [
            (403, "", true),
            (498, "", true),
            (401, "", true),
            (404, "", false),
            (200, "", false),
            (403, r#"Bearer error="insufficient_scope""#, false),
            (403, r#"Bearer error="invalid_token""#, true),
        ] {
            let headers = headers(&[(WWW_AUTHENTICATE.as_str(), challenge)]);
            assert_eq!(refusals.include(status(code), &headers), expected, "{code} {challenge}");
            assert!(!refusals.include_trailers(status(code), &HeaderMap::new()), "the head was judged before");
        }
    }

    #[test]
    fn a_declared_code_refuses_at_any_status() {
        let sending = Sending::new().scheme("Ghost").reject_on_code("invalid_token").reject_on_code("token_expired");
        let refusals = Refusals::new(None, &sending);
        for (code, challenge, expected) in [
            (498, r#"Bearer error="invalid_token""#, true),
            (429, r#"ghost realm="x", error=token_expired"#, true),
            (403, r#"Ghost error="insufficient_scope""#, false),
            (403, r#"Basic error="token_expired""#, false),
            (498, "Bearer", false),
            (498, "", false),
        ] {
            let headers = headers(&[(WWW_AUTHENTICATE.as_str(), challenge)]);
            assert_eq!(refusals.include(status(code), &headers), expected, "{code} {challenge}");
        }
    }

    #[test]
    fn declared_grpc_statuses_refuse_in_headers_and_trailers() {
        let refusals = Refusals::new(None, &Sending::new().reject_on_grpc(7));
        for (fields, expected) in [
            (&[("grpc-status", "7")][..], true),
            (&[("grpc-status", "16")], true),
            (&[("grpc-status", "5")], false),
            (&[("grpc-status", "seven")], false),
            (&[("grpc-status", "7"), ("www-authenticate", r#"Bearer error="insufficient_scope""#)], false),
            (&[], false),
        ] {
            let headers = headers(fields);
            assert_eq!(refusals.include_trailers(StatusCode::OK, &headers), expected, "{fields:?}");
            let is_usual = headers.get("grpc-status").is_some_and(|status| status == "16");
            assert_eq!(refusals.include(StatusCode::OK, &headers), expected && !is_usual, "{fields:?}");
        }
    }
}
