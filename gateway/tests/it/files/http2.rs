//! The table over HTTP/2, without TLS.

use bytes::{Bytes, BytesMut};
use gateway::server::HttpLimits;
use http::{Request, Uri};
use tokio::net::TcpStream;

use super::case::cases;
use super::run::{differences, headers, named, settings};
use super::sample::Sample;
use crate::ask::Answer;
use crate::sockets::Running;

#[tokio::test]
async fn every_case_holds_over_http2() {
    let mut wrong = Vec::new();
    // HTTP/2 writes the server itself as the path of OPTIONS, but this client does not.
    for case in cases().into_iter().filter(|case| case.target != "*") {
        for state in case.states.clone() {
            let server = Running::start(settings(&case), HttpLimits::default()).await;
            let sample = Sample::new(&server.store, &case.kind, state);
            let uri: Uri = format!("http://files.example{}", sample.fill(&case.target)).parse().unwrap();
            let mut request = Request::builder().method(case.method.as_str()).uri(uri);
            for (name, value) in headers(&case, &sample) {
                request = request.header(name, value);
            }
            let stream = TcpStream::connect(server.address).await.unwrap();
            let (client, connection) = h2::client::handshake(stream).await.unwrap();
            let connection = tokio::spawn(connection);
            let answer = ask(client, request.body(()).unwrap()).await;
            wrong.extend(
                differences(&case, &sample, &answer).into_iter().map(|what| named(&case, state, &what)),
            );
            connection.await.unwrap().unwrap();
            server.finish().await;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The whole answer; the connection ends with the client.
async fn ask(client: h2::client::SendRequest<Bytes>, request: Request<()>) -> Answer {
    let mut client = client.ready().await.unwrap();
    let (answer, _) = client.send_request(request, true).unwrap();
    let (head, mut body) = answer.await.unwrap().into_parts();
    let mut content = BytesMut::new();
    while let Some(piece) = body.data().await {
        let piece = piece.unwrap();
        body.flow_control().release_capacity(piece.len()).unwrap();
        content.extend_from_slice(&piece);
    }
    Answer { status: head.status, headers: head.headers, body: content.freeze() }
}
