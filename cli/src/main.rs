//! The `fdfs` binary: daemons, client tools and the load generator.

fn main() {}
