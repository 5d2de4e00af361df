//! Everything that is wrong with a configuration: what was found, what was expected, and what to change.
//!
//! A problem is data, not a string, because the same mistake is shown in three ways. A builder names the method to
//! call. A configuration file names the field to set. A process without a file names the environment variable.
//!
//! ```text
//! Problem { path, found, expected, advice: [Advice { setting }] }
//!
//! builder        url: found plaintext `http://`; expected `https://`: call `.allow_plaintext()`
//! file           token_endpoint.url: ..: set `token_endpoint.allow_plaintext = true`
//! environment    BEARER_TOKEN_TOKEN_ENDPOINT__URL: ..: set `BEARER_TOKEN_TOKEN_ENDPOINT__ALLOW_PLAINTEXT=true`
//! ```
//!
//! The configuration crate translates: it replaces the path by [`Problem::at`] and each setting by
//! [`Problem::with_advice`]. It parses no sentence to do so.

use std::{borrow::Cow, fmt};

/// One thing that is wrong with a configuration.
///
/// Builders report all their problems at once, in [`Error::problems`](crate::Error::problems). The [path](Self::path)
/// names the builder's method to call differently. A configuration reports the same problems under the names of its
/// fields or variables.
///
/// ```
/// use bearer_token::{Advice, Problem};
///
/// let problem = Problem::new("url", "found plaintext `http://`")
///     .expecting("`https://`, because credentials would travel in the clear")
///     .advise(Advice::text("change the URL"))
///     .advise(Advice::turn_on("allow_plaintext"));
/// assert_eq!(
///     problem.to_string(),
///     "url: found plaintext `http://`; expected `https://`, because credentials would travel in the clear: change the \
///      URL, or call `.allow_plaintext()`"
/// );
/// ```
///
/// A sentence is made of clauses: `PATH: FOUND; expected EXPECTED: ADVICE, or ADVICE`. So a clause begins in lower case
/// and ends without a period, and an advice begins with a verb.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where the user set it: a method, a field with dots, or a variable. It may be empty while a part is checked that
    /// does not know its own place; [`Problem::at`] then completes it.
    path: String,
    /// The clause about what was found. Begins with `found`. It may quote names and lengths, but never a value that
    /// could be a secret.
    found: Cow<'static, str>,
    expected: Option<Cow<'static, str>>,
    /// Alternatives. One of them is enough, so a problem never lists the steps of a sequence.
    advice: Vec<Advice>,
}

impl Problem {
    /// Reports what was found at a path, as a clause such as ``found plaintext `http://` ``.
    ///
    /// The clause ends up in logs: keep secrets out of it.
    pub fn new(path: impl Into<String>, found: impl Into<Cow<'static, str>>) -> Self {
        Problem { path: path.into(), found: found.into(), expected: None, advice: Vec::new() }
    }

    /// Adds what was expected, such as `` `https://` ``.
    #[must_use]
    pub fn expecting(mut self, expected: impl Into<Cow<'static, str>>) -> Self {
        self.expected = Some(expected.into());
        self
    }

    /// Adds one way to fix it. Several are alternatives.
    ///
    /// ```
    /// use bearer_token::{Advice, Problem};
    ///
    /// let problem = Problem::new("signer", "found no key").advise(Advice::set("key")).advise(Advice::set("remote"));
    /// assert_eq!(problem.to_string(), "signer: found no key: call `.key(..)`, or call `.remote(..)`");
    /// ```
    #[must_use]
    pub fn advise(mut self, advice: Advice) -> Self {
        self.advice.push(advice);
        self
    }

    /// Reports the same at another path.
    ///
    /// For code that builds a part on behalf of a user, and knows where the user wrote its settings.
    #[must_use]
    pub fn at(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// Replaces all advice, for example to name fields in place of calls.
    ///
    /// ```
    /// use bearer_token::{Advice, Problem, Setting};
    ///
    /// // A builder's problem, shown to the reader of a file.
    /// let problem = Problem::new("key_id", "found no key id").advise(Advice::set("key_id"));
    /// let fields = problem.advice().iter().filter_map(Advice::setting).map(|setting| {
    ///     Advice::Set(Setting::Field(format!("jwt.{}", setting.name()).into()))
    /// });
    /// let shown = problem.clone().at("jwt.key_id").with_advice(fields.collect::<Vec<_>>());
    /// assert_eq!(shown.to_string(), "jwt.key_id: found no key id: set `jwt.key_id`");
    /// ```
    #[must_use]
    pub fn with_advice(mut self, advice: impl IntoIterator<Item = Advice>) -> Self {
        self.advice = advice.into_iter().collect();
        self
    }

    /// The same with another clause about what was found, such as one that names its file too.
    #[allow(dead_code, reason = "used with the feature `jwt`")]
    pub(crate) fn with_found(mut self, found: impl FnOnce(&str) -> String) -> Self {
        self.found = found(&self.found).into();
        self
    }

    /// The builder's method, the field (`jwt.key.file`), or the environment variable.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What was found, as a clause.
    pub fn found(&self) -> &str {
        &self.found
    }

    /// What was expected, where the clause about what was found does not imply it.
    pub fn expected(&self) -> Option<&str> {
        self.expected.as_deref()
    }

    /// The ways to fix it.
    pub fn advice(&self) -> &[Advice] {
        &self.advice
    }

    /// What was found, what was expected, and what to change, in one sentence.
    ///
    /// For output that shows the [path](Self::path) in a column of its own.
    pub fn message(&self) -> String {
        Message(self).to_string()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, Message(self))
    }
}

