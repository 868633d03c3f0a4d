//! Requests that two servers could read in two ways (request smuggling) come no further than here.
//!
//! The HTTP library is lenient where the standard lets it be: a line may end without its CR, and of
//! two ways to tell a body's length it takes one. This reads the same bytes strictly (RFC 9112),
//! and breaks the stream at the first byte that it does not like: the library then answers 400 and
//! closes.
//!
//! Invariant: what passed reads in one way only; nothing behind a refused byte passes.

/// Longer names and values than this are none that tell a body's length.
const KEPT: usize = 80;
/// Digits of a chunk's length: 15 hold more than any disk.
const MOST_DIGITS: usize = 15;

/// Where in a connection's bytes the reading stands.
#[derive(Debug)]
pub struct Guard {
    state: State,
    line: Line,
    framing: Framing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    RequestLine,
    Field,
    Body(u64),
    ChunkSize,
    Chunk(u64),
    ChunkEnd,
    Trailer,
}

/// The line being read: its beginning, and whether it is sound so far.
#[derive(Debug)]
struct Line {
    kept: [u8; KEPT],
    length: usize,
    named: bool,
    carriage_return: bool,
}

/// What the head says of its body.
#[derive(Debug, Default)]
struct Framing {
    length: Option<u64>,
    chunked: bool,
}

/// So many of the bytes are good.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused(pub usize);

/// The byte cannot stand where it does.
struct Bad;

impl Default for Guard {
    fn default() -> Self {
        Self { state: State::RequestLine, line: Line::new(), framing: Framing::default() }
    }
}

impl Guard {
    /// Reads on. After a refusal it is not to be asked again.
    pub fn pass(&mut self, bytes: &[u8]) -> Result<(), Refused> {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            at += self.step(rest).map_err(|good| Refused(at + good))?;
        }
        Ok(())
    }

    /// Takes some of the bytes.
    fn step(&mut self, bytes: &[u8]) -> Result<usize, usize> {
        let available = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        match self.state {
            State::Body(left) | State::Chunk(left) => {
                let taken = left.min(available);
                let left = left - taken;
                self.state = match self.state {
                    State::Body(_) if left == 0 => State::RequestLine,
                    State::Body(_) => State::Body(left),
                    _ if left == 0 => State::ChunkEnd,
                    _ => State::Chunk(left),
                };
                Ok(usize::try_from(taken).unwrap_or(bytes.len()))
            }
            _ => self.line_step(bytes),
        }
    }

    fn line_step(&mut self, bytes: &[u8]) -> Result<usize, usize> {
        let named = matches!(self.state, State::Field | State::Trailer);
        let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else {
            self.line.add(bytes, named)?;
            return Ok(bytes.len());
        };
        self.line.add(&bytes[..end], named)?;
        self.end_of_line(named).map_err(|Bad| end)?;
        Ok(end + 1)
    }

    fn end_of_line(&mut self, named: bool) -> Result<(), Bad> {
        let line = std::mem::replace(&mut self.line, Line::new());
        if !line.carriage_return {
            return Err(Bad);
        }
        let empty = line.length == 0;
        if named && !empty && !line.named {
            return Err(Bad);
        }
        self.state = match self.state {
            // Empty lines before a request are to be ignored (section 2.2).
            State::RequestLine if empty => State::RequestLine,
            State::RequestLine => State::Field,
            State::Field if empty => std::mem::take(&mut self.framing).body()?,
            State::Field => {
                self.framing.field(line.text())?;
                State::Field
            }
            State::ChunkSize => match chunk_size(line.text())? {
                0 => State::Trailer,
                size => State::Chunk(size),
            },
            State::ChunkEnd if empty => State::ChunkSize,
            State::Trailer if empty => State::RequestLine,
            State::Trailer => State::Trailer,
            _ => return Err(Bad),
        };
        Ok(())
    }
}

impl Line {
    fn new() -> Self {
        Self { kept: [0; KEPT], length: 0, named: false, carriage_return: false }
    }

