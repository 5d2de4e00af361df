//! Against a server that is written by hand, so that it can misbehave.

use std::{
    error::Error as _,
    future::Future,
    sync::atomic::{AtomicUsize, Ordering},
    task::{Context, Poll, Waker},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinSet,
};

use super::*;
use crate::platform::{Clock, SystemClock};

/// What the server does with one request that it has read.
enum Act {
    /// Writes this and goes on with the connection.
    Answer(Vec<u8>),
    /// Writes this and closes the connection.
    Last(Vec<u8>),
    /// Writes this again and again until the client closes the connection.
    Endless(Vec<u8>),
    /// Writes nothing; tells when the client closes the connection.
    Hang(oneshot::Sender<()>),
}

/// A server on loopback that does one act for each request, whichever connection it comes on.
struct Server {
    origin: String,
    connections: Arc<AtomicUsize>,
    requests: Arc<Mutex<Vec<String>>>,
    _tasks: JoinSet<()>,
}

impl Server {
    async fn start(acts: impl IntoIterator<Item = Act>) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let connections = Arc::new(AtomicUsize::new(0));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let acts: Arc<Mutex<std::collections::VecDeque<Act>>> = Arc::new(Mutex::new(acts.into_iter().collect()));
        let mut tasks = JoinSet::new();
        let (count, seen) = (Arc::clone(&connections), Arc::clone(&requests));
        tasks.spawn(async move {
            let mut tasks = JoinSet::new();
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                count.fetch_add(1, Ordering::SeqCst);
                let (acts, seen) = (Arc::clone(&acts), Arc::clone(&seen));
                tasks.spawn(async move {
                    while let Some(request) = read_request(&mut stream).await {
                        seen.lock().unwrap().push(request);
                        let act = acts.lock().unwrap().pop_front().expect("the script has ended");
                        if !act.play(&mut stream).await {
                            break;
                        }
                    }
                });
            }
        });
        Server { origin, connections, requests, _tasks: tasks }
    }

    fn request(&self) -> Request<Bytes> {
        Request::post(format!("{}/token?q=planted-query", self.origin))
            .header("accept", "application/json")
            .body(Bytes::from_static(b"secret=planted-body"))
            .unwrap()
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

impl Act {
    /// Whether the connection goes on.
    async fn play(self, stream: &mut TcpStream) -> bool {
        match self {
            Act::Answer(bytes) => stream.write_all(&bytes).await.is_ok(),
            Act::Last(bytes) => {
                drop(stream.write_all(&bytes).await);
                false
            }
            Act::Endless(bytes) => {
                while stream.write_all(&bytes).await.is_ok() {}
                false
            }
            Act::Hang(closed) => {
                let mut byte = [0];
                assert_eq!(stream.read(&mut byte).await.unwrap_or(0), 0);
                closed.send(()).unwrap_or_default();
                false
            }
        }
    }
}

/// Reads one request with a `Content-Length`; none when the client closes the connection.
async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8(bytes.clone()).unwrap();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length =
                head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |n| n.parse().unwrap());
            if body.len() >= length {
                return Some(text);
            }
        }
        let mut chunk = [0; 4096];
        match stream.read(&mut chunk).await {
            Ok(read) if read > 0 => bytes.extend_from_slice(&chunk[..read]),
            _ => return None,
        }
    }
}

fn answer(status: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nx-from: server\r\n\r\n{body}", body.len()).into_bytes()
}

fn chain(error: &Error) -> String {
    let mut text = format!("{error} {error:?} {error:#?}");
    let mut next = error.source();
    while let Some(error) = next {
        text += &format!(" {error} {error:?}");
        next = error.source();
    }
    text
}

#[tokio::test]
async fn a_request_arrives_as_it_was_made_and_any_status_is_an_answer() {
    for status in ["200 OK", "401 Unauthorized", "503 Busy"] {
        let server = Server::start([Act::Answer(answer(status, "{}"))]).await;
        let answer = ReqwestTransport::new().send(server.request()).await.unwrap();
        assert_eq!(answer.status().as_str(), &status[..3]);
        assert_eq!((answer.body().as_ref(), &answer.headers()["x-from"]), (&b"{}"[..], &"server".parse().unwrap()));
        let request = &server.requests()[0];
        assert!(request.starts_with("POST /token?q=planted-query HTTP/1.1\r\n"), "{request}");
        assert!(request.ends_with("\r\n\r\nsecret=planted-body"), "{request}");
        for header in ["accept: application/json", &format!("user-agent: {USER_AGENT}"), "content-length: 19"] {
            assert!(request.contains(&format!("\r\n{header}\r\n")), "{header} in {request}");
        }
        for header in ["accept-encoding", "cookie", "referer"] {
            assert!(!request.contains(header), "{header} in {request}");
        }
    }
}

