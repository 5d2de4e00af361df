//! Requests as JSON, with JWTs and HTTP Basic decoded.

use std::collections::BTreeMap;

use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use bytes::Bytes;
use http::{HeaderMap, Request};
use serde_json::{Map, Value, json};

use crate::signature::Keys;

/// A token request, in the form of the expected ones.
pub(crate) fn request(request: &Request<Bytes>, keys: &Keys) -> Value {
    let uri = request.uri().to_string();
    let (url, query) = uri.split_once('?').map_or((&*uri, None), |(url, query)| (url, Some(query)));
    let mut shown =
        json!({ "method": request.method().as_str(), "url": url, "headers": headers(request.headers(), keys) });
    if let Some(query) = query {
        shown["query"] = pairs(query.as_bytes(), keys);
    }
    let content_type = request.headers().get("content-type").map(|value| value.to_str().unwrap());
    match content_type {
        Some("application/x-www-form-urlencoded") => shown["form"] = pairs(request.body(), keys),
        Some("application/json") => shown["json"] = tree(&serde_json::from_slice(request.body()).unwrap(), keys),
        _ => assert!(request.body().is_empty(), "a body without a content type"),
    }
    shown
}

/// What every token request has, unless the expected one says otherwise.
pub(crate) fn with_usual_headers(request: &Value) -> Value {
    let mut request = request.clone();
    let content_type = match () {
        () if request.get("form").is_some() => Some("application/x-www-form-urlencoded"),
        () if request.get("json").is_some() => Some("application/json"),
        () => None,
    };
    let method = request["method"].clone();
    let members = request.as_object_mut().unwrap();
    let headers = members.entry("headers").or_insert_with(|| json!({})).as_object_mut().unwrap();
    let usual = [
        ("accept", Some("application/json")),
        ("accept-encoding", Some("identity")),
        ("content-type", content_type),
        // A POST says that it has no body (RFC 9110 section 8.6).
        ("content-length", (method == "POST" && content_type.is_none()).then_some("0")),
    ];
    for (name, value) in usual {
        if let Some(value) = value {
            headers.entry(name).or_insert_with(|| value.into());
        }
    }
    request
}

pub(crate) fn headers(headers: &HeaderMap, keys: &Keys) -> Value {
    let mut shown = BTreeMap::new();
    for (name, value) in headers {
        let value = text(value.to_str().unwrap(), keys);
        assert!(shown.insert(name.as_str().to_owned(), value).is_none(), "{name} is sent twice");
    }
    shown.into_iter().collect()
}

fn pairs(form: &[u8], keys: &Keys) -> Value {
    let mut shown = Map::new();
    for (name, value) in form_urlencoded::parse(form) {
        let value = text(&value, keys);
        match shown.get_mut(&*name) {
            None => {
                shown.insert(name.into_owned(), value);
            }
            Some(Value::Array(list)) => list.push(value),
            Some(first) => *first = json!([first.clone(), value]),
        }
    }
    shown.into()
}

fn tree(value: &Value, keys: &Keys) -> Value {
    match value {
        Value::String(string) => text(string, keys),
        Value::Array(list) => list.iter().map(|value| tree(value, keys)).collect(),
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), tree(value, keys))).collect(),
        _ => value.clone(),
    }
}

/// A string, decoded if it is a JWT, one after a prefix, or HTTP Basic.
pub(crate) fn text(text: &str, keys: &Keys) -> Value {
    if let Some(pair) = text.strip_prefix("Basic ") {
        return json!({ "basic": String::from_utf8(BASE64_STANDARD.decode(pair).unwrap()).unwrap() });
    }
    let (prefix, token) = text.rfind(' ').map_or(("", text), |space| text.split_at(space + 1));
    match jwt(token, keys) {
        Some(jwt) if prefix.is_empty() => json!({ "jwt": jwt }),
        Some(jwt) => json!({ "prefix": prefix, "jwt": jwt }),
        None => text.into(),
    }
}

fn jwt(token: &str, keys: &Keys) -> Option<Value> {
    let [header, claims, signature] = *token.split('.').collect::<Vec<_>>() else { return None };
    let part = |part: &str| serde_json::from_slice::<Value>(&BASE64_URL_SAFE_NO_PAD.decode(part).ok()?).ok();
    let (header, claims) = (part(header)?, part(claims)?);
    keys.verify(header["alg"].as_str()?, token, signature);
    Some(json!({ "header": header, "claims": claims }))
}
