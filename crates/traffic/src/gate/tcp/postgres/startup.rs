//! The first packets of a PostgreSQL connection, which have no type byte (PostgreSQL manual,
//! "Message Formats").

use super::PROTOCOL;
use crate::gate::certificate::Certificate;
use crate::gate::wire::Wire;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

/// The server's own bound (MAX_STARTUP_PACKET_LENGTH).
const LONGEST: usize = 10_000;
const CANCEL: u32 = 80_877_102;
const SSL: u32 = 80_877_103;
const GSS: u32 = 80_877_104;
/// The first byte of a TLS connection (RFC 8446, section 5.1); no start-up packet is so long.
const TLS_HANDSHAKE: u8 = 0x16;

/// What a client wants of the server, with the bytes that say so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Startup {
    Session(Vec<u8>),
    Cancel(Vec<u8>),
}

/// What a client wants, over TLS where it asks for it and the gate has a certificate.
pub async fn begin(
    mut stream: TcpStream,
    certificate: Option<&Certificate>,
    patience: Duration,
) -> io::Result<(Wire, Startup)> {
    let Some(certificate) = certificate else {
        let startup = read(&mut stream).await?;
        return Ok((Wire::Plain(stream), startup));
    };
    let mut first = [0; 1];
    stream.peek(&mut first).await?;
    let direct = first == [TLS_HANDSHAKE];
    if !direct && let Some(startup) = read_until_tls(&mut stream).await? {
        return Ok((Wire::Plain(stream), startup));
    }
    let stream = certificate.accept(stream, patience).await?;
    // What begins with TLS at once may have been meant for another port.
    if direct && stream.get_ref().1.alpn_protocol() != Some(PROTOCOL) {
        return Err(io::Error::other("TLS at once without the protocol `postgresql`"));
    }
    let mut wire = Wire::tls(stream.into());
    let startup = read(&mut wire).await?;
    Ok((wire, startup))
}

/// Reads the start-up packet. A wish for encryption is declined with 'N' first: the client goes
/// on in plain, or leaves when its sslmode says so.
pub async fn read<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) -> io::Result<Startup> {
    let startup = packets(stream, false).await?;
    startup.ok_or_else(|| io::Error::other("no start-up packet"))
}

/// None: the client was told to go on with a TLS handshake.
async fn read_until_tls(stream: &mut TcpStream) -> io::Result<Option<Startup>> {
    packets(stream, true).await
}

async fn packets<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    offers_tls: bool,
) -> io::Result<Option<Startup>> {
    // A client asks at most once for each kind of encryption.
    for _ in 0..3 {
        let packet = packet(stream).await?;
        let wish = code(&packet);
        match wish {
            SSL | GSS => {
                let encrypts = offers_tls && wish == SSL;
                stream.write_all(if encrypts { b"S" } else { b"N" }).await?;
                stream.flush().await?;
                if encrypts {
                    return Ok(None);
                }
            }
            CANCEL => return Ok(Some(Startup::Cancel(packet))),
            // Major version 3, whatever the minor: the server negotiates it.
            version if version >> 16 == 3 => return Ok(Some(Startup::Session(packet))),
            other => return Err(io::Error::other(format!("unknown start-up packet {other}"))),
        }
    }
    Err(io::Error::other("no start-up packet after three wishes for encryption"))
}

fn code(packet: &[u8]) -> u32 {
    packet.get(4..8).and_then(|four| four.try_into().ok()).map_or(0, u32::from_be_bytes)
}

async fn packet<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<Vec<u8>> {
    let length = stream.read_u32().await?;
    let long = usize::try_from(length).unwrap_or(usize::MAX);
    if !(8..=LONGEST).contains(&long) {
        return Err(io::Error::other("not a PostgreSQL start-up packet"));
    }
    let mut packet = vec![0; long];
    packet[..4].copy_from_slice(&length.to_be_bytes());
    stream.read_exact(&mut packet[4..]).await?;
    Ok(packet)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet_of(code: u32, rest: &[u8]) -> Vec<u8> {
        let length = u32::try_from(8 + rest.len()).unwrap();
        [&length.to_be_bytes(), &code.to_be_bytes(), rest].concat()
    }

    async fn read_from(bytes: &[u8]) -> (io::Result<Startup>, Vec<u8>) {
        let (mut ours, mut theirs) = tokio::io::duplex(64 * 1024);
        theirs.write_all(bytes).await.unwrap();
        theirs.shutdown().await.unwrap();
        let startup = read(&mut ours).await;
        drop(ours);
        let mut said = Vec::new();
        theirs.read_to_end(&mut said).await.unwrap();
        (startup, said)
    }

    #[tokio::test]
    async fn encryption_is_declined_and_the_session_goes_on() {
        let session = packet_of(196_608, b"user\0bank\0\0");
        let bytes = [packet_of(GSS, b""), packet_of(SSL, b""), session.clone()].concat();
        let (startup, said) = read_from(&bytes).await;
        assert_eq!(startup.unwrap(), Startup::Session(session));
        assert_eq!(said, b"NN");
    }

    #[tokio::test]
    async fn a_cancel_request_is_told_from_a_session() {
        let cancel = packet_of(CANCEL, &[0, 0, 0, 1, 0, 0, 0, 2]);
        assert_eq!(read_from(&cancel).await.0.unwrap(), Startup::Cancel(cancel));
    }

    #[tokio::test]
    async fn what_is_not_postgresql_is_refused_without_reading_on() {
        for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0x16, 3, 1, 0, 200], &[0, 0, 0, 7, 0, 0, 0]]
        {
            assert!(read_from(bytes).await.0.is_err());
        }
        assert!(read_from(&packet_of(131_072, b"")).await.0.is_err(), "protocol 2");
        assert!(read_from(&packet_of(SSL, b"").repeat(4)).await.0.is_err(), "endless wishes");
    }
}
