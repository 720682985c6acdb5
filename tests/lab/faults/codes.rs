//! The exit code of a cell: what it tells must be what is so.

use super::cells::{Cell, Fault::*, Stretch};

impl Cell {
    /// With which codes it may end, when its VMs ended so (`old`, `new`, `theirs`).
    pub fn exits(&self, ends: [&str; 2]) -> &'static [i32] {
        let at = self.stretch();
        let name = self.step.name;
        match self.fault {
            // Killed: it says nothing.
            KillDeployvm => &[137],
            // It cannot ask how it ended.
            LinkDown if at > Stretch::Copying => &[40],
            // vm1, or the next one, is undone for want of a verdict.
            NoSessions if name != "connect" => &[30],
            SameVm => match at {
                Stretch::Looking if self.verb == "push" => &[12],
                // vm1 is refused, and vm2 skipped.
                Stretch::Copying => &[13],
                _ => &[0],
            },
            OtherVm => &[0],
            _ if ends == ["new", "new"] => &[0],
            _ => match at {
                Stretch::Looking => self.while_looking(),
                Stretch::Copying => match self.fault {
                    KillSsh | LinkDown | LinkBlip | StoreFull => &[20],
                    _ => &[13],
                },
                // It is refused, or, without room for its roots at the last moment, undone.
                Stretch::Recording if self.fault == StoreFull && name == "record" => &[30],
                Stretch::Recording => &[13],
                // The check that could not be made, or hold, in time is the reason.
                Stretch::Trial if self.fault == LinkBlip => &[31],
                Stretch::Trial if matches!(self.fault, StateFull | ReadOnly) => &[30, 31],
                Stretch::Trial | Stretch::Deciding => &[30],
                // vm1 is undone, or deployed and the next one refused.
                Stretch::Committing if ends[0] == "old" => &[30],
                Stretch::Committing => &[12],
            },
        }
    }

    fn while_looking(&self) -> &'static [i32] {
        match self.fault {
            // The plan sees it.
            StoreFull => &[12],
            // Nothing can be begun, and the next is skipped.
            StateFull | RunFull | ReadOnly => &[13],
            _ => &[11],
        }
    }
}
