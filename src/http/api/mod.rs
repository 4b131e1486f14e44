//! What is answered, a file for each thing: its routes, what they look like, and their handlers.

pub mod audit;
pub mod health;
pub mod session;
pub mod tokens;
pub mod users;
