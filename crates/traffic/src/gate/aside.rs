//! Futures that end rarely, beside ones that are polled with every byte.

use futures::task::AtomicWaker;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};

/// Polls what it holds only when that itself was woken: looking whether a switch has begun takes
/// locks that all connections share, which is too much to be done for each byte that passes.
pub struct Aside<F> {
    future: F,
    bell: Arc<Bell>,
    /// Of the bell, made once.
    waker: Waker,
}

struct Bell {
    rung: AtomicBool,
    task: AtomicWaker,
}

impl<F: Future + Unpin> Aside<F> {
    pub fn new(future: F) -> Self {
        let bell = Arc::new(Bell { rung: AtomicBool::new(true), task: AtomicWaker::new() });
        let waker = Waker::from(Arc::clone(&bell));
        Self { future, bell, waker }
    }
}

impl<F: Future + Unpin> Future for Aside<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        this.bell.task.register(context.waker());
        match this.bell.rung.swap(false, SeqCst) {
            true => Pin::new(&mut this.future).poll(&mut Context::from_waker(&this.waker)),
            false => Poll::Pending,
        }
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.store(true, SeqCst);
        self.task.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn it_is_polled_when_it_was_woken_and_not_with_its_neighbour() {
        let polls = Arc::new(AtomicUsize::new(0));
        let (send, mut received) = oneshot::channel::<u8>();
        let counted = Arc::clone(&polls);
        let mut aside = Aside::new(std::future::poll_fn(move |context| {
            counted.fetch_add(1, SeqCst);
            Pin::new(&mut received).poll(context)
        }));
        for _ in 0..100 {
            assert!(futures::poll!(&mut aside).is_pending());
        }
        assert_eq!(polls.load(SeqCst), 1);
        let waiting = tokio::spawn(aside);
        send.send(7).unwrap();
        assert_eq!(waiting.await.unwrap(), Ok(7));
        assert_eq!(polls.load(SeqCst), 2);
    }
}
