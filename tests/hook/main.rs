//! The git hook with the real git and the real binary: put before whatever hook there
//! is, run by `git push`, taken away again without a trace.

#![expect(clippy::disallowed_methods, reason = "a test starts git and the binary that it is about")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests, too")]

mod install;
mod managers;
mod place;
mod pushes;
