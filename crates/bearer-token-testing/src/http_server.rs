//! Connections and requests: the way from the socket to the endpoints and back.

use std::{convert::Infallible, io, sync::Arc, time::Duration};

use bearer_token::platform::{Clock, SystemClock};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use serde_json::json;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc::UnboundedReceiver,
    task::JoinSet,
};

use crate::{
    api,
    body::{ResponseBody, json_response},
    record::{Endpoint, RecordedRequest},
    state::ServerState,
    token,
};

/// The largest body of a request that is read, in bytes: 1 MiB.
const BODY_LIMIT: usize = 1024 * 1024;

/// A command of the handles to the accepting task, which stops when all handles are gone.
pub(crate) enum Command {
    /// Close every connection, then drop the sender.
    CloseConnections(std::sync::mpsc::Sender<Infallible>),
}

/// Accepts connections until the handles are gone. All connections are closed when it ends.
pub(crate) async fn serve(
    listener: TcpListener,
    shared: Arc<ServerState>,
    date_header: bool,
    mut commands: UnboundedReceiver<Command>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            command = commands.recv() => match command {
                None => return,
                Some(Command::CloseConnections(done)) => {
                    connections.shutdown().await;
                    drop(done);
                }
            },
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    shared.counts.update(|counts| counts.connections += 1);
                    connections.spawn(connection(stream, Arc::clone(&shared), date_header));
                }
                // Usually there are no file descriptors left: connections must end before new ones can be accepted.
                Err(_) => {
                    let soon = SystemClock.now().monotonic().saturating_add(Duration::from_millis(10));
                    SystemClock.sleep_until(soon).await;
                }
            },
            // Remove the connections that have ended.
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
}

async fn connection(stream: TcpStream, shared: Arc<ServerState>, date_header: bool) {
    // Small responses must not wait for an acknowledgement. On failure the server is only slower.
    let _ = stream.set_nodelay(true);
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().auto_date_header(date_header);
    builder.http2().auto_date_header(date_header);
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move {
            let mut response = handle(&shared, request).await?;
            if !date_header {
                tell_time(response.headers_mut(), &*shared.clock);
            }
            io::Result::Ok(response)
        }
    });
    // A broken connection is the client's choice, or a fault that the test asked for.
    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
}

/// Adds a `Date` by the server's own clock, unless there is one.
fn tell_time(headers: &mut HeaderMap, clock: &dyn Clock) {
    if let Ok(date) = HeaderValue::try_from(httpdate::fmt_http_date(clock.now().wall())) {
        headers.entry(header::DATE).or_insert(date);
    }
}

/// Handles one request. An error closes the connection, or resets the stream.
async fn handle(shared: &Arc<ServerState>, request: Request<Incoming>) -> io::Result<Response<ResponseBody>> {
    let path = request.uri().path();
    let endpoint = match path.strip_prefix("/api") {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => Endpoint::Api,
        _ if path == "/token" => Endpoint::Token,
        _ => return Ok(error_response(StatusCode::NOT_FOUND, "there is no endpoint at this path")),
    };
    let mut in_progress = InProgress::start(shared, endpoint);
    let (head, body) = request.into_parts();
    let body = match Limited::new(body, BODY_LIMIT).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => {
            in_progress.done = true;
            return Ok(error_response(StatusCode::PAYLOAD_TOO_LARGE, "the body is larger than 1 MiB"));
        }
        Err(error) => return Err(io::Error::other(error)),
    };
    let request = RecordedRequest { endpoint, method: head.method, uri: head.uri, headers: head.headers, body };
    // The fault is chosen before the request is counted: a test that waits for the count and then sets a fault must
    // not affect this request.
    let (arrival, fault) = shared.behaviour(endpoint).meet();
    shared.log().push(request.clone());
    in_progress.arrived();
    arrival.pass().await;
    let serve = || match endpoint {
        Endpoint::Token => token::respond(shared, &request),
        Endpoint::Api => api::respond(shared, &request),
    };
    let response = fault.happen(&*shared.clock, serve).await;
    in_progress.done = true;
    response
}

fn error_response(status: StatusCode, description: &str) -> Response<ResponseBody> {
    json_response(status, &json!({ "error": "invalid_request", "error_description": description }))
}

/// Counts a request while it is handled, even when its client disconnects.
struct InProgress<'a> {
    shared: &'a ServerState,
    endpoint: Endpoint,
    running: bool,
    done: bool,
}

impl<'a> InProgress<'a> {
    fn start(shared: &'a ServerState, endpoint: Endpoint) -> Self {
        InProgress { shared, endpoint, running: false, done: false }
    }

    fn arrived(&mut self) {
        self.running = true;
        self.shared.counts.update(|counts| match self.endpoint {
            Endpoint::Token => {
                counts.token_requests += 1;
                counts.token_requests_running += 1;
                counts.token_requests_peak = counts.token_requests_peak.max(counts.token_requests_running);
            }
            Endpoint::Api => counts.api_requests += 1,
        });
    }
}

impl Drop for InProgress<'_> {
    fn drop(&mut self) {
        self.shared.counts.update(|counts| {
            if self.running && self.endpoint == Endpoint::Token {
                counts.token_requests_running -= 1;
            }
            if !self.done {
                counts.abandoned += 1;
            }
        });
    }
}
