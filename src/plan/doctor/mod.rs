//! Judges what was found on laptop and hypervisor: which of the traps that are known to
//! break deployments are there. Pure: facts in, findings out, one file per kind of trap.
//! Nothing is said of what merely could be better.

mod host;
mod links;
mod login;
mod network;
mod state;
mod twins;
mod typed;
mod vm;

use std::net::IpAddr;

use crate::error::{Failure, clean_line};
use crate::model::exam::{HostExam, LaptopExam, LoginExam, VmExam};
use crate::model::finding::{Finding, Mend, Place, Severity, Trap};
use crate::model::login::Login;
use crate::model::name::VmName;
use crate::model::observed::{Found, Observed};

pub use network::needed_from_here;
pub use typed::Typed;

/// All that was found out.
pub struct Case<'a> {
    /// This machine.
    pub laptop: &'a LaptopExam,
    /// The hypervisor, as far as it answered.
    pub hypervisor: Option<Hypervisor<'a>>,
    /// Why it did not: there is no connection, or nobody is let look.
    pub trouble: Option<(Trap, &'a Failure)>,
    /// How commands are typed.
    pub typed: Typed,
}

/// A hypervisor that answered.
pub struct Hypervisor<'a> {
    /// What every look brings.
    pub observed: &'a Observed,
    /// What `doctor` asks for.
    pub exam: &'a HostExam,
    /// What the login finds.
    pub login: &'a LoginExam,
    /// Who we are there, where that is not root.
    pub who: Option<&'a Login>,
    /// What a new VM's `flake` file would say, if the settings tell.
    pub flake: Option<&'a str>,
    /// What deployvm.toml calls it, if it has a table there.
    pub name: Option<&'a str>,
    /// What was asked of each VM's terms and checks.
    pub vms: &'a [Known],
}

/// What is known of a VM besides what the hypervisor has.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// The VM; `None` never, but for tests.
    pub vm: Option<VmName>,
    /// The guest's address.
    pub address: Option<IpAddr>,
    /// Taps that belonged to a bridge when it was deployed.
    pub bridged: Vec<String>,
    /// Addresses that its checks, or the way into it, need from this machine.
    pub from_here: Vec<String>,
    /// A check that cannot run where it was declared: what, and what to do.
    pub refused: Option<(String, String)>,
    /// It does not answer, so whether its checks can run inside cannot be told.
    pub silent: Option<String>,
}

/// The findings, the worst first; those of the same weight by place.
pub fn judge(case: &Case<'_>) -> Vec<Finding> {
    let mut list = Findings { typed: &case.typed, list: Vec::new() };
    login::laptop(case.laptop, &mut list);
    if let Some((trap, failure)) = case.trouble {
        let place = if trap == Trap::NoWayIn { Place::Laptop } else { Place::Hypervisor };
        let mend = failure.help.clone().unwrap_or_default();
        let evidence = failure.output.join("; ");
        list.error(trap, place, failure.message.clone(), evidence, mend);
    }
    if let Some(there) = &case.hypervisor {
        login::hypervisor(there, &mut list);
        host::judge(there, &mut list);
        network::routes(case.laptop, there, &mut list);
        network::devices(there, &mut list);
        state::judge(there, &mut list);
        twins::judge(there, &mut list);
        vm::names(there, &mut list);
        for (name, exam) in &there.exam.vms {
            let one = One { name, exam, found: there.observed.vms.get(name), there };
            vm::judge(&one, &mut list);
            if one.is_at_rest() {
                links::judge(&one, &mut list);
            }
        }
    }
    let mut list = list.list;
    list.sort_by(|a, b| (a.severity, &a.place, a.id).cmp(&(b.severity, &b.place, b.id)));
    list
}

/// One VM with all that is known of it.
struct One<'a> {
    name: &'a VmName,
    exam: &'a VmExam,
    found: Option<&'a Found>,
    there: &'a Hypervisor<'a>,
}

impl One<'_> {
    /// Nobody works on it now: during a trial its links differ by design.
    fn is_at_rest(&self) -> bool {
        let open = |t: &crate::model::observed::OpenTransaction| t.vm == self.name.as_str();
        self.found.is_none_or(|found| found.locked.is_none()) && !self.there.observed.open.iter().any(open)
    }

    fn place(&self) -> Place {
        Place::Vm(self.name.clone())
    }

    fn known(&self) -> Option<&Known> {
        self.there.vms.iter().find(|known| known.vm.as_ref() == Some(self.name))
    }
}

/// The list as it grows. Text of others is cleaned here.
struct Findings<'a> {
    typed: &'a Typed,
    list: Vec<Finding>,
}

impl Findings<'_> {
    fn add(
        &mut self,
        severity: Severity,
        id: Trap,
        place: Place,
        what: impl Into<String>,
        evidence: impl AsRef<str>,
        mend: impl Into<Mend>,
    ) {
        let clean = |text: &str| clean_line(&text.replace('\n', " "));
        let (what, evidence) = (what.into(), clean(evidence.as_ref()));
        self.list.push(Finding { id, severity, place, what: clean(&what), evidence, mend: mend.into() });
    }

    fn error(
        &mut self,
        id: Trap,
        place: Place,
        what: impl Into<String>,
        evidence: impl AsRef<str>,
        mend: impl Into<Mend>,
    ) {
        self.add(Severity::Error, id, place, what, evidence, mend);
    }

    fn warning(
        &mut self,
        id: Trap,
        place: Place,
        what: impl Into<String>,
        evidence: impl AsRef<str>,
        mend: impl Into<Mend>,
    ) {
        self.add(Severity::Warning, id, place, what, evidence, mend);
    }

    fn note(
        &mut self,
        id: Trap,
        place: Place,
        what: impl Into<String>,
        evidence: impl AsRef<str>,
        mend: impl Into<Mend>,
    ) {
        self.add(Severity::Note, id, place, what, evidence, mend);
    }
}

#[cfg(test)]
mod tests;
