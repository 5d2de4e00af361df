//! The field `token`: a token that was made elsewhere.

use bearer_token::{
    AccessToken, Encoding, Error, FetchContext, FileToken, StaticToken, TokenProvider, TokenProviderBuilder,
};

use super::context::Context;
use crate::values::{Origin, SecretField};

const PATH: &str = "token";

/// A builder on the token, if nothing is wrong with it.
pub(super) fn source(token: &SecretField, cx: &mut Context<'_>) -> Option<TokenProviderBuilder> {
    if let Origin::Source(name) = &token.origin
        && token.steps.is_encoding_only()
    {
        return cx.source(PATH, name).map_err(|problem| cx.report.add(problem)).ok().map(TokenProvider::builder);
    }
    let is_read_again = token.steps.encoding() == Encoding::Text
        && (matches!(token.origin, Origin::Source(_))
            || (matches!(token.origin, Origin::File(_)) && !token.steps.is_encoding_only()));
    if is_read_again {
        let value = cx.value(PATH, token)?;
        let source = move |context: FetchContext| {
            let value = value.clone();
            async move { Ok::<_, Error>(AccessToken::new(value.read(&context).await?.as_str())) }
        };
        return Some(TokenProvider::builder(source));
    }
    // Read here too, so that a wrong path is reported now.
    let text = cx.secret(PATH, token)?;
    match cx.whole_file(token).filter(|_| token.steps.encoding() == Encoding::Text) {
        Some(file) => Some(TokenProvider::builder(FileToken::new(file))),
        None => {
            let token = StaticToken::new(text.as_str());
            token.check().map_err(|error| cx.report.push(PATH, error.to_string())).ok()?;
            Some(TokenProvider::builder(token))
        }
    }
}
