//! The texts of `prune`: what may go, and what went.

use super::page::{Page, Tone};
use super::quantity;
use super::table::{Cell, Table};
use crate::model::name::VmName;
use crate::model::old::{Listing, Old};

/// What may go, without a newline at its end.
pub fn listing(listing: &Listing, page: Page) -> String {
    let mut table = Table::new(["VM", "OLD"]);
    let mut any = false;
    for (vm, old) in &listing.vms {
        let (text, tone) = match old {
            Old::Busy => ("left alone: somebody works on it".to_owned(), Tone::Warn),
            Old::Numbers(numbers) if numbers.is_empty() => ("nothing".to_owned(), Tone::Dim),
            Old::Numbers(numbers) => {
                any = true;
                (stretches(numbers), Tone::Plain)
            }
        };
        table.row([Cell::new(vm.as_str()).tone(Tone::Strong), Cell::new(text).tone(tone)]);
    }
    let mut text = table.render(page);
    if any {
        text.push_str("\n\n");
        text.push_str(&match listing.freed {
            Some((0, _)) => "Everything in their closures is used by something else as well.".to_owned(),
            Some((bytes, paths)) => {
                format!("Nothing else uses {} of the store ({paths} paths).", quantity::bytes(bytes))
            }
            None => "How much that frees cannot be told.".to_owned(),
        });
    }
    text
}

/// What went.
pub fn pruned(dropped: &[(VmName, Old)], collect: &str) -> Vec<String> {
    let busy = dropped.iter().filter(|(_, old)| *old == Old::Busy);
    let mut lines: Vec<String> =
        busy.map(|(vm, _)| format!("{vm} was left alone: somebody works on it now")).collect();
    let count: usize = dropped.iter().map(|(_, old)| old.numbers().len()).sum();
    lines.push(match count {
        0 => "nothing dropped".to_owned(),
        1 => "1 generation dropped".to_owned(),
        count => format!("{count} generations dropped"),
    });
    if count > 0 {
        lines.push(format!("  the next garbage collection frees what only they used: {collect}"));
    }
    lines
}

/// `1-3 5`: numbers in a row, ascending.
fn stretches(numbers: &[u64]) -> String {
    let mut stretches: Vec<(u64, u64)> = Vec::new();
    for number in numbers {
        match stretches.last_mut() {
            Some((_, last)) if *last + 1 == *number => *last = *number,
            _ => stretches.push((*number, *number)),
        }
    }
    let text = |(first, last): &(u64, u64)| {
        if first == last { first.to_string() } else { format!("{first}-{last}") }
    };
    stretches.iter().map(text).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_a_row_are_a_stretch() {
        let all = [stretches(&[]), stretches(&[4]), stretches(&[1, 2, 3, 5, 7, 8]), stretches(&[1, 3, 5])];
        assert_eq!(all, ["", "4", "1-3 5 7-8", "1 3 5"]);
    }
}
