//! Servers whose certificates a client must not trust.

use std::thread;

use tests::tls::{Ca, Clients};
use tokio::{net::TcpListener, runtime::Builder};

/// Starts a server whose certificate is for this host and expires in this year. Returns its token URL.
pub(crate) fn refused(ca: &Ca, host: &str, until: i32) -> String {
    let acceptor = ca.acceptor(&ca.server_until(host, until), Clients::Anybody);
    let (sender, receiver) = std::sync::mpsc::channel();
    // Ends with the process: it never sends a response.
    thread::spawn(move || {
        Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            sender.send(listener.local_addr().unwrap().port()).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                drop(acceptor.accept(stream).await);
            }
        });
    });
    format!("https://127.0.0.1:{}/token", receiver.recv().unwrap())
}
