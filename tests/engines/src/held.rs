//! A store and the server that it needs.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use bearer_token::{platform::Platform, store::SharedStore};
use bearer_token_testing::store_contract::Subject;
use tokio::sync::Mutex;

/// A store whose server runs as long as this exists.
pub struct Held<S, G>(pub S, pub Arc<G>);

impl<S: SharedStore, G: Send + Sync + 'static> Subject for Held<S, G> {
    type Store = S;

    fn store(&self) -> &S {
        &self.0
    }

    fn platform(&self) -> Platform {
        Platform::system()
    }

    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

/// One server for the tests that run at a time. It ends with the last of them.
pub struct OneServer<G>(Mutex<Weak<G>>);

impl<G> OneServer<G> {
    pub const fn new() -> Self {
        OneServer(Mutex::const_new(Weak::new()))
    }

    pub async fn get(&self, start: impl Future<Output = G>) -> Arc<G> {
        let mut running = self.0.lock().await;
        if let Some(server) = running.upgrade() {
            return server;
        }
        let server = Arc::new(start.await);
        *running = Arc::downgrade(&server);
        server
    }
}

impl<G> Default for OneServer<G> {
    fn default() -> Self {
        OneServer::new()
    }
}
