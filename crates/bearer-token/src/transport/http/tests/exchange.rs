//! Requests and responses over plain connections.

use std::{
    future::Future,
    sync::atomic::Ordering,
    task::{Context, Poll, Waker},
};

use tokio::{net::TcpListener, sync::oneshot};

use super::{
    server::{Act, Server, response},
    *,
};
use crate::{
    platform::{Clock, SystemClock},
    transport::RESPONSE_LIMIT,
};

#[tokio::test]
async fn a_request_arrives_unchanged_and_any_status_is_success() {
    for status in ["200 OK", "401 Unauthorized", "503 Busy"] {
        let server = Server::start([Act::Respond(response(status, "{}"))]).await;
        let response = HttpTransport::new().send(server.request()).await.unwrap();
        assert_eq!(response.status().as_str(), &status[..3]);
        assert_eq!((response.body().as_ref(), &response.headers()["x-from"]), (&b"{}"[..], &"server".parse().unwrap()));
        let request = &server.requests()[0];
        assert!(request.starts_with("POST /token?q=planted-query HTTP/1.1\r\n"), "{request}");
        assert!(request.ends_with("\r\n\r\nsecret=planted-body"), "{request}");
        for header in ["accept: application/json", "user-agent: bearer-token/0.1.0", "content-length: 19"] {
            assert!(request.contains(&format!("\r\n{header}\r\n")), "{header} in {request}");
        }
        for header in ["accept-encoding", "cookie", "referer"] {
            assert!(!request.contains(header), "{header} in {request}");
        }
    }
}

