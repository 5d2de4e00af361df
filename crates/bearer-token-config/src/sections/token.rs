//! The field `token`: a token that was made elsewhere.

use bearer_token::{FileToken, StaticToken, TokenProvider, TokenProviderBuilder, jwt::Encoding};

use super::Context;
use crate::values::{SecretField, can_be_read};

const PATH: &str = "token";

/// A builder on the token, if nothing is wrong with it.
pub(super) fn source(token: &SecretField, cx: &mut Context<'_>) -> Option<TokenProviderBuilder> {
    // Read here too, so that a wrong path is reported now.
    let text = cx.text(PATH, token)?;
    match token.file(cx.directory).filter(|file| token.encoding() == Encoding::Text && can_be_read(file).is_ok()) {
        Some(file) => Some(TokenProvider::builder(FileToken::new(file))),
        None => {
            let token = StaticToken::new(text.as_str());
            token.check().map_err(|error| cx.report.push(PATH, error.to_string())).ok()?;
            Some(TokenProvider::builder(token))
        }
    }
}
