//! Which sources share a record.

use super::*;

#[tokio::test]
async fn a_source_that_is_unknown_needs_a_name() {
    let world = World::new();
    let source = |_cx: FetchContext| async { Ok(AccessToken::new("token")) };
    let error = world.fleet().share(source).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    let text = error.to_string();
    assert!(text.contains("the token source") && text.contains("Fleet::share_as"), "{text}");

    let named = |name: &str| world.fleet().share_as(name, source);
    assert_eq!(name_of(&named("a")).await, name_of(&named("a")).await);
    assert_ne!(name_of(&named("a")).await, name_of(&named("b")).await);
}

#[tokio::test]
async fn a_namespace_keeps_records_apart() {
    let world = World::new();
    let fleet = |namespace: &str| {
        let fleet = Fleet::builder(world.store.clone(), SealingKeys::new(KEY)).namespace(namespace);
        fleet.build().unwrap().share(Client { server: world.server.clone(), credential: "" }).unwrap()
    };
    assert_ne!(name_of(&fleet("staging")).await, name_of(&fleet("production")).await);
}

#[cfg(feature = "http-transport")]
mod of_a_token_endpoint {
    use super::*;
    use crate::{
        StaticToken, TokenProvider, Value,
        oauth::{
            BodyFormat, ClientAuth, ClientCredentials, ClientSecret, ParameterValue, ResponseFormat, TokenEndpoint,
            TokenEndpointBuilder, TokenExchange, TokenType,
        },
    };

    fn endpoint() -> TokenEndpointBuilder {
        TokenEndpoint::builder("https://as.example.com/token", ClientCredentials::new())
            .client_auth(ClientAuth::basic("orders", "MARKER"))
            .scope("read write")
            .parameter("audience", "https://api.example.com")
    }

    async fn name(builder: TokenEndpointBuilder) -> StoreKey {
        name_of(&World::new().fleet().share(builder.build().unwrap()).unwrap()).await
    }

    #[tokio::test]
    async fn l65_all_that_reaches_the_server_counts() {
        let post = |url: &str| {
            TokenEndpoint::builder(url, ClientCredentials::new()).client_auth(ClientAuth::post("orders", "MARKER"))
        };
        let names = [
            name(endpoint()).await,
            name(endpoint().scope("read")).await,
            name(endpoint().client_auth(ClientAuth::basic("billing", "MARKER"))).await,
            name(endpoint().parameter("resource", "https://a.example.com")).await,
            name(
                endpoint()
                    .parameter("resource", ParameterValue::list(["https://a.example.com", "https://b.example.com"])),
            )
            .await,
            name(endpoint().parameter("audience", "https://b.example.com")).await,
            name(endpoint().parameter("tenant", Value::from("1").prefix("t-"))).await,
            name(endpoint().parameter("tenant", Value::from("1").prefix("u-"))).await,
            name(endpoint().header("x-tenant", "1")).await,
            name(endpoint().header("x-tenant", "2")).await,
            name(endpoint().grant_type("other")).await,
            name(endpoint().no_grant_type()).await,
            name(endpoint().body(BodyFormat::Json)).await,
            name(endpoint().body(BodyFormat::Json).parameter("n", 1)).await,
            name(endpoint().body(BodyFormat::Json).parameter("n", "1 ")).await,
            name(endpoint().response(ResponseFormat::oauth().token("/id_token"))).await,
            name(endpoint().keep("instance_url")).await,
            name(post("https://as.example.com/token")).await,
            name(post("https://as.example.org/token")).await,
            name(post("https://as.example.com/token?tenant=2")).await,
        ];
        for (index, one) in names.iter().enumerate() {
            assert_eq!(names.iter().filter(|other| *other == one).count(), 1, "{index}");
        }
    }

