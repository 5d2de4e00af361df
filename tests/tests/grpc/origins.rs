//! The origin of a channel's calls, as far as the layer can know it.

use std::sync::{Arc, Mutex};

use bearer_token::ErrorKind;
use http::Uri;
use tonic::{
    Code,
    transport::{Certificate, Channel, ClientTlsConfig, Identity, ServerTlsConfig},
};
use tower::{Layer, ServiceBuilder};

use crate::{
    echo::{Door, EchoClient, serve, text},
    support::{Setup, builder, endpoint, layer, token_error, within},
};

const AUTHORITY: &str = include_str!("tls/authority.pem");
const SERVER: &str = include_str!("tls/server.pem");
const KEY: &str = include_str!("tls/server.key.pem");

/// The outcome of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Authorized,
    /// Sent without a token.
    Bare,
    /// Not sent.
    Refused,
    /// The provider cannot be built.
    Unbuilt,
}

async fn fate(channel: Channel, door: &Door, allowed: &[&str], connection: Option<&str>) -> Fate {
    let setup = Setup::start().await;
    let mut builder = builder(&setup.clock, setup.source.clone());
    for origin in allowed {
        builder = builder.allow_origin(*origin);
    }
    if let Some(origin) = connection {
        builder = builder.connection_origin(origin);
    }
    let provider = match builder.build() {
        Ok(provider) => provider,
        Err(error) => {
            assert_eq!(error.problems()[0].path(), "connection_origin", "{error}");
            return Fate::Unbuilt;
        }
    };
    let calls = door.seen().len();
    let result = within(EchoClient::new(layer(&provider).layer(channel)).say(text("hello"))).await;
    match (result, door.seen().get(calls).map(String::as_str)) {
        (Ok(_), Some("token-1")) => Fate::Authorized,
        (Err(status), Some("")) if status.message() == "there is no token" => Fate::Bare,
        (Err(status), None) => {
            assert_eq!(status.code(), Code::Unauthenticated);
            assert_eq!(token_error(&status).unwrap().kind(), ErrorKind::Origin);
            Fate::Refused
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn around_a_channel_the_layer_sees_only_a_path() {
    let setup = Setup::start().await;
    let seen = Arc::new(Mutex::new(Vec::<Uri>::new()));
    let notes = seen.clone();
    let stack = ServiceBuilder::new()
        .layer(layer(&setup.provider))
        .map_request(move |request: http::Request<_>| {
            notes.lock().unwrap().push(request.uri().clone());
            request
        })
        .service(setup.channel());
    within(EchoClient::new(stack).say(text("hello"))).await.unwrap();
    assert_eq!(*seen.lock().unwrap(), ["/echo.Echo/Say"]);
}

#[tokio::test]
async fn l34_a_declared_connection_origin_decides_for_a_channel() {
    let setup = Setup::start().await;
    // Its calls name a public host, but go to this machine.
    let public = setup.endpoint().origin("https://api.example.com".parse().unwrap()).connect_lazy();
    for (allowed, connection, expected) in [
        (&[][..], None, Fate::Authorized),
        (&["https://api.example.com"], None, Fate::Refused),
        (&["https://api.example.com"], Some("https://api.example.com"), Fate::Authorized),
        (&["https://api.example.com"], Some("https://API.example.com:443"), Fate::Authorized),
        (&["https://api.example.com"], Some("https://api.example.com:8443"), Fate::Unbuilt),
        (&["https://files.example.com"], Some("https://api.example.com"), Fate::Unbuilt),
        (&["https://api.example.com"], Some("http://api.example.com"), Fate::Unbuilt),
        (&[], Some("https://api.example.com"), Fate::Unbuilt),
        (&[], Some("http://api.example.com"), Fate::Unbuilt),
        (&[], Some("http://127.0.0.1:50051"), Fate::Authorized),
    ] {
        let fate = fate(public.clone(), &setup.door, allowed, connection).await;
        assert_eq!(fate, expected, "{allowed:?} {connection:?}");
    }
}

#[tokio::test]
async fn l34_tls_calls_carry_the_token_to_the_declared_origin() {
    let door = Door::default();
    let tls = ServerTlsConfig::new().identity(Identity::from_pem(SERVER, KEY));
    let address = serve(door.clone(), Some(tls)).await;
    let origin = format!("https://localhost:{}", address.port());
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(AUTHORITY)).domain_name("localhost");
    let channel = || {
        let endpoint = Channel::from_shared(format!("https://{address}")).unwrap().tls_config(tls.clone()).unwrap();
        endpoint.origin(origin.parse().unwrap()).connect_lazy()
    };
    for (allowed, connection, expected) in [
        (&[][..], None, Fate::Authorized),
        (&[&*origin], Some(&*origin), Fate::Authorized),
        (&["https://api.example.com"], Some(&*origin), Fate::Unbuilt),
    ] {
        assert_eq!(fate(channel(), &door, allowed, connection).await, expected, "{allowed:?} {connection:?}");
    }
}

#[tokio::test]
async fn the_clients_origin_is_judged_though_the_channel_replaces_it() {
    let setup = Setup::start().await;
    let provider = builder(&setup.clock, setup.source.clone()).allow_origin("https://api.example.com").build().unwrap();
    let service = layer(&provider).layer(endpoint(setup.address).connect_lazy());
    for (origin, token) in [("https://api.example.com", "token-1"), ("https://files.example.com", "")] {
        let mut client = EchoClient::with_origin(service.clone(), Uri::from_static(origin));
        assert_eq!(within(client.say(text("hello"))).await.is_ok(), !token.is_empty(), "{origin}");
        assert_eq!(setup.door.seen().last().unwrap(), token, "{origin}");
    }
    let mut client = EchoClient::with_origin(service, Uri::from_static("http://api.example.com"));
    let status = within(client.say(text("hello"))).await.unwrap_err();
    assert_eq!(token_error(&status).unwrap().kind(), ErrorKind::Origin);
    assert_eq!(setup.door.seen().len(), 2);
}
