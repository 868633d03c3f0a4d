//! Steps that ask a server or a program, judged by what the server was asked.

use super::*;
use crate::runbook::ready;
use mainstay_core::runbook::{Call, Check, Deploy, Warm};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A web server that answers `/no...` with 503 and all else with 200, and keeps what it was asked.
async fn server() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let heard = asked.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut read = Vec::new();
            while !read.windows(4).any(|end| end == b"\r\n\r\n") {
                if stream.read_buf(&mut read).await.unwrap_or(0) == 0 {
                    break;
                }
            }
            let text = String::from_utf8_lossy(&read).into_owned();
            let status = if text.contains(" /no") { "503 Busy" } else { "200 OK" };
            heard.lock().unwrap().push(text);
            let answer =
                format!("HTTP/1.1 {status}\r\ncontent-length: 4\r\nconnection: close\r\n\r\nbusy");
            drop(stream.write_all(answer.as_bytes()).await);
        }
    });
    (address, asked)
}

fn call(method: &str, address: &str, path: &str) -> Call {
    Call {
        method: method.to_owned(),
        address: address.to_owned(),
        path: path.to_owned(),
        body: None,
        status: (200, 299),
        authority: None,
        link_local: false,
        repeatable: false,
    }
}

fn versions(here: &str, there: &str) -> Work {
    let print = |version: &str| words(&["/bin/echo", version]);
    Work::Deploy(Deploy { version: print(here), wanted: print(there) })
}

#[tokio::test]
async fn a_server_is_asked_with_the_effects_key_and_what_it_refuses_has_failed() {
    let world = World::new();
    let (address, asked) = server().await;
    let list = world.folder.path().join("warm.txt");
    fs::write(&list, "/warm/1\n# none\n/warm/2\n").unwrap();
    let list = list.display().to_string();
    let (concurrency, most_failures) = (2, 1);
    let warm = Warm { list, address: address.clone(), concurrency, most_failures };
    let checks = Work::Verify(Check::Http(call("GET", &address, "/no")));
    let mut own = vec![
        after("verify", "tells", Work::Http(call("POST", &address, "/moved?to={to}"))),
        after("verify", "warms", Work::Warm(warm)),
        after("verify", "same", versions("v7", "v7")),
        after("verify", "checks", checks),
    ];
    own[3].settings.optional = true;
    let application = world.wakes(&own, world.disk()).await;
    claimed(&application);
    let execution = own_only(&application, ExecutionKind::Failover);
    engine::conduct(&application, execution).await;
    let ended = settles(&application).await;
    let states: Vec<StepState> = ended.steps.iter().map(|step| step.state).collect();
    let done = StepState::Done;
    assert_eq!(states, [done, done, done, StepState::Failed], "{:#?}", ended.steps);
    assert!(ended.steps[3].detail.contains("503"), "{}", ended.steps[3].detail);
    let asked = asked.lock().unwrap().clone();
    let told = asked.iter().find(|text| text.starts_with("POST /moved?to=east ")).unwrap();
    assert!(told.to_lowercase().contains("idempotency-key: bank-2-test/tells/2"), "{told}");
    let mut warmed: Vec<&str> =
        asked.iter().filter_map(|text| text.strip_prefix("GET /warm/")?.get(..1)).collect();
    warmed.sort_unstable();
    assert_eq!(warmed, ["1", "2"]);
    assert_eq!(asked.iter().filter(|text| text.starts_with("GET /no ")).count(), 2, "two tries");
}

#[tokio::test]
async fn a_plan_says_what_a_step_would_fail_at_and_touches_nothing() {
    let world = World::new();
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = nobody.local_addr().unwrap().to_string();
    drop(nobody);
    let mut gone = world.appends(true);
    gone.command = words(&["/nowhere/scale"]);
    let own = [
        after("verify", "gone", Work::Run(gone)),
        after("verify", "silent", Work::Http(call("POST", &address, "/"))),
        after("verify", "differs", versions("v7", "v8")),
        after("verify", "good", Work::Run(world.appends(true))),
    ];
    let application = world.wakes(&own, world.disk()).await;
    let found = ready::missing(&application, ExecutionKind::Failover).await;
    let of = |step: &str| {
        let found = found.iter().find(|(name, _)| name == step);
        found.map(|(_, why)| why.join("; ")).unwrap_or_default()
    };
    assert!(of("gone").contains("/nowhere/scale"), "{found:?}");
    assert!(of("silent").contains("refused"), "{found:?}");
    assert!(of("differs").contains("\"v7\"") && of("differs").contains("\"v8\""), "{found:?}");
    assert_eq!(of("good"), "");
    assert_eq!(world.effects(), [""; 0]);
}
