//! What a node sends to the others of its group: command by command, in which order, and how far it was remembered.

mod confirm;
mod lanes;
mod letters;
mod marks;
mod members;
mod order;
mod overview;
mod rows;
