//! Everything HTTP: file URLs, uploads, limits and drain. Sees files through [`files`], knows no disk layout.

pub mod files;
pub mod problem;
pub mod server;
