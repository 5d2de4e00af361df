//! The value of one parameter: a string, or a tree of them.
//!
//! A tree of values is read in three steps. Its strings are collected in order, and looked up one after the other. Then
//! a copy of the tree is filled with the results. So the recursion contains no await, and a tree needs no box for each
//! level.

use std::fmt;

use serde_json::Number;
use zeroize::Zeroizing;

use crate::{
    error::Error,
    oauth::request::{content::Sendable, wire},
    problem::{Advice, Problem, Problems},
    provider::TokenProvider,
    source::{FetchContext, Identity},
    value::Value,
};

/// The value of a parameter of token requests: a [`Value`], a list, or for JSON bodies any tree of them.
///
/// ```
/// use bearer_token::{Value, oauth::ParameterValue};
///
/// let string = ParameterValue::from("https://api.example.com/");
/// let from_file = ParameterValue::from(Value::file("/run/secrets/account"));
/// // Sent as a parameter of its own each, or as a JSON array.
/// let resources = ParameterValue::list(["https://a.example.com/", "https://b.example.com/"]);
/// // For JSON bodies only.
/// let nested = ParameterValue::object([("contents", "read"), ("issues", "write")]);
/// # let _ = (string, from_file, resources, nested);
/// ```
///
/// `Debug` shows the structure and where values come from, but no values.
///
/// ```
/// use bearer_token::{Value, oauth::{BodyFormat, ClientCredentials, ParameterValue, TokenEndpoint}};
///
/// // Google's service account impersonation: a list, a duration as a string, and a value from a file.
/// let builder = TokenEndpoint::builder(
///     "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/reports@example.com:generateAccessToken",
///     ClientCredentials::new(),
/// )
/// .no_grant_type()
/// .body(BodyFormat::Json)
/// .header("authorization", Value::file("/run/tokens/workload").prefix("Bearer "))
/// .parameter("scope", ParameterValue::list(["https://www.googleapis.com/auth/cloud-platform"]))
/// .parameter("lifetime", "3600s");
/// # let _ = builder;
/// ```
///
/// Numbers and truth values are `From` implementations: `.parameter("ttl", 3600)` sends a JSON number, and in a form
/// its digits. A [`serde_json::Value`] becomes a tree of literals.
#[derive(Clone)]
pub struct ParameterValue(Node);

/// One node of the tree: a value where JSON has a string, and everything else as in JSON.
#[derive(Clone)]
enum Node {
    String(Value),
    Number(Number),
    Bool(bool),
    Null,
    List(Vec<ParameterValue>),
    Object(Vec<(String, ParameterValue)>),
}

impl ParameterValue {
    /// A list. In a form or a query each element is a parameter of its own with the same name (RFC 8707 section 2).
    ///
    /// An empty list sends nothing in a form, and `[]` in JSON.
    pub fn list<V: Into<ParameterValue>>(values: impl IntoIterator<Item = V>) -> Self {
        ParameterValue(Node::List(values.into_iter().map(Into::into).collect()))
    }

    /// An object, for JSON bodies. Its members are sent in this order.
    ///
    /// ```
    /// use bearer_token::oauth::ParameterValue;
    ///
    /// let permissions = ParameterValue::object([
    ///     ("contents", ParameterValue::from("read")),
    ///     ("repositories", ParameterValue::list([1_296_269, 1_300_192])),
    /// ]);
    /// assert_eq!(format!("{permissions:?}"), r#"{"contents": Value([redacted]), "repositories": [number, number]}"#);
    /// ```
    ///
    /// In a form it is a problem at `build()`: there is no standard way to write one.
    pub fn object<N: Into<String>, V: Into<ParameterValue>>(members: impl IntoIterator<Item = (N, V)>) -> Self {
        ParameterValue(Node::Object(members.into_iter().map(|(name, value)| (name.into(), value.into())).collect()))
    }

    /// Whether something in it is looked up for each request.
    pub(crate) fn is_looked_up(&self) -> bool {
        self.strings().iter().any(|value| value.literal().is_none())
    }

    /// Describes the tree.
    pub(crate) fn identity(&self, path: &str, identity: &mut Identity) {
        match &self.0 {
            Node::String(value) => value.identity(path, identity),
            // In JSON the number 1 is not the string "1".
            Node::Number(number) => identity.typed(path, "number", number.to_string()),
            Node::Bool(bool) => identity.typed(path, "bool", if *bool { "true" } else { "false" }),
            Node::Null => identity.typed(path, "null", ""),
            Node::List(list) => {
                identity.typed(path, "list", list.len().to_string());
                list.iter().for_each(|value| value.identity(path, identity));
            }
            Node::Object(members) => {
                identity.typed(path, "object", members.len().to_string());
                members.iter().for_each(|(name, value)| value.identity(&format!("{path}.{name}"), identity));
            }
        }
    }

    /// Whether something in it is the token of another provider.
    pub(crate) fn has_token(&self) -> bool {
        self.strings().iter().any(|value| value.is_token())
    }

    pub(crate) fn has_changed(&self) -> bool {
        self.strings().iter().any(|value| value.has_changed())
    }

