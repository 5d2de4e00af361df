//! A credential in a file that is replaced while the program runs, and how a token endpoint gets the new one.

use bearer_token::{Error, HotSwap, Value, oauth::TokenEndpointBuilder};

/// Sets a credential on the builder of an endpoint.
type Apply = dyn Fn(TokenEndpointBuilder, &[u8]) -> Result<TokenEndpointBuilder, Error> + Send + Sync;

/// A credential in a file, and how an endpoint gets it.
pub(super) struct Renewal {
    value: Value,
    kind: Kind,
    apply: Box<Apply>,
}

/// What is in the file.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// A string. Newlines around it are none of it.
    Secret,
    /// A key, as it is.
    Key,
}

impl Renewal {
    pub(super) fn new(
        value: Value,
        kind: Kind,
        apply: impl Fn(TokenEndpointBuilder, &[u8]) -> Result<TokenEndpointBuilder, Error> + Send + Sync + 'static,
    ) -> Self {
        Renewal { value, kind, apply: Box::new(apply) }
    }

    /// A source with the latest credential, and the previous one while the server refuses that.
    pub(super) fn of(self, builder: TokenEndpointBuilder) -> Result<HotSwap, Error> {
        let Renewal { value, kind, apply } = self;
        let make = move |bytes: &[u8]| apply(builder.clone(), bytes)?.build();
        match kind {
            Kind::Secret => HotSwap::following(value, move |text| make(text.as_bytes())),
            Kind::Key => HotSwap::following_key(value, make),
        }
    }
}
