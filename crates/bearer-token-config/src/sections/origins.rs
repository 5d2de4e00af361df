//! The fields about origins: where tokens may be sent.

use bearer_token::TokenProviderBuilder;

use super::Fields;
use crate::{
    names::{Names, name},
    values::Text,
};

pub(super) const NAMES: Names = Names {
    section: "",
    names: &[name("allow_origin", "allow_origins"), name("allow_plaintext_origin", "allow_plaintext_origins")],
};

impl Fields {
    /// Sets the origins.
    pub(super) fn origins(&self, mut builder: TokenProviderBuilder) -> TokenProviderBuilder {
        builder = self.allow_origins.iter().map(Text::as_str).fold(builder, TokenProviderBuilder::allow_origin);
        let plaintext = self.allow_plaintext_origins.iter().map(Text::as_str);
        builder = plaintext.fold(builder, TokenProviderBuilder::allow_plaintext_origin);
        if self.allow_any_https_origin {
            builder = builder.allow_any_https_origin();
        }
        if self.refuse_other_origins {
            builder = builder.refuse_other_origins();
        }
        match &self.connection_origin {
            Some(origin) => builder.connection_origin(origin.as_str()),
            None => builder,
        }
    }
}
