//! Answers that go on: one message after another, as server-sent events.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use tokio::sync::{OwnedSemaphorePermit, broadcast, mpsc, oneshot, watch};

use super::race::{First, first_of};

/// Something is said at least this often, so that a connection that is dead is noticed.
const SAYS_EVERY: Duration = Duration::from_secs(15);

/// Messages that wait for who listens; beyond those, the shared channel keeps what is to come.
const WAITING_MAX: usize = 4;

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// With this, who was cut off asks for what came after it.
    pub id: String,
    pub event: String,
    /// One line.
    pub data: String,
    /// Counts what happened since the server began.
    pub number: u64,
}

impl Message {
    fn write(&self) -> String {
        // A line break would begin another field.
        let plain = |text: &str| text.replace(['\r', '\n'], " ");
        let id = match self.id.is_empty() {
            true => String::new(),
            false => format!("id: {}\n", plain(&self.id)),
        };
        format!("{id}event: {}\ndata: {}\n\n", plain(&self.event), plain(&self.data))
    }
}

/// Whether a message is for who listens.
pub type Wanted = Box<dyn Fn(&Message) -> bool + Send + Sync>;

/// What is told: first what has been, then what comes.
pub struct Stream {
    pub first: VecDeque<Arc<Message>>,
    /// What `first` takes of the room that all share.
    pub room: Option<OwnedSemaphorePermit>,
    pub then: broadcast::Receiver<Arc<Message>>,
    pub wanted: Wanted,
    /// Says when who listens may do so no longer; without one, nobody has shown who they are.
    pub ended: Option<oneshot::Receiver<()>>,
}

impl Stream {
    /// As a body, until the host stops, who listens is gone or may not any more, or they have fallen too far behind: then
    /// they ask again from the last message that they have.
    pub fn into_body(self, place: OwnedSemaphorePermit, stop: watch::Receiver<bool>) -> Body {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        let ended = self.ended;
        let stream = Stream { ended: None, ..self };
        tokio::spawn(async move {
            let ended = async {
                match ended {
                    // Whoever held the other end has let go of it.
                    Some(ended) => drop(ended.await),
                    None => std::future::pending().await,
                }
            };
            first_of(ended, tell(stream, sender, stop)).await;
            drop(place);
        });
        Body::from_stream(Told(receiver))
    }
}

async fn tell(mut stream: Stream, sender: mpsc::Sender<Bytes>, mut stop: watch::Receiver<bool>) {
    // Says at once that it is there, and how soon to come again.
    if sender.send(Bytes::from_static(b"retry: 2000\n\n")).await.is_err() {
        return;
    }
    while let Some(message) = stream.first.pop_front() {
        if sender.send(message.write().into()).await.is_err() {
            return;
        }
    }
    stream.first.shrink_to_fit();
    drop(stream.room.take());
    while !*stop.borrow_and_update() {
        let next = async {
            match first_of(stop.changed(), stream.then.recv()).await {
                First::Left(_) => None,
                First::Right(message) => Some(message),
            }
        };
        let text = match tokio::time::timeout(SAYS_EVERY, next).await {
            Err(_) => Bytes::from_static(b": there\n\n"),
            Ok(Some(Ok(message))) if (stream.wanted)(&message) => message.write().into(),
            Ok(Some(Ok(_))) => continue,
            Ok(Some(Err(_)) | None) => break,
        };
        if sender.send(text).await.is_err() {
            break;
        }
    }
}

struct Told(mpsc::Receiver<Bytes>);

impl futures_core::Stream for Told {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().0.poll_recv(context).map(|bytes| bytes.map(Ok))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_break_in_a_message_begins_no_other_field() {
        let message = Message {
            id: "7\nevent: x".to_owned(),
            event: "run".to_owned(),
            data: "a\r\ndata: b".to_owned(),
            number: 0,
        };
        assert_eq!(message.write(), "id: 7 event: x\nevent: run\ndata: a  data: b\n\n");
    }

    /// Else messages were missing in the middle, and nobody said so: with the last id that they have, who listens asks again.
    #[test]
    fn whoever_falls_too_far_behind_is_cut_off() {
        let (sender, then) = broadcast::channel(2);
        for number in 0..5 {
            let message = Message {
                id: number.to_string(),
                event: "run".to_owned(),
                data: "{}".to_owned(),
                number,
            };
            sender.send(Arc::new(message)).expect("somebody listens");
        }
        let stream = Stream {
            first: VecDeque::new(),
            room: None,
            then,
            wanted: Box::new(|_| true),
            ended: None,
        };
        let place = Arc::new(tokio::sync::Semaphore::new(1));
        let place = place.try_acquire_owned().expect("it is free");
        let (_stop, stopped) = watch::channel(false);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime");
        let told = runtime.block_on(async {
            let body = stream.into_body(place, stopped);
            tokio::time::timeout(Duration::from_secs(10), axum::body::to_bytes(body, 1 << 20)).await
        });
        let told = told.expect("it ends").expect("a body");
        assert_eq!(&*told, b"retry: 2000\n\n");
    }
}