#[tokio::test]
async fn l17_a_response_is_read_up_to_one_mebibyte() {
    let server = Server::start([Act::Respond(response("200 OK", &" ".repeat(RESPONSE_LIMIT)))]).await;
    let full = HttpTransport::new().send(server.request()).await.unwrap();
    assert_eq!(full.body().len(), RESPONSE_LIMIT);

    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
    let endless = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    for act in [
        Act::Respond(response("200 OK", &" ".repeat(RESPONSE_LIMIT + 1))),
        Act::Respond([endless, &chunk.repeat(17), "0\r\n\r\n"].concat().into_bytes()),
        Act::Last([&b"HTTP/1.1 200 OK\r\n\r\n"[..], &vec![b' '; 2 * RESPONSE_LIMIT]].concat()),
    ] {
        let server = Server::start([act]).await;
        let error = HttpTransport::new().send(server.request()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Response);
    }
    // A length that is too large means a broken connection; one that is too small ends the response there.
    let server = Server::start([Act::Last(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n{}".to_vec())]).await;
    let error = HttpTransport::new().send(server.request()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transport);
    let server = Server::start([Act::Last(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}planted".to_vec())]).await;
    assert_eq!(HttpTransport::new().send(server.request()).await.unwrap().body(), "{}");
}

// shows: 9110/17.3
#[tokio::test]
async fn l17_an_endless_response_ends_at_the_limit() {
    let piece = vec![b' '; 0x10000];
    let server = Server::start([Act::Endless([&b"HTTP/1.1 200 OK\r\n\r\n"[..], &piece].concat())]).await;
    let error = HttpTransport::new().send(server.request()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Response);
}

// shows: 9700/4.12
#[tokio::test]
async fn l17_redirects_are_not_followed() {
    let redirect = b"HTTP/1.1 307 Go\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n";
    let server = Server::start([Act::Respond(redirect.to_vec())]).await;
    let response = HttpTransport::new().send(server.request()).await.unwrap();
    assert_eq!((response.status().as_u16(), server.requests().len()), (307, 1));
}

fn response_ok() -> Vec<u8> {
    response("200 OK", r#"{"access_token":"planted-token"}"#)
}

#[tokio::test]
async fn l04_dropping_the_future_closes_the_connection() {
    let (closed, was_closed) = oneshot::channel();
    let server = Server::start([Act::Hang(closed)]).await;
    let transport = HttpTransport::new();
    let mut send = Box::pin(transport.send(server.request()));
    loop {
        tokio::select! {
            biased;
            _ = &mut send => panic!("no response was expected"),
            () = tokio::task::yield_now() => if server.requests().len() == 1 { break },
        }
    }
    drop(send);
    was_closed.await.unwrap();
}

#[cfg(feature = "oauth")]
#[tokio::test]
async fn l44_a_connection_closed_by_the_server_fails_no_fetch() {
    use crate::{
        FetchContext, FetchReason, TokenSource,
        oauth::{ClientCredentials, TokenEndpoint},
        platform::Platform,
    };

    // The second request comes on the first connection, and is read but gets no response.
    let acts = [Act::Respond(response_ok()), Act::Last(Vec::new()), Act::Respond(response_ok())];
    let server = Server::start(acts).await;
    let source = TokenEndpoint::builder(format!("{}/token", server.origin), ClientCredentials::new()).build().unwrap();
    for _ in 0..2 {
        let context = FetchContext::new(Platform::system(), Duration::from_secs(10), FetchReason::Missing);
        assert_eq!(source.fetch(context).await.unwrap().secret(), "planted-token");
    }
    assert_eq!((server.requests().len(), server.connections.load(Ordering::SeqCst)), (3, 2));
}

#[tokio::test]
async fn l38_errors_name_the_origin_and_nothing_else() {
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let mut request =
        Request::post(format!("{closed}/token?q=planted-query")).body(Bytes::from("planted-body")).unwrap();
    request.headers_mut().insert("authorization", "planted-header".parse().unwrap());
    let error = HttpTransport::new().send(request).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transport);
    assert!(
        error.to_string().contains(&format!("no connection for the token request to {closed}: connection refused; ")),
        "{error}"
    );
    assert!(!shown(&error).contains("planted"), "{}", shown(&error));

    for act in [
        Act::Last(Vec::new()),
        Act::Last(b"planted-garbage\r\n\r\n".to_vec()),
        Act::Last(b"HTTP/1.1 200 planted\r\nplanted planted: x\r\n\r\n".to_vec()),
        Act::Last(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nplanted\r\n".to_vec()),
        Act::Last(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nplanted".to_vec()),
    ] {
        let server = Server::start([act]).await;
        let error = HttpTransport::new().send(server.request()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Transport);
        assert!(error.to_string().contains(&server.origin), "{error}");
        assert!(!shown(&error).contains("planted"), "{}", shown(&error));
    }
}

#[tokio::test]
async fn a_timeout_of_its_own_ends_the_request() {
    let (closed, was_closed) = oneshot::channel();
    let server = Server::start([Act::Hang(closed)]).await;
    let transport = HttpTransport::builder().timeout(Duration::from_millis(50)).build().unwrap();
    let error = transport.send(server.request()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let sentence = format!("{} did not respond to the token request within 50ms: check the server", server.origin);
    assert!(error.to_string().starts_with(&sentence), "{error}");
    assert!(!shown(&error).contains("planted"), "{}", shown(&error));
    was_closed.await.unwrap();
}

#[tokio::test]
async fn header_names_are_in_title_case_on_demand() {
    for (transport, name) in [
        (HttpTransport::new(), "accept: application/json"),
        (HttpTransport::builder().title_case_headers().build().unwrap(), "Accept: application/json"),
    ] {
        let server = Server::start([Act::Respond(response_ok())]).await;
        transport.send(server.request()).await.unwrap();
        assert!(server.requests()[0].contains(name), "{}", server.requests()[0]);
    }
}

#[tokio::test]
async fn the_user_agent_can_be_set() {
    let server = Server::start([Act::Respond(response_ok()), Act::Respond(response_ok())]).await;
    let transport = HttpTransport::builder().user_agent("reporting/2").build().unwrap();
    transport.send(server.request()).await.unwrap();
    let mut request = server.request();
    request.headers_mut().insert(USER_AGENT, "own".parse().unwrap());
    transport.send(request).await.unwrap();
    let requests = server.requests();
    assert!(requests[0].contains("user-agent: reporting/2\r\n"), "{}", requests[0]);
    assert!(requests[1].contains("user-agent: own\r\n"), "{}", requests[1]);
}

#[test]
fn outside_a_runtime_it_fails_without_a_panic() {
    let request = Request::post("http://127.0.0.1/token").body(Bytes::new()).unwrap();
    let transport = HttpTransport::new();
    let mut send = Box::pin(transport.send(request));
    let Poll::Ready(Err(error)) = send.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("expected an error at once");
    };
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("need a tokio runtime"), "{error}");
}

#[test]
fn l11_connections_of_an_idle_runtime_are_not_waited_for() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let serving = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let server = serving.block_on(Server::start([Act::Respond(response_ok()), Act::Respond(response_ok())]));
    let transport = HttpTransport::new();
    let idle = runtime();
    idle.block_on(transport.send(server.request())).unwrap();
    runtime().block_on(async {
        tokio::select! {
            reply = transport.send(server.request()) => assert!(reply.is_ok()),
            () = SystemClock.sleep_until(SystemClock.now().monotonic() + Duration::from_secs(5)) => panic!("it hangs"),
        }
    });
    drop(idle);
    assert_eq!(server.connections.load(Ordering::SeqCst), 2);
}

#[test]
fn two_runtimes_that_take_turns_keep_their_connections() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let serving = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let acts: [_; 8] = std::array::from_fn(|_| Act::Respond(response_ok()));
    let server = serving.block_on(Server::start(acts));
    let transport = HttpTransport::new();
    let (one, other) = (runtime(), runtime());
    for _ in 0..4 {
        one.block_on(transport.send(server.request())).unwrap();
        other.block_on(transport.send(server.request())).unwrap();
    }
    assert_eq!(server.connections.load(Ordering::SeqCst), 2);
}

#[test]
fn many_runtimes_one_after_another_leave_few_clients() {
    let serving = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let acts: [_; 40] = std::array::from_fn(|_| Act::Respond(response_ok()));
    let server = serving.block_on(Server::start(acts));
    let transport = HttpTransport::new();
    for _ in 0..40 {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(transport.send(server.request())).unwrap();
    }
    assert_eq!(transport.0.clients.len(), client::MOST_RUNTIMES);
}

#[test]
fn the_shared_transport_is_one_and_a_new_one_is_not() {
    let shared = HttpTransport::shared();
    assert!(Arc::ptr_eq(&shared.0, &HttpTransport::shared().0));
    assert!(!Arc::ptr_eq(&shared.0, &HttpTransport::new().0));
}

/// The environment cannot be changed in a process with threads: the test runs itself again in another one.
#[test]
fn without_ca_certificates_plain_loopback_works_and_https_explains() {
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
        let transport = HttpTransport::new();
        let server = Server::start([Act::Respond(response_ok())]).await;
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
