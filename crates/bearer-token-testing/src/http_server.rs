//! Connections and requests: from the socket to the endpoints and back.

use std::{convert::Infallible, io, sync::Arc, time::Duration};

use bearer_token::platform::{Clock, SystemClock};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc::UnboundedReceiver,
    task::JoinSet,
};

use crate::{
    api,
    body::Answer,
    record::{Endpoint, RecordedRequest},
    state::Shared,
    token,
};

/// The largest body of a request that is read, in bytes: 1 MiB.
const BODY_LIMIT: usize = 1024 * 1024;

/// What the handles ask of the accepting task. It stops when all of them are gone.
pub(crate) enum Command {
    /// Close every connection, then tell.
    CloseConnections(std::sync::mpsc::Sender<Infallible>),
}

/// Accepts connections until the handles are gone. All connections are closed when it ends.
pub(crate) async fn serve(
    listener: TcpListener,
    shared: Arc<Shared>,
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
                // Out of file descriptors, most likely: connections must end before new ones can come.
                Err(_) => {
                    let soon = SystemClock.now().monotonic().saturating_add(Duration::from_millis(10));
                    SystemClock.sleep_until(soon).await;
                }
            },
            // Those that have ended are let go.
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>, date_header: bool) {
    // Small answers must not wait for an acknowledgement. Without it the server is slow, and right.
    let _ = stream.set_nodelay(true);
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().auto_date_header(date_header);
    builder.http2().auto_date_header(date_header);
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move {
            let mut response = respond(&shared, request).await?;
            if !date_header {
                tell_time(response.headers_mut(), &*shared.clock);
            }
            io::Result::Ok(response)
        }
    });
    // A broken connection is the client's affair, or was asked for.
    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
}

/// Adds the `Date` of the server's own clock, unless there is one.
fn tell_time(headers: &mut HeaderMap, clock: &dyn Clock) {
    if let Ok(date) = HeaderValue::try_from(httpdate::fmt_http_date(clock.now().wall())) {
        headers.entry(header::DATE).or_insert(date);
    }
}

/// Answers one request. An error closes the connection, or resets the stream.
async fn respond(shared: &Arc<Shared>, request: Request<Incoming>) -> io::Result<Response<Answer>> {
    let path = request.uri().path();
    let endpoint = match path.strip_prefix("/api") {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => Endpoint::Api,
        _ if path == "/token" => Endpoint::Token,
        _ => return Ok(error_response(StatusCode::NOT_FOUND, "there is nothing at this path")),
    };
    let mut answering = Answering::start(shared, endpoint);
    let (head, body) = request.into_parts();
    let body = match Limited::new(body, BODY_LIMIT).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => {
            answering.done = true;
            return Ok(error_response(StatusCode::PAYLOAD_TOO_LARGE, "the body is larger than 1 MiB"));
        }
        Err(error) => return Err(io::Error::other(error)),
    };
    let request = RecordedRequest { endpoint, method: head.method, uri: head.uri, headers: head.headers, body };
    // Met before it is counted: who waits for the count and then sets a fault does not catch this request with it.
    let (held, fault) = shared.behaviour(endpoint).meet();
    shared.log().push(request.clone());
    answering.arrived();
    held.pass().await;
    let serve = || match endpoint {
        Endpoint::Token => token::answer(shared, &request),
        Endpoint::Api => api::answer(shared, &request),
    };
    let response = fault.happen(&*shared.clock, serve).await;
    answering.done = true;
    response
}

/// An answer with a JSON body.
pub(crate) fn json_response(status: StatusCode, body: &Value) -> Response<Answer> {
    let mut response = Response::new(Answer::Whole(Bytes::from(body.to_string())));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn error_response(status: StatusCode, description: &str) -> Response<Answer> {
    json_response(status, &json!({ "error": "invalid_request", "error_description": description }))
}

/// Counts a request while it is being answered, also when its client goes away.
struct Answering<'a> {
    shared: &'a Shared,
    endpoint: Endpoint,
    running: bool,
    done: bool,
}

impl<'a> Answering<'a> {
    fn start(shared: &'a Shared, endpoint: Endpoint) -> Self {
        Answering { shared, endpoint, running: false, done: false }
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

impl Drop for Answering<'_> {
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