    /// Part of the line, without its LF. A name ends at its colon, without a space before (section
    /// 5.1), and no line begins with one (section 5.2).
    fn add(&mut self, bytes: &[u8], named: bool) -> Result<(), usize> {
        for (at, byte) in bytes.iter().enumerate() {
            if self.carriage_return {
                return Err(at);
            }
            match byte {
                b'\r' => self.carriage_return = true,
                0 => return Err(at),
                b':' if named && !self.named && self.length > 0 => {
                    self.keep(b':');
                    self.named = true;
                }
                other if named && !self.named && !is_token(*other) => return Err(at),
                other => self.keep(*other),
            }
        }
        Ok(())
    }

    fn keep(&mut self, byte: u8) {
        if let Some(place) = self.kept.get_mut(self.length) {
            *place = byte;
        }
        self.length += 1;
    }

    /// The line; cut off where it is too long to matter.
    fn text(&self) -> &[u8] {
        &self.kept[..self.length.min(KEPT)]
    }
}

/// RFC 9110, section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

impl Framing {
    /// Each of the two fields once, and exactly as everybody writes it (section 6).
    fn field(&mut self, line: &[u8]) -> Result<(), Bad> {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { return Ok(()) };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"content-length") {
            let length = decimal(value).ok_or(Bad)?;
            return self.length.replace(length).map_or(Ok(()), |_| Err(Bad));
        }
        if name.eq_ignore_ascii_case(b"transfer-encoding") {
            let again = std::mem::replace(&mut self.chunked, true);
            let sound = !again && value.eq_ignore_ascii_case(b"chunked") && line.len() < KEPT;
            return if sound { Ok(()) } else { Err(Bad) };
        }
        Ok(())
    }

    fn body(self) -> Result<State, Bad> {
        match (self.length, self.chunked) {
            (Some(_), true) => Err(Bad),
            (None, true) => Ok(State::ChunkSize),
            (None | Some(0), false) => Ok(State::RequestLine),
            (Some(length), false) => Ok(State::Body(length)),
        }
    }
}

fn decimal(digits: &[u8]) -> Option<u64> {
    let sound = (1..=18).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    sound.then(|| digits.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')))
}

/// Hexadecimal digits and perhaps an extension, which nobody uses (section 7.1.1).
fn chunk_size(line: &[u8]) -> Result<u64, Bad> {
    let digits = line.split(|byte| *byte == b';').next().unwrap_or_default();
    if !(1..=MOST_DIGITS).contains(&digits.len()) || line.len() == KEPT {
        return Err(Bad);
    }
    digits.iter().try_fold(0, |sum, digit| {
        let value = char::from(*digit).to_digit(16).ok_or(Bad)?;
        Ok(sum * 16 + u64::from(value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

    fn reads(bytes: &str) -> Result<(), Refused> {
        let whole = Guard::default().pass(bytes.as_bytes());
        let mut one_by_one = Guard::default();
        let pieces = bytes.as_bytes().chunks(1).try_for_each(|byte| one_by_one.pass(byte));
        assert_eq!(whole.is_ok(), pieces.is_ok(), "{bytes:?}");
        whole
    }

    #[test]
    fn requests_of_every_form_pass_one_after_the_other() {
        let chunked = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTrailer: x\r\n\r\n\
                       5\r\nhello\r\nA;e=1\r\n0123456789\r\n0\r\nx: y\r\n\r\n";
        let sized = "POST / HTTP/1.1\r\ncontent-length:  3 \r\n\r\n\n\n\n";
        let empty = "POST / HTTP/1.1\r\ncontent-length: 0\r\n\r\n";
        let all = [GET, chunked, "\r\n", sized, empty, GET].concat();
        assert_eq!(reads(&all), Ok(()));
        // A body of the wrong length shows at once.
        assert!(reads(&[sized, "\n", GET].concat()).is_err());
    }

    #[test]
    fn a_refusal_tells_how_much_was_good() {
        let bytes = [GET, "GET / HTTP/1.1\r\nHost: b\n"].concat();
        assert_eq!(reads(&bytes), Err(Refused(bytes.len() - 1)));
    }
}
