//! Requests per second over loopback: no token, a constant header, ours.

use std::{
    convert::Infallible,
    net::SocketAddr,
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bearer_token::{AccessToken, FetchContext, TokenProvider};
use bytes::Bytes;
use http::{Extensions, HeaderValue, Request, Response, header::AUTHORIZATION};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioIo},
};
use lab::{
    contenders,
    drive::Driver,
    report::Report,
    statistics::{Turns, timed},
    warm::token,
};
use reqwest_bearer::BearerMiddleware;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Middleware, Next};
use tokio::{net::TcpListener, runtime};
use tower::{Layer, Service, ServiceExt};
use tower_bearer::BearerLayer;
use tower_http::auth::AddAuthorizationLayer;

/// A number that divides evenly among the tasks.
const REQUESTS: u64 = 320;
const ROUNDS: usize = 61;
const AT_A_TIME: u64 = 32;

fn main() -> ExitCode {
    let origin = format!("http://{}", serve());
    let runtime = runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let mut report = Report::new("end_to_end");

    let hyper = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let constant = AddAuthorizationLayer::bearer(&token()).as_sensitive(true).layer(hyper.clone());
    let ours = BearerLayer::new(runtime.block_on(provider(&origin))).layer(hyper.clone());
    for at_a_time in [1, AT_A_TIME] {
        let turns = Turns::take(3, ROUNDS, |one| match one {
            0 => runtime.block_on(through_tower(&hyper, &origin, at_a_time)),
            1 => runtime.block_on(through_tower(&constant, &origin, at_a_time)),
            _ => runtime.block_on(through_tower(&ours, &origin, at_a_time)),
        });
        table(
            &mut report,
            "hyper",
            at_a_time,
            ["no layer", "tower-http AddAuthorizationLayer", "tower-bearer"],
            &turns,
        );
    }

    let bare = ClientBuilder::new(reqwest::Client::new()).build();
    let constant = ClientBuilder::new(reqwest::Client::new()).with(Constant(value())).build();
    let ours = BearerMiddleware::new(runtime.block_on(provider(&origin)));
    let ours = ClientBuilder::new(reqwest::Client::new()).with(ours).build();
    let (mut micros, mut crowded) = (0.0, 0.0);
    for at_a_time in [1, AT_A_TIME] {
        let turns = Turns::take(3, ROUNDS, |one| {
            let client = [&bare, &constant, &ours][one];
            runtime.block_on(through_reqwest(client, &origin, at_a_time))
        });
        let each = turns.seconds(0) / REQUESTS as f64 * 1e6;
        *(if at_a_time == 1 { &mut micros } else { &mut crowded }) = each;
        table(&mut report, "reqwest", at_a_time, ["no middleware", "constant header", "reqwest-bearer"], &turns);
    }

    let net = middleware_micros(&runtime);
    report.text(format!(
        "What our middleware adds is too little to be seen in one of these rounds at a time, so it is measured without a \
         network (see the warm request): {net:.2} us of the {micros:.0} us that a request takes alone, which is {:.2} %, or \
         {:.1} % of the {crowded:.0} us that it takes among {AT_A_TIME}. The rest of what the middlewares' rows lose is \
         reqwest-middleware's: the constant header loses it too.",
        net / micros * 100.0,
        net / crowded * 100.0
    ));
    report.at_most(
        "reqwest middleware added to a loopback request, one at a time, by its own cost, %",
        1.0,
        net / micros * 100.0,
    );
    report.finish()
}

/// The microseconds that our middleware adds to a request.
fn middleware_micros(runtime: &runtime::Runtime) -> f64 {
    let warm = |name: &str| runtime.block_on(contenders::warm(name));
    let mut both: [Box<dyn Driver>; 2] = [warm("no-op reqwest client"), warm("reqwest-bearer")];
    let _inside = runtime.enter();
    let turns = Turns::take(2, 301, |one| timed(|| both[one].run(1_000)));
    turns.net(1, 0) / 1_000.0 * 1e6
}

fn table(report: &mut Report, client: &str, at_a_time: u64, names: [&str; 3], turns: &Turns) {
    let rows = names.iter().enumerate().map(|(one, name)| {
        vec![
            (*name).to_owned(),
            format!("{:.0}", REQUESTS as f64 / turns.seconds(one)),
            format!("{:.3}", turns.ratio(0, one)),
        ]
    });
    report.table(&[&format!("{client}, {at_a_time} at a time"), "requests/s", "ratio"], rows.collect());
}

async fn through_tower<S, B>(service: &S, origin: &str, at_a_time: u64) -> Duration
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>, Error: std::fmt::Debug, Future: Send>
        + Clone
        + Send
        + 'static,
    B: hyper::body::Body<Data: Send, Error: std::fmt::Debug> + Send,
{
    let started = Instant::now();
    let tasks: Vec<_> = (0..at_a_time)
        .map(|_| {
            let (mut service, uri) = (service.clone(), format!("{origin}/v1/things"));
            tokio::spawn(async move {
                for _ in 0..REQUESTS / at_a_time {
                    let request = Request::get(&uri).body(Full::default()).expect("a valid request");
                    let response = service.ready().await.expect("ready").call(request).await.expect("a response");
                    drop(response.into_body().collect().await.expect("a body"));
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no panic");
    }
    started.elapsed()
}

async fn through_reqwest(client: &ClientWithMiddleware, origin: &str, at_a_time: u64) -> Duration {
    let started = Instant::now();
    let tasks: Vec<_> = (0..at_a_time)
        .map(|_| {
            let (client, url) = (client.clone(), format!("{origin}/v1/things"));
            tokio::spawn(async move {
                for _ in 0..REQUESTS / at_a_time {
                    let response = client.get(&url).send().await.expect("a response");
                    drop(response.bytes().await.expect("a body"));
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no panic");
    }
    started.elapsed()
}

/// A middleware that sets a constant header.
struct Constant(HeaderValue);

#[async_trait]
impl Middleware for Constant {
    async fn handle(
        &self,
        mut request: reqwest::Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        request.headers_mut().insert(AUTHORIZATION, self.0.clone());
        next.run(request, extensions).await
    }
}

fn value() -> HeaderValue {
    let mut value = HeaderValue::try_from(format!("Bearer {}", token())).expect("a valid value");
    value.set_sensitive(true);
    value
}

async fn provider(origin: &str) -> TokenProvider {
    let source = async |_cx: FetchContext| Ok(AccessToken::new(token()).expires_in(Duration::from_secs(3_600)));
    let provider = TokenProvider::builder(source).allow_origin(origin).build().expect("a valid provider");
    provider.token().await.expect("a token");
    provider
}

/// Starts a server on its own thread that responds to every request with a little JSON.
fn serve() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address");
    listener.set_nonblocking(true).expect("a socket of ours");
    thread::spawn(move || {
        let runtime = runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let listener = TcpListener::from_std(listener).expect("a socket of ours");
            let body = Bytes::from_static(b"{\"things\":[]}");
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                let _ = stream.set_nodelay(true);
                let body = body.clone();
                tokio::spawn(async move {
                    let reply = service_fn(move |_request: Request<Incoming>| {
                        let body = body.clone();
                        async move { Ok::<_, Infallible>(Response::new(Full::new(body))) }
                    });
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), reply).await;
                });
            }
        });
    });
    address
}
