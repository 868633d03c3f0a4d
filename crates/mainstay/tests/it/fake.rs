//! A fake agent: it answers on a real Unix socket with what it was given, in the types of the
//! agent's API. The real agent is tested where it is built.

use crate::golden::{mainstay, shown};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use std::collections::BTreeMap;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use tokio::net::UnixListener;
use tokio::runtime::Runtime;

/// `None` is a connection that breaks, as when an agent restarts.
type Answer = Option<(u16, String)>;

pub struct FakeAgent {
    pub folder: TempDir,
    state: Arc<Mutex<State>>,
    /// The server lives as long as this.
    runtime: Runtime,
}

#[derive(Default)]
struct State {
    /// By method and path; the last answer is given again and again.
    answers: BTreeMap<String, Vec<Answer>>,
    asked: Vec<(String, String)>,
}

impl FakeAgent {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let state = Arc::new(Mutex::new(State::default()));
        let runtime = Runtime::new().expect("a runtime");
        let listener = {
            let _inside = runtime.enter();
            UnixListener::bind(folder.path().join("agent.sock")).expect("a socket")
        };
        runtime.spawn(serve(listener, Arc::clone(&state)));
        Self { folder, state, runtime }
    }

    /// The next answer to `GET /v1/status`, for instance.
    pub fn answers(self, request: &str, answer: &impl Serialize) -> Self {
        self.gives(request, 200, serde_json::to_string(answer).expect("JSON"))
    }

    pub fn gives(self, request: &str, status: u16, body: String) -> Self {
        self.push(request, Some((status, body)))
    }

    pub fn breaks(self, request: &str) -> Self {
        self.push(request, None)
    }

    fn push(self, request: &str, answer: Answer) -> Self {
        let mut state = self.state.lock().expect("not poisoned");
        state.answers.entry(request.to_owned()).or_default().push(answer);
        drop(state);
        self
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = mainstay(self.folder.path());
        command.arg("--state").arg(self.folder.path()).args(arguments);
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("it runs")
    }

    /// What a person sees.
    pub fn shows(&self, arguments: &[&str]) -> String {
        shown(&self.run(arguments), self.folder.path())
    }

    /// Bodies of the requests so far, by method and path.
    pub fn asked(&self, request: &str) -> Vec<String> {
        let state = self.state.lock().expect("not poisoned");
        let of_request = state.asked.iter().filter(|(asked, _)| asked == request);
        of_request.map(|(_, body)| body.clone()).collect()
    }

    pub fn stop(self) -> TempDir {
        self.runtime.shutdown_background();
        self.folder
    }
}

async fn serve(listener: UnixListener, state: Arc<Mutex<State>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let state = Arc::clone(&state);
        let service = service_fn(move |request| answer(request, Arc::clone(&state)));
        let connection = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service);
        tokio::spawn(async move { drop(connection.await) });
    }
}

/// An error of the service breaks the connection.
async fn answer(
    request: Request<Incoming>,
    state: Arc<Mutex<State>>,
) -> Result<Response<Full<Bytes>>, std::io::Error> {
    let asked = format!("{} {}", request.method(), request.uri());
    let body = request.into_body().collect().await.map_err(std::io::Error::other)?.to_bytes();
    let answer = next(&asked, &String::from_utf8_lossy(&body), &state);
    let (status, body) = answer.ok_or(std::io::ErrorKind::ConnectionReset)?;
    let response = Response::builder().status(status).body(Full::new(Bytes::from(body)));
    response.map_err(std::io::Error::other)
}

fn next(asked: &str, body: &str, state: &Mutex<State>) -> Answer {
    let mut state = state.lock().expect("not poisoned");
    state.asked.push((asked.to_owned(), body.to_owned()));
    match state.answers.get_mut(asked) {
        None => Some((404, format!("the test has no answer to {asked}"))),
        Some(answers) if answers.len() > 1 => answers.remove(0),
        Some(answers) => answers[0].clone(),
    }
}
