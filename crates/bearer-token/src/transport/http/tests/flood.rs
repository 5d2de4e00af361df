//! A server that sends interim responses without end.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    task::Poll,
    time::Instant,
};

use super::{
    server::{Act, Server},
    *,
};
use crate::transport::RESPONSE_LIMIT;

#[tokio::test]
async fn l17_endless_interim_responses_end_at_the_limit() {
    let flood = b"HTTP/1.1 103 Early Hints\r\n\r\n".repeat(4000);
    let server = Server::start([Act::Endless(flood)]).await;
    let error = HttpTransport::new().send(server.request()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Response, "{error}");
    assert!(error.to_string().contains("more than 2 MiB"), "{error}");
}

/// The server has a thread of its own, as one from outside would.
#[test]
#[allow(clippy::disallowed_methods, reason = "the flood and the ticker are measured by the clock on the wall")]
fn a_flood_of_interim_responses_leaves_the_runtime_to_others() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/token", listener.local_addr().unwrap());
    let flood = std::thread::spawn(move || {
        use std::io::Write as _;
        let (mut stream, _) = listener.accept().unwrap();
        let piece = b"HTTP/1.1 103 E\r\n\r\n".repeat(4000);
        while stream.write_all(&piece).is_ok() {}
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let polls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&polls);
    runtime.block_on(async {
        // Another task of the runtime, which is always ready: it counts how often it is polled during the flood.
        let _other = runtime.spawn(std::future::poll_fn(move |cx| {
            counted.fetch_add(1, Ordering::Relaxed);
            cx.waker().wake_by_ref();
            Poll::<()>::Pending
        }));
        let start = Instant::now();
        HttpTransport::new().send(Request::post(url).body(Bytes::new()).unwrap()).await.unwrap_err();
        println!("the flood ended after {:?}", start.elapsed());
    });
    // Between two polls one portion is parsed.
    let polls = polls.load(Ordering::Relaxed);
    assert!(polls >= 2 * RESPONSE_LIMIT / (64 * 1024), "the flood left the runtime to others {polls} times only");
    flood.join().unwrap();
}
