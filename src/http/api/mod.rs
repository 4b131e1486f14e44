//! What is answered, a file for each thing: its routes, what they look like, and their handlers.

pub mod health;
