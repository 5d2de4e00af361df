//! Thousands of callers: some patient, some not, directly and through the tower layer, to the API and elsewhere.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bearer_token::{
    Authorized, Bearer, Error, ErrorKind, Rejection, Ticket, TokenProvider,
    platform::{BoxFuture, Clock},
};
use http::{HeaderMap, HeaderValue, Request, Response, header::AUTHORIZATION};
use tower::{Service, ServiceExt};
use tower_bearer::{BearerService, BoxError};

use super::{
    oracle::{Model, Oracle},
    server::Server,
    world::{World, lock},
};

const SECOND: Duration = Duration::from_secs(1);

/// The longest wait, if no runtime was shut down or idle meanwhile: a fetch ends after 11 s, and
/// then there is a token, or an error until the cool-down ends.
const LONGEST: Duration = Duration::from_secs(60);

/// A provider, and what is known of it.
pub(crate) struct Handle {
    pub(crate) provider: TokenProvider,
    pub(crate) model: Arc<Model>,
}

/// What the callers of a world share.
#[derive(Clone)]
pub(crate) struct Crowd {
    pub(crate) world: World,
    pub(crate) server: Arc<Server>,
    pub(crate) oracle: Arc<Oracle>,
    pub(crate) handle: Arc<Mutex<Arc<Handle>>>,
    /// The average time between two requests of a caller.
    pub(crate) pause: Duration,
    /// Counts what happens to runtimes: two for each that is shut down, one for each that is left standing and one more
    /// when it is driven again.
    pub(crate) disturbed: Arc<AtomicU64>,
    pub(crate) over: Arc<AtomicBool>,
}

const OURS: [&str; 3] =
    ["https://api.example.com/orders", "https://API.example.com:443/", "https://api.example.com/?page=2"];
/// Where no token may go, or none in the clear.
const FOREIGN: [&str; 5] = [
    "https://files.example.net/orders",
    "https://api.example.com.example.net/",
    "https://api.example.com:8443/",
    "https://api.example.com@files.example.net/",
    "http://api.example.com/orders",
];

impl Crowd {
    /// Requests, one after the other, until all is over.
    pub(crate) async fn live(self) {
        loop {
            self.world.sleep(self.world.about(self.pause)).await;
            if self.over.load(Ordering::Relaxed) {
                return;
            }
            self.call_once().await;
        }
    }

    /// One request of any kind, with a long or a short timeout.
    pub(crate) async fn call_once(&self) {
        let handle = lock(&self.handle).clone();
        let visit = self.visit(&handle);
        if self.world.one_in(8) {
            let limit = self.world.about(2 * SECOND);
            if !self.patience(visit, limit).await {
                self.oracle.see(|seen| seen.cancelled += 1);
            }
        } else {
            visit.await;
        }
    }

    async fn visit(&self, handle: &Handle) {
        match self.world.below(100) {
            0..55 => self.ask(handle).await,
            55..90 => self.ask_through_the_layer(handle).await,
            90..98 => self.ask_elsewhere(handle).await,
            98 => self.bring_along(handle),
            _ if self.world.one_in(5) => drop(self.wait(handle, handle.provider.refresh_now()).await),
            _ => drop(self.wait(handle, handle.provider.token()).await),
        }
    }

