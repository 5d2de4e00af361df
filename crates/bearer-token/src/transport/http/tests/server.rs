//! A server on loopback that is written by hand, to misbehave as told.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use http::Request;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinSet,
};

/// What the server does with one request that it has read.
pub(super) enum Act {
    /// Writes this and goes on with the connection.
    Respond(Vec<u8>),
    /// Writes this and closes the connection.
    Last(Vec<u8>),
    /// Writes this again and again until the client closes the connection.
    Endless(Vec<u8>),
    /// Writes nothing; tells when the client closes the connection.
    Hang(oneshot::Sender<()>),
}

/// A server on loopback that does one act for each request, on whichever connection it arrives.
pub(super) struct Server {
    pub(super) origin: String,
    pub(super) connections: Arc<AtomicUsize>,
    requests: Arc<Mutex<Vec<String>>>,
    _tasks: JoinSet<()>,
}

impl Server {
    pub(super) async fn start(acts: impl IntoIterator<Item = Act>) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let connections = Arc::new(AtomicUsize::new(0));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let acts: Arc<Mutex<VecDeque<Act>>> = Arc::new(Mutex::new(acts.into_iter().collect()));
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

    pub(super) fn request(&self) -> Request<Bytes> {
        Request::post(format!("{}/token?q=planted-query", self.origin))
            .header("accept", "application/json")
            .body(Bytes::from_static(b"secret=planted-body"))
            .unwrap()
    }

    pub(super) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

impl Act {
    /// Whether the connection goes on.
    async fn play(self, stream: &mut TcpStream) -> bool {
        match self {
            Act::Respond(bytes) => stream.write_all(&bytes).await.is_ok(),
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
pub(super) async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
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

pub(super) fn response(status: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nx-from: server\r\n\r\n{body}", body.len()).into_bytes()
}
