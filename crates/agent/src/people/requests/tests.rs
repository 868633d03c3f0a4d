use super::*;
use crate::people::Proof;
use mainstay_core::{ApplicationName, SiteName};

fn at(seconds: u64) -> Tick {
    Tick::from_millis(1_000_000 + seconds * 1000)
}

fn person(name: &str, role: Role) -> Asker {
    Asker { name: name.to_owned(), role, by: Proof::Certificate { key: name.to_owned() } }
}

fn healthy() -> Hindrance {
    Hindrance::Healthy { vantage: SiteName::new("witness").unwrap() }
}

fn behind(seconds: u64) -> Hindrance {
    let store = mainstay_core::StoreName::new("db").unwrap();
    let bound = Duration::from_secs(1);
    Hindrance::LagOverBound { store, lag: Duration::from_secs(seconds), bound }
}

/// Ana asks at 0 for what expires at 600.
fn asked(id: &str, by: Asker) -> Asked {
    let shown = ApprovalRequest {
        id: id.to_owned(),
        application: ApplicationName::new("bank").unwrap(),
        from: SiteName::new("east").unwrap(),
        to: SiteName::new("west").unwrap(),
        epoch: Epoch::new(2),
        plan: String::new(),
        forced: Vec::new(),
        loss_bound_s: Some(4.0),
        accept_loss_s: Some(5.0),
        fenced_by_hand: None,
        by: by.name.clone(),
        reason: String::new(),
        asked_micros: 0,
        left_s: 600.0,
        state: RequestState::Open,
        detail: String::new(),
    };
    let forced = vec![healthy(), behind(4)];
    Asked { shown, by, expires: at(600), forced, accept_loss: Some(Duration::from_secs(5)) }
}

fn requests() -> Requests {
    let requests = Requests::default();
    requests.add(asked("one", person("ana", Role::Operator)));
    requests
}

fn standing(hindrances: Vec<Hindrance>) -> Standing {
    Standing { epoch: Epoch::new(2), hindrances, lease_runs: false }
}

fn ben() -> Asker {
    person("ben", Role::Approver)
}

fn state(requests: &Requests) -> RequestState {
    requests.list(at(1))[0].state
}

fn code<T>(answer: Result<T, Refused>) -> String {
    answer.err().map_or_else(|| "done".to_owned(), |refused| refused.code.into_owned())
}

#[test]
fn it_is_approved_once_by_somebody_else_of_the_role_and_as_what_was_asked_for() {
    let requests = requests();
    let now = standing(vec![healthy(), behind(5)]);
    let try_as = |person: &Asker| code(requests.approve("one", person, at(1), &now).map(drop));
    assert_eq!(try_as(&person("carl", Role::Operator)), "MS-PEOPLE-003");
    assert_eq!(try_as(&person("ana", Role::Admin)), "MS-PEOPLE-004");
    let same_key = Asker { name: "ben".to_owned(), ..person("ana", Role::Approver) };
    assert_eq!(try_as(&same_key), "MS-PEOPLE-004");
    assert_eq!(state(&requests), RequestState::Open, "a refusal ends nothing");
    let approved = requests.approve("one", &ben(), at(1), &now).unwrap();
    assert_eq!(approved.forced, [healthy(), behind(4)], "as asked for, not as it is now");
    assert_eq!(try_as(&ben()), "MS-PEOPLE-006", "not a second time");
    assert_eq!(code(requests.approve("two", &ben(), at(1), &now)), "MS-PEOPLE-005");
}

#[test]
fn it_expires() {
    let requests = requests();
    let now = standing(vec![healthy()]);
    assert_eq!(requests.list(at(599))[0].left_s, 1.0);
    assert_eq!(code(requests.approve("one", &ben(), at(600), &now)), "MS-PEOPLE-006");
    assert_eq!(state(&requests), RequestState::Expired);
    let swept = requests.sweep(at(700)).len();
    let fresh = self::requests();
    assert_eq!((swept, fresh.sweep(at(599)).len(), fresh.sweep(at(600)).len()), (0, 0, 1));
}

#[test]
fn another_epoch_more_in_the_way_or_more_to_lose_makes_it_void_and_less_does_not() {
    let paused = Hindrance::NotProved;
    let other_vantage = Hindrance::Healthy { vantage: SiteName::new("west").unwrap() };
    let later = Standing { epoch: Epoch::new(3), ..standing(vec![healthy()]) };
    let more = [vec![healthy(), paused], vec![other_vantage], vec![behind(6)]].map(standing);
    for now in more.into_iter().chain([later]) {
        let requests = requests();
        assert_eq!(code(requests.approve("one", &ben(), at(1), &now)), "MS-PEOPLE-006");
        assert_eq!(state(&requests), RequestState::Void);
        let as_before = standing(vec![healthy(), behind(4)]);
        let again = requests.approve("one", &ben(), at(1), &as_before);
        assert_eq!(code(again), "MS-PEOPLE-006", "void for good");
    }
    for less in [vec![], vec![healthy()], vec![behind(3), Hindrance::NotAutomatic]] {
        let done = requests().approve("one", &ben(), at(1), &standing(less));
        assert!(done.is_ok(), "{:?}", done.err());
    }
}

#[test]
fn whoever_asked_or_an_approver_takes_it_back() {
    let withdraw = |who: &Asker| code(requests().withdraw("one", who, at(1)));
    assert_eq!(withdraw(&person("ana", Role::Operator)), "done");
    assert_eq!(withdraw(&ben()), "done");
    assert_eq!(withdraw(&person("carl", Role::Operator)), "MS-PEOPLE-003");
    let requests = requests();
    requests.withdraw("one", &ben(), at(1)).unwrap();
    let now = standing(vec![healthy()]);
    assert_eq!(code(requests.approve("one", &ben(), at(1), &now)), "MS-PEOPLE-006");
}

#[test]
fn a_person_has_one_open_request_and_those_that_ended_are_forgotten_in_the_end() {
    let requests = requests();
    requests.add(asked("carls", person("carl", Role::Operator)));
    for number in 0..100 {
        requests.add(asked(&format!("n{number}"), person("ana", Role::Operator)));
    }
    let all = requests.list(at(1));
    let open: Vec<&str> =
        all.iter().filter(|it| it.state == RequestState::Open).map(|it| it.id.as_str()).collect();
    assert_eq!(open, ["n99", "carls"]);
    assert_eq!(all.len(), 2 + ENDED_SHOWN);
}

/// After the claim: the epoch of the request is the one that the site holds.
#[test]
fn a_loss_after_the_claim_is_approved_by_that_name_and_up_to_what_is_accepted() {
    let lost = |seconds| Hindrance::ArrivedLost { bound: Duration::from_secs(seconds) };
    let after = |hindrance| {
        let requests = Requests::default();
        let ana = person("ana", Role::Operator);
        requests.add(Asked { forced: vec![lost(4)], ..asked("one", ana) });
        code(requests.approve("one", &ben(), at(1), &standing(vec![hindrance])))
    };
    assert_eq!(after(lost(5)), "done");
    assert_eq!(after(lost(6)), "MS-PEOPLE-006", "more is lost than was asked for");
    assert_eq!(after(behind(4)), "MS-PEOPLE-006", "a loss of another kind");

    let before = requests().approve("one", &ben(), at(1), &standing(vec![lost(1)]));
    assert_eq!(code(before), "MS-PEOPLE-006", "what was asked for before the claim");
}
