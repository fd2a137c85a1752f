//! What those are answered who may not: 401 if a token would help (RFC 6750, 3), 403 if that is not enough, 429 to those who
//! try many.

use std::time::Duration;

use http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use protocol::GroupName;

use super::scope::Scope;
use crate::problem::Problem;

/// Why something that was shown does not count.
#[derive(Debug)]
pub(crate) enum Bad {
    /// Nobody of this site has made it: it counts as a try.
    Unproven(Problem),
    /// It is real, and does not help now or here.
    Useless(Problem),
}

impl Bad {
    pub(crate) fn into_problem(self) -> Problem {
        match self {
            Self::Unproven(problem) | Self::Useless(problem) => problem,
        }
    }
}

/// Nothing was shown.
pub(crate) fn token_needed(scope: Scope) -> Problem {
    let detail = format!(
        "this needs a token with the scope {}: Authorization: Bearer TOKEN; `fdfs token new` makes one for the file that \
         http.tokens_file names",
        scope.name()
    );
    challenge(StatusCode::UNAUTHORIZED, "token_needed", detail, None)
}

/// A token that nobody here has made.
pub(crate) fn invalid_token(detail: &str) -> Problem {
    challenge(StatusCode::UNAUTHORIZED, "invalid_token", detail, Some("invalid_token"))
}

/// A token whose time is over, or has not come.
pub(crate) fn token_expired(detail: &str) -> Problem {
    challenge(StatusCode::UNAUTHORIZED, "token_expired", detail, Some("invalid_token"))
}

/// A request that shows tokens in a way that cannot be judged.
pub(crate) fn invalid_request(detail: &str) -> Problem {
    challenge(StatusCode::BAD_REQUEST, "invalid_request", detail, Some("invalid_request"))
}

/// A good token that is for other things.
pub(crate) fn insufficient_scope(scope: Scope) -> Problem {
    let detail = format!("this needs the scope {}, which this token does not have", scope.name());
    let problem = Problem::new(StatusCode::FORBIDDEN, "insufficient_scope", detail);
    let value = format!(r#"Bearer realm="fdfs", error="insufficient_scope", scope="{}""#, scope.name());
    with_challenge(problem, &value)
}

/// A good token that is for another group.
pub(crate) fn token_of_group(own: GroupName) -> Problem {
    let detail = format!("this token is for {own} only; use one without a group, or one of the other group");
    let problem = Problem::new(StatusCode::FORBIDDEN, "token_of_other_group", detail);
    with_challenge(problem, r#"Bearer realm="fdfs", error="insufficient_scope""#)
}

/// Too many that did not count.
pub(crate) fn too_many_failures(wait: Duration) -> Problem {
    let detail = "this address has sent too many bad tokens; wait as long as Retry-After says";
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_failures", detail)
        .with_header(RETRY_AFTER, seconds.max(1).into())
}

/// Something else that is refused, whatever token comes along.
pub(crate) fn forbidden(code: &'static str, detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, code, detail)
}

fn challenge(
    status: StatusCode,
    code: &'static str,
    detail: impl Into<String>,
    error: Option<&str>,
) -> Problem {
    let value = match error {
        Some(error) => format!(r#"Bearer realm="fdfs", error="{error}""#),
        None => r#"Bearer realm="fdfs""#.to_owned(),
    };
    with_challenge(Problem::new(status, code, detail), &value)
}

fn with_challenge(problem: Problem, value: &str) -> Problem {
    match HeaderValue::from_str(value) {
        Ok(value) => problem.with_header(WWW_AUTHENTICATE, value),
        Err(_) => problem,
    }
}