    #[tokio::test]
    async fn secrets_and_orders_do_not_count() {
        let usual = name(endpoint()).await;
        assert_eq!(name(endpoint().client_auth(ClientAuth::basic("orders", "another"))).await, usual);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "MARKER").unwrap();
        let from_file = ClientAuth::basic("orders", ClientSecret::from_file(file.path()));
        assert_eq!(name(endpoint().client_auth(from_file)).await, usual);
        assert_eq!(name(endpoint().scope("write  read write")).await, usual);
    }

    #[tokio::test]
    async fn a_value_counts_wherever_it_comes_from() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let from_file = || endpoint().parameter("tenant", Value::file(file.path()));
        std::fs::write(file.path(), "one").unwrap();
        let one = name(from_file()).await;
        assert_eq!(one, name(endpoint().parameter("tenant", Value::from("one"))).await);
        std::fs::write(file.path(), "two").unwrap();
        assert_ne!(one, name(from_file()).await);
    }

    #[tokio::test]
    async fn tokens_of_others_need_a_name() {
        let provider = || TokenProvider::builder(StaticToken::new("token")).build().unwrap();
        let exchange = || {
            let grant =
                TokenExchange::new(Value::token_of(provider()), TokenType::JWT).audience("https://api.example.com");
            TokenEndpoint::builder("https://as.example.com/token", grant).build().unwrap()
        };
        let fleet = World::new().fleet();
        let error = fleet.share(exchange()).unwrap_err();
        assert!(error.to_string().contains("subject_token"), "{error}");
        assert_ne!(
            name_of(&fleet.share_as("user 1", exchange())).await,
            name_of(&fleet.share_as("user 2", exchange())).await
        );

        let header = endpoint().header("authorization-of", Value::token_of(provider())).build().unwrap();
        let error = fleet.share(header).unwrap_err();
        assert!(error.to_string().contains("header.authorization-of"), "{error}");
        let custom = endpoint().response_with(|_| Ok(AccessToken::new("token"))).build().unwrap();
        assert!(fleet.share(custom).unwrap_err().to_string().contains("response_with"));
    }

    #[tokio::test]
    async fn a_number_is_not_a_string_of_digits() {
        let json = |value: ParameterValue| name(endpoint().body(BodyFormat::Json).parameter("n", value));
        let number = json(1.into()).await;
        assert_ne!(number, json("1".into()).await);
        assert_ne!(json(true.into()).await, json("true".into()).await);
        assert_ne!(json(ParameterValue::list([""; 0])).await, json("list of 0".into()).await);
    }

    /// Without another client authentication, the certificate is all that tells the client (RFC 8705 section 2).
    #[tokio::test]
    async fn l65_a_client_certificate_counts() {
        use crate::transport::HttpTransport;
        let name_with = async |certificate: Option<String>| {
            let transport = match certificate {
                Some(pem) => HttpTransport::builder().certificate(pem).build().unwrap(),
                None => HttpTransport::new(),
            };
            let endpoint = TokenEndpoint::builder("https://as.example.com/token", ClientCredentials::new());
            name(endpoint.transport(transport)).await
        };
        let certificate = || {
            let made = rcgen::generate_simple_self_signed(["client".to_owned()]).unwrap();
            format!("{}{}", made.cert.pem(), made.signing_key.serialize_pem())
        };
        let (one, other) = (certificate(), certificate());
        assert_ne!(name_with(Some(one.clone())).await, name_with(Some(other)).await);
        assert_eq!(name_with(Some(one.clone())).await, name_with(Some(one.clone())).await);
        assert_ne!(name_with(Some(one)).await, name_with(None).await);
    }

    #[tokio::test]
    async fn a_transport_of_several_endpoints_counts_as_itself() {
        use crate::transport::Transport;
        use bytes::Bytes;

        struct OfTenant(&'static str);

        impl Transport for OfTenant {
            async fn send(&self, _: http::Request<Bytes>) -> Result<http::Response<Bytes>, Error> {
                Ok(http::Response::new(Bytes::from(self.0)))
            }

            fn identity(&self, identity: &mut Identity) {
                identity.text("tenant", self.0);
            }
        }

        let shared = std::sync::Arc::new(OfTenant("one"));
        let response = Transport::send(&shared, http::Request::new(Bytes::new())).await.unwrap();
        assert_eq!(response.body(), "one");
        let one = name(endpoint().transport(shared.clone())).await;
        assert_eq!(one, name(endpoint().transport(shared)).await);
        assert_eq!(one, name(endpoint().transport(OfTenant("one"))).await);
        assert_ne!(one, name(endpoint().transport(OfTenant("two"))).await);
    }

    /// A file was read for the name of the record, and had another content for the request.
    #[tokio::test]
    async fn a_token_is_not_shared_if_the_tenant_changed_during_its_fetch() {
        use crate::transport::Transport;
        use bytes::Bytes;

        struct Changing(std::path::PathBuf);

        impl Transport for Changing {
            fn identity(&self, _: &mut Identity) {}

            async fn send(&self, _: http::Request<Bytes>) -> Result<http::Response<Bytes>, Error> {
                std::fs::write(&self.0, "two").unwrap();
                let body = r#"{"access_token":"token","token_type":"Bearer","expires_in":3600}"#;
                Ok(http::Response::new(Bytes::from_static(body.as_bytes())))
            }
        }

        let world = World::new();
        let file = tempfile::NamedTempFile::new().unwrap();
        let source = endpoint().parameter("tenant", Value::file(file.path())).transport(Changing(file.path().into()));
        std::fs::write(file.path(), "one").unwrap();
        let shared = world.fleet().share(source.build().unwrap()).unwrap();
        let key = name_of(&shared).await;
        TokenSource::fetch(&shared, world.cx(FetchReason::Missing)).await.unwrap();
        assert!(SharedStore::read(&world.store, &key).await.unwrap().is_none());
        std::fs::write(file.path(), "one").unwrap();
        assert_eq!(name_of(&shared).await, key);
    }

    /// Each tenant's provider is made by the same function, as in keyed providers.
    #[tokio::test]
    async fn l65_tenants_never_share_a_record() {
        let mut names = std::collections::HashSet::new();
        for tenant in 0..200 {
            names.insert(name(endpoint().parameter("tenant", tenant.to_string())).await);
        }
        assert_eq!(names.len(), 200);
    }

    #[tokio::test]
    async fn l65_a_new_secret_is_another_credential() {
        let world = World::new();
        let credential = async |secret: &str| {
            let endpoint = endpoint().client_auth(ClientAuth::post("orders", secret)).build().unwrap();
            let shared = world.fleet().share(endpoint).unwrap();
            shared.0.identity.credentials(&world.cx(FetchReason::Missing)).await.unwrap()
        };
        assert_eq!(credential("one").await, credential("one").await);
        assert_ne!(credential("one").await, credential("two").await);
    }

    #[tokio::test]
    async fn sources_of_a_fallback_count_in_their_order() {
        use crate::TokenSource;
        let source = |client: &str| endpoint().client_auth(ClientAuth::basic(client, "MARKER")).build().unwrap();
        let name = async |source: crate::source::Fallback| name_of(&World::new().fleet().share(source).unwrap()).await;
        let usual = name(source("a").or_else(source("b"))).await;
        assert_eq!(usual, name(source("a").or_else(source("b"))).await);
        for other in [
            source("b").or_else(source("a")),
            source("a").or_else(source("c")),
            source("a").or_else(source("b").or_else(source("c"))),
        ] {
            assert_ne!(usual, name(other).await);
        }
        assert_ne!(usual, name_of(&World::new().fleet().share(source("a")).unwrap()).await);
        let with_token = source("a").or_else(StaticToken::new("token"));
        assert!(World::new().fleet().share(with_token).unwrap_err().to_string().contains("the token source"));
    }

    #[tokio::test]
    async fn a_swapped_source_counts_as_the_latest() {
        let source = |client: &str| endpoint().client_auth(ClientAuth::basic(client, "MARKER")).build().unwrap();
        let share = |source: crate::HotSwap| World::new().fleet().share(source).unwrap();
        let swap = crate::HotSwap::new(source("orders"));
        let shared = share(swap.clone());
        assert_eq!(name_of(&shared).await, name(endpoint()).await);
        swap.replace(source("billing"));
        assert_eq!(name_of(&shared).await, name_of(&share(crate::HotSwap::new(source("billing")))).await);
        assert_ne!(name_of(&shared).await, name(endpoint()).await);
    }

    #[tokio::test]
    async fn an_issuer_counts_where_the_endpoint_is_discovered() {
        let discover = |issuer: &str| {
            TokenEndpoint::discover(issuer, ClientCredentials::new()).client_auth(ClientAuth::basic("orders", "MARKER"))
        };
        let usual = name(discover("https://as.example.com")).await;
        assert_eq!(usual, name(discover("https://as.example.com")).await);
        for other in ["https://as.example.com/tenant", "https://as.example.org"] {
            assert_ne!(usual, name(discover(other)).await, "{other}");
        }
        assert_ne!(usual, name(discover("https://as.example.com").scope("read")).await);
        // The same URL, and no metadata.
        let fixed = TokenEndpoint::builder("https://as.example.com", ClientCredentials::new());
        assert_ne!(usual, name(fixed.client_auth(ClientAuth::basic("orders", "MARKER"))).await);
    }

    #[tokio::test]
    async fn a_transport_of_the_users_needs_a_name() {
        struct Users;
        impl crate::transport::Transport for Users {
            async fn send(&self, _: http::Request<bytes::Bytes>) -> Result<http::Response<bytes::Bytes>, Error> {
                Err(Error::new(ErrorKind::Transport, "not sent"))
            }
        }
        let fleet = World::new().fleet();
        let endpoint = || endpoint().transport(Users).build().unwrap();
        let error = fleet.share(endpoint()).unwrap_err();
        assert!(error.to_string().contains("transport"), "{error}");
        fleet.share_as("a name", endpoint());
    }
}

