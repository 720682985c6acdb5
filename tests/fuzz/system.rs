//! The hypervisor's own system: what the flake wants of it, what it says of itself, and what
//! is planned from both.

use deployvm::plan::system::{effects, previous, reboot};
use deployvm::tool::nix::host::parse_system;
use deployvm::tool::{observation, system as looked};

use crate::fingerprint;
use crate::targets::{fields, rough};

/// A wish in JSON, a line with `--`, and the fields of an answer.
pub fn system(bytes: &[u8]) -> u64 {
    let cut = bytes.windows(4).position(|four| four == b"\n--\n");
    let (wish, answer) = cut.map_or((bytes, &b""[..]), |at| (&bytes[..at], &bytes[at + 4..]));
    let (wish, answer) = (parse_system(wish), fields(answer));
    let (found, observed) = (looked::parse(&answer), observation::parse(&answer));
    assert!(found.generations.is_sorted_by(|a, b| a.number < b.number));
    let back = previous(&found, None);
    if let (Ok(back), Some(running)) = (&back, found.running()) {
        assert_ne!(back.path, running, "that would be no way back");
    }
    let kind = wish.ok().map(|wish| {
        let told = effects(&wish, &found, &observed);
        let does: Vec<_> = told.iter().take(4).map(|effect| format!("{:?}", effect.does)).collect();
        (wish.vms.len().min(4), does, reboot(&wish.boot, &found.boot).is_some())
    });
    fingerprint((kind, back.is_ok(), rough(found.generations.len()), found.boot.kernel.is_some()))
}
