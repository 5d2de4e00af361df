//! Whole providers where the fields of one are expected.
//!
//! A file that has a table for each provider is a good file of a program that reads it as a struct of its own. Here it is
//! read as one provider. To list each table as an unknown field would hide what has to change.

use bearer_token::{Advice, Problem};
use serde_json::{Map, Value};

use crate::{
    report::{ROOT, Report},
    sections::FIELDS,
    suggest,
    variables::EnvVariables,
};

/// More providers than this are not named.
const NAMED: usize = 8;

/// Tables that only a provider has. Each is a way to get a token.
const WAYS: [&str; 4] = ["token_endpoint", "jwt", "refresh_token", "token_exchange"];

/// Where whole providers were found.
#[derive(Default)]
struct Found {
    /// The paths of tables.
    tables: Vec<String>,
    /// The paths of lists, each with its number of providers. The path of the whole configuration is empty.
    lists: Vec<(String, usize)>,
    /// A field of the first provider, for the advice.
    field: String,
}

/// Reports whole providers inside of the configuration as one problem, and removes them.
pub(crate) fn report(value: &mut Value, variables: &EnvVariables, report: &mut Report) {
    let mut found = Found::default();
    match value {
        Value::Array(list) => found.list("", list),
        Value::Object(root) => found.remove_from(root),
        _ => {}
    }
    if let Some(problem) = found.problem(variables) {
        // Nothing is left of a list of providers.
        if value.is_array() {
            *value = Value::Object(Map::new());
        }
        report.add_unread(problem);
    }
}

impl Found {
    /// Takes the providers out of the root. They may be in a table or a list that is called as the user likes.
    fn remove_from(&mut self, root: &mut Map<String, Value>) {
        let known = FIELDS.names_in(&[]).unwrap_or_default();
        let names: Vec<String> = root.keys().filter(|name| !known.contains(*name)).cloned().collect();
        for name in names {
            let earlier = (self.tables.len(), self.lists.len());
            match root.get(&name) {
                Some(Value::Array(list)) => self.list(&name, list),
                Some(Value::Object(table)) if is_provider(&name, table) => self.table(&name, table),
                Some(Value::Object(group)) if !is_suggested(&name) => self.group(&name, group),
                _ => {}
            }
            if earlier != (self.tables.len(), self.lists.len()) {
                root.remove(&name);
            }
        }
    }

    fn table(&mut self, path: &str, table: &Map<String, Value>) {
        if self.field.is_empty() {
            let way = WAYS.iter().find(|way| table.get(**way).is_some_and(Value::is_object));
            self.field = way.map_or_else(|| "allow_origins".to_owned(), |way| (*way).to_owned());
        }
        self.tables.push(path.to_owned());
    }

    /// A table of providers: `[providers.orders]`.
    fn group(&mut self, name: &str, group: &Map<String, Value>) {
        for (member, value) in group {
            if let Value::Object(table) = value
                && is_provider(member, table)
            {
                self.table(&format!("{name}.{member}"), table);
            }
        }
    }

    /// A list of providers: `[[provider]]`.
    fn list(&mut self, name: &str, list: &[Value]) {
        let is_one = |value: &&Value| value.as_object().is_some_and(|table| is_provider(name, table));
        let number = list.iter().filter(is_one).count();
        if number > 0 {
            self.lists.push((name.to_owned(), number));
        }
    }

    fn problem(&self, variables: &EnvVariables) -> Option<Problem> {
        let number = self.tables.len() + self.lists.iter().map(|(_, number)| number).sum::<usize>();
        let expected = match number {
            0 => return None,
            1 => "its fields, without a table or a list around them",
            _ => "the fields of one provider",
        };
        // Variables know no lists of tables.
        if let Some(prefixes) = self.tables.iter().map(|path| variables.prefix_of(path)).collect::<Option<Vec<_>>>()
            && !prefixes.is_empty()
        {
            let found = format!("found {}, whose variables begin with {}", counted(number), listed(&prefixes));
            let advice = if number == 1 { "use this as the prefix" } else { "use one of these as the prefix" };
            return Some(
                Problem::new(ROOT, found)
                    .expecting("the fields of one provider after the prefix")
                    .advise(Advice::text(advice)),
            );
        }
        let problem = Problem::new(ROOT, self.found(number)).expecting(expected);
        let problem = match (self.tables.as_slice(), number) {
            ([table], 1) => problem.advise(Advice::text(format!(
                "write `{field}` in place of `{table}.{field}`, and so on",
                field = self.field
            ))),
            (_, 1) => problem,
            _ => problem.advise(Advice::text("write a file for each provider")),
        };
        Some(problem.advise(Advice::text(
            "let the program read the file as a struct with a `ProviderConfig` for each provider",
        )))
    }

    /// The clause about what was found.
    fn found(&self, number: usize) -> String {
        let lists: Vec<_> = self.lists.iter().map(|(name, _)| name.as_str()).collect();
        match (self.tables.as_slice(), lists.as_slice()) {
            ([], [""]) => format!("found a list of {}", counted(number)),
            ([], lists) => format!("found {} in the list {}", counted(number), listed(lists)),
            (tables, []) if number == 1 => format!("found one provider inside of the table {}", listed(tables)),
            (tables, []) => format!("found {}, {}, each in a table of its own", counted(number), listed(tables)),
            (tables, lists) => {
                let all: Vec<_> = tables.iter().map(String::as_str).chain(lists.iter().copied()).collect();
                format!("found {} in {}", counted(number), listed(&all))
            }
        }
    }
}

/// Whether a table that is not a field has the fields of a provider. Where a field was probably meant by its name, both
/// the origins and a way to get tokens are proof. `[client.jwt]` is the client of a token endpoint, and origins below
/// `[token-endpoint]` belong above it.
fn is_provider(name: &str, table: &Map<String, Value>) -> bool {
    let has_way = WAYS.iter().any(|way| table.get(*way).is_some_and(Value::is_object));
    let has_token = table.contains_key("token") && table.contains_key("name");
    let (has_origins, gets_tokens) = (table.contains_key("allow_origins"), has_way || has_token);
    if is_suggested(name) { has_origins && gets_tokens } else { has_origins || gets_tokens }
}

/// Whether a field is suggested in place of this name.
fn is_suggested(name: &str) -> bool {
    !name.is_empty() && suggest::field(FIELDS, "", name).is_some()
}

fn counted(number: usize) -> String {
    if number == 1 { "one provider".to_owned() } else { format!("{number} providers") }
}

/// The names as a sentence has them.
fn listed(names: &[impl AsRef<str>]) -> String {
    let quoted: Vec<_> = names.iter().take(NAMED).map(|name| format!("`{}`", name.as_ref())).collect();
    match (quoted.as_slice(), names.len().saturating_sub(NAMED)) {
        ([], _) => String::new(),
        ([one], 0) => one.clone(),
        ([first @ .., last], 0) => format!("{} and {last}", first.join(", ")),
        (all, more) => format!("{} and {more} others", all.join(", ")),
    }
}
