//! Somewhere to write lines. A reader that has gone away (`deployvm status | head
//! -1`) ends the output quietly; it never ends the work. Anything else that ends it, such
//! as a full disk, is remembered. One that reads late is waited for.

use std::io::{Error, ErrorKind, Result, Write};
use std::time::Duration;

/// Before what takes nothing at the moment is tried again.
const PAUSE: Duration = Duration::from_millis(5);

/// Writes all of it, however long that takes.
///
/// # Errors
/// Those of writing, but for a pipe that is full: whoever started us may share it with
/// us and not want to wait for it (`O_NONBLOCK`), and then neither end of it waits.
pub fn put(to: &mut dyn Write, mut bytes: &[u8]) -> Result<()> {
    while !bytes.is_empty() {
        match patiently(|| to.write(bytes))? {
            0 => return Err(ErrorKind::WriteZero.into()),
            written => bytes = bytes.get(written..).unwrap_or_default(),
        }
    }
    patiently(|| to.flush())
}

fn patiently<T>(mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
    loop {
        match attempt().map_err(|error| (error.kind(), error)) {
            Ok(done) => return Ok(done),
            Err((ErrorKind::Interrupted, _)) => {}
            Err((ErrorKind::WouldBlock, _)) => std::thread::sleep(PAUSE),
            Err((_, error)) => return Err(error),
        }
    }
}

/// A stream of lines.
pub(super) struct Stream {
    to: Box<dyn Write + Send>,
    open: bool,
    failed: Option<Error>,
    guard: fn(&str) -> String,
}

impl Stream {
    /// Writes to this.
    pub fn new(to: impl Write + Send + 'static) -> Self {
        Self { to: Box::new(to), open: true, failed: None, guard: ToOwned::to_owned }
    }

    /// Lets everything through this first.
    #[must_use]
    pub fn guarded(mut self, guard: fn(&str) -> String) -> Self {
        self.guard = guard;
        self
    }

    /// Whether somebody still reads, as far as is known.
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// Why not everything was written, unless nobody wanted to read it.
    pub fn failed(&self) -> Option<&Error> {
        self.failed.as_ref()
    }

    /// One text and the end of its line.
    pub fn line(&mut self, text: &str) {
        self.write(&format!("{text}\n"));
    }

    /// A text without the end of its line.
    pub fn write(&mut self, text: &str) {
        self.raw(&(self.guard)(text));
    }

    /// A text as it is: nothing foreign in it may be what the guard is for.
    pub fn raw(&mut self, text: &str) {
        if self.open
            && let Err(error) = put(&mut self.to, text.as_bytes())
        {
            self.open = false;
            self.failed = Some(error).filter(|error| error.kind() != ErrorKind::BrokenPipe);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    struct ClosesSoon(Arc<Mutex<u32>>, ErrorKind);

    impl Write for ClosesSoon {
        fn write(&mut self, bytes: &[u8]) -> Result<usize> {
            let mut writes = self.0.lock().unwrap();
            *writes += 1;
            if *writes > 1 { Err(Error::from(self.1)) } else { Ok(bytes.len()) }
        }
        fn flush(&mut self) -> Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_is_closed_is_not_tried_again() {
        for (kind, failed) in [(ErrorKind::BrokenPipe, None), (ErrorKind::StorageFull, Some(()))] {
            let writes = Arc::new(Mutex::new(0));
            let mut stream = Stream::new(ClosesSoon(writes.clone(), kind));
            (0..5).for_each(|_| stream.line("x"));
            assert_eq!(*writes.lock().unwrap(), 2);
            assert_eq!(stream.failed().map(|error| assert_eq!(error.kind(), kind)), failed);
        }
    }

    /// Takes three bytes at most, every other time nothing, and is interrupted now and then.
    struct Narrow(Arc<Mutex<(u32, Vec<u8>)>>);

    impl Narrow {
        fn turn(&self) -> Result<()> {
            let mut narrow = self.0.lock().unwrap();
            narrow.0 += 1;
            match narrow.0 % 4 {
                1 => Err(ErrorKind::WouldBlock.into()),
                3 => Err(ErrorKind::Interrupted.into()),
                _ => Ok(()),
            }
        }
    }

    impl Write for Narrow {
        fn write(&mut self, bytes: &[u8]) -> Result<usize> {
            self.turn()?;
            let some = bytes.get(..3).unwrap_or(bytes);
            self.0.lock().unwrap().1.extend_from_slice(some);
            Ok(some.len())
        }
        fn flush(&mut self) -> Result<()> {
            self.turn()
        }
    }

    #[test]
    fn what_takes_nothing_at_the_moment_is_waited_for() {
        let kept = Arc::new(Mutex::new((0, Vec::new())));
        let mut stream = Stream::new(Narrow(kept.clone()));
        stream.line("all of it");
        stream.line("and this");
        assert!(stream.is_open() && stream.failed().is_none());
        assert_eq!(String::from_utf8_lossy(&kept.lock().unwrap().1), "all of it\nand this\n");
    }
}
