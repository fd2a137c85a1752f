//! `GET /v1/replication`: what this node sends to the other members, for operators.

use axum::Json;
use axum::extract::{Request, State};
use gateway::Site;
use gateway::authority::Scope;
use gateway::problem::Problem;
use gateway::routes::Routes;
use http::Method;
use serde::Serialize;

use crate::replication::{Letter, Progress, Replication};
use crate::store::BinlogPosition;

/// The route.
pub(crate) fn routes(replication: Replication, site: Site) -> Routes {
    Routes::new()
        .on(Method::GET, "/v1/replication", overview)
        .with(|router| router.method_not_allowed_fallback(gateway::rest::method_not_allowed))
        .with_state((replication, site))
}

#[derive(Serialize)]
struct Overview {
    /// `null` until a tracker told it.
    id: Option<String>,
    group: String,
    /// End of the binlog.
    binlog: Position,
    senders: Vec<Sender>,
}

#[derive(Serialize)]
struct Position {
    index: u32,
    offset: u64,
}

impl From<BinlogPosition> for Position {
    fn from(position: BinlogPosition) -> Self {
        Self { index: position.index, offset: position.offset }
    }
}

/// Names are those of the tracker's view of the same.
#[derive(Serialize)]
struct Sender {
    destination: String,
    state: &'static str,
    /// Why nothing is sent, if that is the peer's or the network's fault.
    trouble: Option<String>,
    lag_seconds: i64,
    files_to_go: i64,
    bytes_to_go: i64,
    per_second: i64,
    /// At the present pace; `null` if there is none.
    seconds_to_go: Option<i64>,
    /// All before has arrived.
    mark: Position,
    dead_letters: i64,
    /// The oldest of them.
    first_dead_letters: Vec<DeadLetter>,
}

#[derive(Serialize)]
struct DeadLetter {
    /// Unix time at which it was set aside.
    since: i64,
    /// What the peer answered last.
    status: u8,
    /// The binlog's line.
    record: String,
}

impl From<Letter> for DeadLetter {
    fn from(letter: Letter) -> Self {
        Self { since: letter.since, status: letter.status.0, record: letter.entry.to_string() }
    }
}

impl Sender {
    fn of(progress: &Progress) -> Self {
        let report = progress.report();
        Self {
            destination: report.peer.to_string(),
            state: report.state.name(),
            trouble: progress.trouble(),
            lag_seconds: report.lag_seconds,
            files_to_go: report.files_to_go,
            bytes_to_go: report.bytes_to_go,
            per_second: report.per_second,
            seconds_to_go: report.seconds_to_go(),
            mark: progress.mark().into(),
            dead_letters: report.dead_letters,
            first_dead_letters: progress.first_dead_letters().into_iter().map(DeadLetter::from).collect(),
        }
    }
}

async fn overview(
    State((replication, site)): State<(Replication, Site)>,
    request: Request,
) -> Result<Json<Overview>, Problem> {
    let group = Some(replication.group());
    site.now().authority.check(&request.into_parts().0, Scope::Read, group)?;
    Ok(Json(Overview {
        id: replication.own().map(|id| id.to_string()),
        group: replication.group().to_string(),
        binlog: replication.binlog_end().into(),
        senders: replication.senders().iter().map(|progress| Sender::of(progress)).collect(),
    }))
}
