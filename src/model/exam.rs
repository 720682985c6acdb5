//! Facts that only `doctor` asks for: of this machine, of the hypervisor, and of each
//! directory below microvm.nix's state directory. What every look at a hypervisor brings
//! is in [`super::observed`]. Nothing here is judged.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::name::VmName;
use super::store_path::StorePath;

/// Facts of this machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LaptopExam {
    /// Version of Nix; `None` when it was not found.
    pub nix: Option<String>,
    /// Whether deployvm needs a later one.
    pub nix_too_old: bool,
    /// Why the store cannot be opened; `None` when it can.
    pub store: Option<String>,
    /// The socket of an SSH agent that does not answer.
    pub dead_agent: Option<String>,
    /// Whether Tailscale's device is there.
    pub tailscale: bool,
    /// Where a packet to each of these addresses would go.
    pub routes: BTreeMap<String, Route>,
    /// Where one to an address of nobody would go.
    pub elsewhere: Option<Route>,
}

/// Where a packet would go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// Nowhere, as the kernel says it.
    Nowhere(String),
    /// By this gateway, if it needs one, and this device.
    Way {
        /// `via`.
        gateway: Option<String>,
        /// `dev`.
        device: String,
    },
}

/// What the login finds that `nix copy` uses; it is not root's, where we rise.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoginExam {
    /// What its login shell printed before it began.
    pub noise: String,
    /// Whether `nix-daemon` and `nix-store` are on the PATH of its session.
    pub nix: bool,
    /// That PATH.
    pub path: String,
    /// Whether it is root.
    pub root: bool,
    /// Whether Nix's daemon has a socket.
    pub socket: bool,
}

/// Facts of the hypervisor.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HostExam {
    /// How far its clock is ahead of ours, in seconds.
    pub clock_ahead: Option<i64>,
    /// Its Nix, where that is too old.
    pub old_nix: Option<String>,
    /// Whether it runs NixOS.
    pub nixos: bool,
    /// Whether it has the `microvm` command.
    pub microvm: bool,
    /// Nix's experimental features there, if `microvm` is there.
    pub features: Vec<String>,
    /// Programs that checks use and that are missing.
    pub lacks: Vec<String>,
    /// The file systems that matter, by place.
    pub disks: Vec<Disk>,
    /// A place that cannot be written.
    pub read_only: Option<String>,
    /// Whether microvm.nix's units are there.
    pub has_units: bool,
    /// As whom `booted` is written, with the group.
    pub writer: Option<(String, String)>,
    /// Whether systemd-networkd runs.
    pub networkd: bool,
    /// State of `nix-daemon.socket`; `None` when there is none.
    pub daemon_socket: Option<String>,
    /// Units that have failed.
    pub failed: Vec<String>,
    /// Timers that guard transactions.
    pub guards: Vec<String>,
    /// Whether the boot reaches `microvms.target`.
    pub starts_vms: bool,
    /// VMs that the host's configuration installs, and whether once only.
    pub installs: BTreeMap<VmName, bool>,
    /// Whether VMs may use KVM.
    pub kvm: Kvm,
    /// Network devices.
    pub devices: BTreeMap<String, Device>,
    /// Whether it passes packets on.
    pub forwards: bool,
    /// Roots of deployvm that nobody needs any more.
    pub roots_left: Vec<String>,
    /// The ledger.
    pub ledger: LedgerExam,
    /// Owner and mode of the state directory; `None` when there is none.
    pub state_directory: Option<String>,
    /// Generations' paths that are not in the store.
    pub lost: Vec<String>,
    /// Each directory in the state directory, by VM.
    pub vms: BTreeMap<VmName, VmExam>,
}

/// A file system.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Disk {
    /// What of it matters to us.
    pub place: String,
    /// Its id.
    pub id: String,
    /// Its kind, as `stat -f` calls it.
    pub kind: String,
    /// Bytes.
    pub total: u64,
    /// Bytes that are free.
    pub free: u64,
    /// Inodes; 0 where there is no such limit.
    pub inodes: u64,
    /// Inodes that are free.
    pub inodes_free: u64,
}

/// Whether VMs may use KVM.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Kvm {
    /// They may.
    #[default]
    Usable,
    /// There is no such device.
    Missing,
    /// The user whom VMs run as may not; its owner and mode.
    Denied(String),
}

/// What a network device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceKind {
    /// A tap or tun.
    Tap,
    /// A bridge.
    Bridge,
    /// Anything else.
    Other,
}

/// A network device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// What it is.
    pub kind: DeviceKind,
    /// Whether it was set up.
    pub up: bool,
    /// The bridge that it belongs to.
    pub bridge: Option<String>,
    /// Its addresses, with the lengths of their prefixes.
    pub addresses: Vec<(IpAddr, u8)>,
}

impl Device {
    /// Whether that address is in a network of this device.
    pub fn leads_to(&self, address: IpAddr) -> bool {
        self.addresses.iter().any(|(own, length)| match (own, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let shift = 32_u32.saturating_sub(u32::from(*length));
                own.to_bits().checked_shr(shift) == other.to_bits().checked_shr(shift)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let shift = 128_u32.saturating_sub(u32::from(*length));
                own.to_bits().checked_shr(shift) == other.to_bits().checked_shr(shift)
            }
            _ => false,
        })
    }
}

/// The ledger's file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum LedgerExam {
    /// There is none yet.
    #[default]
    None,
    /// It is no plain file; what it is.
    Odd(String),
    /// It is one, with so many lines near its end that are no entries; the first of them.
    Lines {
        /// Lines without sense.
        bad: usize,
        /// The first.
        first: String,
    },
}

/// One directory in the state directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VmExam {
    /// Owner, group and mode.
    pub owner: String,
    /// Whether the unit that writes `booted` may write there.
    pub writable: bool,
    /// Where `current` ends, when it does not point straight into the store.
    pub ends_at: Option<StorePath>,
    /// Target of `toplevel`.
    pub toplevel: Option<String>,
    /// The system in the runner that is staged.
    pub system: Option<String>,
    /// Target of its root for `current`.
    pub root_current: Option<String>,
    /// Target of its root for `booted`.
    pub root_booted: Option<String>,
    /// Whether the path that its `flake` file names is there.
    pub flake_there: bool,
    /// Kind of VMM of what is staged.
    pub kind: String,
    /// Its taps.
    pub taps: Vec<String>,
    /// Taps of what is booted.
    pub booted_taps: Vec<String>,
    /// Its MAC addresses, lower case.
    pub macs: Vec<String>,
    /// Its vsock context id.
    pub cid: Option<u64>,
    /// What it wants of KVM.
    pub wants_kvm: WantsKvm,
}

/// What a runner wants of KVM.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WantsKvm {
    /// Nothing.
    #[default]
    No,
    /// It is slow without.
    Prefers,
    /// It does not start without.
    Needs,
}
