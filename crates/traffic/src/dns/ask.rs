//! One message to a DNS server and its answer, over TCP (RFC 7766): what is asked and answered is
//! never cut off, and nobody who cannot see the packets can forge an answer.

use super::{DnsError, unix_seconds};
use hickory_proto::dnssec::rdata::{DNSSECRData, RRSIG};
use hickory_proto::op::{Edns, Message, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, Record, RecordType, TSigner};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// For connection and answer. A server farther away than this is as good as down.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Records of one name and kind, and their signatures where the zone has them (DNSSEC).
pub(super) struct Told {
    pub records: Vec<Record>,
    pub signatures: Vec<RRSIG>,
}

/// A name that does not exist has no records.
pub(super) async fn ask(server: &str, name: &Name, kind: RecordType) -> Result<Told, DnsError> {
    let mut question = Message::query();
    let mut edns = Edns::new();
    edns.set_dnssec_ok(true);
    question.set_edns(edns);
    // Resolvers find out for us; servers of the zone ignore it.
    question.metadata.recursion_desired = true;
    question.add_query(Query::query(name.clone(), kind));
    let answer = exchange(server, question, None).await?;
    match answer.response_code {
        ResponseCode::NoError | ResponseCode::NXDomain => {
            let here = answer.answers.into_iter().filter(|record| record.name == *name);
            let (signatures, records): (Vec<_>, Vec<_>) =
                here.partition(|record| record.record_type() == RecordType::RRSIG);
            let signatures = signatures.into_iter().filter_map(|record| match record.data {
                RData::DNSSEC(DNSSECRData::RRSIG(it)) => Some(it),
                _ => None,
            });
            Ok(Told {
                records: records.into_iter().filter(|it| it.record_type() == kind).collect(),
                signatures: signatures.filter(|it| it.input().type_covered == kind).collect(),
            })
        }
        code => Err(refused(server, format!("the question for {name} {kind}"), code)),
    }
}

pub(super) fn refused(server: &str, what: String, code: ResponseCode) -> DnsError {
    DnsError::Refused { server: server.to_owned(), what, code: code.to_string() }
}

/// Signed, and the answer's signature verified, when there is a signer.
pub(super) async fn exchange(
    server: &str,
    mut question: Message,
    signer: Option<&TSigner>,
) -> Result<Message, DnsError> {
    let silent = |why: String| DnsError::Silent { server: server.to_owned(), why };
    let verifier = match signer {
        Some(signer) => {
            question.finalize(signer, unix_seconds()).map_err(|why| silent(why.to_string()))?
        }
        None => None,
    };
    let sent = question.to_vec().map_err(|why| silent(why.to_string()))?;
    let bytes = tokio::time::timeout(TIMEOUT, round_trip(server, &sent))
        .await
        .map_err(|_| silent(format!("nothing within {} s", TIMEOUT.as_secs())))?
        .map_err(|why| silent(why.to_string()))?;
    let plain = Message::from_vec(&bytes).map_err(|why| silent(why.to_string()))?;
    if plain.id != question.id || plain.queries != question.queries {
        return Err(silent("the answer is to another question".to_owned()));
    }
    // A server that does not know the key cannot sign (RFC 8945, section 5.3.2). A forged no costs
    // another try; only a yes must be the server's.
    let Some(mut verifier) = verifier.filter(|_| plain.response_code == ResponseCode::NoError)
    else {
        return Ok(plain);
    };
    verifier.verify(&bytes).map_err(|why| silent(format!("the answer's signature: {why}")))?;
    Ok(plain)
}

async fn round_trip(server: &str, sent: &[u8]) -> std::io::Result<Vec<u8>> {
    let length = u16::try_from(sent.len()).map_err(std::io::Error::other)?;
    let mut stream = TcpStream::connect(server).await?;
    stream.write_all(&[&length.to_be_bytes(), sent].concat()).await?;
    let mut answer = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}
