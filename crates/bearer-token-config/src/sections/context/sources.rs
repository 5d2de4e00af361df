//! The sources that feed others: each is built once, before what uses it, and no ring of them is.

use std::collections::BTreeMap;

use bearer_token::{Advice, Problem, Setting, TokenProvider};

use super::Context;
use crate::{given::Given, nearest::nearest};

/// The longest chain of sources. Building one takes a part of the stack for each source in it.
const LONGEST_CHAIN: usize = 16;

/// The most names of sources in a message.
const LISTED: usize = 16;

/// A source that feeds others, as its section describes it.
pub(crate) trait Feed {
    /// The provider of its tokens, with this name, if nothing is wrong with it.
    fn provider(&self, name: &str, cx: &mut Context<'_>) -> Option<TokenProvider>;

    /// Reports fields that several sets of variables cannot share.
    fn check_variables(&self, cx: &mut Context<'_>);
}

/// The sources of a configuration, each built when it is first used.
pub(crate) struct Sources<'a> {
    feeds: BTreeMap<&'a str, &'a dyn Feed>,
    /// The sources that were built, each with the variables that it used.
    built: BTreeMap<&'a str, (Option<TokenProvider>, Vec<String>)>,
    /// Their names, each after those that it uses.
    order: Vec<&'a str>,
    /// The sources that are being built. Each is needed by the one before it.
    building: Vec<&'a str>,
}

impl<'a> Sources<'a> {
    pub(crate) fn new(sections: &'a BTreeMap<String, impl Feed>) -> Self {
        let feeds = sections.iter().map(|(name, feed)| (name.as_str(), feed as &dyn Feed)).collect();
        Sources { feeds, built: BTreeMap::new(), order: Vec::new(), building: Vec::new() }
    }
}

impl Context<'_> {
    /// The provider of a source that the value at this path uses.
    pub(in crate::sections) fn source(&mut self, path: &str, name: &str) -> Result<TokenProvider, Problem> {
        let path = format!("{path}.source");
        let feeds = &self.sources.feeds;
        let Some((&name, _)) = feeds.get_key_value(name) else {
            let known: Vec<_> = feeds.keys().take(LISTED).map(|name| format!("`{name}`")).collect();
            let expected = match (known.as_slice(), feeds.len() - known.len()) {
                ([], _) => "a table `[sources.NAME]` of this name".to_owned(),
                (known, 0) => format!("the name of one of `sources`: {}", known.join(", ")),
                (known, more) => format!("the name of one of `sources`: {} and {more} more", known.join(", ")),
            };
            let problem = Problem::new(path, "found the name of a source that does not exist").expecting(expected);
            let near = nearest(name, feeds.keys().copied());
            let advice = near.map(|near| Advice::text(format!("did you mean `{near}`?")));
            return Err(advice.into_iter().fold(problem, Problem::advise));
        };
        if let Some(start) = self.sources.building.iter().position(|building| *building == name) {
            let mut ring: Vec<_> = self.sources.building.get(start..).unwrap_or_default().to_vec();
            ring.push(name);
            let found = format!("found a ring of sources: {}", ring.join(", which uses "));
            return Err(Problem::new(path, found).expecting("a source that does not depend on itself"));
        }
        if self.sources.building.len() >= LONGEST_CHAIN {
            let found = format!("found a chain of more than {LONGEST_CHAIN} sources, each of which uses the next");
            return Err(Problem::new(path, found).expecting("a shorter one"));
        }
        self.built(name).ok_or_else(|| Problem::new(path, FAULTY))
    }

    /// The sources that were built, each after those that it uses.
    pub(crate) fn built_sources(&self) -> Vec<(String, TokenProvider)> {
        let built = |name: &&str| Some(((*name).to_owned(), self.sources.built.get(name)?.0.clone()?));
        self.sources.order.iter().filter_map(built).collect()
    }

    /// Whether a source of another source is being built.
    pub(in crate::sections) fn is_inside_source(&self) -> bool {
        !self.sources.building.is_empty()
    }

    /// The full path of a field of the source that is being built.
    pub(in crate::sections) fn place(&self, path: &str) -> String {
        let sources = self.sources.building.last().map(|name| format!("sources.{name}."));
        sources.unwrap_or_default() + path
    }

    /// Builds the sources that nothing used, and reports them.
    ///
    /// Not for a key of a keyed configuration, which was checked: a shared source does not use its own sources again.
    pub(crate) fn report_unused_sources(&mut self) {
        if self.kept.is_some() {
            return;
        }
        let names: Vec<_> = self.sources.feeds.keys().copied().collect();
        for name in names {
            if self.sources.built.contains_key(name) {
                continue;
            }
            self.built(name);
            let problem = Problem::new(format!("sources.{name}"), "found a source that nothing uses")
                .expecting(format!("`{{ source = \"{name}\" }}` in place of a value"))
                .advise(Advice::Remove(Setting::Field(format!("sources.{name}").into())));
            self.report.add(problem);
        }
    }

    fn built(&mut self, name: &str) -> Option<TokenProvider> {
        let (&name, &feed) = self.sources.feeds.get_key_value(name)?;
        if let Some((built, uses)) = self.sources.built.get(name) {
            // What uses this source depends on its variables as well.
            self.used.extend(uses.iter().cloned());
            return built.clone();
        }
        if let Some(kept) = self.kept.and_then(|kept| kept.source(name)) {
            self.sources.built.insert(name, (Some(kept.clone()), Vec::new()));
            return Some(kept);
        }
        let uses = self.used.len();
        let outer = std::mem::take(&mut self.report);
        self.sources.building.push(name);
        let mut provider = feed.provider(name, self);
        self.sources.building.pop();
        if self.has_used_since(uses) {
            if matches!(self.given, Given::Rehearsal) {
                feed.check_variables(self);
            }
        } else if let Some(kept) = self.kept {
            provider = provider.map(|provider| kept.keep_source(name, provider));
        }
        let used = self.used.get(uses..).unwrap_or_default().to_vec();
        self.sources.built.insert(name, (provider.clone(), used));
        self.sources.order.push(name);
        let inner = std::mem::replace(&mut self.report, outer);
        self.report.add_inside(&format!("sources.{name}"), inner);
        provider
    }
}

/// What is found where a source cannot be built. There are problems about it already.
const FAULTY: &str = "found a source that cannot be built";
