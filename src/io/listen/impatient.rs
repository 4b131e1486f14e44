//! A connection that neither waits for ever for who takes nothing, nor takes the last answer along when it closes.
//!
//! Whoever closes while something that was sent to him is unread resets the connection, and the reset may overtake the
//! answer (RFC 9112, 9.6): who sends a body that is too large would not hear of it, and a proxy would make a 502 of the
//! 413. So after the last answer what still comes is read and thrown away, for a moment.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// What is thrown away for so long at most,
const LINGER_TIME: Duration = Duration::from_secs(2);
/// and no longer than nothing comes for so long: who waits for nothing is not to be waited for.
const LINGER_SILENCE: Duration = Duration::from_millis(300);

/// What is thrown away at a time.
const THROWN_BYTES: usize = 16 << 10;

/// A connection that ends when nothing of what is sent is taken for `patience`.
pub struct Impatient<S> {
    stream: S,
    patience: Duration,
    /// Runs while the other side takes nothing, or while nothing comes.
    stalled: Option<Pin<Box<Sleep>>>,
    /// When to close whatever comes, once nothing more is sent.
    lingers_until: Option<Instant>,
}

impl<S> Impatient<S> {
    pub fn new(stream: S, patience: Duration) -> Impatient<S> {
        Impatient {
            stream,
            patience,
            stalled: None,
            lingers_until: None,
        }
    }

    fn judge<T>(&mut self, polled: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.stalled = None;
            return polled;
        }
        let until = Instant::now() + self.patience;
        ready!(self.stalls(until, context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// Waits until `until`; where it waits already, as long as was said then.
    fn stalls(&mut self, until: Instant, context: &mut Context<'_>) -> Poll<()> {
        let sleep = || Box::pin(tokio::time::sleep_until(until));
        self.stalled.get_or_insert_with(sleep).as_mut().poll(context)
    }
}

impl<S: AsyncRead + Unpin> Impatient<S> {
    /// Throws away what comes, until that ends, or is too much.
    fn linger(&mut self, until: Instant, context: &mut Context<'_>) -> Poll<()> {
        let mut thrown = [0; THROWN_BYTES];
        loop {
            let mut into = ReadBuf::new(&mut thrown);
            let now = Instant::now();
            match Pin::new(&mut self.stream).poll_read(context, &mut into) {
                Poll::Ready(Ok(())) if !into.filled().is_empty() && now < until => self.stalled = None,
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return self.stalls(until.min(now + LINGER_SILENCE), context),
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Impatient<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(context, into)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Impatient<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_write(context, bytes);
        this.judge(polled, context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_write_vectored(context, parts);
        this.judge(polled, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_flush(context);
        this.judge(polled, context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let until = match this.lingers_until {
            Some(until) => until,
            None => {
                let polled = Pin::new(&mut this.stream).poll_shutdown(context);
                ready!(this.judge(polled, context))?;
                *this.lingers_until.insert(Instant::now() + LINGER_TIME)
            }
        };
        this.linger(until, context).map(Ok)
    }
}
