//! A JSON document that a provider hands out.

use bearer_token::Problem;
use serde_json::Value;

/// A JSON document, and the name of its problems.
pub(crate) struct Document {
    name: &'static str,
    json: Value,
}

impl Document {
    /// Reads a document whose member `type` must be this.
    pub(crate) fn read(name: &'static str, text: &str, kind: &str, other: &'static str) -> Result<Self, Vec<Problem>> {
        let fail = |found: String| vec![Problem::new(name, found).expecting(format!("JSON with the `type` {kind}"))];
        let json: Value = serde_json::from_str(text).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            fail(format!("found something that is not JSON, at line {line}, column {column}"))
        })?;
        match json.get("type").map(|found| found.as_str().unwrap_or_default()) {
            Some(found) if found == kind => Ok(Document { name, json }),
            Some(
                found @ ("authorized_user" | "external_account" | "impersonated_service_account" | "service_account"),
            ) => Err(fail(format!("found JSON with the `type` {found}: {other}"))),
            Some(_) => Err(fail("found JSON with another `type`".to_owned())),
            None => Err(fail("found JSON without a `type`".to_owned())),
        }
    }

    /// Reads a string that must be present.
    pub(crate) fn text(&self, pointer: &str) -> Result<&str, Vec<Problem>> {
        match self.optional(pointer)? {
            Some(text) => Ok(text),
            None => Err(vec![Problem::new(self.path(pointer), "found nothing").expecting("a string")]),
        }
    }

    /// Reads a string that may be absent.
    pub(crate) fn optional(&self, pointer: &str) -> Result<Option<&str>, Vec<Problem>> {
        match self.json.pointer(pointer) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if !text.is_empty() => Ok(Some(text)),
            Some(_) => Err(vec![
                Problem::new(self.path(pointer), "found something else").expecting("a string that is not empty"),
            ]),
        }
    }

    pub(crate) fn get(&self, pointer: &str) -> Option<&Value> {
        self.json.pointer(pointer)
    }

    /// A problem with a member.
    pub(crate) fn problem(&self, pointer: &str, found: impl Into<String>) -> Problem {
        Problem::new(self.path(pointer), found.into())
    }

    pub(crate) fn path(&self, pointer: &str) -> String {
        format!("{}{}", self.name, pointer.replace('/', "."))
    }
}
