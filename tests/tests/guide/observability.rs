//! The chapter on metrics, events and traces.

use std::collections::BTreeSet;

use bearer_token::observe::Metrics;
use metrics::{counter, gauge, histogram, with_local_recorder};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};

use super::{chapter, source, table};

const HEADING: &str = "| metric | in Prometheus | kind | labels |";

pub(super) fn metrics() -> Vec<Vec<String>> {
    let rows = table(&chapter("observability"), HEADING);
    rows.into_iter().map(|row| row.into_iter().map(|cell| cell.replace('`', "")).collect()).collect()
}

/// The literals of a source that begin and end in a certain way.
fn literals(source: &str, is_wanted: impl Fn(&str) -> bool) -> BTreeSet<String> {
    source.split('"').skip(1).step_by(2).filter(|literal| is_wanted(literal)).map(str::to_owned).collect()
}

#[test]
fn every_metric_has_a_row_and_a_paragraph() {
    let code = [source("observe/metrics.rs"), source("observe/metrics/series.rs")].concat();
    let code: String = code.lines().filter(|line| !line.trim().starts_with("//")).collect();
    let names = literals(&code, |text| {
        (text.starts_with("bearer_token.") || text.starts_with("http.client.")) && !text.contains(' ')
    });
    assert!(names.len() > 10, "{names:?}");
    let rows: BTreeSet<_> = metrics().into_iter().map(|row| row[0].clone()).collect();
    assert_eq!(rows, names);
    for name in names {
        assert!(chapter("observability").contains(&format!("**`{name}`**")), "{name} has no paragraph");
    }
}

#[test]
fn prometheus_shows_the_names_of_the_table() {
    let builder = PrometheusBuilder::new().with_recommended_naming(true);
    let builder = builder.set_buckets_for_metric(Matcher::Suffix("duration".to_owned()), &[1.0]).unwrap();
    let recorder = builder.build_recorder();
    with_local_recorder(&recorder, || {
        drop(Metrics::new()); // it tells the units
        for row in metrics() {
            let name = row[0].clone();
            match row[2].split(',').next().unwrap() {
                "counter" => counter!(name).increment(1),
                "gauge" => gauge!(name).set(1.0),
                "histogram" => histogram!(name).record(1.0),
                kind => panic!("{kind}"),
            }
        }
    });
    let shown = recorder.handle().render();
    for row in metrics() {
        let suffix = if row[2].starts_with("histogram") { "_bucket{" } else { " 1\n" };
        assert!(shown.contains(&format!("\n{}{suffix}", row[1])), "{} in {shown}", row[1]);
    }
}

#[test]
fn every_event_has_a_paragraph_and_every_message_is_told() {
    let (text, events) = (chapter("observability"), source("observe/event.rs"));
    let (_, kinds) = events.split_once("pub enum EventKind<'a> {").unwrap();
    let (kinds, _) = kinds.split_once("\n}").unwrap();
    let names: BTreeSet<_> = kinds
        .lines()
        .filter_map(|line| line.strip_prefix("    ")?.split_once(" {").map(|(name, _)| name))
        .filter(|name| name.chars().all(char::is_alphanumeric))
        .collect();
    assert!(names.len() > 35, "{names:?}");
    let told: BTreeSet<_> =
        text.lines().filter_map(|line| line.strip_prefix("**`")?.split_once("`**, ").map(|(name, _)| name)).collect();
    assert_eq!(told, names);

    let flat = text.replace('\n', " ");
    let recorder = source("observe/tracing.rs").replace("\\\n", "\u{1}");
    let messages = literals(&recorder, |text| text.contains(' '));
    assert!(messages.len() > 35, "{messages:?}");
    for message in messages {
        let message: String =
            message.split('\u{1}').enumerate().map(|(n, part)| if n == 0 { part } else { part.trim_start() }).collect();
        assert!(flat.contains(&format!("`{message}`")), "{message}");
    }
    let (_, warnings) = events.split_once("\nwarnings! {\n").unwrap();
    for warning in literals(warnings.split_once("\n}").unwrap().0, |_| true) {
        assert!(flat.contains(&format!("warning `{warning}`")), "{warning}");
    }
}

#[test]
fn every_word_of_a_label_is_told() {
    let (text, outcomes) = (chapter("observability"), source("observe/outcome.rs"));
    let (_, words) = outcomes.split_once("words! {\n").unwrap();
    let sources = [words.split_once("\n}").unwrap().0.to_owned(), source("token/rejection.rs"), reasons()];
    let words: BTreeSet<_> = sources
        .iter()
        .flat_map(|source| literals(source, |text| text.chars().all(char::is_alphabetic) && !text.is_empty()))
        .collect();
    assert!(words.contains("settling") && words.contains("lease") && words.contains("requested"), "{words:?}");
    for word in words {
        assert!(text.contains(&format!("`{word}`")), "{word}");
    }
}

/// The match that names the reasons of a fetch.
fn reasons() -> String {
    let token = source("token.rs");
    let (_, rest) = token.split_once("pub fn as_str(self)").unwrap();
    rest.split_once("\n}").unwrap().0.to_owned()
}
