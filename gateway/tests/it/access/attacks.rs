//! The attacks of the bar, each with what shows that it leads nowhere: in this crate, where that is enough, and on real
//! processes.

use std::path::Path;

/// An attack, and the tests: a file, a function in it, and what the text of that file has to hold besides.
type Attack = (&'static str, &'static [(&'static str, &'static str, &'static str)]);

const TOKENS: &str = "gateway/tests/it/access/tokens.rs";
const TICKETS: &str = "gateway/tests/it/access/tickets.rs";
const CALLS: &str = "gateway/tests/it/access/calls.rs";
const JWT: &str = "gateway/tests/it/access/jwt.rs";
const SMUGGLING: &str = "gateway/tests/it/sockets/smuggling.rs";
const FORMS: &str = "gateway/tests/it/uploads/forms.rs";
const INJECTION: &str = "gateway/tests/it/sockets/injection.rs";
const TRACKER: &str = "tracker/src/http/tests/access.rs";
const SYSTEM_TOKENS: &str = "tests/it/access/tokens.rs";
const SYSTEM_TICKETS: &str = "tests/it/access/tickets.rs";

const ALL: &[Attack] = &[
    (
        "no token",
        &[
            (TOKENS, "no_token_is_401_with_a_challenge", ""),
            (TOKENS, "an_unknown_token_is_401_also_from_here", ""),
            (JWT, "a_jwt_of_the_algorithm_none_is_401", ""),
            (TRACKER, "tickets_are_made_for_those_who_may_write", r#"401, "token_needed""#),
            (SYSTEM_TOKENS, "tokens_do_what_they_are_for_at_tracker_and_node", r#""", 401, "token_needed""#),
            (SYSTEM_TOKENS, "what_is_not_public_is_read_with_a_token_only", ""),
        ],
    ),
    (
        "wrong scope",
        &[
            (TOKENS, "a_token_of_another_scope_is_403", ""),
            (TICKETS, "a_ticket_deletes_nothing", ""),
            (CALLS, "what_it_vouches_for_is_not_more_than_it_says", ""),
            (TRACKER, "what_is_not_public_is_read_by_those_who_may", ""),
            (SYSTEM_TOKENS, "tokens_do_what_they_are_for_at_tracker_and_node", "insufficient_scope"),
        ],
    ),
    (
        "expired",
        &[
            (TOKENS, "an_expired_token_is_401", ""),
            (JWT, "an_expired_jwt_is_401", ""),
            (
                SYSTEM_TOKENS,
                "tokens_do_what_they_are_for_at_tracker_and_node",
                "OLD_JWT, 401, \"token_expired\"",
            ),
            (SYSTEM_TICKETS, "a_ticket_that_is_altered_or_too_small_is_refused", "ticket_expired"),
        ],
    ),
    (
        "another group's token",
        &[
            (TOKENS, "a_token_of_another_group_is_403", ""),
            (TICKETS, "a_ticket_of_another_group_is_403", ""),
            (SYSTEM_TOKENS, "tokens_do_what_they_are_for_at_tracker_and_node", "token_of_other_group"),
            (
                "tests/it/access/members.rs",
                "a_member_takes_the_word_of_the_node_that_knows_the_token",
                "token_of_other_group",
            ),
        ],
    ),
    (
        "traversal in every parameter",
        &[
            ("tests/it/traversal.rs", "no_parameter_leads_out_of_the_store", ""),
            ("gateway/src/rest/uploads/headers.rs", "lists_of_parts", "/v1/uploads/../"),
            ("gateway/src/rest/filename.rs", "names_are_cut_and_cleaned", "../dir/a b.jpg"),
            (FORMS, "one_file_answers_as_a_raw_upload", "../dir/my photo.jpg"),
        ],
    ),
    (
        "a forged X-Forwarded-For",
        &[
            (TOKENS, "a_forged_x_forwarded_for_makes_nobody_local", ""),
            (TOKENS, "a_forged_forwarded_makes_nobody_local", ""),
            (TOKENS, "a_forged_x_real_ip_makes_nobody_local", ""),
            (TOKENS, "a_forged_address_is_no_way_around_the_limit", ""),
            (
                SYSTEM_TOKENS,
                "what_is_not_public_is_read_with_a_token_only",
                r#"("x-forwarded-for", "127.0.0.1")"#,
            ),
            (SYSTEM_TOKENS, "guessing_is_limited_by_address", r#""x-forwarded-for", "192.0.2.9""#),
        ],
    ),
    (
        "oversized bodies",
        &[
            (
                "gateway/tests/it/sockets/sizes.rs",
                "large_bodies_are_refused_with_413_and_the_client_learns_it",
                "",
            ),
            (TICKETS, "more_than_a_ticket_allows_is_413", ""),
            (TICKETS, "an_upload_in_pieces_stays_within_a_tickets_size", ""),
            (TICKETS, "what_is_joined_stays_within_a_tickets_size", ""),
            ("gateway/tests/it/rest/metadata.rs", "what_cannot_be_kept_is_refused", "body_too_large"),
            (TRACKER, "what_no_ticket_can_be_is_refused", "repeat(20_000)"),
        ],
    ),
    (
        "endless bodies",
        &[
            (TICKETS, "more_than_a_ticket_allows_is_413", "never ends"),
            (TICKETS, "a_ticket_uploads_by_name_within_its_bounds", "from_stream"),
            (FORMS, "heads_without_end_are_given_up_early", ""),
            (
                "gateway/tests/it/sockets/limits.rs",
                "a_stalled_body_meets_its_timeout_and_its_connection_ends",
                "",
            ),
            ("tests/it/attack_tests.rs", "a_crowd_of_bad_clients_costs_little_and_leaves_nothing_behind", ""),
            (SYSTEM_TICKETS, "a_ticket_that_is_altered_or_too_small_is_refused", "wrap_stream"),
        ],
    ),
    (
        "10,000 parts of a form",
        &[
            (FORMS, "forms_that_are_none_leave_nothing", r#"("10,000 fields""#),
            (FORMS, "forms_that_are_none_leave_nothing", r#"("10,000 files""#),
        ],
    ),
    (
        "header injection in names",
        &[
            (INJECTION, "no_name_of_an_upload_begins_a_header", ""),
            (TRACKER, "a_redirect_begins_no_header", ""),
            ("gateway/tests/it/access/audit.rs", "no_client_writes_a_line_of_its_own", ""),
        ],
    ),
    (
        "header injection in metadata",
        &[
            (INJECTION, "no_metadata_begins_a_header", ""),
            (
                "node/tests/it/uploads.rs",
                "the_name_that_a_file_had_comes_back_and_follows_its_metadata",
                r"evil\r\nSet-Cookie: x",
            ),
        ],
    ),
    (
        "replayed signed URLs",
        &[
            (TICKETS, "a_replayed_ticket_is_403_from_another_address_and_after_a_reload_too", ""),
            (TICKETS, "a_ticket_from_before_a_restart_is_403", ""),
            (CALLS, "what_a_member_vouches_for_is_done_once", ""),
            (SYSTEM_TICKETS, "a_page_uploads_by_a_ticket_once", "ticket_used"),
            ("tests/it/signed_urls.rs", "signed_urls_open_files_until_they_end", ""),
        ],
    ),
    (
        "altered signed URLs",
        &[
            (TICKETS, "an_altered_ticket_is_403", ""),
            (JWT, "an_altered_jwt_is_401", ""),
            ("gateway/src/authority/vouch.rs", "a_call_that_was_altered_or_is_old_is_refused", ""),
            ("gateway/tests/it/policy/signed_urls.rs", "only_signed_urls_open_files", ""),
            (SYSTEM_TICKETS, "a_ticket_that_is_altered_or_too_small_is_refused", "ticket_refused"),
        ],
    ),
    ("smuggling by CL.TE", &[(SMUGGLING, "no_request_is_smuggled", r#"("CL.TE""#)]),
    ("smuggling by TE.CL", &[(SMUGGLING, "no_request_is_smuggled", r#""TE.CL""#)]),
    (
        "smuggling by two Content-Lengths",
        &[
            (SMUGGLING, "no_request_is_smuggled", r#"("two lengths""#),
            (SMUGGLING, "no_request_is_smuggled", r#"("two equal lengths""#),
            (SMUGGLING, "no_request_is_smuggled", r#"("a list of lengths""#),
        ],
    ),
    (
        "smuggling by obs-fold",
        &[
            (SMUGGLING, "no_request_is_smuggled", r#"("obs-fold""#),
            (SMUGGLING, "no_request_is_smuggled", r#"("obs-fold in TE""#),
            (SMUGGLING, "no_request_is_smuggled", r#"("obs-fold before all""#),
        ],
    ),
];

#[test]
fn every_attack_of_the_bar_has_its_tests() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for (attack, tests) in ALL {
        assert!(!tests.is_empty(), "{attack}");
        for (file, test, holds) in *tests {
            let text =
                std::fs::read_to_string(root.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
            let found = text.find(&format!("fn {test}("));
            let before = found.map(|at| text[..at].trim_end_matches("async ").trim_end());
            let is_test =
                before.is_some_and(|before| before.lines().last().is_some_and(|line| line.contains("test")));
            assert!(is_test, "{attack}: {file} has no test {test}");
            assert!(text.contains(holds), "{attack}: {file} has no {holds}");
        }
    }
}
