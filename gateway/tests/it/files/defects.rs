//! The 22 defects of fastdfs-nginx-module 1.27, each seen on the running module, and what shows that they are absent here.
//!
//! Rows of `cases.txt` name them; where a row cannot show it, tests do, some of them of the crates whose matter it is.

use std::collections::HashSet;
use std::path::Path;

use super::case::cases;

/// A defect: its number, what the module does, whether rows of the table show its absence, and the tests that do.
type Defect = (u8, &'static str, Rows, &'static [(&'static str, &'static str)]);

/// Whether the table has rows about a defect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rows {
    Some,
    None,
}

const ALL: [Defect; 22] = [
    (
        1,
        "bodies after 304, 412 and HEAD, which pass for the next answer",
        Rows::Some,
        &[
            ("gateway/tests/it/sockets/framing.rs", "no_answer_leaks_into_the_next"),
            ("gateway/tests/it/files/run.rs", "every_case_holds_over_a_socket"),
        ],
    ),
    (
        2,
        "connects to any address that a made-up name says, with the client's credentials",
        Rows::Some,
        &[
            ("node/tests/it/remote/candidates.rs", "forged_names_lead_nowhere"),
            ("node/tests/it/remote/candidates.rs", "nothing_of_the_client_goes_to_the_members"),
        ],
    ),
    (3, "headers can be injected through filename=", Rows::Some, &[]),
    (
        4,
        "several ranges and trunk files are held in memory",
        Rows::Some,
        &[
            ("gateway/tests/it/elsewhere.rs", "only_what_was_asked_for_is_fetched"),
            ("gateway/tests/it/sockets/sendfile.rs", "slow_readers_with_small_windows_get_every_byte"),
        ],
    ),
    (5, "bytes=0-0 gives the whole file", Rows::Some, &[]),
    (
        6,
        "deleted files are still answered with 304",
        Rows::Some,
        &[(
            "node/tests/it/remote/deleted.rs",
            "what_clients_and_members_deleted_is_gone_also_after_a_restart",
        )],
    ),
    (
        7,
        "redirects without an end, with bytes of other memory, to inner addresses, without the guard",
        Rows::Some,
        &[
            ("gateway/tests/it/elsewhere.rs", "a_redirect_leads_to_the_member_with_the_whole_query"),
            ("node/tests/it/remote/candidates.rs", "redirects_lead_to_the_url_that_a_member_advertises"),
        ],
    ),
    (
        8,
        "asks the source only: 502 and 404 for files that other members have",
        Rows::Some,
        &[
            (
                "node/tests/it/remote/candidates.rs",
                "a_source_that_refuses_is_passed_over_and_one_without_the_file_too",
            ),
            ("node/tests/it/remote/deleted.rs", "own_files_that_are_lost_are_read_from_the_others"),
        ],
    ),
    (9, "a long name is written past the end of a buffer", Rows::Some, &[]),
    (
        10,
        "a disk that takes long holds up all requests of a process",
        Rows::None,
        &[("gateway/tests/it/files/waiting.rs", "a_disk_that_does_not_answer_holds_up_only_who_asks_it")],
    ),
    (
        11,
        "a bad configuration passes the test and ends the workers at a reload",
        Rows::None,
        &[
            ("tests/it/reload.rs", "a_refused_configuration_changes_nothing"),
            (
                "gateway/tests/it/files/settings.rs",
                "pages_and_tables_that_cannot_be_read_are_told_before_a_change",
            ),
        ],
    ),
    (12, "If-Range is ignored, ranges are read loosely, 416 does not say the length", Rows::Some, &[]),
    (13, "no ETag, and If-Modified-Since by letters", Rows::Some, &[]),
    (
        14,
        "URLs of up to 510 bytes",
        Rows::Some,
        &[("gateway/tests/it/sockets/sizes.rs", "long_targets_are_refused_with_414")],
    ),
    (
        15,
        "tokens for ever, a cacheable 200 for those without one",
        Rows::Some,
        &[
            ("gateway/tests/it/policy/tokens.rs", "only_fresh_tokens_of_this_file_open_it"),
            ("gateway/tests/it/policy/tokens.rs", "the_sites_page_is_a_403_that_no_cache_keeps"),
        ],
    ),
    (16, "metadata is there for everybody", Rows::Some, &[]),
    (
        17,
        "an empty answer for what cannot be opened",
        Rows::Some,
        &[(
            "gateway/tests/it/elsewhere.rs",
            "a_member_that_is_gone_before_the_first_byte_is_a_502_with_no_validators",
        )],
    ),
    (
        18,
        "a new connection by HTTP/1.0 for each file of another, with the client's headers",
        Rows::Some,
        &[("node/tests/it/remote/candidates.rs", "nothing_of_the_client_goes_to_the_members")],
    ),
    (19, "the site's table of types is not used, nor are extensions of six characters", Rows::Some, &[]),
    (20, "no writing, no OPTIONS", Rows::Some, &[("gateway/tests/it/uploads.rs", "files_are_deleted_once")]),
    (
        21,
        "members and their addresses are those of the start",
        Rows::None,
        &[(
            "node/tests/it/remote/candidates.rs",
            "a_tracker_names_the_holder_that_the_list_does_not_have_yet",
        )],
    ),
    (
        22,
        "keys without effect, and nobody says so",
        Rows::None,
        &[("protocol/src/config/mod_conf/tests.rs", "every_key_of_the_module_is_read_or_explained")],
    ),
];

#[test]
fn every_defect_of_the_module_is_shown_to_be_absent() {
    let numbers: Vec<u8> = ALL.iter().map(|defect| defect.0).collect();
    assert_eq!(numbers, (1..=22).collect::<Vec<u8>>());
    let named: HashSet<String> = cases().into_iter().flat_map(|case| case.rules).collect();
    for (number, what, rows, tests) in ALL {
        let has_rows = named.contains(&format!("D{number}"));
        assert_eq!(has_rows, rows == Rows::Some, "rows about D{number}, {what}");
        assert!(has_rows || !tests.is_empty(), "nothing shows the absence of D{number}, {what}");
        for (file, test) in tests {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file);
            let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{file}: {error}"));
            assert!(text.contains(&format!("fn {test}(")), "D{number}: {file} has no test {test}");
        }
    }
}

/// The table has the size that was asked for, and no case twice.
#[test]
fn the_table_is_large_and_has_no_case_twice() {
    let cases = cases();
    assert!(cases.len() >= 150, "{}", cases.len());
    let mut seen = HashSet::new();
    for case in &cases {
        let request = format!(
            "{:?}",
            (&case.settings, &case.method, &case.target, &case.kind, &case.states, &case.headers)
        );
        assert!(seen.insert(request.clone()), "{:?} {} is there twice: {request}", case.rules, case.about);
        assert!(!case.rules.is_empty() && !case.about.is_empty());
    }
}
