//! The transport of a token endpoint, whose requests are events.
//!
//! The token endpoint wraps whatever transport it is given in this one. So spans, events and the trace context do not
//! depend on the transport, and a user's own transport is observed as well.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};

use super::{DynTransport, Transport};
use crate::{error::Error, observe::TokenCall, source::Identity};

/// Adds the trace context to the headers of a token request.
pub(crate) type TraceContext = Arc<dyn Fn(&mut HeaderMap) + Send + Sync>;

/// Sends requests through another transport, inside a span, and reports how each ended.
///
/// The outermost transport: the trace context is added before anything else sees the request.
pub(crate) struct Observed {
    pub(crate) transport: Arc<dyn DynTransport>,
    pub(crate) trace_context: Option<TraceContext>,
}

impl Transport for Observed {
    async fn send(&self, mut request: Request<Bytes>) -> Result<Response<Bytes>, Error> {
        let call = TokenCall::start(request.method(), request.uri());
        if let Some(add) = &self.trace_context {
            call.inside(|| add(request.headers_mut()));
        }
        call.run(Arc::clone(&self.transport).send(request)).await
    }

    fn identity(&self, identity: &mut Identity) {
        self.transport.identity(identity);
    }
}

impl fmt::Debug for Observed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observed").finish_non_exhaustive()
    }
}
