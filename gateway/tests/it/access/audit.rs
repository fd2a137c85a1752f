//! The audit log: what it says, and that no client writes it.

use super::{HERE, ID, Place, VISITOR};

#[tokio::test]
async fn writes_have_a_line_and_reads_have_none() {
    let place = Place::new();
    let headers = [("authorization", "Bearer all"), ("x-request-id", "my-id.1")];
    let made = place.upload(VISITOR, "/v1/files?ext=txt", &headers).await;
    assert_eq!(made.header("x-request-id"), "my-id.1");
    let id = made.json()["file_id"].as_str().unwrap().to_owned();
    place.ask(HERE, "DELETE", &format!("/v1/files/{id}"), &[]).await;
    place.ask(VISITOR, "DELETE", &format!("/v1/files/{ID}"), &[("authorization", "Bearer reader")]).await;
    place.ask(VISITOR, "GET", &format!("/{id}"), &[]).await;
    place.ask(VISITOR, "GET", "/healthz", &[]).await;
    let lines = place.audit();
    assert_eq!(lines.len(), 3, "{lines:?}");
    let first = &lines[0];
    assert!(first["time"].as_str().unwrap().ends_with('Z'));
    for (key, value) in [
        ("request_id", "my-id.1"),
        ("client", "192.0.2.7"),
        ("who", "all"),
        ("scope", "write"),
        ("method", "POST"),
        ("operation", "POST /v1/files"),
        ("path", "/v1/files"),
        ("group", "group1"),
    ] {
        assert_eq!(first[key], value, "{key}");
    }
    assert_eq!(first["file_ids"], serde_json::json!([id]));
    assert_eq!((&first["bytes"], &first["status"]), (&5.into(), &201.into()));
    assert_eq!((&lines[1]["who"], &lines[1]["status"]), (&"anonymous".into(), &204.into()));
    assert_eq!(lines[1]["operation"], "DELETE /v1/files/{file_id}");
    assert_eq!(lines[1]["file_ids"], serde_json::json!([id]));
    assert_eq!((&lines[2]["who"], &lines[2]["status"]), (&"unknown".into(), &403.into()));
}

#[tokio::test]
async fn several_files_are_all_named() {
    let place = Place::new();
    let part = "--x\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.txt\"\r\n\r\nabc\r\n";
    let body = axum::body::Body::from(format!("{part}{part}--x--\r\n"));
    let headers = [("content-type", "multipart/form-data; boundary=x")];
    let request = crate::ask::request("POST", "/v1/files", &headers, body);
    let answer = crate::ask::ask_from(&place.gateway, HERE, request).await;
    let made: Vec<_> =
        answer.json()["files"].as_array().unwrap().iter().map(|file| file["file_id"].clone()).collect();
    assert_eq!((made.len(), &place.audit()[0]["file_ids"]), (2, &serde_json::Value::Array(made.clone())));
}

/// Names, paths and ids that would end a line, or a string, and go on as a line of their own.
#[tokio::test]
async fn no_client_writes_a_line_of_its_own() {
    let place = Place::new();
    let forged = "%0A%7B%22who%22%3A%22root%22%7D%0D%0A%22%5C%E2%80%A8%00";
    for target in [format!("/v1/files/{forged}"), format!("/v1/files?filename={forged}")] {
        let method = if target.contains('?') { "POST" } else { "DELETE" };
        let headers = [("x-request-id", "a\"b,\\"), ("authorization", "Bearer all")];
        place.ask(VISITOR, method, &target, &headers).await;
    }
    place.site.flush_logs();
    let text = std::fs::read_to_string(place.directory.path().join("audit.log")).unwrap();
    for line in text.lines() {
        let read: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(read["who"], "all", "{line}");
        let id = read["request_id"].as_str().unwrap();
        assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    }
    assert!(!text.contains("\r") && !text.contains('\u{2028}') && !text.contains('\0'));
}

/// What opens doors does not stand in logs.
#[tokio::test]
async fn tokens_and_tickets_are_not_logged() {
    let place = Place::new();
    place.upload(VISITOR, "/v1/files?ticket=secret.ticket", &[]).await;
    place.upload(VISITOR, "/v1/files", &[("authorization", "Bearer secret-token")]).await;
    place.site.flush_logs();
    let text = std::fs::read_to_string(place.directory.path().join("audit.log")).unwrap();
    assert_eq!(text.lines().count(), 2, "{text}");
    assert!(!text.contains("secret"), "{text}");
}
