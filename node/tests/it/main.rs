//! A whole node in the test process, over real sockets, with a tracker that only says what a storage needs to hear.

mod address;
mod again;
mod contract;
mod fake_member;
mod fake_tracker;
mod front;
mod golden;
mod group;
mod hostile;
mod life;
mod link;
mod membership;
mod noting;
mod operations;
mod recovery;
mod remote;
mod replica;
mod rest;
mod resumable;
mod running;
mod sender;
mod sending;
mod taker;
mod trunk;
mod uploads;
mod wire;
