//! deployvm against the real thing: real Nix on both sides, a booted systemd with sshd
//! and `microvm@` units, QEMU guests that answer over the network (README.md here).
//! Every test brings up a lab of its own, at most three at a time, and asserts on what is
//! there: web servers, processes, links, profiles; not on deployvm's words alone.
//!
//! Needs root and a Debian machine, so it runs by name only: `cargo test --test lab`.

#![expect(clippy::disallowed_methods, reason = "tests start programs and watch the clock")]
#![expect(clippy::print_stderr, reason = "what the hypervisor said when a test failed")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests, too")]

mod autostart;
mod back;
mod behind;
mod build_on;
mod checks;
mod choices;
mod ci;
mod collected;
mod connection;
mod ctrl_c;
mod deadlines;
mod deploy_user;
mod doctor;
mod failing;
mod faults;
mod first;
mod harness;
mod hook;
mod host;
mod hostile;
mod hypervisor;
mod interrupted;
mod logs;
mod meddling;
mod moved;
mod neighbours;
mod nixes;
mod owners;
mod queue;
mod reboot;
mod receiver;
mod refused;
mod retention;
mod run;
mod running;
mod secrets;
mod sessions;
mod tutorial;
mod unlucky;
mod unread;
mod verbs;
mod watch;
mod why;
