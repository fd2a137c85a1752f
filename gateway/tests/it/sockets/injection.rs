//! Names and metadata that would begin a header of their own in an answer, through every door that takes them. What a client of FastDFS wrote is
//! read in `node/tests/it/uploads.rs`.

use super::{Client, Raw, Running};

/// Base64 of "a\r\nX-Injected: y.txt".
const IN_BASE64: &str = "YQ0KWC1JbmplY3RlZDogeS50eHQ=";
/// The same in a URL.
const IN_URL: &str = "a%0d%0aX-Injected:%20y.txt";

/// An answer to a request as it stands; the connection goes on.
async fn ask(client: &mut Client, request: &str) -> Raw {
    client.send(request).await;
    let answer = client.answer(request.starts_with("HEAD")).await;
    let line = request.lines().next().unwrap_or_default();
    let names = answer.head.lines().filter_map(|line| line.split_once(':'));
    assert!(
        names.clone().all(|(name, _)| !name.trim().eq_ignore_ascii_case("x-injected")),
        "{line}: {answer:?}"
    );
    // Nor is there a line that is none.
    assert_eq!(
        names.count(),
        answer.head.lines().filter(|line| !line.is_empty()).count(),
        "{line}: {answer:?}"
    );
    answer
}

fn with_body(method: &str, target: &str, headers: &str, body: &str) -> String {
    let len = body.len();
    format!("{method} {target} HTTP/1.1\r\nHost: a\r\n{headers}Content-Length: {len}\r\n\r\n{body}")
}

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")
}

#[tokio::test]
async fn no_name_of_an_upload_begins_a_header() {
    let server = Running::plain().await;
    let form = |name: &str| {
        format!(
            "--x\r\nContent-Disposition: form-data; name=\"f\"; filename=\"{name}\"\r\n\r\nabc\r\n--x--\r\n"
        )
    };
    let in_form = "Content-Type: multipart/form-data; boundary=x\r\n";
    let tus =
        format!("Tus-Resumable: 1.0.0\r\nUpload-Length: 3\r\nUpload-Metadata: filename {IN_BASE64}\r\n");
    let extended = format!("Content-Disposition: attachment; filename*=UTF-8''{IN_URL}\r\n");
    for (request, refused) in [
        (with_body("POST", &format!("/v1/files?filename={IN_URL}"), "", "abc"), true),
        (with_body("POST", &format!("/v1/files?ext={IN_URL}"), "", "abc"), true),
        (with_body("PUT", &format!("/v1/upload/{IN_URL}"), "", "abc"), true),
        (with_body("POST", "/v1/files", &extended, "abc"), true),
        (with_body("POST", "/v1/uploads", &tus, ""), true),
        (with_body("POST", "/v1/files", in_form, &form("a\r\nX-Injected: y.txt")), true),
        // As browsers write such a name: these are characters of it.
        (with_body("POST", "/v1/files", in_form, &form("a%0D%0AX-Injected: y.txt")), false),
    ] {
        let mut client = server.connect().await;
        let answer = ask(&mut client, &request).await;
        let line = request.lines().next().unwrap();
        assert_eq!(answer.status(), if refused { 400 } else { 201 }, "{line}: {answer:?}");
        if !refused {
            let body = String::from_utf8(answer.body).unwrap();
            assert!(body.contains("a%0D%0AX-Injected: y.txt"), "{body}");
        }
    }
    assert_eq!(server.store.count(), 1, "nothing of what was refused stays");
    server.finish().await;
}

#[tokio::test]
async fn no_metadata_begins_a_header() {
    let server = Running::plain().await;
    let mut client = server.connect().await;
    let stored = ask(&mut client, &with_body("POST", "/v1/files?ext=txt", "", "abc")).await;
    let location = stored.header("location").unwrap().to_owned();
    let metadata = format!("/v1/files{location}/metadata");
    let json = "Content-Type: application/json\r\n";
    let line = r"a\r\nX-Injected: y";
    for (request, status) in [
        // What is no header may hold it.
        (with_body("PUT", &metadata, json, &format!(r#"{{"note": "{line}"}}"#)), 200),
        (with_body("PATCH", &metadata, json, &format!(r#"{{"{line}": "x"}}"#)), 200),
        (with_body("PUT", &format!("{metadata}/{IN_URL}"), "", "a\r\nX-Injected: y"), 204),
        (get(&metadata), 200),
        (get(&format!("{metadata}/note")), 200),
        (get(&format!("{metadata}/{IN_URL}")), 200),
        (get(&format!("/v1/files{location}")), 200),
        (get(&format!("{location}?filename={IN_URL}")), 400),
        (get(&format!("{location}?attname={IN_URL}")), 400),
    ] {
        let answer = ask(&mut client, &request).await;
        assert_eq!(answer.status(), status, "{request}: {answer:?}");
    }
    server.finish().await;
}