#[tokio::test]
async fn l17_an_answer_is_read_up_to_one_mebibyte_whatever_its_length_says() {
    let server = Server::start([Act::Answer(answer("200 OK", &" ".repeat(RESPONSE_LIMIT)))]).await;
    let full = ReqwestTransport::new().send(server.request()).await.unwrap();
    assert_eq!(full.body().len(), RESPONSE_LIMIT);

    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
    let endless = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    for act in [
        Act::Answer(answer("200 OK", &" ".repeat(RESPONSE_LIMIT + 1))),
        Act::Answer([endless, &chunk.repeat(17), "0\r\n\r\n"].concat().into_bytes()),
        Act::Last([&b"HTTP/1.1 200 OK\r\n\r\n"[..], &vec![b' '; 2 * RESPONSE_LIMIT]].concat()),
    ] {
        let server = Server::start([act]).await;
        let error = ReqwestTransport::new().send(server.request()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Response);
    }
    // A length that promises more than comes is a broken connection; one that promises less ends the answer there.
    let server = Server::start([Act::Last(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n{}".to_vec())]).await;
    let error = ReqwestTransport::new().send(server.request()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transport);
    let server = Server::start([Act::Last(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}planted".to_vec())]).await;
    assert_eq!(ReqwestTransport::new().send(server.request()).await.unwrap().body(), "{}");
}

#[tokio::test]
async fn l17_an_endless_answer_ends_at_the_limit_and_closes_the_connection() {
    let piece = vec![b' '; 0x10000];
    let server = Server::start([Act::Endless([&b"HTTP/1.1 200 OK\r\n\r\n"[..], &piece].concat())]).await;
    let error = ReqwestTransport::new().send(server.request()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Response);
}

#[tokio::test]
async fn l17_redirects_are_not_followed() {
    let redirect = b"HTTP/1.1 307 Go\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n";
    let server = Server::start([Act::Answer(redirect.to_vec())]).await;
    let answer = ReqwestTransport::new().send(server.request()).await.unwrap();
    assert_eq!((answer.status().as_u16(), server.requests().len()), (307, 1));

    // A client that follows them is found out.
    let server = Server::start([Act::Answer(redirect.to_vec()), Act::Answer(answer_ok())]).await;
    let client = Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
    let error = ReqwestTransport::from_client(client).send(server.request()).await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Response, Retry::AfterChange));
    assert!(error.to_string().contains("Policy::none()"), "{error}");
    assert!(!chain(&error).contains("planted"));
}

fn answer_ok() -> Vec<u8> {
    answer("200 OK", r#"{"access_token":"planted-token"}"#)
}

#[tokio::test]
async fn l04_dropping_the_future_closes_the_connection() {
    let (closed, was_closed) = oneshot::channel();
    let server = Server::start([Act::Hang(closed)]).await;
    let transport = ReqwestTransport::new();
    let mut send = Box::pin(transport.send(server.request()));
    loop {
        tokio::select! {
            biased;
            _ = &mut send => panic!("nobody answers"),
            () = tokio::task::yield_now() => if server.requests().len() == 1 { break },
        }
    }
    drop(send);
    was_closed.await.unwrap();
}

#[cfg(feature = "oauth")]
#[tokio::test]
async fn l44_a_pooled_connection_that_the_server_closed_does_not_fail_the_fetch() {
    use crate::{
        FetchContext, FetchReason, TokenSource,
        oauth::{ClientCredentials, TokenEndpoint},
        platform::Platform,
    };

    // The second request comes on the first connection, and is read but never answered.
    let acts = [Act::Answer(answer_ok()), Act::Last(Vec::new()), Act::Answer(answer_ok())];
    let server = Server::start(acts).await;
    let source = TokenEndpoint::builder(format!("{}/token", server.origin), ClientCredentials::new()).build().unwrap();
    for _ in 0..2 {
        let context = FetchContext::new(Platform::system(), Duration::from_secs(10), FetchReason::Missing);
        assert_eq!(source.fetch(context).await.unwrap().secret(), "planted-token");
    }
    assert_eq!((server.requests().len(), server.connections.load(Ordering::SeqCst)), (3, 2));
}

#[tokio::test]
async fn l38_errors_name_the_origin_and_neither_query_nor_body_nor_the_servers_text() {
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let mut request =
        Request::post(format!("{closed}/token?q=planted-query")).body(Bytes::from("planted-body")).unwrap();
    request.headers_mut().insert("authorization", "planted-header".parse().unwrap());
    let error = ReqwestTransport::new().send(request).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transport);
    assert!(error.to_string().contains(&format!("no connection to {closed} ")), "{error}");
    assert!(!chain(&error).contains("planted"), "{}", chain(&error));

    for act in [
        Act::Last(Vec::new()),
        Act::Last(b"planted-garbage\r\n\r\n".to_vec()),
        Act::Last(b"HTTP/1.1 200 planted\r\nplanted planted: x\r\n\r\n".to_vec()),
        Act::Last(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nplanted\r\n".to_vec()),
        Act::Last(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nplanted".to_vec()),
    ] {
        let server = Server::start([act]).await;
        let error = ReqwestTransport::new().send(server.request()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Transport);
        assert!(error.to_string().contains(&server.origin), "{error}");
        assert!(!chain(&error).contains("planted"), "{}", chain(&error));
    }
}

#[tokio::test]
async fn l38_errors_of_a_proxy_show_neither_its_password_nor_its_text() {
    let server = Server::start([Act::Last(answer("407 planted", "planted"))]).await;
    for proxy in [server.origin.replace("://", "://user:planted@"), "http://user:planted@127.0.0.1:9".into()] {
        let proxy = ::reqwest::Proxy::all(proxy).unwrap();
        let client = Client::builder().proxy(proxy).tls_certs_only([]).build().unwrap();
        let request = Request::post("https://as.example.com/token?planted").body(Bytes::new()).unwrap();
        let error = ReqwestTransport::from_client(client).send(request).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Transport);
        assert!(!chain(&error).contains("planted"), "{}", chain(&error));
    }
}

#[tokio::test]
async fn a_given_client_with_a_timeout_of_its_own_times_out() {
    let (closed, was_closed) = oneshot::channel();
    let server = Server::start([Act::Hang(closed)]).await;
    let client = Client::builder().no_proxy().tls_certs_only([]).timeout(Duration::from_millis(50)).build().unwrap();
    let error = ReqwestTransport::from_client(client).send(server.request()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(!chain(&error).contains("planted"), "{}", chain(&error));
    was_closed.await.unwrap();
}

#[test]
fn outside_a_runtime_there_is_an_error_and_no_panic() {
    let request = Request::post("http://127.0.0.1/token").body(Bytes::new()).unwrap();
    let transport = ReqwestTransport::new();
    let mut send = Box::pin(transport.send(request));
    let Poll::Ready(Err(error)) = send.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("expected an error at once");
    };
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("need a tokio runtime"), "{error}");
}

#[test]
fn l11_a_connection_of_a_runtime_that_is_no_longer_driven_is_not_waited_for() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let serving = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let server = serving.block_on(Server::start([Act::Answer(answer_ok()), Act::Answer(answer_ok())]));
    let transport = ReqwestTransport::new();
    let idle = runtime();
    idle.block_on(transport.send(server.request())).unwrap();
    runtime().block_on(async {
        tokio::select! {
            answer = transport.send(server.request()) => assert!(answer.is_ok()),
            () = SystemClock.sleep_until(SystemClock.now().monotonic() + Duration::from_secs(5)) => panic!("it hangs"),
        }
    });
    drop(idle);
    assert_eq!(server.connections.load(Ordering::SeqCst), 2);
}

/// The environment cannot be changed in a process with threads: the test runs itself again in another one.
#[test]
fn without_ca_certificates_and_with_a_dead_proxy_plain_loopback_works_and_https_says_what_to_do() {
    const CHILD: &str = "BEARER_TOKEN_TEST_CHILD";
    if std::env::var_os(CHILD).is_none() {
        let name = std::thread::current().name().unwrap().to_owned();
        let child = std::process::Command::new(std::env::current_exe().unwrap())
            .args([&name, "--exact", "--nocapture"])
            .envs([(CHILD, "1"), ("SSL_CERT_FILE", "/nonexistent"), ("SSL_CERT_DIR", "/nonexistent")])
            .envs([("HTTP_PROXY", "http://127.0.0.1:9"), ("http_proxy", "http://127.0.0.1:9")])
            .env_remove("NO_PROXY")
            .env_remove("no_proxy")
            .output()
            .unwrap();
        assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
        assert!(String::from_utf8_lossy(&child.stdout).contains("1 passed"));
        return;
    }
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        let transport = ReqwestTransport::new();
        let server = Server::start([Act::Answer(answer_ok())]).await;
        assert!(transport.send(server.request()).await.is_ok());
        #[cfg(target_os = "linux")]
        {
            let request = Request::post("https://127.0.0.1:9/token?planted").body(Bytes::new()).unwrap();
            let error = transport.send(request).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains("`ca-certificates`"), "{error}");
        }
    });
}
