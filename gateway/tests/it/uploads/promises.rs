//! Names and durability that an upload asks for.

use axum::body::Body;
use gateway::files::UploadKind;
use protocol::config::storage_conf::Durability;

use super::{assert_nothing_left, post, specs};
use crate::fake::Fake;

#[tokio::test]
async fn the_name_of_a_file_is_kept_without_its_directories() {
    for (query, header, expected) in [
        ("?filename=a.txt", "", Some("a.txt")),
        ("?filename=a.txt", "attachment; filename=b.txt", Some("a.txt")),
        ("", "attachment; filename=\"..\\\\..\\\\b.txt\"", Some("b.txt")),
        ("?filename=..%2F..%2Fetc%2Fpasswd", "", Some("passwd")),
        ("?filename=x%2F", "", None),
        ("", "nonsense", None),
        ("", "", None),
    ] {
        let store = Fake::new();
        let headers = [("content-disposition", header)];
        let headers = if header.is_empty() { &[][..] } else { &headers[..] };
        let answer = post(&store, &format!("/v1/files{query}"), headers, Body::from("abc")).await;
        assert_eq!(answer.status, 201, "{query} {header}");
        let json = answer.json();
        assert_eq!(json.get("filename").and_then(|name| name.as_str()), expected, "{query} {header}");
        let kept = store.metadata_of(json["file_id"].as_str().unwrap());
        assert_eq!(kept.as_ref().and_then(|kept| kept.get("fdfs.filename")), expected);
        assert_eq!(kept.is_some(), expected.is_some(), "no metadata without need");
    }
    for (query, header) in [
        ("?filename=a%0D%0ASet-Cookie:%20x", ""),
        ("?filename=a%00.txt", ""),
        ("?filename=%C2%85", ""),
        ("", "attachment; filename*=UTF-8''a%0D%0Ab"),
    ] {
        let store = Fake::new();
        let headers = [("content-disposition", header)];
        let answer = post(&store, &format!("/v1/files{query}"), &headers, Body::from("abc")).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code().as_str()),
            (400, "bad_filename"),
            "{query} {header}"
        );
        assert_nothing_left(&store, query);
    }
}

#[tokio::test]
async fn a_preferred_durability_reaches_the_store_and_is_confirmed() {
    for (prefer, expected, applied) in [
        ("durability=fsync", Some(Durability::Fsync), "durability=fsync"),
        ("wait=5, durability=write", Some(Durability::Write), "durability=write"),
        ("respond-async", None, ""),
    ] {
        let store = Fake::new();
        for headers in [&[("prefer", prefer)][..], &[("prefer", prefer), ("content-length", "3")]] {
            let answer = post(&store, "/v1/files?kind=appender", headers, Body::from("abc")).await;
            assert_eq!(answer.status, 201, "{prefer}");
            assert_eq!(answer.header("preference-applied"), applied);
        }
        for spec in specs(&store) {
            assert_eq!((spec.durability, spec.kind), (expected, UploadKind::Appender));
        }
    }
    let store = Fake::new();
    let answer = post(&store, "/v1/files", &[("prefer", "durability=replicas")], Body::from("abc")).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (400, "bad_durability"));
    assert_nothing_left(&store, "replicas");
}

#[tokio::test]
async fn an_expiry_becomes_metadata() {
    for (query, header, expected) in [
        ("", "86400", Some(86_400)),
        ("?expires_in=60", "", Some(60)),
        ("?expires_in=60", "5", Some(5)),
        ("", "3155760000", Some(3_155_760_000)),
        ("", "0", None),
        ("", "-5", None),
        ("", "3155760001", None),
        ("", "99999999999999999999", None),
        ("", "soon", None),
        ("?expires_in=", "", None),
        ("?expires_in=%FF", "", None),
    ] {
        let store = Fake::new();
        let headers = [("expires-in", header)];
        let headers = if header.is_empty() { &[][..] } else { &headers[..] };
        let before = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let answer = post(&store, &format!("/v1/files{query}"), headers, Body::from("abc")).await;
        match expected {
            Some(seconds) => {
                assert_eq!(answer.status, 201, "{query} {header}");
                let kept = store.metadata_of(answer.json()["file_id"].as_str().unwrap()).unwrap();
                let expires: u64 = kept.get("fdfs.expires").unwrap().parse().unwrap();
                assert!((before + seconds..before + seconds + 60).contains(&expires), "{expires}");
            }
            None => {
                assert_eq!(
                    (answer.status.as_u16(), answer.code().as_str()),
                    (400, "bad_expiry"),
                    "{query} {header}"
                );
                assert_nothing_left(&store, header);
            }
        }
    }
}
