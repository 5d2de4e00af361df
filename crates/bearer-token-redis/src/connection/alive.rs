//! Settings of TCP that notice a dead connection, and keep an idle one in the tables of a NAT gateway.

use std::time::Duration;

#[cfg(feature = "sentinel")]
use redis::{Client, RedisResult};
use redis::{
    ConnectionInfo,
    io::tcp::{TcpSettings, socket2::TcpKeepalive},
};

/// Idle connections are probed this often.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// After this time without a confirmation from the host, the operating system closes the connection.
#[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
const UNCONFIRMED: Duration = Duration::from_secs(30);

/// Adds them, unless there are others.
pub(super) fn settings(info: ConnectionInfo) -> ConnectionInfo {
    if info.tcp_settings().keepalive().is_some() {
        return info;
    }
    let settings =
        info.tcp_settings().clone().set_nodelay(true).set_keepalive(TcpKeepalive::new().with_time(KEEPALIVE));
    info.set_tcp_settings(with_limit(settings))
}

/// The same for the client of a server that the sentinels named.
#[cfg(feature = "sentinel")]
pub(super) fn client(found: &Client) -> RedisResult<Client> {
    Client::open(settings(found.get_connection_info().clone()))
}

#[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
fn with_limit(settings: TcpSettings) -> TcpSettings {
    match settings.user_timeout() {
        Some(_) => settings,
        None => settings.set_user_timeout(UNCONFIRMED),
    }
}

#[cfg(not(any(target_os = "android", target_os = "fuchsia", target_os = "linux")))]
fn with_limit(settings: TcpSettings) -> TcpSettings {
    settings
}

#[cfg(test)]
mod tests {
    use redis::IntoConnectionInfo;

    use super::*;

    #[test]
    fn keepalive_is_added_and_that_of_the_application_stays() {
        let given = "redis://localhost".into_connection_info().unwrap();
        let found = settings(given.clone());
        assert!(found.tcp_settings().keepalive().is_some() && found.tcp_settings().nodelay());
        #[cfg(target_os = "linux")]
        assert_eq!(found.tcp_settings().user_timeout(), Some(UNCONFIRMED));
        let own = TcpSettings::default().set_keepalive(TcpKeepalive::new());
        let found = settings(given.set_tcp_settings(own));
        assert!(!found.tcp_settings().nodelay(), "nothing was added");
    }
}