    /// Whether it ended in time. Otherwise it is dropped where it is.
    async fn patience(&self, visit: impl Future<Output = ()>, limit: Duration) -> bool {
        let mut visit = pin!(visit);
        let mut end = self.world.sleep_until(self.world.now().monotonic() + limit);
        poll_fn(|cx| match visit.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(true),
            Poll::Pending => end.as_mut().poll(cx).map(|()| false),
        })
        .await
    }

    /// Waits for a token, but not without end.
    async fn wait(&self, handle: &Handle, token: impl Future<Output = Result<Bearer, Error>>) -> Result<Bearer, Error> {
        let (since, before) = (self.world.now().monotonic(), self.disturbed.load(Ordering::Relaxed));
        let result = token.await;
        let waited = self.world.now().monotonic() - since;
        // While it is odd, one stands still.
        if before.is_multiple_of(2) && before == self.disturbed.load(Ordering::Relaxed) && !waited.is_zero() {
            handle.model.woken();
            if waited > LONGEST {
                self.oracle.accuse(format!("a caller waited for {waited:?}"));
            }
        }
        result
    }

    async fn ask(&self, handle: &Handle) {
        let since = self.world.moment().truth;
        let mut request = Request::get(self.world.pick(&OURS)).body(()).unwrap();
        let ready = handle.provider.status().is_ready();
        let (token, ticket) = match handle.provider.authorize(&mut request) {
            Ok(Authorized::Inserted(ticket)) => (token_of(&request).unwrap_or_default(), ticket),
            Ok(Authorized::NotReady) => {
                handle.model.not_ready(&handle.provider);
                match self.wait(handle, handle.provider.token()).await {
                    Ok(bearer) => (bearer.secret().to_owned(), bearer.ticket()),
                    Err(error) => return handle.model.refused(&handle.provider, error.kind()),
                }
            }
            other => return self.oracle.accuse(format!("our own origin got {other:?}")),
        };
        if ready != request.headers().contains_key(AUTHORIZATION) {
            self.oracle.accuse("the status says something else than a request finds");
        }
        handle.model.sent(&handle.provider, &token, since);
        self.replied(handle, &token, ticket).await;
    }

    async fn replied(&self, handle: &Handle, token: &str, ticket: Ticket) {
        // What the API thinks of it when it arrives; some responses take very long.
        let taken = self.server.takes(token);
        let latency = if self.world.one_in(50) { 1_000 * SECOND } else { SECOND / 5 };
        self.world.sleep(self.world.about(latency)).await;
        if !taken {
            handle.model.rejected(&handle.provider, token, ticket.reject(&HeaderMap::new()));
        }
    }

    async fn ask_through_the_layer(&self, handle: &Handle) {
        let mut request = Request::get(self.world.pick(&OURS)).body(()).unwrap();
        request.extensions_mut().insert(Since(self.world.moment().truth));
        match self.layer(handle).oneshot(request).await {
            Ok(response) => {
                let rejection = response.extensions().get::<Rejection>().copied();
                if let (401, Some(outcome), Some(Carried(token))) =
                    (response.status().as_u16(), rejection, response.extensions().get())
                {
                    handle.model.rejected(&handle.provider, token, outcome);
                }
            }
            Err(error) => match error.downcast_ref::<Error>() {
                Some(error) => handle.model.refused(&handle.provider, error.kind()),
                None => self.oracle.accuse(format!("the layer failed with {error}")),
            },
        }
    }

    async fn ask_elsewhere(&self, handle: &Handle) {
        let mut request = Request::get(self.world.pick(&FOREIGN)).body(()).unwrap();
        self.oracle.see(|seen| seen.foreign += 1);
        if self.world.one_in(2) {
            request.extensions_mut().insert(Since(self.world.moment().truth));
            // The response of a foreign origin does not matter to the provider.
            drop(self.layer(handle).oneshot(request).await);
        } else {
            let outcome = handle.provider.authorize(&mut request);
            let passed = match &outcome {
                Ok(authorized) => *authorized == Authorized::Passed,
                Err(error) => error.kind() == ErrorKind::Origin,
            };
            if !passed || request.headers().contains_key(AUTHORIZATION) {
                self.oracle.accuse(format!("{} got {outcome:?}", request.uri()));
            }
        }
    }

    fn bring_along(&self, handle: &Handle) {
        let own = HeaderValue::from_static("Bearer of-the-caller");
        let mut request = Request::get(OURS[0]).header(AUTHORIZATION, own.clone()).body(()).unwrap();
        let authorized = handle.provider.authorize(&mut request);
        if !matches!(authorized, Ok(Authorized::Passed)) || request.headers()[AUTHORIZATION] != own {
            self.oracle.accuse("the caller's own Authorization was touched");
        }
    }

    fn layer(&self, handle: &Handle) -> BearerService<Api> {
        let (model, provider) = (handle.model.clone(), handle.provider.clone());
        let api = Api { world: self.world.clone(), server: self.server.clone(), model, provider, room: None };
        BearerService::new(api, handle.provider.clone())
    }
}

fn token_of<B>(request: &Request<B>) -> Option<String> {
    let value = request.headers().get(AUTHORIZATION)?.to_str().ok()?;
    value.strip_prefix("Bearer ").map(str::to_owned)
}

/// When a request was made, in true time.
#[derive(Clone, Copy)]
struct Since(Duration);

/// The token that a request carried.
#[derive(Clone)]
struct Carried(String);

/// The service under the layer: it is not ready at times, and sees what is really sent.
struct Api {
    world: World,
    server: Arc<Server>,
    model: Arc<Model>,
    provider: TokenProvider,
    room: Option<BoxFuture<()>>,
}

impl Clone for Api {
    fn clone(&self) -> Self {
        let Api { world, server, model, provider, .. } = self;
        let (model, provider) = (model.clone(), provider.clone());
        Api { world: world.clone(), server: server.clone(), model, provider, room: None }
    }
}

impl Service<Request<()>> for Api {
    type Response = Response<()>;
    type Error = BoxError;
    type Future = BoxFuture<Result<Response<()>, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        let full = || match self.world.below(20) {
            0 => self.world.about(20 * SECOND),
            _ => Duration::ZERO,
        };
        let room = self.room.get_or_insert_with(|| self.world.sleep_until(self.world.now().monotonic() + full()));
        room.as_mut().poll(cx).map(|()| Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        self.room = None;
        let ours = OURS.contains(&request.uri().to_string().as_str());
        let token = token_of(&request);
        let since = request.extensions().get::<Since>().map(|since| since.0).unwrap_or_default();
        match &token {
            Some(token) if ours => self.model.sent(&self.provider, token, since),
            None if !ours => {}
            _ => self.model.oracle().accuse(format!("{} arrived with {:?}", request.uri(), token.is_some())),
        }
        let taken = token.as_deref().is_some_and(|token| self.server.takes(token));
        let world = self.world.clone();
        Box::pin(async move {
            world.sleep(world.about(SECOND / 5)).await;
            let mut response = Response::builder().status(if taken { 200 } else { 401 }).body(())?;
            response.extensions_mut().insert(Carried(token.unwrap_or_default()));
            Ok(response)
        })
    }
}
