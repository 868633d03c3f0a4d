use crate::serving::{Bank, database};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_moves_the_money_once_however_often_it_is_sent() {
    let postgres = database().await;
    let bank = Bank::open(&postgres, "127.0.0.1:0").await;
    let transfer = json!({
        "id": "0b2f4d9e-3f0f-4f52-8d3c-2a1d8f7a9c11", "from": 1, "to": 2, "amount": "12.34",
        "memo": { "for": "coffee" }
    });
    let (first, answer) = bank.post(&transfer).await;
    let (second, again) = bank.post(&transfer).await;
    assert_eq!((first, second), (201, 201), "{answer} {again}");
    assert_eq!(answer, again);
    assert_eq!(bank.get("/accounts/1").await.1["balance"], "987.66");
    assert_eq!(bank.get("/accounts/2").await.1["balance"], "1012.34");
    let totals = bank.get("/totals").await.1;
    assert_eq!(totals, json!({ "accounts": 100, "balance": "100000.00", "transfers": 1 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_done_is_refused_and_moves_nothing() {
    let postgres = database().await;
    let bank = Bank::open(&postgres, "127.0.0.1:0").await;
    let id = "0b2f4d9e-3f0f-4f52-8d3c-2a1d8f7a9c11";
    let order = |from: i64, to: i64, amount: &str| json!({ "id": id, "from": from, "to": to, "amount": amount });
    for bad in [
        order(1, 101, "1.00"),
        order(1, 2, "0"),
        order(1, 2, "1e3"),
        order(1, 1, "1"),
        order(1, 2, ""),
    ] {
        assert_eq!(bank.post(&bad).await.0, 422, "{bad}");
    }
    assert_eq!(bank.post(&order(1, 2, "1.00")).await.0, 201);
    assert_eq!(bank.post(&order(1, 2, "2.00")).await.0, 409, "the id belongs to another transfer");
    assert_eq!(bank.get("/accounts/101").await.0, 404);
    assert_eq!(bank.get("/accounts/1").await.1["balance"], "999.00");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_application_role_can_do_its_work_and_nothing_else() {
    let postgres = database().await;
    let role = postgres.client_as("bank", "bank", "bank").await;
    for forbidden in [
        "UPDATE accounts SET balance = 1000000",
        "DELETE FROM accounts",
        "UPDATE transfers SET amount = 1",
        "DELETE FROM transfers",
        "TRUNCATE transfers, accounts",
        "DROP TABLE transfers",
        "CREATE TABLE mine (id int)",
        "SELECT setval('transfer_number', 1)",
        "ALTER TABLE transfers DISABLE TRIGGER ALL",
    ] {
        let error = role.batch_execute(forbidden).await.expect_err(forbidden);
        // insufficient_privilege (PostgreSQL manual, appendix A).
        assert_eq!(error.code().map(|code| code.code()), Some("42501"), "{forbidden}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bank_whose_database_was_killed_works_again_when_it_is_back() {
    let mut postgres = database().await;
    let bank = Bank::open(&postgres, "127.0.0.1:0").await;
    bank.until_healthy().await;
    postgres.kill9();
    assert_eq!(bank.get("/health").await.0, 503);
    postgres.restart();
    bank.until_healthy().await;
}
