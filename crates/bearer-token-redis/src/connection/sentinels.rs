//! Sentinels, which know the master.

use std::time::Duration;

use futures_util::{FutureExt, future::select_ok};
use redis::{
    Client, ConnectionInfo, ErrorKind, IntoConnectionInfo, RedisResult,
    sentinel::{SentinelClient, SentinelNodeConnectionInfo, SentinelServerType},
};

/// The sentinels answer, and the master confirms, within this time.
const TIMEOUT: Duration = Duration::from_secs(1);

/// Sentinels, the name of the master, and how to connect to it.
pub(super) struct Sentinels {
    sentinels: Vec<ConnectionInfo>,
    name: String,
    node: Option<SentinelNodeConnectionInfo>,
}

impl Sentinels {
    pub(super) fn new(
        sentinels: impl IntoIterator<Item = impl AsRef<str>>,
        name: String,
        node: Option<SentinelNodeConnectionInfo>,
    ) -> RedisResult<Self> {
        let sentinels = sentinels.into_iter().map(|url| url.as_ref().into_connection_info());
        let sentinels = Sentinels { sentinels: sentinels.collect::<RedisResult<_>>()?, name, node };
        // It also refuses an empty list.
        sentinels.client(sentinels.sentinels.clone())?;
        Ok(sentinels)
    }

    /// How the sentinels are connected to.
    pub(super) fn infos(&self) -> impl Iterator<Item = &ConnectionInfo> {
        self.sentinels.iter()
    }

    fn client(&self, sentinels: Vec<ConnectionInfo>) -> RedisResult<SentinelClient> {
        SentinelClient::build(sentinels, self.name.clone(), self.node.clone(), SentinelServerType::Master)
    }

    /// The master that the first sentinel names, if the server confirms that it is one.
    ///
    /// All sentinels are asked at once: the host that failed may be that of a sentinel too. Each time they are asked
    /// over new connections, because a connection belongs to the runtime that made it.
    pub(super) async fn master(&self) -> RedisResult<Client> {
        let ask = |sentinel: &ConnectionInfo| {
            let client = self.client(vec![sentinel.clone()]);
            async move { client?.async_get_client().await }.boxed()
        };
        let answer = select_ok(self.sentinels.iter().map(ask));
        #[allow(clippy::disallowed_methods, reason = "the connections are tokio's as well")]
        let answer = tokio::time::timeout(TIMEOUT, answer).await;
        match answer {
            Ok(found) => found.map(|(client, _)| client),
            Err(_) => Err((ErrorKind::Io, "no sentinel answered in time").into()),
        }
    }
}
