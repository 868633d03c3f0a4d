//! The plainest client of Redis (RESP2): one command, one reply. It shares nothing with the code
//! under test.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    Nil,
    Int(i64),
    Text(Vec<u8>),
    Error(String),
    List(Vec<Reply>),
}

impl Reply {
    /// The bytes of a text or a number.
    ///
    /// # Panics
    /// When it is something else.
    pub fn bytes(&self) -> Vec<u8> {
        match self {
            Reply::Text(bytes) => bytes.clone(),
            Reply::Int(number) => number.to_string().into_bytes(),
            other => panic!("{other:?} is no text"),
        }
    }

    /// # Panics
    /// When it is no text of UTF-8.
    pub fn text(&self) -> String {
        String::from_utf8(self.bytes()).expect("the reply is UTF-8")
    }

    /// # Panics
    /// When it is no number.
    pub fn int(&self) -> i64 {
        self.text().parse().unwrap_or_else(|_| panic!("{self:?} is no number"))
    }

    /// # Panics
    /// When it is no list.
    pub fn list(&self) -> &[Reply] {
        match self {
            Reply::List(items) => items,
            other => panic!("{other:?} is no list"),
        }
    }
}

pub struct RedisClient {
    stream: BufReader<UnixStream>,
}

impl RedisClient {
    /// # Panics
    /// When nothing listens there.
    pub fn connect(socket: &Path) -> Self {
        Self::try_connect(socket).unwrap_or_else(|| panic!("nothing at {}", socket.display()))
    }

    pub(super) fn try_connect(socket: &Path) -> Option<Self> {
        let stream = UnixStream::connect(socket).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(60))).ok()?;
        Some(Self { stream: BufReader::new(stream) })
    }

    /// The reply to one command; each word may hold any bytes.
    ///
    /// # Panics
    /// When the server answers with an error, or not at all.
    pub fn run(&mut self, words: &[impl AsRef<[u8]>]) -> Reply {
        match self.ask(words) {
            Reply::Error(why) => panic!("{}: {why}", shown(words)),
            reply => reply,
        }
    }

    /// The same with an error of the server as a reply.
    ///
    /// # Panics
    /// When the server does not answer.
    pub fn ask(&mut self, words: &[impl AsRef<[u8]>]) -> Reply {
        self.try_run(words).unwrap_or_else(|| panic!("no answer to {}", shown(words)))
    }

    /// None when the connection ended first.
    pub fn try_run(&mut self, words: &[impl AsRef<[u8]>]) -> Option<Reply> {
        self.send(words)?;
        self.reply()
    }

    /// The replies to commands that are sent together.
    ///
    /// # Panics
    /// As `run` does.
    pub fn pipeline(&mut self, commands: &[Vec<Vec<u8>>]) -> Vec<Reply> {
        let mut replies = Vec::with_capacity(commands.len());
        for part in commands.chunks(500) {
            part.iter().for_each(|words| self.send(words).expect("the server takes commands"));
            for words in part {
                match self.reply() {
                    Some(Reply::Error(why)) => panic!("{}: {why}", shown(words)),
                    Some(reply) => replies.push(reply),
                    None => panic!("no answer to {}", shown(words)),
                }
            }
        }
        replies
    }

    fn send(&mut self, words: &[impl AsRef<[u8]>]) -> Option<()> {
        let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            let word = word.as_ref();
            bytes.extend(format!("${}\r\n", word.len()).into_bytes());
            bytes.extend(word);
            bytes.extend(b"\r\n");
        }
        self.stream.get_mut().write_all(&bytes).ok()
    }

    fn reply(&mut self) -> Option<Reply> {
        let mut line = String::new();
        self.stream.read_line(&mut line).ok()?;
        let (kind, rest) = line.strip_suffix("\r\n")?.split_at_checked(1)?;
        let number = || rest.parse::<i64>().ok();
        Some(match kind {
            "+" => Reply::Text(rest.into()),
            "-" => Reply::Error(rest.into()),
            ":" => Reply::Int(number()?),
            "$" => match usize::try_from(number()?) {
                Err(_) => Reply::Nil,
                Ok(length) => {
                    let mut bytes = vec![0; length + 2];
                    self.stream.read_exact(&mut bytes).ok()?;
                    bytes.truncate(length);
                    Reply::Text(bytes)
                }
            },
            "*" => match usize::try_from(number()?) {
                Err(_) => Reply::Nil,
                Ok(count) => Reply::List((0..count).map(|_| self.reply()).collect::<Option<_>>()?),
            },
            other => panic!("a reply that begins with {other:?}"),
        })
    }
}

fn shown(words: &[impl AsRef<[u8]>]) -> String {
    let shown = words.iter().map(|word| {
        let word = word.as_ref();
        word[..word.len().min(60)].escape_ascii().to_string()
    });
    shown.take(8).collect::<Vec<_>>().join(" ")
}
