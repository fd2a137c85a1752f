//! The matrix of sync timestamps: a row per source, a column per receiver.
//!
//! FastDFS reads it by position, and refuses to start when the storages file lists other members (its "columns 5 > 4",
//! native-cluster.md 7.6): after a deletion and a kill, for example. The rows of one save always name its columns too, in
//! their order; read so, every value finds its pair, whoever has come, gone or changed places since.

use protocol::{GroupName, StorageId};
use tracing::warn;

use super::TIMESTAMPS;
use crate::state::Group;

/// Rows of one group as they stand in the file.
struct Rows<'a> {
    group: &'a str,
    rows: Vec<(&'a str, Vec<i32>)>,
}

fn parse(text: &str) -> Vec<Rows<'_>> {
    let mut groups: Vec<Rows<'_>> = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let mut columns = line.split(',').map(str::trim);
        let (group, source) = (columns.next().unwrap_or_default(), columns.next().unwrap_or_default());
        // What is no number is no news: the storage reports again.
        let row = (source, columns.map(|value| value.parse().unwrap_or(0)).collect());
        match groups.iter_mut().find(|rows| rows.group == group) {
            Some(rows) => rows.rows.push(row),
            None => groups.push(Rows { group, rows: vec![row] }),
        }
    }
    groups
}

/// Fills in what members have received of each other. `order` are the members as the storages file lists them, which
/// columns follow where the rows do not tell; `id_of` knows a storage by what a file calls it.
pub(super) fn read(
    text: &str,
    groups: &mut [Group],
    order: &[(GroupName, StorageId)],
    id_of: impl Fn(GroupName, &str) -> Option<StorageId>,
) {
    for rows in parse(text) {
        let Some(group) = groups.iter_mut().find(|group| group.name.as_str() == rows.group) else {
            warn!(group = rows.group, "{TIMESTAMPS}: rows of a group that is not there, left out");
            continue;
        };
        let members: Vec<_> =
            order.iter().filter(|(name, _)| *name == group.name).map(|(_, id)| Some(*id)).collect();
        let sources: Vec<_> = rows.rows.iter().map(|(source, _)| id_of(group.name, source)).collect();
        if sources != members {
            let (found, expected) = (sources.len(), members.len());
            warn!(group = %group.name, found, expected, "{TIMESTAMPS}: rows of other storages, read by their ids");
        }
        let mut unread = 0;
        for ((_, values), source) in rows.rows.iter().zip(&sources) {
            let columns = match values.len() {
                len if len == sources.len() => &sources,
                len if len == members.len() => &members,
                _ => {
                    unread += 1;
                    continue;
                }
            };
            let Some(source) = source.filter(|source| group.member(source).is_some()) else { continue };
            for (destination, &timestamp) in columns.iter().zip(values) {
                let member = destination.as_ref().and_then(|id| group.member_mut(id));
                if let Some(member) = member.filter(|member| member.id != source && timestamp > 0) {
                    member.synced_from.insert(source, timestamp);
                }
            }
        }
        if unread > 0 {
            warn!(group = %group.name, rows = unread, "{TIMESTAMPS}: rows of no known length, left out");
        }
    }
}
