//! A TCP proxy on loopback that fails on command.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{Instant, sleep_until},
};

/// What the proxy does with connections, also with those that exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Forwards everything.
    Pass,
    /// Closes every connection.
    Cut,
    /// Accepts connections and forwards nothing.
    BlackHole,
    /// Forwards commands, and none of the responses.
    RequestsOnly,
    /// Forwards responses, and none of the commands.
    ResponsesOnly,
}

/// A proxy in front of a server on loopback.
pub struct Proxy {
    address: SocketAddr,
    settings: watch::Sender<Settings>,
    accepted: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

#[derive(Clone, Copy)]
struct Settings {
    mode: Mode,
    /// Connections up to this number forward nothing.
    silenced: usize,
    /// How long everything is on its way, in each direction.
    delay: Duration,
}

impl Proxy {
    pub async fn start(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (settings, watched) = watch::channel(Settings { mode: Mode::Pass, silenced: 0, delay: Duration::ZERO });
        let accepted = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&accepted);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let number = counter.fetch_add(1, Ordering::Relaxed) + 1;
                tokio::spawn(connection(number, client, server, watched.clone()));
            }
        });
        Proxy { address, settings, accepted, task }
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    pub fn set(&self, mode: Mode) {
        self.settings.send_modify(|settings| settings.mode = mode);
    }

    /// Forgets the connections that exist, as a NAT gateway does: they stay open, and nothing is forwarded.
    pub fn silence_existing(&self) {
        self.settings.send_modify(|settings| settings.silenced = self.accepted());
    }

    /// Delays everything by this time in each direction.
    pub fn delay(&self, delay: Duration) {
        self.settings.send_modify(|settings| settings.delay = delay);
    }

    /// The number of connections that were accepted.
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn connection(number: usize, client: TcpStream, server: u16, mut settings: watch::Receiver<Settings>) {
    if settings.borrow().mode == Mode::Cut {
        return;
    }
    let Ok(server) = TcpStream::connect(("127.0.0.1", server)).await else { return };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let passes =
        |settings: &Settings, one_way| number > settings.silenced && [Mode::Pass, one_way].contains(&settings.mode);
    let requests = forward(from_client, to_server, settings.clone(), move |now| passes(now, Mode::RequestsOnly));
    let responses = forward(from_server, to_client, settings.clone(), move |now| passes(now, Mode::ResponsesOnly));
    tokio::select! {
        () = requests => {}
        () = responses => {}
        _ = settings.wait_for(|settings| settings.mode == Mode::Cut) => {}
    }
}

/// Copies, with the delay of the moment; what arrives while nothing passes is lost.
async fn forward(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    settings: watch::Receiver<Settings>,
    passes: impl Fn(&Settings) -> bool,
) {
    let (sender, mut delayed) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    let read = async move {
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(length @ 1..) = from.read(&mut buffer).await {
            let now = *settings.borrow();
            if passes(&now) && sender.send((Instant::now() + now.delay, buffer[..length].to_vec())).is_err() {
                break;
            }
        }
    };
    let write = async move {
        while let Some((due, bytes)) = delayed.recv().await {
            sleep_until(due).await;
            if to.write_all(&bytes).await.is_err() {
                break;
            }
        }
    };
    // The end of what is read is sent after all that came before it.
    tokio::join!(read, write);
}