#[cfg(all(feature = "http-transport", feature = "jwt"))]
mod of_an_assertion {
    use super::*;
    use crate::{
        jwt::{Algorithm, JwtTemplate, JwtTemplateBuilder, SigningKey},
        oauth::{ClientAuth, ClientCredentials, JwtBearer, TokenEndpoint},
    };

    fn template(key: u8) -> JwtTemplateBuilder {
        let key = SigningKey::hmac(Algorithm::HS256, [key; 32]).unwrap();
        JwtTemplate::builder(key).issuer("orders").audience("https://as.example.com/token")
    }

    fn share(template: JwtTemplateBuilder) -> Result<Shared, Error> {
        let grant = JwtBearer::new(template.build().unwrap());
        World::new().fleet().share(TokenEndpoint::builder("https://as.example.com/token", grant).build().unwrap())
    }

    async fn name(template: JwtTemplateBuilder) -> StoreKey {
        name_of(&share(template).unwrap()).await
    }

    #[tokio::test]
    async fn its_claims_count_and_its_key_does_not() {
        let usual = name(template(1).subject("a")).await;
        assert_eq!(usual, name(template(2).subject("a")).await);
        assert_eq!(usual, name(template(1).subject("a")).await, "neither do times and ids");
        assert_ne!(usual, name(template(1).subject("b")).await);
        let keys = async |key| {
            let shared = share(template(key)).unwrap();
            shared.0.identity.credentials(&World::new().cx(FetchReason::Missing)).await.unwrap()
        };
        assert_ne!(keys(1).await, keys(2).await);
        assert_eq!(keys(1).await, keys(1).await);
    }

