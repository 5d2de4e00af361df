//! Requests per second over loopback: no token, a constant header, ours.

use std::{
    convert::Infallible,
    future::ready,
    net::SocketAddr,
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bearer_token::{AccessToken, FetchContext, TokenProvider};
use bytes::Bytes;
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Request, Response, header::AUTHORIZATION};
use http_body_util::{BodyExt, Full};
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioIo},
};
use lab::{
    contenders,
    drive::Driver,
    report::{Found, Report},
    statistics::{Runs, Turns, median, rounds, timed},
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
    let origin = format!("http://{}", serve(Protocol::Http1));
    let runtime = runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let mut report = Report::new("end_to_end");

    let hyper = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let constant = AddAuthorizationLayer::bearer(&token()).as_sensitive(true).layer(hyper.clone());
    let ours = BearerLayer::new(runtime.block_on(provider(&origin))).layer(hyper.clone());
    for at_a_time in [1, AT_A_TIME] {
        let turns = Turns::take(3, rounds(ROUNDS), |one| match one {
            0 => runtime.block_on(through_tower(&hyper, &origin, at_a_time)),
            1 => runtime.block_on(through_tower(&constant, &origin, at_a_time)),
            _ => runtime.block_on(through_tower(&ours, &origin, at_a_time)),
        });
        table(
            &mut report,
            "hyper",
            at_a_time,
            &["no layer", "tower-http AddAuthorizationLayer", "tower-bearer"],
            &turns,
        );
    }
    http2(&mut report, &runtime);

    let bare = ClientBuilder::new(reqwest::Client::new()).build();
    let constant = ClientBuilder::new(reqwest::Client::new()).with(Constant(value())).build();
    let ours = BearerMiddleware::new(runtime.block_on(provider(&origin)));
    let ours = ClientBuilder::new(reqwest::Client::new()).with(ours).build();
    let net = middleware_micros(&runtime);
    for (at_a_time, limit) in [(1, 1.0), (AT_A_TIME, 1.5)] {
        let turns = Turns::take(3, rounds(ROUNDS), |one| {
            let client = [&bare, &constant, &ours][one];
            runtime.block_on(through_reqwest(client, &origin, at_a_time))
        });
        table(&mut report, "reqwest", at_a_time, &["no middleware", "constant header", "reqwest-bearer"], &turns);
        let micros = turns.seconds(0) / REQUESTS as f64 * 1e6;
        let share: Vec<_> = net.iter().map(|net| net / micros * 100.0).collect();
        report.text(format!(
            "{at_a_time} at a time: the constant header keeps {:.1} % of the throughput without a middleware, and ours \
             {:.1} %. What ours adds is less than what one round differs from the next, so it is measured without a network \
             too (see the warm request): {:.2} us of the {micros:.0} us of a request, which is {:.2} %.",
            turns.ratio(0, 1) * 100.0,
            turns.ratio(0, 2) * 100.0,
            median(net.iter().copied()),
            median(share.iter().copied()),
        ));
        let what = format!(
            "reqwest middleware added to a loopback request, {at_a_time} at a time, by its cost without a network, %"
        );
        report.at_most(&format!("middleware-loopback-{at_a_time}"), &what, limit, share);
        report.text(format!(
            "Measured over the network, {at_a_time} at a time, a request with ours has {:.3} of the constant header's throughput; \
             half of the {} rounds are between {:.3} and {:.3}.",
            turns.ratio(1, 2),
            turns.rounds(),
            turns.ratio_quantile(1, 2, 0.25),
            turns.ratio_quantile(1, 2, 0.75),
        ));
        let what = format!("reqwest middleware, {at_a_time} at a time, throughput by the constant header's");
        let quartiles = [0.25, 0.5, 0.75].map(|share| turns.ratio_quantile(1, 2, share));
        report.at_least(&format!("middleware-throughput-{at_a_time}"), &what, 0.97, Found::quartiles(quartiles));
    }
    report.finish()
}

/// Responses with trailers, which ours looks at if asked to.
fn http2(report: &mut Report, runtime: &runtime::Runtime) {
    let origin = format!("http://{}", serve(Protocol::Http2));
    let hyper = Client::builder(TokioExecutor::new()).http2_only(true).build_http::<Full<Bytes>>();
    let constant = AddAuthorizationLayer::bearer(&token()).as_sensitive(true).layer(hyper.clone());
    let layer = BearerLayer::new(runtime.block_on(provider(&origin)));
    let ours = layer.clone().layer(hyper.clone());
    let watching = layer.watch_trailers().layer(hyper.clone());
    for at_a_time in [1, AT_A_TIME] {
        let turns = Turns::take(4, rounds(ROUNDS), |one| match one {
            0 => runtime.block_on(through_tower(&hyper, &origin, at_a_time)),
            1 => runtime.block_on(through_tower(&constant, &origin, at_a_time)),
            2 => runtime.block_on(through_tower(&ours, &origin, at_a_time)),
            _ => runtime.block_on(through_tower(&watching, &origin, at_a_time)),
        });
        let names = ["no layer", "tower-http AddAuthorizationLayer", "tower-bearer", "tower-bearer, watch_trailers"];
        table(report, "hyper, HTTP/2 with trailers", at_a_time, &names, &turns);
        // A look at each frame is some ns, and a round trip 20 us or more. The rest is room for what loopback scatters.
        let what = format!("HTTP/2 with watched trailers, {at_a_time} at a time, throughput by the plain layer's");
        report.at_least(&format!("trailers-{at_a_time}"), &what, 0.95, turns.ratio(2, 3));
    }
}

/// The microseconds that our middleware adds to a request, of each run.
fn middleware_micros(runtime: &runtime::Runtime) -> Vec<f64> {
    let warm = |name: &str| runtime.block_on(contenders::warm(name));
    let mut both: [Box<dyn Driver>; 2] = [warm("no-op reqwest client"), warm("reqwest-bearer")];
    let _inside = runtime.enter();
    let runs = Runs::take(5, || Turns::take(2, rounds(61), |one| timed(|| both[one].run(1_000))));
    runs.each(|turns| turns.net(1, 0) / 1_000.0 * 1e6)
}

fn table(report: &mut Report, client: &str, at_a_time: u64, names: &[&str], turns: &Turns) {
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

#[derive(Clone, Copy)]
enum Protocol {
    Http1,
    /// Responses have trailers, as gRPC's do.
    Http2,
}

/// Starts a server on its own thread that responds to every request with a little JSON.
fn serve(protocol: Protocol) -> SocketAddr {
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
                    let stream = TokioIo::new(stream);
                    match protocol {
                        Protocol::Http1 => {
                            let reply = service_fn(|_request: Request<Incoming>| {
                                let body = Full::new(body.clone());
                                async { Ok::<_, Infallible>(Response::new(body)) }
                            });
                            let _ = http1::Builder::new().serve_connection(stream, reply).await;
                        }
                        Protocol::Http2 => {
                            let reply = service_fn(|_request: Request<Incoming>| {
                                let body = Full::new(body.clone()).with_trailers(ready(Some(Ok(trailers()))));
                                async { Ok::<_, Infallible>(Response::new(body)) }
                            });
                            let _ = http2::Builder::new(TokioExecutor::new()).serve_connection(stream, reply).await;
                        }
                    }
                });
            }
        });
    });
    address
}

fn trailers() -> HeaderMap {
    HeaderMap::from_iter([(HeaderName::from_static("grpc-status"), HeaderValue::from_static("0"))])
}
