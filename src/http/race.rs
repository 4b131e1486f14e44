//! Two things that are waited for at once.

use std::task::Poll;

/// What came first.
pub enum First<A, B> {
    Left(A),
    Right(B),
}

/// What comes first of `left` and `right`.
pub async fn first_of<A, B>(left: impl Future<Output = A>, right: impl Future<Output = B>) -> First<A, B> {
    let (mut left, mut right) = (std::pin::pin!(left), std::pin::pin!(right));
    std::future::poll_fn(move |context| {
        if let Poll::Ready(value) = left.as_mut().poll(context) {
            return Poll::Ready(First::Left(value));
        }
        right.as_mut().poll(context).map(First::Right)
    })
    .await
}
