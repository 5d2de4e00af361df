//! Bodies of answers, also of those that no server should give.

use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

/// The body of an answer.
pub(crate) enum Answer {
    /// All of it.
    Whole(Bytes),
    /// The first part of it, and then something else.
    Part(Bytes, Rest),
    /// So many bytes without a meaning.
    Flood(u64),
    /// The end.
    Done,
}

/// What comes instead of the rest.
#[derive(Clone, Copy)]
pub(crate) enum Rest {
    /// Once more nothing, so that what was written is sent; then the connection breaks.
    Flush,
    Break,
    Silence,
}

const CHUNK: &[u8] = &[b'a'; 16 * 1024];

impl Body for Answer {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = &mut *self;
        match std::mem::replace(this, Answer::Done) {
            Answer::Whole(bytes) if !bytes.is_empty() => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            Answer::Part(bytes, rest) if !bytes.is_empty() => {
                *this = Answer::Part(Bytes::new(), rest);
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Answer::Part(empty, Rest::Flush) => {
                *this = Answer::Part(empty, Rest::Break);
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Answer::Part(_, Rest::Break) => Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted.into()))),
            Answer::Part(empty, Rest::Silence) => {
                *this = Answer::Part(empty, Rest::Silence);
                Poll::Pending
            }
            Answer::Flood(left) if left > 0 => {
                let size = left.min(CHUNK.len() as u64);
                *this = Answer::Flood(left - size);
                let chunk = usize::try_from(size).ok().and_then(|size| CHUNK.get(..size)).unwrap_or(CHUNK);
                Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(chunk)))))
            }
            _ => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Answer::Whole(bytes) => bytes.is_empty(),
            Answer::Flood(left) => *left == 0,
            Answer::Part(..) => false,
            Answer::Done => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Answer::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Answer::Done => SizeHint::with_exact(0),
            // A flood has no announced length: a reader must not be able to refuse it from its head alone.
            Answer::Part(..) | Answer::Flood(_) => SizeHint::default(),
        }
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answer")
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        task::{Wake, Waker},
    };

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn a_cut_off_body_asks_to_be_polled_again_before_it_breaks_and_a_stalled_one_never_does() {
        for (rest, wakes) in [(Rest::Flush, 1), (Rest::Silence, 0)] {
            let count = Arc::new(Count::default());
            let waker = Waker::from(Arc::clone(&count));
            let mut cx = Context::from_waker(&waker);
            let mut body = Answer::Part(Bytes::from_static(b"half"), rest);
            let mut poll = || Pin::new(&mut body).poll_frame(&mut cx);
            assert!(matches!(poll(), Poll::Ready(Some(Ok(frame))) if frame.is_data()));
            assert!(poll().is_pending());
            assert_eq!(count.0.load(Ordering::SeqCst), wakes);
            assert_eq!(matches!(poll(), Poll::Ready(Some(Err(_)))), wakes > 0);
        }
    }
}
