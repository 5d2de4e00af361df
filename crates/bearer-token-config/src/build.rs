//! Builds a provider from a configuration that was read.

use std::{collections::BTreeSet, path::PathBuf, sync::OnceLock};

use bearer_token::{
    Error, Sending, TokenProvider, TokenProviderBuilder, oauth::RefreshToken, platform::Platform, shared::Fleet,
};

use crate::{
    given::Given,
    kept::Kept,
    report::Report,
    sections::{Context, Fields, SetTransport, Sharing, Sources, no_source},
    variables::EnvVariables,
};

/// A configuration whose fields were read.
pub(crate) struct Fitted {
    pub(crate) fields: Fields,
    pub(crate) report: Report,
    pub(crate) variables: EnvVariables,
    pub(crate) directory: PathBuf,
    /// The file that it was read from.
    pub(crate) file: Option<PathBuf>,
    pub(crate) transport: Option<SetTransport>,
    pub(crate) platform: Option<Platform>,
    /// The fleet that code gives.
    pub(crate) fleet: Option<Fleet>,
    /// The fleet of the section `shared`, made once: all keys share its circuit.
    pub(crate) sharing: OnceLock<Option<Sharing>>,
    /// Nothing is to be written.
    pub(crate) is_dry_run: bool,
    /// The hosts of token endpoints that a variable may choose from.
    pub(crate) hosts: Vec<String>,
}

/// A provider's builder, with every problem in it; the variables that were used; and the sources, each after those that
/// it uses.
pub(crate) struct Assembled {
    pub(crate) builder: TokenProviderBuilder,
    /// How the tokens are sent, if that is configured.
    pub(crate) sending: Option<Sending>,
    pub(crate) used: BTreeSet<String>,
    pub(crate) sources: Vec<(String, TokenProvider)>,
}

impl Fitted {
    pub(crate) fn assemble(&self, given: Given<'_>, kept: Option<&Kept>) -> Assembled {
        let mut cx = self.context(given, kept);
        cx.sharing = self.sharing(&mut cx);
        let source = self.fields.source(&mut cx);
        let sending = self.fields.sending(&mut cx);
        let mut builder = self.fields.provider(source.unwrap_or_else(no_source), sending.clone(), &mut cx);
        cx.report_unused_sources();
        if matches!(given, Given::Rehearsal) {
            self.fields.check_variables(&mut cx);
        }
        let (used, sources) = (cx.used_variables(), cx.built_sources());
        let mut report = self.report.clone();
        report.add_unrelated(cx.report);
        if let Some(platform) = &self.platform {
            builder = builder.platform(platform.clone());
        }
        let problems = self.variables.rename_all(report);
        if !problems.is_empty() {
            let name = self.fields.name.as_ref().map(|name| name.as_str().to_owned());
            let name = name.or_else(|| self.file.as_ref().map(|file| file.display().to_string()));
            // An unusable name is one of the problems already.
            let is_usable = |name: &String| !name.trim().is_empty() && !name.chars().any(char::is_control);
            builder = match name.filter(is_usable) {
                Some(name) => no_source().name(name),
                None => no_source(),
            };
            builder = problems.into_iter().fold(builder, TokenProviderBuilder::problem);
        }
        Assembled { builder, sending, used, sources }
    }

    /// With which fleet the tokens are shared. A dry run shares nothing.
    fn sharing<'a>(&'a self, cx: &mut Context<'_>) -> Option<&'a Sharing> {
        if self.is_dry_run {
            return None;
        }
        let fields = self.fields.shared.as_ref();
        let make = || match (fields, &self.fleet) {
            (Some(fields), given) => fields.sharing(given.as_ref(), cx),
            (None, Some(fleet)) => Some(Sharing::of(fleet, None)),
            (None, None) => None,
        };
        self.sharing.get_or_init(make).as_ref()
    }

    /// The refresh token grant, if nothing is wrong with its section.
    pub(crate) fn refresh_token(&self) -> Result<RefreshToken, Error> {
        let mut cx = self.context(Given::Nothing, None);
        if self.fields.shares_refresh_token() {
            cx.sharing = self.sharing(&mut cx);
        }
        let grant = self.fields.refresh_grant(&mut cx);
        let mut report = self.report.clone();
        report.add_unrelated(cx.report);
        let problems = self.variables.rename_all(report);
        grant.filter(|_| problems.is_empty()).ok_or_else(|| Error::config("the refresh token has no store", problems))
    }

    fn context<'a>(&'a self, given: Given<'a>, kept: Option<&'a Kept>) -> Context<'a> {
        let sources = Sources::new(&self.fields.sources);
        let mut cx = Context::new(&self.directory, self.transport.as_ref(), self.platform.as_ref(), sources);
        (cx.given, cx.kept, cx.hosts, cx.is_dry_run) = (given, kept, &self.hosts, self.is_dry_run);
        cx.has_shared_section = self.fields.shared.is_some();
        cx
    }
}
