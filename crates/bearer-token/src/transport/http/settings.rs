//! The settings of a transport.
//!
//! They are cloned for a blocking thread when a client is made, so all parts are cheap to clone.

use std::{sync::Arc, time::Duration};

use http::HeaderValue;

use super::{proxy::ProxyRule, tls::TlsFiles};

/// Everything that the builder sets.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) tls: Arc<TlsFiles>,
    pub(super) proxy: ProxyRule,
    pub(super) connect_timeout: Duration,
    pub(super) timeout: Option<Duration>,
    pub(super) title_case_headers: bool,
    pub(super) user_agent: HeaderValue,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            tls: Arc::default(),
            proxy: ProxyRule::Environment,
            connect_timeout: Duration::from_secs(5),
            timeout: None,
            title_case_headers: false,
            user_agent: HeaderValue::from_static(concat!("bearer-token/", env!("CARGO_PKG_VERSION"))),
        }
    }
}
