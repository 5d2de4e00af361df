//! Configurations that reach the server differently never share a record.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::{
    oauth::{BodyFormat, ClientAuth, ClientCredentials, ParameterValue, TokenEndpoint},
    transport::Transport,
};

/// Keeps the request, and has no parts of its own.
#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<String>>);

impl Transport for Recorder {
    async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, Error> {
        let (parts, body) = request.into_parts();
        let headers: BTreeMap<_, _> = parts
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value.as_bytes())))
            .collect();
        let body = String::from_utf8_lossy(&body);
        *self.0.lock().unwrap() = format!("{} {} {headers:?} {body}", parts.method, parts.uri);
        let body = r#"{"access_token":"token","token_type":"Bearer","expires_in":3600}"#;
        Ok(http::Response::new(Bytes::from_static(body.as_bytes())))
    }

    fn identity(&self, _: &mut Identity) {}
}

#[derive(Clone, Debug)]
struct Configuration {
    url: &'static str,
    auth: u8,
    client: &'static str,
    scope: &'static str,
    is_json: bool,
    grant_type: Option<Option<&'static str>>,
    parameters: Vec<(&'static str, Tree)>,
    headers: Vec<(&'static str, &'static str)>,
}

#[derive(Clone, Debug)]
enum Tree {
    Text(&'static str),
    Number(u8),
    Bool(bool),
    Null,
    List(Vec<Tree>),
    Object(Vec<(&'static str, Tree)>),
}

impl Tree {
    fn value(&self) -> ParameterValue {
        match self {
            Tree::Text(text) => (*text).into(),
            Tree::Number(number) => u32::from(*number).into(),
            Tree::Bool(bool) => (*bool).into(),
            Tree::Null => serde_json::Value::Null.into(),
            Tree::List(list) => ParameterValue::list(list.iter().map(Tree::value)),
            Tree::Object(members) => ParameterValue::object(members.iter().map(|(name, value)| (*name, value.value()))),
        }
    }
}

/// Few words, which look like what the identity is made of, so that mistakes meet.
fn word() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a", "a.b", "a: number", "1"])
}

fn parameters() -> impl Strategy<Value = Vec<(&'static str, Tree)>> {
    prop::collection::vec((word(), tree()), 0..3)
}

fn tree() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        3 => word().prop_map(Tree::Text),
        1 => (0..3_u8).prop_map(Tree::Number),
        1 => any::<bool>().prop_map(Tree::Bool),
        1 => Just(Tree::Null),
    ];
    leaf.prop_recursive(2, 6, 2, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Tree::List),
            prop::collection::vec((word(), inner), 0..3).prop_map(Tree::Object),
        ]
    })
}

fn configuration() -> impl Strategy<Value = Configuration> {
    let url = prop::sample::select(vec!["https://as.example.com/token", "https://as.example.com/token?a=1"]);
    let scope = prop::sample::select(vec!["", "a", "a b"]);
    let grant_type =
        prop::option::weighted(0.3, prop::option::of(word().prop_filter("one word", |it| !it.contains(' '))));
    let header = (prop::sample::select(vec!["x-a", "x-b"]), word());
    let headers = prop::collection::vec(header, 0..2);
    (url, 0..3_u8, prop::sample::select(vec!["a", "b"]), scope, any::<bool>(), grant_type, parameters(), headers)
        .prop_map(|(url, auth, client, scope, is_json, grant_type, parameters, headers)| Configuration {
            url,
            auth,
            client,
            scope,
            is_json,
            grant_type,
            parameters,
            headers,
        })
}

/// The source, unless the configuration is refused.
fn endpoint(of: &Configuration, transport: Recorder) -> Option<TokenEndpoint> {
    let auth = match of.auth {
        0 => ClientAuth::basic(of.client, "secret"),
        1 => ClientAuth::post(of.client, "secret"),
        _ => ClientAuth::public(of.client),
    };
    let mut builder = TokenEndpoint::builder(of.url, ClientCredentials::new()).client_auth(auth).scope(of.scope);
    if of.is_json {
        builder = builder.body(BodyFormat::Json);
    }
    match of.grant_type {
        None => {}
        Some(None) => builder = builder.no_grant_type(),
        Some(Some(name)) => builder = builder.grant_type(name),
    }
    for (name, value) in &of.parameters {
        builder = builder.parameter(*name, value.value());
    }
    for (name, value) in &of.headers {
        builder = builder.header(*name, *value);
    }
    builder.transport(transport).build().ok()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn l65_different_requests_have_different_names(
        base in configuration(),
        variants in prop::collection::vec(parameters(), 200),
        others in prop::collection::vec(configuration(), 50),
    ) {
        // Most differ in their parameters only.
        let variants = variants.into_iter().map(|parameters| Configuration { parameters, ..base.clone() });
        let all: Vec<_> = variants.chain(others).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let world = World::new();
            let mut requests = HashMap::new();
            for of in all {
                let recorder = Recorder::default();
                let Some(endpoint) = endpoint(&of, recorder.clone()) else { continue };
                let Ok(shared) = world.fleet().share(endpoint) else { continue };
                shared.0.source.clone().fetch(world.cx(FetchReason::Missing)).await.unwrap();
                // How the same client proves who it is does not count: a change of that is rolled out in steps.
                let request = recorder.0.lock().unwrap().clone();
                let name = name_of(&shared).await;
                let earlier = requests.entry((name, of.auth)).or_insert_with(|| (request.clone(), of.clone()));
                assert_eq!(earlier.0, request, "{:?} and {of:?}", earlier.1);
            }
            assert!(requests.len() > 20, "most configurations are good ones");
        });
    }
}
