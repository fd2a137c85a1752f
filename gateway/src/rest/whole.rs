//! Bodies that are read whole before anything is done.

use http::StatusCode;

use super::upload::Incoming;
use crate::problem::Problem;

impl Incoming {
    /// All of a body, at most `max` bytes.
    pub(super) async fn at_most(&mut self, max: usize) -> Result<Vec<u8>, Problem> {
        let mut whole = Vec::new();
        while let Some(bytes) = self.next().await? {
            if whole.len() + bytes.len() > max {
                self.discard().await;
                let detail = format!("the body of this request has up to {max} bytes; send less");
                return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail));
            }
            whole.extend_from_slice(&bytes);
        }
        Ok(whole)
    }
}
