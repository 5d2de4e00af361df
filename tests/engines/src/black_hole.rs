//! Addresses on loopback where packets get lost without a word.

use std::time::Duration;

use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    task::JoinHandle,
    time::timeout,
};

/// An address whose connections carry nothing.
pub struct BlackHole {
    port: u16,
    /// Keeps what is open.
    _open: Vec<TcpStream>,
    _listener: Option<TcpListener>,
    task: Option<JoinHandle<()>>,
}

impl BlackHole {
    /// Connections are accepted; then nothing is read and nothing is sent.
    pub async fn silent() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let task = tokio::spawn(async move {
            let mut open = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                open.push(stream);
            }
        });
        BlackHole { port, _open: Vec::new(), _listener: None, task: Some(task) }
    }

    /// Connections are never made: the packets that ask for one are dropped, as by a firewall.
    pub async fn unreachable() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        // The operating system drops what does not fit into the queue of connections that nothing accepts.
        let (mut open, patience) = (Vec::new(), Duration::from_millis(500));
        while let Ok(connected) = timeout(patience, TcpStream::connect(address)).await {
            open.push(connected.unwrap());
            assert!(open.len() < 100, "the queue has no end");
        }
        BlackHole { port: address.port(), _open: open, _listener: Some(listener), task: None }
    }

    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for BlackHole {
    fn drop(&mut self) {
        self.task.iter().for_each(JoinHandle::abort);
    }
}
