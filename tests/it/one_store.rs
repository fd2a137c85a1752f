//! HTTP and the native protocol are two doors of one store. Also the HTTP calls that other tests use.

use fastdfs::{ClientOptions, FdfsClient, FileId};
use reqwest::{Client, StatusCode};
use serde::Deserialize;

use crate::address;
use crate::cluster::Cluster;
use crate::content::content;

/// What an upload answers, as far as tests look.
#[derive(Debug, Deserialize)]
pub(crate) struct Stored {
    pub(crate) file_id: String,
    pub(crate) url: String,
    pub(crate) size: u64,
    pub(crate) crc32: String,
}

/// Uploads one raw body, which must be accepted.
pub(crate) async fn upload(url: &str, file_name: &str, body: Vec<u8>) -> Stored {
    let length = body.len();
    let answer = Client::new().post(format!("{url}?filename={file_name}")).body(body).send().await;
    let answer = answer.expect("the server answers");
    assert_eq!(answer.status(), StatusCode::CREATED);
    let location = answer.headers().get("location").expect("a location").to_str().expect("text").to_owned();
    let stored: Stored =
        serde_json::from_str(&answer.text().await.expect("a body")).expect("the documented JSON");
    assert!(location.ends_with(&stored.file_id), "{location} leads to {}", stored.file_id);
    assert_eq!(usize::try_from(stored.size), Ok(length));
    stored
}

/// Status and body of a GET.
pub(crate) async fn get(url: &str) -> (StatusCode, Vec<u8>) {
    let answer = reqwest::get(url).await.expect("the server answers");
    (answer.status(), answer.bytes().await.expect("a whole body").to_vec())
}

/// The crate client for the tracker at `ip`.
pub(crate) fn native(ip: std::net::IpAddr) -> FdfsClient {
    ClientOptions::new(vec![address::tracker(ip).to_string()]).build().expect("good options")
}

/// `group1/M00/...` as the crate's type.
pub(crate) fn id(text: &str) -> FileId {
    text.parse().expect("the crate reads our IDs")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_the_same_by_http_and_native() {
    let cluster = Cluster::start().await;
    let client = native(cluster.tracker.ip);
    for length in [0, 1, 1_000, 300_000, 5_000_000] {
        let bytes = content(length, 7);

        let by_http = upload(&cluster.node.url("/v1/files"), "x.bin", bytes.clone()).await;
        assert_eq!(u32::from_str_radix(&by_http.crc32, 16), Ok(crc32fast::hash(&bytes)), "{by_http:?}");
        let info = client.get_file_info(&id(&by_http.file_id)).await.expect("native knows it");
        assert_eq!((info.file_size, info.crc32), (by_http.size, crc32fast::hash(&bytes)));
        if length > 0 {
            let read = client.download_file_buf(&id(&by_http.file_id), 0, 0).await.expect("native reads it");
            assert!(read == bytes, "{length} bytes up by HTTP, down by native");
        }
        assert_eq!(get(&by_http.url).await, (StatusCode::OK, bytes.clone()), "the URL in the answer works");

        let by_native = client.upload_file_buf(&bytes, "bin", None, false).await.expect("native takes it");
        for url in [format!("/{by_native}"), format!("/{}", by_native.remote_filename)] {
            assert_eq!(get(&cluster.node.url(&url)).await, (StatusCode::OK, bytes.clone()), "{url}");
        }
    }

    let doomed = upload(&cluster.node.url("/v1/files"), "x.bin", b"to be deleted".to_vec()).await;
    let answer =
        Client::new().delete(cluster.node.url(&format!("/v1/files/{}", doomed.file_id))).send().await;
    assert!(answer.expect("an answer").status().is_success());
    assert!(client.get_file_info(&id(&doomed.file_id)).await.is_err(), "native sees the deletion");

    let doomed = client.upload_file_buf(b"native", "txt", None, false).await.expect("native takes it");
    client.delete_file(&doomed).await.expect("native deletes it");
    assert_eq!(get(&cluster.node.url(&format!("/{doomed}"))).await.0, StatusCode::NOT_FOUND);
}