    /// Reports the problems with it now. `is_tree` allows any tree. Blocks.
    pub(crate) fn check(&self, path: &str, is_tree: bool, problems: &mut Problems) {
        let no_form = |found: &'static str| {
            let problem = Problem::new(path, found).expecting("strings, numbers or a list of them, as in any form");
            problem.advise(Advice::set_to("body", "json"))
        };
        match &self.0 {
            Node::String(value) => check_value(path, value, problems),
            Node::Number(_) | Node::Bool(_) => {}
            Node::Null if is_tree => {}
            Node::Null => problems.add(no_form("found null")),
            Node::List(list) => {
                for (index, value) in list.iter().enumerate() {
                    let path = format!("{path}[{index}]");
                    match &value.0 {
                        Node::List(_) if !is_tree => problems.add(no_form("found a list inside a list").at(path)),
                        _ => value.check(&path, is_tree, problems),
                    }
                }
            }
            Node::Object(_) if !is_tree => problems.add(no_form("found an object")),
            Node::Object(members) => {
                for (name, value) in members {
                    value.check(&format!("{path}.{name}"), is_tree, problems);
                }
            }
        }
    }

    /// The value for one request.
    pub(crate) async fn read(&self, cx: &FetchContext) -> Result<Sendable, Error> {
        let mut strings = Vec::new();
        for value in self.strings() {
            // An empty parameter is not sent, which is no error.
            strings.push(match value.literal() {
                Some("") => Zeroizing::default(),
                _ => value.read(cx).await?,
            });
        }
        Ok(self.filled(&mut strings.into_iter()))
    }

    /// The strings in it, in order.
    ///
    /// The order is that in which [`filled`](Self::filled) takes them.
    fn strings(&self) -> Vec<&Value> {
        match &self.0 {
            Node::String(value) => vec![value],
            Node::Number(_) | Node::Bool(_) | Node::Null => Vec::new(),
            Node::List(list) => list.iter().flat_map(ParameterValue::strings).collect(),
            Node::Object(members) => members.iter().flat_map(|(_, value)| value.strings()).collect(),
        }
    }

    /// The same tree with these strings.
    fn filled(&self, strings: &mut impl Iterator<Item = Zeroizing<String>>) -> Sendable {
        match &self.0 {
            // There are as many as `strings` found.
            Node::String(_) => Sendable::String(strings.next().unwrap_or_default()),
            Node::Number(number) => Sendable::Number(number.clone()),
            Node::Bool(bool) => Sendable::Bool(*bool),
            Node::Null => Sendable::Null,
            Node::List(list) => Sendable::List(list.iter().map(|value| value.filled(strings)).collect()),
            Node::Object(members) => {
                Sendable::Object(members.iter().map(|(name, value)| (name.clone(), value.filled(strings))).collect())
            }
        }
    }
}

/// Reports what is wrong with a value that is sent as a string. Nothing is removed from a plain literal (`L52`).
pub(crate) fn check_value(path: &str, value: &Value, problems: &mut Problems) {
    match value.plain() {
        Some(literal) if literal.is_empty() || !wire::check(path, literal, problems) => {}
        _ => value.problem(path).into_iter().for_each(|problem| problems.add(problem)),
    }
}

impl From<Value> for ParameterValue {
    fn from(value: Value) -> Self {
        ParameterValue(Node::String(value))
    }
}

impl From<&str> for ParameterValue {
    fn from(text: &str) -> Self {
        Value::from(text).into()
    }
}

impl From<String> for ParameterValue {
    fn from(text: String) -> Self {
        Value::from(text).into()
    }
}

impl From<TokenProvider> for ParameterValue {
    fn from(provider: TokenProvider) -> Self {
        Value::from(provider).into()
    }
}

impl From<bool> for ParameterValue {
    fn from(bool: bool) -> Self {
        ParameterValue(Node::Bool(bool))
    }
}

impl From<i64> for ParameterValue {
    fn from(number: i64) -> Self {
        ParameterValue(Node::Number(number.into()))
    }
}

impl From<i32> for ParameterValue {
    fn from(number: i32) -> Self {
        ParameterValue(Node::Number(number.into()))
    }
}

impl From<u32> for ParameterValue {
    fn from(number: u32) -> Self {
        ParameterValue(Node::Number(number.into()))
    }
}

impl From<u64> for ParameterValue {
    fn from(number: u64) -> Self {
        ParameterValue(Node::Number(number.into()))
    }
}

/// A tree of literals.
impl From<serde_json::Value> for ParameterValue {
    fn from(tree: serde_json::Value) -> Self {
        match tree {
            serde_json::Value::Null => ParameterValue(Node::Null),
            serde_json::Value::Bool(bool) => bool.into(),
            serde_json::Value::Number(number) => ParameterValue(Node::Number(number)),
            serde_json::Value::String(text) => text.into(),
            serde_json::Value::Array(list) => ParameterValue::list(list),
            serde_json::Value::Object(members) => ParameterValue::object(members),
        }
    }
}

impl fmt::Debug for ParameterValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Node::String(value) => value.fmt(f),
            Node::Number(_) => f.write_str("number"),
            Node::Bool(_) => f.write_str("bool"),
            Node::Null => f.write_str("null"),
            Node::List(list) => f.debug_list().entries(list).finish(),
            Node::Object(members) => f.debug_map().entries(members.iter().map(|(name, value)| (name, value))).finish(),
        }
    }
}
