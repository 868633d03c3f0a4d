//! Questions over UDP: a thread and a socket for each core, many messages a system call.

use super::Desk;
use super::answer::{Asked, Room, answer};
use super::known::Known;
use super::limiter::{Allowed, Limiter};
use super::sign::hour;
use super::unix_seconds;
use nix::errno::Errno;
use nix::sys::socket::{
    ControlMessage, MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, sendmmsg,
};
use socket2::{Domain, Protocol, Socket, Type};
use std::collections::HashMap;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Sockets and threads of one address.
pub const MOST_THREADS: usize = 8;
/// Messages a system call.
const BATCH: usize = 64;
/// Longer questions are cut off and so malformed.
const LONGEST: usize = 2048;
/// How often a socket on which nothing comes looks whether it should end.
const LOOK_UP: Duration = Duration::from_millis(200);

/// Several sockets share the address; the kernel spreads clients over them.
pub fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_port(true)?;
    socket.set_read_timeout(Some(LOOK_UP))?;
    // As much as the system allows: a burst that does not fit is asked again only seconds later.
    socket.set_recv_buffer_size(4 << 20)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

pub fn serve(socket: &UdpSocket, desk: Desk, limiter: Arc<Limiter>, shutdown: &CancellationToken) {
    let mut worker = Worker { prepared: Prepared::new(&desk), limiter, desk };
    let mut buffers = vec![[0_u8; LONGEST]; BATCH];
    while !shutdown.is_cancelled() {
        match receive(socket, &mut buffers) {
            Ok(received) => {
                let answers = worker.answers(&buffers, &received);
                send(socket, &answers);
            }
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot receive questions for DNS");
                std::thread::sleep(LOOK_UP);
            }
        }
    }
}

type Received = Vec<(usize, Option<SockaddrStorage>)>;

fn receive(socket: &UdpSocket, buffers: &mut [[u8; LONGEST]]) -> nix::Result<Received> {
    let mut slices: Vec<_> = buffers.iter_mut().map(|it| [IoSliceMut::new(it)]).collect();
    let mut headers = MultiHeaders::preallocate(slices.len(), None);
    let flags = MsgFlags::MSG_WAITFORONE;
    let received = recvmmsg(socket.as_raw_fd(), &mut headers, slices.iter_mut(), flags, None)?;
    Ok(received.map(|it| (it.bytes, it.address)).collect())
}

type Answers = (Vec<Vec<u8>>, Vec<Option<SockaddrStorage>>);

/// Best effort, as UDP is: what the kernel does not take is asked again.
fn send(socket: &UdpSocket, (bytes, to): &Answers) {
    let mut done = 0;
    while done < bytes.len() {
        let slices: Vec<_> = bytes[done..].iter().map(|it| [IoSlice::new(it)]).collect();
        let mut headers = MultiHeaders::preallocate(slices.len(), None);
        let nothing: [ControlMessage<'_>; 0] = [];
        let flags = MsgFlags::empty();
        let sent = sendmmsg(socket.as_raw_fd(), &mut headers, &slices, &to[done..], nothing, flags);
        // One that cannot be sent, to a port that is none for example, must not hold up the rest.
        done += sent.map_or(1, |sent| sent.count().max(1));
    }
}

struct Worker {
    desk: Desk,
    prepared: Prepared,
    limiter: Arc<Limiter>,
}

impl Worker {
    fn answers(&mut self, buffers: &[[u8; LONGEST]], received: &Received) -> Answers {
        let (now, seconds) = (Instant::now(), unix_seconds());
        self.prepared.renew(&self.desk, seconds);
        let mut answers: Answers = Default::default();
        for ((length, from), buffer) in received.iter().zip(buffers) {
            let Some(ip) = from.as_ref().and_then(ip) else { continue };
            let room = match self.limiter.take(ip, now) {
                Allowed::Answer => Room::Udp,
                Allowed::Short => Room::None,
                Allowed::Nothing => continue,
            };
            let asked = Asked {
                bytes: &buffer[..*length],
                from: ip,
                room,
                chance: rand::random(),
                now: seconds,
            };
            let answer = self.prepared.answer(&self.desk, &asked);
            if let Some(answer) = answer {
                self.limiter.weigh(ip, now, answer.len());
                answers.0.push(answer);
                answers.1.push(*from);
            }
        }
        answers
    }
}

fn ip(address: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = address.as_sockaddr_in().map(|it| IpAddr::V4(it.ip()));
    v4.or_else(|| address.as_sockaddr_in6().map(|it| IpAddr::V6(it.ip()).to_canonical()))
}

/// Answers to questions that were asked before, byte for byte but for their number, from the same
/// knowledge and in the same hour, whose signatures hold.
struct Prepared {
    known: Arc<Known>,
    hour: u64,
    answers: HashMap<Vec<u8>, Vec<u8>>,
}

impl Prepared {
    /// A bound for those who ask for what nobody else asks: then it begins anew.
    const MOST: usize = 4096;

    fn new(desk: &Desk) -> Self {
        Self { known: desk.known.borrow().clone(), hour: 0, answers: HashMap::new() }
    }

    fn renew(&mut self, desk: &Desk, now: u64) {
        let known = desk.known.borrow();
        if !Arc::ptr_eq(&known, &self.known) || hour(now) != self.hour {
            self.known = known.clone();
            self.hour = hour(now);
            self.answers.clear();
        }
    }

    fn answer(&mut self, desk: &Desk, asked: &Asked<'_>) -> Option<Vec<u8>> {
        let (number, question) = asked.bytes.split_at_checked(2)?;
        if let (Room::Udp, Some(answer)) = (asked.room, self.answers.get(question)) {
            let mut answer = answer.clone();
            answer[..2].copy_from_slice(number);
            return Some(answer);
        }
        let answered = answer(&desk.zones, &self.known, asked)?;
        if answered.for_everybody && asked.room == Room::Udp {
            if self.answers.len() >= Self::MOST {
                self.answers.clear();
            }
            self.answers.insert(question.to_vec(), answered.bytes.clone());
        }
        Some(answered.bytes)
    }
}
