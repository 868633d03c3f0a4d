//! Listening sockets through a Unix socket (unix(7), SCM_RIGHTS).

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd};
use tokio::io::Interest;
use tokio::net::UnixStream;

/// More ports than one gate can sensibly have; the kernel passes 253 at once.
pub const MOST: usize = 64;
/// The one byte that a message with sockets needs.
const SOCKETS: u8 = b'S';

pub async fn send(stream: &UnixStream, sockets: &[TcpListener]) -> io::Result<()> {
    if sockets.len() > MOST {
        return Err(io::Error::other("there are too many ports to hand over"));
    }
    let borrowed: Vec<BorrowedFd<'_>> = sockets.iter().map(AsFd::as_fd).collect();
    stream
        .async_io(Interest::WRITABLE, || {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            control.push(SendAncillaryMessage::ScmRights(&borrowed));
            let sent =
                sendmsg(stream, &[IoSlice::new(&[SOCKETS])], &mut control, SendFlags::empty())?;
            if sent == 1 { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
        })
        .await
}

pub async fn receive(stream: &UnixStream) -> io::Result<Vec<TcpListener>> {
    stream
        .async_io(Interest::READABLE, || {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let mut byte = [0];
            let slices = &mut [IoSliceMut::new(&mut byte)];
            let received = recvmsg(stream, slices, &mut control, RecvFlags::CMSG_CLOEXEC)?;
            if received.bytes != 1 || byte != [SOCKETS] {
                return Err(io::Error::other("the running gate hands nothing over"));
            }
            let mut sockets = Vec::new();
            for message in control.drain() {
                if let RecvAncillaryMessage::ScmRights(passed) = message {
                    sockets.extend(passed.map(TcpListener::from));
                }
            }
            Ok(sockets)
        })
        .await
}
