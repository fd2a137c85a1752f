//! `fdfs_file_info`: what an ID says, or what a storage knows.

use std::process::ExitCode;

use protocol::Status;
use protocol::storage::FileInfoFlags;

use super::{Failure, Tool};
use crate::clock::local_time;
use crate::info::{Asking, FileFacts, InfoError, file_facts};
use crate::output::{complain, print};

pub(super) fn run(tool: &Tool<'_>) -> ExitCode {
    let mut flags = 0;
    let mut words = Vec::new();
    for argument in tool.arguments {
        match argument.as_str() {
            "-s" => flags |= FileInfoFlags::QUIET.0,
            "-n" => flags |= FileInfoFlags::NO_CRC32.0,
            "-sn" | "-ns" => flags |= FileInfoFlags::QUIET.0 | FileInfoFlags::NO_CRC32.0,
            word => words.push(word),
        }
    }
    let [conf, id, ..] = words.as_slice() else {
        complain(format_args!(
            "Usage: {} [options] <config_file> <file_id>\n\
             \x20 options: \n\
             \x20   -s: the storage server does not log that the file is missing\n\
             \x20   -n: no CRC32 of appender and slave files\n",
            tool.name
        ));
        return ExitCode::FAILURE;
    };
    let session = match tool.session(conf) {
        Ok(session) => session,
        Err(failure) => return failure.exit(),
    };
    let flags = FileInfoFlags(flags);
    let facts = tool.file_id(id).and_then(|id| {
        file_facts(&session, &id, flags, Asking::IfNeeded).map_err(|error| match error {
            InfoError::Name(_) => Failure(Status::EINVAL.0),
            InfoError::Client(error) => error.into(),
        })
    });
    match facts {
        Ok(facts) => {
            print(format_args!("{}", block(&facts, flags)));
            ExitCode::SUCCESS
        }
        Err(failure) => failure.told_err("query file info"),
    }
}

/// The lines, with the empty one at the end but for its line feed.
fn block(facts: &FileFacts, flags: FileInfoFlags) -> String {
    let ip = facts.source_ip.map(|ip| ip.to_string()).unwrap_or_default();
    let crc32 = if facts.crc32 == 0 && flags.has(FileInfoFlags::NO_CRC32) {
        String::new()
    } else {
        format!("file crc32: {} (0x{:08x})\n", facts.crc32.cast_signed(), facts.crc32)
    };
    format!(
        "GET FROM SERVER: {}\n\n\
         file type: {}\n\
         source storage id: {}\n\
         source ip address: {ip}\n\
         file create timestamp: {}\n\
         file size: {}\n\
         {crc32}",
        facts.from_server,
        facts.kind,
        facts.source_id,
        local_time(facts.time),
        facts.size,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> FileFacts {
        FileFacts {
            from_server: true,
            kind: "appender",
            source_id: 0,
            source_ip: Some("192.0.2.2".parse().unwrap()),
            time: 0x6b03_616c,
            size: 5,
            crc32: 0xa684_c7c6,
        }
    }

    #[test]
    fn the_block_has_fastdfs_lines() {
        let time = local_time(0x6b03_616c);
        assert_eq!(
            block(&facts(), FileInfoFlags::default()),
            format!(
                "GET FROM SERVER: true\n\nfile type: appender\nsource storage id: 0\n\
                 source ip address: 192.0.2.2\nfile create timestamp: {time}\nfile size: 5\n\
                 file crc32: -1501247546 (0xa684c7c6)\n"
            )
        );
    }

    #[test]
    fn a_checksum_that_was_not_wanted_has_no_line() {
        let none = FileFacts { crc32: 0, ..facts() };
        assert!(!block(&none, FileInfoFlags::NO_CRC32).contains("crc32"));
        assert!(block(&none, FileInfoFlags::default()).contains("crc32: 0 (0x00000000)"));
    }
}
