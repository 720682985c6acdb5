//! Changes inputs: bytes, ranges, numbers and words, and pieces of other inputs. All of it
//! follows from one seed, so that a finding can be found again.

/// Largest input that is tried.
const MOST_BYTES: usize = 64 << 10;

/// What parsers trip over, whatever they read.
const WORDS: [&str; 32] = [
    "",
    "\0",
    "\n",
    "\n\n",
    "\n.\n",
    "\r\n",
    " ",
    "\t",
    "\u{1b}[31m",
    "\u{202e}",
    "é",
    "\u{fffd}",
    "'",
    "\"",
    "\\",
    "\\u0000",
    "\\ud800",
    "$(x)",
    "`x`",
    ";",
    "%",
    "-",
    "--",
    "../",
    "/nix/store/",
    "null",
    "true",
    "[]",
    "{}",
    "1e999",
    "=",
    "@",
];
const NUMBERS: [&str; 10] = [
    "0",
    "-1",
    "255",
    "256",
    "65536",
    "4294967296",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "0.1",
];

/// SplitMix64.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `end`; 0 when that is 0.
    pub fn below(&mut self, end: usize) -> usize {
        (self.roll() % (end.max(1) as u64)) as usize
    }

    pub fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    /// A range of an input, mostly a short one.
    fn range(&mut self, length: usize) -> std::ops::Range<usize> {
        let start = self.below(length + 1);
        let most = if self.below(4) == 0 { length - start } else { (length - start).min(32) };
        start..start + self.below(most + 1)
    }
}

/// An input that is like one of these.
pub fn mutate(dice: &mut Dice, pool: &[Vec<u8>]) -> Vec<u8> {
    let mut input = dice.one(pool).clone();
    for _ in 0..=dice.below(6) {
        change(dice, &mut input, pool);
        input.truncate(MOST_BYTES);
    }
    input
}

fn change(dice: &mut Dice, input: &mut Vec<u8>, pool: &[Vec<u8>]) {
    let range = dice.range(input.len());
    let new: Vec<u8> = match dice.below(9) {
        0 => Vec::new(),
        1 => dice.one(&WORDS).as_bytes().to_vec(),
        2 => {
            // A number in the place of a number.
            let digits =
                (range.start..input.len()).find(|i| input[*i].is_ascii_digit()).unwrap_or(range.start);
            let end = (digits..input.len()).find(|i| !input[*i].is_ascii_digit()).unwrap_or(input.len());
            drop(input.splice(digits..end, dice.one(&NUMBERS).bytes()));
            return;
        }
        3 => {
            let other = dice.one(pool);
            let piece = dice.range(other.len());
            other[piece].to_vec()
        }
        4 => input[range.clone()].repeat(2),
        5 => {
            let times = 1 << dice.below(12);
            dice.one(&["[", "{\"a\":", "(", "\"", "9", "a", "\n"]).repeat(times).into_bytes()
        }
        6 => (0..range.len().max(1)).map(|_| dice.roll() as u8).collect(),
        7 => {
            if let Some(byte) = input.get_mut(range.start) {
                *byte ^= 1 << (dice.roll() % 8);
            }
            return;
        }
        _ => {
            // A line from elsewhere in the same input.
            let lines: Vec<&[u8]> = input.split_inclusive(|b| *b == b'\n' || *b == 0).collect();
            if lines.is_empty() { Vec::new() } else { dice.one(&lines).to_vec() }
        }
    };
    let at = if dice.below(2) == 0 { range.start..range.start } else { range };
    drop(input.splice(at, new));
}
