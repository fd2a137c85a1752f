//! `fdfs_crc32`: the CRC32 of a local file.

use std::fs::File;
use std::io::{self, Read};
use std::process::ExitCode;

use super::{Failure, Tool};
use crate::format::error_text;
use crate::output::print;

pub(super) fn run(tool: &Tool<'_>) -> ExitCode {
    let Some(path) = tool.argument(0) else { return tool.usage("<filename>") };
    match of_file(path) {
        Ok(crc32) => {
            print(format_args!("{crc32:x}"));
            ExitCode::SUCCESS
        }
        Err(error) => {
            let failure = Failure::from(error);
            let Failure(errno) = failure;
            print(format_args!("open file {path} fail, errno: {errno}, error info: {}", error_text(errno)));
            failure.exit()
        }
    }
}

fn of_file(path: &str) -> io::Result<u32> {
    let mut file = File::open(path)?;
    let mut hasher = crc32fast::Hasher::new();
    let mut piece = vec![0; 256 * 1024];
    loop {
        let count = file.read(&mut piece)?;
        if count == 0 {
            return Ok(hasher.finalize());
        }
        hasher.update(piece.get(..count).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc32_of_files() {
        let directory = tempfile::tempdir().unwrap();
        for (content, expected) in [("", "0"), ("hello world", "d4a1185"), ("hello", "3610a686")] {
            let path = directory.path().join("file");
            std::fs::write(&path, content).unwrap();
            assert_eq!(format!("{:x}", of_file(path.to_str().unwrap()).unwrap()), expected);
        }
        assert!(of_file("/no/such/file").is_err());
    }
}