    #[tokio::test]
    async fn claims_of_a_client_assertion_count_and_its_key_does_not() {
        let share = |template: JwtTemplateBuilder| {
            let endpoint = TokenEndpoint::builder("https://as.example.com/token", ClientCredentials::new())
                .client_auth(ClientAuth::assertion("orders", template.build().unwrap()));
            World::new().fleet().share(endpoint.build().unwrap())
        };
        let name = async |template: JwtTemplateBuilder| name_of(&share(template).unwrap()).await;
        let usual = name(template(1).subject("orders").claim("tenant", "a")).await;
        assert_ne!(usual, name(template(1).subject("orders").claim("tenant", "b")).await);
        assert_eq!(usual, name(template(2).subject("orders").claim("tenant", "a")).await);
        let error = share(template(1).subject("orders").computed("user", |_| Ok("whoever asks"))).unwrap_err();
        assert!(error.to_string().contains("claim.user"), "{error}");
    }

    #[tokio::test]
    async fn members_of_the_header_count_unless_they_are_of_the_key() {
        let usual = name(template(1).subject("a")).await;
        assert_ne!(usual, name(template(1).subject("a").header("tenant", "b")).await);
        assert_eq!(usual, name(template(1).subject("a").header("kid", "2")).await);
    }

    #[tokio::test]
    async fn computed_claims_need_a_name() {
        let computed = template(1).computed("user", |_| Ok("whoever asks"));
        let error = share(computed).unwrap_err();
        assert!(error.to_string().contains("claim.user"), "{error}");
    }

    /// A key of App Store Connect has a role of its own, and all keys of a team have one `iss`.
    #[tokio::test]
    async fn l65_the_key_of_a_self_signed_jwt_counts() {
        use crate::jwt::SelfSigned;
        let name = async |template: JwtTemplateBuilder| {
            let source = SelfSigned::new(template.build().unwrap());
            name_of(&World::new().fleet().share(source).unwrap()).await
        };
        let usual = name(template(1).subject("a")).await;
        assert_eq!(usual, name(template(1).subject("a")).await);
        assert_ne!(usual, name(template(2).subject("a")).await, "another key");
        assert_ne!(usual, name(template(1).subject("a").header("kid", "2")).await, "another name of it");
        assert_ne!(usual, name(template(1).subject("b")).await);
        let computed = SelfSigned::new(template(1).computed_header("kid", |_| Ok("2")).build().unwrap());
        let error = World::new().fleet().share(computed).unwrap_err();
        assert!(error.to_string().contains("header.kid"), "{error}");
    }
}
