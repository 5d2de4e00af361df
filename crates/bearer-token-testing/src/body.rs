//! Response bodies, including those that no server should send.

use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use hyper::body::{Body, Frame, SizeHint};
use serde_json::Value;

/// The body of a response.
pub(crate) enum ResponseBody {
    /// The complete body.
    Whole(Bytes),
    /// The first part of a body, and then something else.
    Part(Bytes, Rest),
    /// This many meaningless bytes.
    Flood(u64),
    /// Nothing more.
    Done,
}

/// What follows instead of the rest.
#[derive(Clone, Copy)]
pub(crate) enum Rest {
    /// A pause in which the written bytes are sent; then the connection breaks.
    Flush,
    Break,
    Silence,
}

const CHUNK: &[u8] = &[b'a'; 16 * 1024];

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = &mut *self;
        match std::mem::replace(this, ResponseBody::Done) {
            ResponseBody::Whole(bytes) if !bytes.is_empty() => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            ResponseBody::Part(bytes, rest) if !bytes.is_empty() => {
                *this = ResponseBody::Part(Bytes::new(), rest);
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            ResponseBody::Part(empty, Rest::Flush) => {
                *this = ResponseBody::Part(empty, Rest::Break);
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            ResponseBody::Part(_, Rest::Break) => Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted.into()))),
            ResponseBody::Part(empty, Rest::Silence) => {
                *this = ResponseBody::Part(empty, Rest::Silence);
                Poll::Pending
            }
            ResponseBody::Flood(left) if left > 0 => {
                let size = left.min(CHUNK.len() as u64);
                *this = ResponseBody::Flood(left - size);
                let chunk = usize::try_from(size).ok().and_then(|size| CHUNK.get(..size)).unwrap_or(CHUNK);
                Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(chunk)))))
            }
            _ => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            ResponseBody::Whole(bytes) => bytes.is_empty(),
            ResponseBody::Flood(left) => *left == 0,
            ResponseBody::Part(..) => false,
            ResponseBody::Done => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            ResponseBody::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            ResponseBody::Done => SizeHint::with_exact(0),
            // A flood has no `Content-Length`: clients must not be able to refuse it by its head alone.
            ResponseBody::Part(..) | ResponseBody::Flood(_) => SizeHint::default(),
        }
    }
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResponseBody")
    }
}

/// A response with a JSON body.
pub(crate) fn json_response(status: StatusCode, body: &Value) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::Whole(Bytes::from(body.to_string())));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
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
    fn cut_off_bodies_are_flushed_before_they_break() {
        for (rest, wakes) in [(Rest::Flush, 1), (Rest::Silence, 0)] {
            let count = Arc::new(Count::default());
            let waker = Waker::from(Arc::clone(&count));
            let mut cx = Context::from_waker(&waker);
            let mut body = ResponseBody::Part(Bytes::from_static(b"half"), rest);
            let mut poll = || Pin::new(&mut body).poll_frame(&mut cx);
            assert!(matches!(poll(), Poll::Ready(Some(Ok(frame))) if frame.is_data()));
            assert!(poll().is_pending());
            assert_eq!(count.0.load(Ordering::SeqCst), wakes);
            assert_eq!(matches!(poll(), Poll::Ready(Some(Err(_)))), wakes > 0);
        }
    }
}
