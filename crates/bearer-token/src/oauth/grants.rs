//! Grants without state. The refresh token grant is in `oauth/refresh_token`, because it needs a store.

mod client_credentials;
#[cfg(feature = "jwt")]
mod jwt_bearer;
mod token_exchange;

#[cfg(feature = "jwt")]
pub use self::jwt_bearer::JwtBearer;
pub use self::{
    client_credentials::ClientCredentials,
    token_exchange::{TokenExchange, TokenType},
};