/// A problem without its path.
struct Message<'a>(&'a Problem);

impl fmt::Display for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Problem { found, expected, advice, .. } = self.0;
        f.write_str(found)?;
        if let Some(expected) = expected {
            write!(f, "; expected {expected}")?;
        }
        let mut join = ": ";
        for advice in advice.iter().map(ToString::to_string) {
            write!(f, "{join}{advice}")?;
            join = if advice.ends_with('?') { " Or " } else { ", or " };
        }
        Ok(())
    }
}

/// One way to fix a [`Problem`].
///
/// Advice that names a setting is data. A builder renders it as a method to call, and a configuration as a field or a
/// variable to set.
///
/// ```
/// use bearer_token::{Advice, Setting};
///
/// let advice = Advice::turn_on("allow_plaintext");
/// assert_eq!(advice.to_string(), "call `.allow_plaintext()`");
/// let advice = Advice::TurnOn(Setting::Field("token_endpoint.allow_plaintext".into()));
/// assert_eq!(advice.to_string(), "set `token_endpoint.allow_plaintext = true`");
/// ```
///
/// The same advice, as each user reads it:
///
/// | advice | for a builder | for a file | for variables |
/// |---|---|---|---|
/// | [`TurnOn`](Self::TurnOn) | call `.x()` | set `x = true` | set `X=true` |
/// | [`Set`](Self::Set) | call `.x(..)` | set `x` | set `X` |
/// | [`SetTo`](Self::SetTo) | use `.x(..)` with `v` | set `x = "v"` | set `X=v` |
/// | [`DidYouMean`](Self::DidYouMean) | did you mean `.x(..)`? | did you mean `x`? | did you mean `X`? |
/// | [`Remove`](Self::Remove) | remove `.x(..)` | remove `x` | remove `X` |
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Advice {
    /// Turn on a switch that is off by default.
    TurnOn(Setting),
    /// Set something that is not set, or set it differently.
    Set(Setting),
    /// Set something to this value.
    SetTo(Setting, Cow<'static, str>),
    /// Use this one in place of what was found, whose name is similar.
    DidYouMean(Setting),
    /// Remove something that is set.
    Remove(Setting),
    /// Compile with this feature of the crate.
    Feature(&'static str),
    /// Do something that is not a setting: "change the URL".
    Text(Cow<'static, str>),
}

impl Advice {
    /// Advises to turn on a switch, by the name of its method.
    pub fn turn_on(method: &'static str) -> Self {
        Advice::TurnOn(Setting::Call(method.into()))
    }

    /// Advises to call a method.
    pub fn set(method: &'static str) -> Self {
        Advice::Set(Setting::Call(method.into()))
    }

    /// Advises to call a method with this value, written as in a configuration: `base64`.
    pub fn set_to(method: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        Advice::SetTo(Setting::Call(method.into()), value.into())
    }

    /// Advises to remove the call of a method.
    pub fn remove(method: &'static str) -> Self {
        Advice::Remove(Setting::Call(method.into()))
    }

    /// Advises something that involves no setting. Do not name methods here: the advice may be shown for a file.
    pub fn text(text: impl Into<Cow<'static, str>>) -> Self {
        Advice::Text(text.into())
    }

    /// The setting that the advice is about.
    pub fn setting(&self) -> Option<&Setting> {
        match self {
            Advice::TurnOn(setting)
            | Advice::Set(setting)
            | Advice::SetTo(setting, _)
            | Advice::DidYouMean(setting)
            | Advice::Remove(setting) => Some(setting),
            Advice::Feature(_) | Advice::Text(_) => None,
        }
    }
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Advice::TurnOn(Setting::Call(call)) if !is_qualified(call) => write!(f, "call `.{call}()`"),
            Advice::TurnOn(Setting::Field(field)) => write!(f, "set `{field} = true`"),
            Advice::TurnOn(Setting::Variable(variable)) => write!(f, "set `{variable}=true`"),
            Advice::TurnOn(setting) => write!(f, "use {setting}"),
            Advice::Set(Setting::Call(call)) if is_qualified(call) => write!(f, "use `{call}`"),
            Advice::Set(setting @ Setting::Call(_)) => write!(f, "call {setting}"),
            Advice::Set(setting) => write!(f, "set {setting}"),
            Advice::SetTo(Setting::Call(call), value) if is_bool(value) => write!(f, "call `.{call}({value})`"),
            Advice::SetTo(Setting::Field(field), value) if is_bool(value) => write!(f, "set `{field} = {value}`"),
            Advice::SetTo(Setting::Field(field), value) => write!(f, "set `{field} = \"{value}\"`"),
            Advice::SetTo(Setting::Variable(variable), value) => write!(f, "set `{variable}={value}`"),
            Advice::SetTo(setting, value) => write!(f, "use {setting} with `{value}`"),
            Advice::DidYouMean(setting) => write!(f, "did you mean {setting}?"),
            Advice::Remove(setting) => write!(f, "remove {setting}"),
            Advice::Feature(feature) => write!(f, "enable the feature `{feature}`"),
            Advice::Text(text) => f.write_str(text),
        }
    }
}

/// A setting, by the name under which its user sets it.
///
/// ```
/// use bearer_token::Setting;
///
/// assert_eq!(Setting::Call("allow_plaintext".into()).to_string(), "`.allow_plaintext(..)`");
/// assert_eq!(Setting::Field("token_endpoint.url".into()).to_string(), "`token_endpoint.url`");
/// assert_eq!(Setting::Variable("BEARER_TOKEN_HTTP__PROXY".into()).name(), "BEARER_TOKEN_HTTP__PROXY");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Setting {
    /// A method of the builder at hand (`allow_plaintext`), or of another type (`KeyReader::key_id`).
    Call(Cow<'static, str>),
    /// A field of a configuration file, as a path with dots.
    Field(Cow<'static, str>),
    /// An environment variable.
    Variable(Cow<'static, str>),
}

impl Setting {
    /// The name, without the dots and parentheses of a call.
    pub fn name(&self) -> &str {
        match self {
            Setting::Call(name) | Setting::Field(name) | Setting::Variable(name) => name,
        }
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Setting::Call(call) if is_qualified(call) => write!(f, "`{call}`"),
            Setting::Call(call) => write!(f, "`.{call}(..)`"),
            Setting::Field(name) | Setting::Variable(name) => write!(f, "`{name}`"),
        }
    }
}

fn is_bool(value: &str) -> bool {
    matches!(value, "true" | "false")
}

/// Whether a call names its type, as in `KeyReader::key_id`. A leading dot would be wrong there: the reader has another
/// builder at hand.
fn is_qualified(call: &str) -> bool {
    call.contains("::")
}

/// Collects problems, to report all of them at once.
///
/// Checks add to it and go on. Returning at the first problem would cost the user one restart for each mistake.
#[derive(Clone, Debug, Default)]
pub(crate) struct Problems(Vec<Problem>);

impl Problems {
    /// Reports a problem: `problems.add(Problem::new("url", "found ..").expecting("..").advise(..))`.
    pub(crate) fn add(&mut self, problem: Problem) {
        self.0.push(problem);
    }

    /// Reports a problem that needs one clause only.
    pub(crate) fn push(&mut self, path: impl Into<String>, found: impl Into<Cow<'static, str>>) {
        self.add(Problem::new(path, found));
    }

    /// Adds the problems of another part, at the same level.
    #[allow(dead_code, reason = "used with the feature `http-transport`")]
    pub(crate) fn extend(&mut self, others: Problems) {
        self.0.extend(others.0);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    #[allow(dead_code, reason = "used by parts that are behind features, and by tests")]
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }

    pub(crate) fn into_vec(self) -> Vec<Problem> {
        self.0
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            let join = if index > 0 { "; " } else { "" };
            write!(f, "{join}{problem}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_names_a_setting_as_its_user_sets_it() {
        let call = |name: &'static str| Setting::Call(name.into());
        let field = || Setting::Field("jwt.key".into());
        let variable = || Setting::Variable("APP_JWT__KEY".into());
        for (advice, text) in [
            (Advice::TurnOn(call("allow_plaintext")), "call `.allow_plaintext()`"),
            (Advice::TurnOn(call("KeyReader::allow_short_secret")), "use `KeyReader::allow_short_secret`"),
            (Advice::TurnOn(field()), "set `jwt.key = true`"),
            (Advice::TurnOn(variable()), "set `APP_JWT__KEY=true`"),
            (Advice::Set(call("scope")), "call `.scope(..)`"),
            (Advice::Set(call("KeyReader::key_id")), "use `KeyReader::key_id`"),
            (Advice::Set(field()), "set `jwt.key`"),
            (Advice::Set(variable()), "set `APP_JWT__KEY`"),
            (Advice::SetTo(call("KeyReader::encoding"), "base64".into()), "use `KeyReader::encoding` with `base64`"),
            (Advice::SetTo(field(), "base64".into()), "set `jwt.key = \"base64\"`"),
            (Advice::SetTo(variable(), "base64".into()), "set `APP_JWT__KEY=base64`"),
            (Advice::SetTo(call("jwt_id"), "false".into()), "call `.jwt_id(false)`"),
            (Advice::SetTo(field(), "false".into()), "set `jwt.key = false`"),
            (Advice::Remove(call("scope")), "remove `.scope(..)`"),
            (Advice::DidYouMean(field()), "did you mean `jwt.key`?"),
            (Advice::Remove(field()), "remove `jwt.key`"),
            (Advice::Feature("http-transport"), "enable the feature `http-transport`"),
            (Advice::text("change the URL"), "change the URL"),
        ] {
            assert_eq!(advice.to_string(), text);
        }
    }
}
