//! A bound that says what to do about a service that is not `Clone`.

/// A service that can be cloned: whatever is [`Clone`].
///
/// A request that waits for a token gives up the service that was made ready for it, and needs another one later. So
/// what is put under a [`BearerLayer`](crate::BearerLayer) has to be `Clone`. Clients are cheap to clone; what is not
/// goes behind a [`tower::buffer::Buffer`](https://docs.rs/tower/latest/tower/buffer/struct.Buffer.html):
///
/// ```
/// # use std::{future::{Ready, ready}, task::{Context, Poll}};
/// # use bearer_token::TokenProvider;
/// # use http::{Request, Response};
/// # use tower_bearer::{BearerLayer, BoxError};
/// use tower::ServiceBuilder;
///
/// struct OneOfAKind;
/// # impl tower::Service<Request<()>> for OneOfAKind {
/// #     type Response = Response<()>;
/// #     type Error = BoxError;
/// #     type Future = Ready<Result<Response<()>, BoxError>>;
/// #     fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> { Poll::Ready(Ok(())) }
/// #     fn call(&mut self, _: Request<()>) -> Self::Future { ready(Ok(Response::new(()))) }
/// # }
///
/// # fn example(provider: TokenProvider) -> impl tower::Service<Request<()>> {
/// ServiceBuilder::new()
///     .layer(BearerLayer::new(provider))
///     .buffer(64)
///     .service(OneOfAKind)
/// # }
/// ```
///
/// Without the buffer this does not compile, and the error says so:
///
/// ```compile_fail,E0277
/// # use bearer_token::TokenProvider;
/// # use tower::ServiceBuilder;
/// # use tower_bearer::BearerLayer;
/// struct OneOfAKind;
///
/// # fn example(provider: TokenProvider) {
/// ServiceBuilder::new().layer(BearerLayer::new(provider)).service(OneOfAKind);
/// # }
/// ```
///
/// It needs neither to be implemented nor to be named: a bound of `Clone` implies it.
#[diagnostic::on_unimplemented(
    message = "a service under a `BearerLayer` must be `Clone`, and `{Self}` is not",
    label = "not `Clone`",
    note = "a request that waits for a token gives its ready service back, and needs a clone of it later",
    note = "put a `tower::buffer::Buffer` between the two: `.layer(BearerLayer::new(provider)).buffer(64).service(..)`"
)]
pub trait CloneService: Clone {}

// Not recommended: the compiler is to name the bound that carries the advice, and not the one behind it.
#[diagnostic::do_not_recommend]
impl<S: Clone> CloneService for S {}
