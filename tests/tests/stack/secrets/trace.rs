//! Every event, at every level, from every crate and thread.

use std::{
    fmt::{Debug, Write as _},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use tracing::{
    Metadata, Subscriber,
    field::{Field, Visit},
    span,
    subscriber::Interest,
};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt as _},
    registry::LookupSpan,
    util::SubscriberInitExt as _,
};

/// Every event since the start, with its target.
static TRACED: Mutex<Vec<(String, String)>> = Mutex::new(Vec::new());
static LISTENERS: AtomicUsize = AtomicUsize::new(0);

pub(super) fn traced() -> MutexGuard<'static, Vec<(String, String)>> {
    TRACED.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) struct Listener;

impl Listener {
    /// Starts to collect the events of every level, crate and thread.
    pub(super) fn listen() -> Self {
        // Another test may have set it already.
        let _ = tracing_subscriber::registry().with(Everything).try_init();
        LISTENERS.fetch_add(1, Ordering::SeqCst);
        Listener
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        LISTENERS.fetch_sub(1, Ordering::SeqCst);
    }
}

struct Everything;

#[derive(Default)]
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {}={value:?} {value:#?}", field.name()).unwrap();
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        write!(self.0, " {}={value}", field.name()).unwrap();
    }
}

fn keep(metadata: &Metadata<'_>, record: impl FnOnce(&mut Text)) {
    let mut text = Text(metadata.name().to_owned());
    record(&mut text);
    traced().push((metadata.target().to_owned(), text.0));
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Everything {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, _: &Metadata<'_>, _: Context<'_, S>) -> bool {
        LISTENERS.load(Ordering::Relaxed) > 0
    }

    fn on_new_span(&self, attributes: &span::Attributes<'_>, _: &span::Id, _: Context<'_, S>) {
        keep(attributes.metadata(), |text| attributes.record(text));
    }

    fn on_record(&self, id: &span::Id, values: &span::Record<'_>, cx: Context<'_, S>) {
        if let Some(span) = cx.span(id) {
            keep(span.metadata(), |text| values.record(text));
        }
    }

    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        keep(event.metadata(), |text| event.record(text));
    }
}
