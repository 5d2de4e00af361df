//! Grants without state. The refresh token grant is in `oauth/refresh_token`, because it needs a store.
//!
//! Each grant is one file with the parameters of its specification, in its order. What they share, such as reading
//! values and naming what is missing, is in `oauth/request`.

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
