//! The events of one thread.

use std::{
    cell::RefCell,
    fmt::{Debug, Write},
};

use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt as _},
    util::SubscriberInitExt as _,
};

thread_local! {
    static EVENTS: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs something, and gives the events of `bearer-token` meanwhile on this thread: a line each, its level first.
pub(crate) fn events<T>(during: impl FnOnce() -> T) -> (T, String) {
    // Another test may have set it already.
    let _ = tracing_subscriber::registry().with(Collector).try_init();
    EVENTS.set(Some(String::new()));
    let result = during();
    (result, EVENTS.take().unwrap_or_default())
}

struct Collector;

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = match field.name() {
            "message" => write!(self.0, " {value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
    }
}

impl<S: Subscriber> Layer<S> for Collector {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if !event.metadata().target().starts_with("bearer_token") {
            return;
        }
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        EVENTS.with_borrow_mut(|events| {
            if let Some(events) = events {
                let _ = writeln!(events, "{}", line.0);
            }
        });
    }
}
