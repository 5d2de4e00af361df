//! Values as fixed headers of requests to the API.
//!
//! `Sending` is below this room, in `resource/`, and knows nothing of values: it has the trait [`FixedValue`]. This
//! file connects the two, so the dependency points down, and the method appears where users look for it.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::Value;
use crate::{
    error::Error,
    platform::BoxFuture,
    problem::Problem,
    resource::sending::{FixedValue, Sending},
    source::FetchContext,
};

impl Sending {
    /// Adds a header that each request gets with the bearer, such as an API version, a project or a second key. May be
    /// called several times.
    ///
    /// The value is looked up again for each fetch, so files and tokens of other providers stay current. If the caller
    /// has set this header, it is left as it is, and the bearer is still inserted.
    ///
    /// ```
    /// use bearer_token::{Sending, Value};
    ///
    /// let sending = Sending::new()
    ///     .fixed_header("x-github-api-version", "2022-11-28")
    ///     .fixed_header("x-api-key", Value::file("/run/secrets/api-key"));
    /// ```
    #[must_use]
    pub fn fixed_header(self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.with_fixed(name.into(), Arc::new(value.into()))
    }
}

impl FixedValue for Value {
    fn read(self: Arc<Self>, cx: FetchContext) -> BoxFuture<Result<Zeroizing<String>, Error>> {
        Box::pin(async move { Value::read(&self, &cx).await })
    }

    fn has_changed(&self) -> bool {
        Value::has_changed(self)
    }

    fn problem(&self, path: &str) -> Option<Problem> {
        Value::problem(self, path)
    }
}
